"""One server, the real node-resque beside it, and apps of taskhero on both."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from app_harness import AppHarness
from redis_dumps import load, restore
from server_fixtures import start_kind
from state_watcher import look

if TYPE_CHECKING:
    from node_fixtures import StartNode

    import node

KIND = "redis7"


class Refused(Exception):
    """What node-resque threw."""


class Resque:
    """The real node-resque in a process of its own, which does what it is asked."""

    #: What a call raises if node-resque threw.
    Refused = Refused

    def __init__(self, program: node.Node) -> None:
        self._program = program

    async def __call__(self, verb: str, *given: Any) -> Any:
        answer = await asyncio.to_thread(self._program.ask, [verb, *given])
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["answer"]

    async def queue(self, verb: str, *given: Any) -> Any:
        """Call a verb of its `Queue`."""
        return await self("call", verb, *given)

    @property
    def process(self) -> Any:
        """The process, to be killed."""
        return self._program.process


@pytest.fixture(scope="session")
def shared_server():
    """The server of all these tests, and of no others: programs come and go on it."""
    with contextlib.closing(start_kind(KIND)) as server:
        yield server


@pytest.fixture
def place(shared_server):
    """The server, emptied."""
    assert shared_server.command("FLUSHALL") == b"+OK"
    return shared_server


@pytest.fixture
def restored(place, path):
    """What lies in Redis when the dump at *path* is restored there."""
    restore(place.url, load(path))
    return look(place.url)


@pytest.fixture
def make_resque(place, start_node: StartNode):
    """Starts processes with node-resque on the server; each call makes one, which ends with the test."""
    with contextlib.ExitStack() as ending:
        yield lambda: Resque(ending.enter_context(start_node("resque.mjs", str(place.port))))


@pytest.fixture
def resque(make_resque) -> Resque:
    """One process with node-resque on the server."""
    return make_resque()


@pytest.fixture
def stage(place) -> AppHarness:
    """Apps of taskhero on the server; their clock is the server's own."""
    stage = AppHarness(place.url)
    stage.clock = None
    return stage
