"""The loop that settles and claims: how it ends."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import Floor

from taskhero.backends.protocol import Failed
from taskhero.errors import BackendUnavailable, ReplyLost
from taskhero.events import WorkerFailure, WorkerGivenBack, WorkerGone, WorkerSuccess
from taskhero.models import Failure, Job
from taskhero.runtime.execution.executor import Performed
from taskhero.runtime.worker.settlement_buffer import STOPS

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")
LOST = ReplyLost("the line broke")


async def test_a_stop_lets_running_jobs_end_within_the_grace_period() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long", "waiting")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun == ["long"])
        stopping = asyncio.create_task(floor.exchanger.drain(30, 1))
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.wait_for(stopping, 5)
        assert floor.crew.begun == ["long"], "nothing is claimed once the stop has begun"
        assert await floor.stats() == {"processed": 1, "failed": 0}
        assert await floor.queued() == ["waiting"]
        assert floor.told(WorkerSuccess)


async def test_a_stop_without_grace_gives_jobs_back_to_the_front() -> None:
    async with Floor("default") as floor:
        floor.crew.hold("a", "b")
        await floor.push("a", "b", "c")
        await floor.start(2)
        await floor.until(lambda: len(floor.crew.begun) == 2)
        assert await floor.exchanger.drain(0, 1)
        assert await floor.queued() == ["a", "b", "c"]
        assert await floor.stats() == {"processed": 0, "failed": 0}
        assert sorted(event.job.name for event in floor.told(WorkerGivenBack)) == ["a", "b"]
        assert {event.reason for event in floor.told(WorkerGivenBack)} == {STOPS}
        assert not (await floor.memory.claims(floor.process)).claims


async def test_a_stop_gives_back_what_an_exchange_under_way_claims() -> None:
    async with Floor("default") as floor:
        answering = floor.backend.hold("exchange")
        await floor.push("a", "b", "c")
        await floor.start(3)
        await floor.until(lambda: floor.backend.times["exchange"] == 1)
        stopping = asyncio.create_task(floor.exchanger.drain(0, 1))
        await asyncio.sleep(0)
        answering.set()
        assert await asyncio.wait_for(stopping, 5)
        assert floor.crew.begun == []
        assert await floor.queued() == ["a", "b", "c"]


async def test_a_process_that_stops_leaves_wakeups_to_others() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long")
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun and floor.waits)
        stopping = asyncio.create_task(floor.exchanger.drain(30, 1))
        await floor.until(lambda: not floor.waits or floor.signals.happen())
        await floor.push("other")
        gate.set()
        await asyncio.wait_for(stopping, 5)
        assert floor.backend.times["notify"] == 0, "it must not even be woken"


async def test_a_job_that_ignores_its_cancellation_is_given_back_all_the_same() -> None:
    async with Floor("default") as floor:
        gate = asyncio.Event()

        async def stubborn(_claim: object) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        floor.crew.tricks["stubborn"] = stubborn
        await floor.push("stubborn")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        assert await floor.exchanger.drain(0, 0.1)
        assert await floor.queued() == ["stubborn"]
        gate.set()
        await floor.until(lambda: floor.crew.ended)
        await asyncio.sleep(0)
        assert await floor.stats() == {"processed": 0, "failed": 0}, "what it did afterwards must not count"


async def test_a_job_that_ends_after_it_was_given_back_is_not_settled_twice() -> None:
    async with Floor("default") as floor:
        gate = asyncio.Event()

        async def stubborn(_claim: object) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        floor.crew.tricks["stubborn"] = stubborn
        await floor.push("stubborn")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        answering = floor.backend.hold("exchange")
        before = floor.backend.times["exchange"]
        stopping = asyncio.create_task(floor.exchanger.drain(0, 0.1))
        await floor.until(lambda: floor.backend.times["exchange"] > before)
        gate.set()
        await floor.until(lambda: floor.crew.ended)
        answering.set()
        assert await stopping
        settled = [item for verb, args in floor.backend.calls if verb == "exchange" for item in args[1]]
        assert len(settled) == 1
        assert not floor.told(WorkerGone)


async def test_a_job_that_swallows_one_cancellation_is_cancelled_again() -> None:
    async with Floor("default") as floor:
        swallowed = []

        async def swallow(_claim: object) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(True)
            await asyncio.Event().wait()

        floor.crew.tricks["swallow"] = swallow
        await floor.push("swallow")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        assert await floor.exchanger.drain(0, 0.5)
        assert swallowed
        assert floor.crew.ended == ["swallow"]


async def test_a_stop_does_not_wait_for_a_thread() -> None:
    async with Floor("default") as floor:
        thread = asyncio.get_running_loop().create_future()
        floor.crew.tricks["late"] = lambda _claim: Performed(Job("late"), Failure(TimeoutError()), Failed("{}"), thread)
        await floor.push("late")
        await floor.start(1)
        await floor.until(lambda: floor.told(WorkerFailure))
        assert await asyncio.wait_for(floor.exchanger.drain(60, 60), 2)
        assert not thread.done(), "it is not the stop's to cancel"


async def test_a_stop_ends_in_time_even_if_the_backend_is_away() -> None:
    async with Floor("default") as floor:
        floor.crew.hold("job")
        await floor.push("job")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        floor.backend.break_down("exchange", "claims", "wait", error=AWAY)
        assert await asyncio.wait_for(floor.exchanger.drain(0, 0.2), 3) is False


async def test_a_stop_tries_again_until_the_endings_are_recorded() -> None:
    async with Floor("default") as floor:
        floor.crew.hold("job")
        await floor.push("job")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        floor.backend.fail("exchange", AWAY, times=2)
        floor.backend.fail("exchange", LOST, acted=True)
        assert await floor.exchanger.drain(0, 3)
        assert await floor.queued() == ["job"]
