"""For all tests, in tests/ and in conformance/: the fixtures that start real servers and the real node-resque."""

from __future__ import annotations

import signal

pytest_plugins = ["node_fixtures", "server_fixtures"]

# Programs that a shell starts in the background ignore Ctrl-C, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
