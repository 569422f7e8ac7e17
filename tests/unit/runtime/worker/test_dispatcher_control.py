"""The loop that settles and claims: what an operator does with it."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import Floor
from test_quarantine import suspect

from taskhero.errors import ReplyLost, StoppedBySignal
from taskhero.events import WorkerFailure, WorkerGivenBack, WorkerGone, WorkerSuccess

pytestmark = pytest.mark.anyio


def stopped() -> StoppedBySignal:
    return StoppedBySignal("told by a test")


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


# --- the pause ----------------------------------------------------------------------------------------------------


async def test_a_paused_process_claims_nothing_and_its_jobs_go_on() -> None:
    async with Floor("default", timeout=0.01) as floor:
        gate = floor.crew.hold("long")
        await floor.push("long")
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun and floor.waits)
        assert floor.control.pause()
        assert not floor.control.pause(), "a second time is no news"
        await floor.push("waiting")
        gate.set()
        await floor.until(lambda: floor.told(WorkerSuccess))
        await asyncio.sleep(0.05)  # several polls
        assert floor.crew.begun == ["long"]
        assert await floor.queued() == ["waiting"]
        assert not floor.waits, "a wake-up must not end here"


async def test_it_claims_at_once_when_it_is_resumed() -> None:
    async with Floor("default") as floor:
        await floor.start(1)
        await floor.idle()
        floor.control.pause()
        await floor.push("waiting")
        await turns()
        assert floor.crew.begun == []
        assert floor.control.resume()
        assert not floor.control.resume()
        await floor.until(lambda: floor.told(WorkerSuccess))
        await floor.push("next")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)


async def test_a_process_that_is_paused_before_it_starts_claims_nothing() -> None:
    async with Floor("default") as floor:
        await floor.push("waiting")
        floor.exchanger.pause()
        floor.control.paused = True
        await floor.start(1)
        await turns()
        assert floor.backend.times["exchange"] == 0
        floor.control.resume()
        await floor.until(lambda: floor.told(WorkerSuccess))


async def test_what_is_being_claimed_when_it_pauses_goes_back_in_its_order() -> None:
    async with Floor("default") as floor:
        answering = floor.backend.hold("exchange")
        await floor.push("a", "b", "c")
        await floor.start(3)
        await floor.until(lambda: floor.backend.times["exchange"] == 1)
        floor.control.pause()
        answering.set()
        await floor.until(lambda: len(floor.told(WorkerGivenBack)) == 3)
        assert await floor.queued() == ["a", "b", "c"]
        assert floor.crew.begun == []
        assert not floor.waits


async def test_what_was_claimed_in_a_step_whose_answer_was_lost_goes_back() -> None:
    async with Floor("default") as floor:
        floor.backend.fail("exchange", ReplyLost("the line broke"), acted=True)
        answering = floor.backend.hold("claims")
        await floor.push("a")
        await floor.start(1)
        await floor.until(lambda: floor.backend.times["claims"] == 1)
        floor.control.pause()
        answering.set()
        await floor.until(lambda: floor.told(WorkerGivenBack))
        assert await floor.queued() == ["a"]
        assert floor.crew.begun == []


async def test_a_suspect_that_waits_for_its_turn_goes_back() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long")
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: floor.exchanger._jobs.suspect)
        floor.control.pause()
        gate.set()
        await floor.until(lambda: floor.told(WorkerGivenBack) and floor.told(WorkerSuccess))
        assert await floor.queued() == ["suspect"]
        floor.control.resume()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)


async def test_a_wakeup_that_comes_as_it_pauses_is_passed_on() -> None:
    async with Floor("default") as floor:
        await floor.start(1)
        await floor.idle()
        floor.control.pause()
        floor.exchanger.wake()
        await floor.until(lambda: floor.backend.times["notify"] == 1)
        assert floor.crew.begun == []


async def test_a_stop_works_while_it_is_paused() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long", "waiting")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        floor.control.pause()
        stopping = asyncio.create_task(floor.exchanger.drain(30, 1))
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.wait_for(stopping, 5)
        floor.control.resume()
        await turns()
        assert floor.crew.begun == ["long"], "nothing is claimed after the stop"
        assert await floor.queued() == ["waiting"]


# --- failing what runs --------------------------------------------------------------------------------------------


async def test_all_running_jobs_fail_and_the_process_goes_on() -> None:
    async with Floor("default") as floor:
        floor.crew.hold("a", "b")
        await floor.push("a", "b", "c")
        await floor.start(2)
        await floor.until(lambda: len(floor.crew.begun) == 2)
        assert floor.control.fail_running(stopped) == 2
        assert floor.control.fail_running(stopped) == 0, "they fail already"
        await floor.until(lambda: floor.told(WorkerSuccess) and len(floor.told(WorkerFailure)) == 2)
        assert await floor.stats() == {"processed": 1, "failed": 2}
        errors = {id(event.error): type(event.error) for event in floor.told(WorkerFailure)}
        assert list(errors.values()) == [StoppedBySignal] * 2, "each has an error of its own"
        assert floor.control.fail_running(stopped) == 0


async def test_a_job_that_ignores_it_fails_and_its_processor_takes_no_other_until_it_ends() -> None:
    async with Floor("default") as floor:
        gate = asyncio.Event()

        async def stubborn(_claim: object) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        floor.crew.tricks["stubborn"] = stubborn
        await floor.push("stubborn", "next")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun)
        assert floor.control.fail_running(stopped) == 1
        await floor.until(lambda: floor.told(WorkerFailure))
        assert await floor.queued() == ["next"]
        assert not (await floor.memory.claims(floor.process)).claims
        assert floor.exchanger.roster.workers[1].busy
        gate.set()
        await floor.until(lambda: floor.told(WorkerSuccess))
        assert floor.crew.begun == ["stubborn", "next"]
        assert await floor.stats() == {"processed": 1, "failed": 1}
        assert not floor.told(WorkerGone)


async def test_a_stop_need_not_wait_for_a_job_that_failed_but_goes_on() -> None:
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
        stopping = asyncio.create_task(floor.exchanger.drain(60, 1))
        await asyncio.sleep(0)
        assert floor.control.fail_running(stopped) == 1
        assert await asyncio.wait_for(stopping, 5)
        assert await floor.stats() == {"processed": 0, "failed": 1}
        assert await floor.queued() == []
        gate.set()
        await floor.until(lambda: floor.crew.ended)


async def test_a_suspect_that_has_not_begun_is_not_failed() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        await floor.push("long")
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: floor.exchanger._jobs.suspect)
        assert floor.control.fail_running(stopped) == 1
        await floor.until(lambda: floor.told(WorkerSuccess))
        assert [event.job.name for event in floor.told(WorkerFailure)] == ["long"]
        assert not gate.is_set()
