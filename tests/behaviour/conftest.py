"""The same behaviour on every store: in memory, on fakeredis, on each kind of server, and on a SQLite file."""

from __future__ import annotations

import pytest
import servers
from app_harness import AppHarness
from server_fixtures import start_kind

#: Of the stores that Redis programs do not share, the example's SQLite file is tried where a module asks for it.
KINDS = ("memory", "fakeredis", *servers.KINDS)


def pytest_generate_tests(metafunc):
    """Run each test that has a harness on each kind of store."""
    if "harness" in metafunc.fixturenames:
        more = ("sqlite",) if getattr(metafunc.module, "ON_SQLITE_TOO", False) else ()
        metafunc.parametrize("harness", [*KINDS, *more], indirect=True)


@pytest.fixture
async def harness(request, server_pool, tmp_path):
    """A store with nothing in it."""
    kind = request.param
    if kind == "sqlite":
        return AppHarness(tmp_path / "jobs.db")
    if kind in {"memory", "fakeredis"}:
        return AppHarness(kind)
    if kind not in server_pool:
        server_pool[kind] = start_kind(kind)
    assert server_pool[kind].command("FLUSHALL") == b"+OK"
    return AppHarness(server_pool[kind].url)
