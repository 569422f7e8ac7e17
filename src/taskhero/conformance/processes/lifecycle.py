"""Connecting and closing."""

from __future__ import annotations

import asyncio
import gc
import re
from typing import TYPE_CHECKING

import pytest

from taskhero.backends.periodic_protocol import PeriodicTaskVerbs
from taskhero.backends.protocol import Backend, DelayedJobEntry, Subscription
from taskhero.conformance.promises import promise
from taskhero.conformance.steps import claim_one, job, let_waits_begin, long, now_of, push, registered, within
from taskhero.conformance.suite import Suite
from taskhero.errors import TaskheroError

if TYPE_CHECKING:
    from taskhero.backends.protocol import Wakeup

__all__ = ["Lifecycle"]


class Lifecycle(Suite):
    """Connecting, reconnecting and closing a backend."""

    async def test_it_is_a_backend(self, backend: Backend) -> None:
        """It has all verbs of the contract."""
        missing = [
            name
            for name in {**vars(PeriodicTaskVerbs), **vars(Backend)}
            if not name.startswith("_") and not hasattr(backend, name)
        ]
        assert missing == []
        assert isinstance(backend, Backend)

    @promise("location", "Return where the backend keeps its jobs, as text for people and without passwords.")
    async def test_its_location_is_for_people(self, backend: Backend) -> None:
        """It is text, stays the same, and shows no password."""
        location = backend.location
        assert isinstance(location, str)
        assert location.strip()
        assert not re.search(r"//[^/]*:[^/]*@", location)
        assert backend.location == location

    @promise("connect", "Connect the backend in the running event loop.")
    async def test_a_connected_backend_can_be_used(self, backend: Backend) -> None:
        """It shows what it stored."""
        await push(backend, job(1))
        assert await backend.queued("q") == [job(1)]

    @promise("connect", "A second call without a close in between changes nothing.")
    async def test_connecting_twice_changes_nothing(self, backend: Backend) -> None:
        """Jobs and claims from before stay as they were."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        claimed = await claim_one(backend, process)
        await backend.connect()
        assert await backend.queued("q") == [job(2)]
        assert list((await backend.claims(process)).claims) == [claimed]

    @promise("connect", "If the event loop in which the backend was connected has ended, the backend connects anew.")
    @pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    async def test_it_can_be_used_after_a_loop_that_did_not_close_it(self, backend: Backend) -> None:
        """As in a program that calls ``asyncio.run`` twice. The jobs of the first loop are there."""
        await backend.close()

        async def leave_open() -> None:
            await backend.connect()
            await push(backend, job(1))

        for _ in range(2):
            await within(asyncio.to_thread(asyncio.run, leave_open()))
        await backend.connect()
        await push(backend, job(2))
        assert await backend.queued("q") == [job(1), job(1), job(2)]
        gc.collect()  # warns here about connections that the lost loops left open

    @promise("close", "A second call changes nothing.")
    async def test_closing_twice_changes_nothing(self, backend: Backend) -> None:
        """The backend can be used again once it is connected."""
        await push(backend, job(1))
        await backend.close()
        await backend.close()
        await backend.connect()
        assert await backend.queued("q") == [job(1)]

    @promise("close", "Close all connections and end all waits.")
    @promise("close", "Stored data stays.")
    @promise("close", "The backend can be connected again.")
    async def test_what_is_stored_outlives_the_connection(self, backend: Backend) -> None:
        """Queued and delayed jobs, failed jobs and counters, and what a process holds."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        await claim_one(backend, process)
        later = await now_of(backend) + 1000
        await backend.schedule([DelayedJobEntry(later, "q", job(3))])
        await backend.close()
        await backend.connect()
        assert await backend.queues() == ["q"]
        assert await backend.queued("q") == [job(2)]
        assert (await backend.due(1)).next_at == later
        await backend.register(process, (1,), 60.0)
        assert [held.raw for held in (await backend.claims(process)).claims] == [job(1)]

    @promise("close", "Close all connections and end all waits.", "Stored data stays.")
    async def test_closing_ends_all_waits(self, backend: Backend) -> None:
        """A wait returns, or raises that the backend is closed. None lasts until its timeout."""
        first, second = await registered(backend, 1), await registered(backend, 2)
        waits = [
            asyncio.create_task(backend.wait(process, subscription, long()))
            for process, subscription in ((first, Subscription(queues=("q",))), (second, Subscription(schedule=True)))
        ]
        await let_waits_begin()
        await within(backend.close())
        ends = await within(asyncio.gather(*waits, return_exceptions=True))
        assert [end for end in ends if not _is_an_end(end)] == []


def _is_an_end(end: Wakeup | BaseException) -> bool:
    return not isinstance(end, BaseException) or isinstance(end, TaskheroError)
