"""The same behaviour on every store: in memory, on fakeredis, on each kind of server."""

from __future__ import annotations

import pytest
import servers
from server_fixtures import _start
from stage import Stage


@pytest.fixture(params=["memory", "fakeredis", *servers.KINDS])
async def stage(request, server_pool):
    """A store with nothing in it."""
    kind = request.param
    if kind in {"memory", "fakeredis"}:
        return Stage(kind)
    if kind not in server_pool:
        server_pool[kind] = _start(kind)
    assert server_pool[kind].command("FLUSHALL") == b"+OK"
    return Stage(server_pool[kind].url)
