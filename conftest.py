"""For all tests, in tests/ and in conformance/: the fixtures that start real servers."""

from __future__ import annotations

pytest_plugins = ["server_fixtures"]
