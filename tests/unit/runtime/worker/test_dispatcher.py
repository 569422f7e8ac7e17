"""The loop that settles and claims: what it does with jobs when all is well, and at a stop."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import DispatcherHarness
from memory_view import MemoryView

from taskhero.backends.protocol import Failed, PostponedByPlugin, Process, Retried
from taskhero.events import WorkerFailure, WorkerPause, WorkerPoll, WorkerReEnqueue, WorkerRetry, WorkerSuccess
from taskhero.models import Failure, Job, Postponed, Retrying
from taskhero.runtime.execution.executor import JobResult
from taskhero.runtime.worker.slots import SlotState
from taskhero.wire.jobs import decode_job, encode_job

pytestmark = pytest.mark.anyio


async def test_a_thousand_jobs_are_each_done_once_by_ten_processors() -> None:
    async with DispatcherHarness() as harness:
        await harness.push(*(f"job{number}" for number in range(1000)))
        await harness.start(10)
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 1000)
        assert sorted(harness.executor.ended) == sorted(f"job{number}" for number in range(1000))
        assert await harness.stats() == {"processed": 1000, "failed": 0}
        assert harness.backend.times["settle_and_claim"] <= 103, "endings and claims are to travel in batches"


async def test_of_many_processors_one_half_works_while_the_other_asks() -> None:
    async with DispatcherHarness() as harness:
        await harness.push(*(f"job{number}" for number in range(50)))
        first = harness.backend.hold("settle_and_claim")
        await harness.start(50)
        await harness.until(lambda: harness.backend.times["settle_and_claim"] == 1)
        second = harness.backend.hold("settle_and_claim")
        first.set()
        await harness.until(lambda: len(harness.executor.ended) == 25)
        assert harness.backend.times["settle_and_claim"] == 2, "the other half is to ask before the first one works"
        assert harness.events_of(WorkerSuccess) == []
        second.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 50)
        asked = [len(args[2]) for verb, args in harness.backend.calls if verb == "settle_and_claim"]
        assert max(asked) == 25


async def test_few_processors_ask_all_at_once() -> None:
    async with DispatcherHarness() as harness:
        await harness.push(*(f"job{number}" for number in range(40)))
        await harness.start(20)
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 40)
        assert [len(args[2]) for verb, args in harness.backend.calls if verb == "settle_and_claim"][:2] == [20, 20]


async def test_an_idle_process_that_is_woken_asks_for_the_same_processors_each_time() -> None:
    """A driver may keep how it asks for them."""
    async with DispatcherHarness() as harness:
        await harness.start(50)
        for number in range(1, 8):
            await harness.idle()
            await harness.push(f"job{number}")
            await harness.until(lambda number=number: len(harness.events_of(WorkerSuccess)) == number)
        woken = {
            tuple(args[2])
            for verb, args in harness.backend.calls
            if verb == "settle_and_claim" and not args[1] and len(args[2]) < 25
        }
        assert woken == {(1, 2, 3, 4)}


async def test_jobs_that_end_meanwhile_travel_with_the_next_exchange() -> None:
    async with DispatcherHarness() as harness:
        gate = harness.executor.hold("a", "b", "c")
        await harness.push("a", "b", "c", "d")
        await harness.start(4)
        await harness.until(lambda: harness.executor.ended == ["d"])
        answering = harness.backend.hold("settle_and_claim")
        await harness.push("e")
        await harness.until(lambda: harness.executor.ended == ["d"] and harness.backend.times["settle_and_claim"] >= 2)
        before = harness.backend.times["settle_and_claim"]
        gate.set()
        await harness.until(lambda: len(harness.executor.ended) == 4)
        assert harness.backend.times["settle_and_claim"] == before, "two exchanges are never under way"
        answering.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 5)
        together = [len(args[1]) for verb, args in harness.backend.calls if verb == "settle_and_claim"]
        assert 3 in together


async def test_queues_are_worked_in_the_order_declared() -> None:
    async with DispatcherHarness("high", "low") as harness:
        await harness.push("low1", "low2", queue="low")
        await harness.push("high1", "high2", queue="high")
        await harness.push("other", queue="other")
        await harness.start(1)
        await harness.until(lambda: len(harness.executor.ended) == 4)
        assert harness.executor.begun == ["high1", "high2", "low1", "low2"]
        assert await harness.memory.length("other") == 1


async def test_a_job_in_an_earlier_queue_overtakes_those_that_wait_in_a_later_one() -> None:
    async with DispatcherHarness("high", "low") as harness:
        gate = harness.executor.hold("low1")
        await harness.push("low1", "low2", queue="low")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun == ["low1"])
        await harness.push("high1", queue="high")
        gate.set()
        await harness.until(lambda: len(harness.executor.ended) == 3)
        assert harness.executor.begun == ["low1", "high1", "low2"]


async def test_a_star_means_all_queues_sorted() -> None:
    async with DispatcherHarness("*") as harness:
        for queue in ("b", "c", "a"):
            await harness.push(f"in_{queue}", queue=queue)
        await harness.start(1)
        await harness.until(lambda: len(harness.executor.ended) == 3)
        assert harness.executor.begun == ["in_a", "in_b", "in_c"]


async def test_a_star_stands_for_all_that_are_not_named() -> None:
    async with DispatcherHarness("z", "*", "a") as harness:
        for queue in ("b", "a", "z", "c"):
            await harness.push(f"in_{queue}", queue=queue)
        await harness.start(1)
        await harness.until(lambda: len(harness.executor.ended) == 4)
        assert harness.executor.begun == ["in_z", "in_b", "in_c", "in_a"]


async def test_a_star_notices_a_new_queue_at_once() -> None:
    async with DispatcherHarness("*") as harness:
        await harness.push("first", queue="old")
        await harness.start(2)
        await harness.idle()
        await harness.push("second", queue="new")
        await harness.until(lambda: "second" in harness.executor.ended)


async def test_a_busy_star_notices_a_new_queue_at_the_next_poll() -> None:
    """Two processors: one is never free, the other never idle, so that nothing wakes the process."""
    async with DispatcherHarness("*", timeout=0.05) as harness:
        harness.executor.hold("long")
        names = (f"job{number}" for number in range(10**9))

        async def one_more(_claim: object) -> None:
            if "new" not in harness.executor.begun:
                await harness.push(next(names), queue="old")
                harness.executor.tricks[harness.executor.begun[-1]] = one_more
                await asyncio.sleep(0)

        harness.executor.tricks = {f"job{number}": one_more for number in range(100_000)}
        await harness.push("long", next(names), queue="old")
        await harness.start(2)
        await harness.until(lambda: len(harness.executor.ended) > 5)
        await harness.push("new", queue="earlier")
        await harness.until(lambda: "new" in harness.executor.begun)


async def test_an_idle_process_takes_a_new_job_at_once() -> None:
    async with DispatcherHarness(timeout=60) as harness:
        await harness.start(1)
        await harness.idle()
        await harness.push("job")
        await harness.until(lambda: harness.executor.ended == ["job"], timeout=1)


async def test_the_slow_poll_finds_what_no_wakeup_told() -> None:
    async with DispatcherHarness("default", timeout=0.05) as harness:
        await harness.start(1)
        await harness.idle()
        MemoryView(harness.memory).queue_without_wakeup("default", encode_job("silent", [], "default"))
        await harness.until(lambda: harness.executor.ended == ["silent"])


async def test_an_idle_process_asks_for_nothing() -> None:
    async with DispatcherHarness() as harness:
        await harness.push("job")
        await harness.start(10)
        await harness.until(lambda: harness.events_of(WorkerSuccess) and harness.waits)
        before = dict(harness.backend.times)
        for _ in range(100):
            await asyncio.sleep(0)
        assert harness.backend.times == before


async def test_a_full_process_passes_a_wakeup_on() -> None:
    """It had free processors when it began to wait, but has none when it is woken."""
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("first", "second")
        await harness.push("first")
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun == ["first"] and harness.waits)
        other = asyncio.create_task(harness.memory.wait(Process("other:1", ("default",)), harness.listener._current, 5))
        await asyncio.sleep(0)
        # The job comes with two wake-ups, as it may where a store tells news twice.
        await harness.push("second")
        await harness.until(lambda: "second" in harness.executor.begun)
        await harness.push("third")
        wake = await asyncio.wait_for(other, 1)
        assert wake.jobs
        assert "third" not in harness.executor.begun
        gate.set()
        await harness.until(lambda: len(harness.executor.ended) == 3)


async def test_a_wakeup_that_comes_with_the_last_free_processor_gone_is_passed_on() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.hold("first")
        await harness.push("first")
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun == ["first"])
        harness.parts.rounds.wake()
        await harness.until(lambda: harness.backend.times["notify"] == 1)
        assert harness.backend.calls[-1] == ("notify", (("default",),))


async def test_a_fair_share_leaves_jobs_for_the_other_processes() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.memory.register(Process("other:1", ("default",)), [1], 60.0)
        gate = harness.executor.hold("a", "b", "c", "d")
        await harness.push("a", "b", "c", "d")
        await harness.start(4)
        await harness.until(lambda: len(harness.executor.begun) == 4)
        gate.set()
        shares = [len(args[2]) for verb, args in harness.backend.calls if verb == "settle_and_claim"]
        assert len(shares) >= 3, "it took more than its half at once"


async def test_nothing_is_claimed_while_workers_are_paused() -> None:
    async with DispatcherHarness(timeout=0.02) as harness:
        await harness.memory.pause_all_workers()
        await harness.push("job")
        await harness.start(2)
        await harness.until(lambda: len(harness.events_of(WorkerPause)) >= 3)
        assert harness.executor.begun == []
        await harness.memory.pause_all_workers(paused=False)
        await harness.until(lambda: harness.executor.ended == ["job"])


async def test_events_tell_how_jobs_ended_once_that_is_recorded() -> None:
    async with DispatcherHarness() as harness:
        answering = harness.backend.hold("settle_and_claim")
        answering.set()
        await harness.start(2)
        await harness.idle()
        answering.clear()
        await harness.push("good", "bad")
        answering.set()
        await harness.until(lambda: len(harness.executor.ended) == 2)
        await harness.until(lambda: harness.events_of(WorkerFailure) and harness.events_of(WorkerSuccess))
        (success,), (failure,) = harness.events_of(WorkerSuccess), harness.events_of(WorkerFailure)
        assert (success.job.name, success.queue, success.result) == ("good", "default", "good")
        assert failure.job.name == "bad"
        assert isinstance(failure.error, ValueError)
        assert success.worker.startswith("host.abc:1+")
        assert await harness.stats() == {"processed": 1, "failed": 1}
        assert [worker.succeeded + worker.failed for worker in harness.slots.all()] == [1, 1]
        assert harness.events_of(WorkerPoll)[-1].queues == ("default",)


async def test_a_retry_tells_its_attempt_and_the_last_one_is_a_failure() -> None:
    error = ValueError("again")

    def performed(_claim: object) -> JobResult:
        outcome = Retrying(error=error, duration=0.5, counter="retries", limit=2, delays=(7.0,))
        return JobResult(Job("flaky"), outcome, Retried("{}", "retries", 2, (7.0,)))

    async with DispatcherHarness("default") as harness:
        harness.executor.tricks["flaky"] = performed
        await harness.push("flaky")
        await harness.start(1)
        await harness.until(lambda: harness.events_of(WorkerRetry))
        (retry,) = harness.events_of(WorkerRetry)
        assert (retry.attempt, retry.limit, retry.delay, retry.error) == (1, 2, 7.0, error)
        await harness.push("flaky")
        await harness.until(lambda: harness.events_of(WorkerFailure))
        assert len(harness.events_of(WorkerRetry)) == 1
        assert harness.slots.all()[0].failed == 2


async def test_a_postponed_job_is_delayed_and_told() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.tricks["later"] = lambda _claim: JobResult(
            Job("later"), Postponed(3.0), PostponedByPlugin(3.0)
        )
        await harness.push("later")
        await harness.start(1)
        await harness.until(lambda: harness.events_of(WorkerReEnqueue))
        harness.clock.advance(3)
        assert [decode_job(job.raw, "").name for job in (await harness.memory.due(10)).jobs] == ["later"]


async def test_a_processor_stays_taken_as_long_as_a_thread_of_its_job_runs() -> None:
    async with DispatcherHarness("default") as harness:
        thread = asyncio.get_running_loop().create_future()
        late = JobResult(Job("late"), Failure(TimeoutError()), Failed("{}"), thread)
        harness.executor.tricks["late"] = lambda _claim: late
        await harness.push("late")
        await harness.start(1)
        await harness.until(lambda: harness.events_of(WorkerFailure))
        await harness.push("next")
        for _ in range(20):
            await asyncio.sleep(0)
        assert harness.executor.begun == ["late"]
        assert harness.slots.all()[0].state is SlotState.DRAINING
        thread.set_result(None)
        await harness.until(lambda: harness.executor.ended == ["late", "next"])


async def test_a_bug_in_the_performer_fails_the_job_and_work_goes_on() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.tricks["broken"] = lambda _claim: 1 / 0
        await harness.push("broken", "good")
        await harness.start(1)
        await harness.until(lambda: "good" in harness.executor.ended)
        await harness.until(lambda: harness.events_of(WorkerSuccess))
        (entry,) = await harness.memory.failed()
        assert "ZeroDivisionError" in entry
        assert await harness.stats() == {"processed": 1, "failed": 1}
