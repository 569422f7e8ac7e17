"""The loop that settles and claims: how it ends."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import DispatcherHarness

from taskhero.backends.protocol import Failed
from taskhero.errors import BackendUnavailable, ReplyLost
from taskhero.events import WorkerFailure, WorkerGivenBack, WorkerGone, WorkerSuccess
from taskhero.models import Failure, Job
from taskhero.runtime.execution.executor import JobResult
from taskhero.runtime.worker.jobs.finished_job import ReleaseReason

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")
LOST = ReplyLost("the line broke")


async def test_a_stop_lets_running_jobs_end_within_the_grace_period() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long", "waiting")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun == ["long"])
        stopping = asyncio.create_task(harness.dispatcher.drain(30, 1))
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.wait_for(stopping, 5)
        assert harness.executor.begun == ["long"], "nothing is claimed once the stop has begun"
        assert await harness.stats() == {"processed": 1, "failed": 0}
        assert await harness.queued() == ["waiting"]
        assert harness.events_of(WorkerSuccess)


async def test_a_stop_without_grace_gives_jobs_back_to_the_front() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.hold("a", "b")
        await harness.push("a", "b", "c")
        await harness.start(2)
        await harness.until(lambda: len(harness.executor.begun) == 2)
        assert await harness.dispatcher.drain(0, 1)
        assert await harness.queued() == ["a", "b", "c"]
        assert await harness.stats() == {"processed": 0, "failed": 0}
        assert sorted(event.job.name for event in harness.events_of(WorkerGivenBack)) == ["a", "b"]
        assert {event.reason for event in harness.events_of(WorkerGivenBack)} == {ReleaseReason.STOPPING}
        assert not (await harness.memory.claims(harness.process)).claims


async def test_a_stop_gives_back_what_an_exchange_under_way_claims() -> None:
    async with DispatcherHarness("default") as harness:
        answering = harness.backend.hold("settle_and_claim")
        await harness.push("a", "b", "c")
        await harness.start(3)
        await harness.until(lambda: harness.backend.times["settle_and_claim"] == 1)
        stopping = asyncio.create_task(harness.dispatcher.drain(0, 1))
        await asyncio.sleep(0)
        answering.set()
        assert await asyncio.wait_for(stopping, 5)
        assert harness.executor.begun == []
        assert await harness.queued() == ["a", "b", "c"]


async def test_a_process_that_stops_leaves_wakeups_to_others() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long")
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun and harness.waits)
        stopping = asyncio.create_task(harness.dispatcher.drain(30, 1))
        await harness.until(lambda: not harness.waits or harness.signals.happen())
        await harness.push("other")
        gate.set()
        await asyncio.wait_for(stopping, 5)
        assert harness.backend.times["notify"] == 0, "it must not even be woken"


async def test_a_job_that_ignores_its_cancellation_is_given_back_all_the_same() -> None:
    async with DispatcherHarness("default") as harness:
        gate = asyncio.Event()

        async def stubborn(_claim: object) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        harness.executor.tricks["stubborn"] = stubborn
        await harness.push("stubborn")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        assert await harness.dispatcher.drain(0, 0.1)
        assert await harness.queued() == ["stubborn"]
        gate.set()
        await harness.until(lambda: harness.executor.ended)
        await asyncio.sleep(0)
        assert await harness.stats() == {"processed": 0, "failed": 0}, "what it did afterwards must not count"


async def test_a_job_that_ends_after_it_was_given_back_is_not_settled_twice() -> None:
    async with DispatcherHarness("default") as harness:
        gate = asyncio.Event()

        async def stubborn(_claim: object) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        harness.executor.tricks["stubborn"] = stubborn
        await harness.push("stubborn")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        answering = harness.backend.hold("settle_and_claim")
        before = harness.backend.times["settle_and_claim"]
        stopping = asyncio.create_task(harness.dispatcher.drain(0, 0.1))
        await harness.until(lambda: harness.backend.times["settle_and_claim"] > before)
        gate.set()
        await harness.until(lambda: harness.executor.ended)
        answering.set()
        assert await stopping
        settled = [item for verb, args in harness.backend.calls if verb == "settle_and_claim" for item in args[1]]
        assert len(settled) == 1
        assert not harness.events_of(WorkerGone)


async def test_a_job_that_swallows_one_cancellation_is_cancelled_again() -> None:
    async with DispatcherHarness("default") as harness:
        swallowed = []

        async def swallow(_claim: object) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(True)
            await asyncio.Event().wait()

        harness.executor.tricks["swallow"] = swallow
        await harness.push("swallow")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        assert await harness.dispatcher.drain(0, 0.5)
        assert swallowed
        assert harness.executor.ended == ["swallow"]


async def test_a_stop_does_not_wait_for_a_thread() -> None:
    async with DispatcherHarness("default") as harness:
        thread = asyncio.get_running_loop().create_future()
        harness.executor.tricks["late"] = lambda _claim: JobResult(
            Job("late"), Failure(TimeoutError()), Failed("{}"), thread
        )
        await harness.push("late")
        await harness.start(1)
        await harness.until(lambda: harness.events_of(WorkerFailure))
        assert await asyncio.wait_for(harness.dispatcher.drain(60, 60), 2)
        assert not thread.done(), "it is not the stop's to cancel"


async def test_a_stop_ends_in_time_even_if_the_backend_is_away() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.hold("job")
        await harness.push("job")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        harness.backend.break_down("settle_and_claim", "claims", "wait", error=AWAY)
        assert await asyncio.wait_for(harness.dispatcher.drain(0, 0.2), 3) is False


async def test_a_stop_tries_again_until_the_endings_are_recorded() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.hold("job")
        await harness.push("job")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        harness.backend.fail("settle_and_claim", AWAY, times=2)
        harness.backend.fail("settle_and_claim", LOST, acted=True)
        assert await harness.dispatcher.drain(0, 3)
        assert await harness.queued() == ["job"]
