"""For all tests, in tests/ and in conformance/: the fixtures that start real servers and the real node-resque."""

from __future__ import annotations

pytest_plugins = ["node_fixtures", "server_fixtures"]
