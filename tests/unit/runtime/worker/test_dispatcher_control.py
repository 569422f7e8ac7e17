"""The loop that settles and claims: what an operator does with it."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import DispatcherHarness
from test_quarantine import quarantined

from taskhero.errors import ReplyLost, StoppedBySignal
from taskhero.events import WorkerFailure, WorkerGivenBack, WorkerGone, WorkerSuccess
from taskhero.runtime.worker.slots import SlotState

pytestmark = pytest.mark.anyio


def stopped() -> StoppedBySignal:
    return StoppedBySignal("told by a test")


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


# --- the pause ----------------------------------------------------------------------------------------------------


async def test_a_paused_process_claims_nothing_and_its_jobs_go_on() -> None:
    async with DispatcherHarness("default", timeout=0.01) as harness:
        gate = harness.executor.hold("long")
        await harness.push("long")
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun and harness.waits)
        assert harness.control.pause()
        assert not harness.control.pause(), "a second time is no news"
        await harness.push("waiting")
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        await asyncio.sleep(0.05)  # several polls
        assert harness.executor.begun == ["long"]
        assert await harness.queued() == ["waiting"]
        assert not harness.waits, "a wake-up must not end here"


async def test_it_claims_at_once_when_it_is_resumed() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.start(1)
        await harness.idle()
        harness.control.pause()
        await harness.push("waiting")
        await turns()
        assert harness.executor.begun == []
        assert harness.control.resume()
        assert not harness.control.resume()
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        await harness.push("next")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)


async def test_a_process_that_is_paused_before_it_starts_claims_nothing() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.push("waiting")
        harness.dispatcher.pause()
        harness.control.paused = True
        await harness.start(1)
        await turns()
        assert harness.backend.times["settle_and_claim"] == 0
        harness.control.resume()
        await harness.until(lambda: harness.events_of(WorkerSuccess))


async def test_what_is_being_claimed_when_it_pauses_goes_back_in_its_order() -> None:
    async with DispatcherHarness("default") as harness:
        answering = harness.backend.hold("settle_and_claim")
        await harness.push("a", "b", "c")
        await harness.start(3)
        await harness.until(lambda: harness.backend.times["settle_and_claim"] == 1)
        harness.control.pause()
        answering.set()
        await harness.until(lambda: len(harness.events_of(WorkerGivenBack)) == 3)
        assert await harness.queued() == ["a", "b", "c"]
        assert harness.executor.begun == []
        assert not harness.waits


async def test_what_was_claimed_in_a_step_whose_answer_was_lost_goes_back() -> None:
    async with DispatcherHarness("default") as harness:
        harness.backend.fail("settle_and_claim", ReplyLost("the line broke"), acted=True)
        answering = harness.backend.hold("claims")
        await harness.push("a")
        await harness.start(1)
        await harness.until(lambda: harness.backend.times["claims"] == 1)
        harness.control.pause()
        answering.set()
        await harness.until(lambda: harness.events_of(WorkerGivenBack))
        assert await harness.queued() == ["a"]
        assert harness.executor.begun == []


async def test_a_quarantined_job_that_waits_for_its_turn_goes_back() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: harness.parts.quarantine.claim)
        harness.control.pause()
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerGivenBack) and harness.events_of(WorkerSuccess))
        assert await harness.queued() == ["quarantined"]
        harness.control.resume()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)


async def test_a_wakeup_that_comes_as_it_pauses_is_passed_on() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.start(1)
        await harness.idle()
        harness.control.pause()
        harness.parts.rounds.wake()
        await harness.until(lambda: harness.backend.times["notify"] == 1)
        assert harness.executor.begun == []


async def test_a_stop_works_while_it_is_paused() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long", "waiting")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        harness.control.pause()
        stopping = asyncio.create_task(harness.dispatcher.drain(30, 1))
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.wait_for(stopping, 5)
        harness.control.resume()
        await turns()
        assert harness.executor.begun == ["long"], "nothing is claimed after the stop"
        assert await harness.queued() == ["waiting"]


# --- failing what runs --------------------------------------------------------------------------------------------


async def test_all_running_jobs_fail_and_the_process_goes_on() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.hold("a", "b")
        await harness.push("a", "b", "c")
        await harness.start(2)
        await harness.until(lambda: len(harness.executor.begun) == 2)
        assert harness.control.fail_running(stopped) == 2
        assert harness.control.fail_running(stopped) == 0, "they fail already"
        await harness.until(lambda: harness.events_of(WorkerSuccess) and len(harness.events_of(WorkerFailure)) == 2)
        assert await harness.stats() == {"processed": 1, "failed": 2}
        errors = {id(event.error): type(event.error) for event in harness.events_of(WorkerFailure)}
        assert list(errors.values()) == [StoppedBySignal] * 2, "each has an error of its own"
        assert harness.control.fail_running(stopped) == 0


async def test_a_job_that_ignores_it_fails_and_its_processor_takes_no_other_until_it_ends() -> None:
    async with DispatcherHarness("default") as harness:
        gate = asyncio.Event()

        async def stubborn(_claim: object) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        harness.executor.tricks["stubborn"] = stubborn
        await harness.push("stubborn", "next")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun)
        assert harness.control.fail_running(stopped) == 1
        await harness.until(lambda: harness.events_of(WorkerFailure))
        assert await harness.queued() == ["next"]
        assert not (await harness.memory.claims(harness.process)).claims
        assert harness.slots.all()[0].state is SlotState.DRAINING
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        assert harness.executor.begun == ["stubborn", "next"]
        assert await harness.stats() == {"processed": 1, "failed": 1}
        assert not harness.events_of(WorkerGone)


async def test_a_stop_need_not_wait_for_a_job_that_failed_but_goes_on() -> None:
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
        stopping = asyncio.create_task(harness.dispatcher.drain(60, 1))
        await asyncio.sleep(0)
        assert harness.control.fail_running(stopped) == 1
        assert await asyncio.wait_for(stopping, 5)
        assert await harness.stats() == {"processed": 0, "failed": 1}
        assert await harness.queued() == []
        gate.set()
        await harness.until(lambda: harness.executor.ended)


async def test_a_quarantined_job_that_has_not_begun_is_not_failed() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        await harness.push("long")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: harness.parts.quarantine.claim)
        assert harness.control.fail_running(stopped) == 1
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        assert [event.job.name for event in harness.events_of(WorkerFailure)] == ["long"]
        assert not gate.is_set()
