"""The loop that settles and claims: what it does with jobs when all is well, and at a stop."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import Floor

from taskhero.backends.protocol import Delayed, Failed, Process, Retried
from taskhero.events import WorkerFailure, WorkerPause, WorkerPoll, WorkerReEnqueue, WorkerRetry, WorkerSuccess
from taskhero.models import Failure, Job, Postponed, Retrying
from taskhero.runtime.execution.executor import Performed
from taskhero.wire.jobs import decode_job, encode_job

pytestmark = pytest.mark.anyio


async def test_a_thousand_jobs_are_each_done_once_by_ten_processors() -> None:
    async with Floor() as floor:
        await floor.push(*(f"job{number}" for number in range(1000)))
        await floor.start(10)
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 1000)
        assert sorted(floor.crew.ended) == sorted(f"job{number}" for number in range(1000))
        assert await floor.stats() == {"processed": 1000, "failed": 0}
        assert floor.backend.times["exchange"] <= 103, "endings and claims are to travel in batches"


async def test_of_many_processors_one_half_works_while_the_other_asks() -> None:
    async with Floor() as floor:
        await floor.push(*(f"job{number}" for number in range(50)))
        first = floor.backend.hold("exchange")
        await floor.start(50)
        await floor.until(lambda: floor.backend.times["exchange"] == 1)
        second = floor.backend.hold("exchange")
        first.set()
        await floor.until(lambda: len(floor.crew.ended) == 25)
        assert floor.backend.times["exchange"] == 2, "the other half is to ask before the first one works"
        assert floor.told(WorkerSuccess) == []
        second.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 50)
        asked = [len(args[2]) for verb, args in floor.backend.calls if verb == "exchange"]
        assert max(asked) == 25


async def test_few_processors_ask_all_at_once() -> None:
    async with Floor() as floor:
        await floor.push(*(f"job{number}" for number in range(40)))
        await floor.start(20)
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 40)
        assert [len(args[2]) for verb, args in floor.backend.calls if verb == "exchange"][:2] == [20, 20]


async def test_an_idle_process_that_is_woken_asks_for_the_same_processors_each_time() -> None:
    """A driver may keep how it asks for them."""
    async with Floor() as floor:
        await floor.start(50)
        for number in range(1, 8):
            await floor.idle()
            await floor.push(f"job{number}")
            await floor.until(lambda number=number: len(floor.told(WorkerSuccess)) == number)
        woken = {
            tuple(args[2])
            for verb, args in floor.backend.calls
            if verb == "exchange" and not args[1] and len(args[2]) < 25
        }
        assert woken == {(1, 2, 3, 4)}


async def test_jobs_that_end_meanwhile_travel_with_the_next_exchange() -> None:
    async with Floor() as floor:
        gate = floor.crew.hold("a", "b", "c")
        await floor.push("a", "b", "c", "d")
        await floor.start(4)
        await floor.until(lambda: floor.crew.ended == ["d"])
        answering = floor.backend.hold("exchange")
        await floor.push("e")
        await floor.until(lambda: floor.crew.ended == ["d"] and floor.backend.times["exchange"] >= 2)
        before = floor.backend.times["exchange"]
        gate.set()
        await floor.until(lambda: len(floor.crew.ended) == 4)
        assert floor.backend.times["exchange"] == before, "two exchanges are never under way"
        answering.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 5)
        together = [len(args[1]) for verb, args in floor.backend.calls if verb == "exchange"]
        assert 3 in together


async def test_queues_are_worked_in_the_order_declared() -> None:
    async with Floor("high", "low") as floor:
        await floor.push("low1", "low2", queue="low")
        await floor.push("high1", "high2", queue="high")
        await floor.push("other", queue="other")
        await floor.start(1)
        await floor.until(lambda: len(floor.crew.ended) == 4)
        assert floor.crew.begun == ["high1", "high2", "low1", "low2"]
        assert await floor.memory.length("other") == 1


async def test_a_job_in_an_earlier_queue_overtakes_those_that_wait_in_a_later_one() -> None:
    async with Floor("high", "low") as floor:
        gate = floor.crew.hold("low1")
        await floor.push("low1", "low2", queue="low")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun == ["low1"])
        await floor.push("high1", queue="high")
        gate.set()
        await floor.until(lambda: len(floor.crew.ended) == 3)
        assert floor.crew.begun == ["low1", "high1", "low2"]


async def test_a_star_means_all_queues_sorted() -> None:
    async with Floor("*") as floor:
        for queue in ("b", "c", "a"):
            await floor.push(f"in_{queue}", queue=queue)
        await floor.start(1)
        await floor.until(lambda: len(floor.crew.ended) == 3)
        assert floor.crew.begun == ["in_a", "in_b", "in_c"]


async def test_a_star_stands_for_all_that_are_not_named() -> None:
    async with Floor("z", "*", "a") as floor:
        for queue in ("b", "a", "z", "c"):
            await floor.push(f"in_{queue}", queue=queue)
        await floor.start(1)
        await floor.until(lambda: len(floor.crew.ended) == 4)
        assert floor.crew.begun == ["in_z", "in_b", "in_c", "in_a"]


async def test_a_star_notices_a_new_queue_at_once() -> None:
    async with Floor("*") as floor:
        await floor.push("first", queue="old")
        await floor.start(2)
        await floor.idle()
        await floor.push("second", queue="new")
        await floor.until(lambda: "second" in floor.crew.ended)


async def test_a_busy_star_notices_a_new_queue_at_the_next_poll() -> None:
    """Two processors: one is never free, the other never idle, so that nothing wakes the process."""
    async with Floor("*", timeout=0.05) as floor:
        floor.crew.hold("long")
        names = (f"job{number}" for number in range(10**9))

        async def one_more(_claim: object) -> None:
            if "new" not in floor.crew.begun:
                await floor.push(next(names), queue="old")
                floor.crew.tricks[floor.crew.begun[-1]] = one_more
                await asyncio.sleep(0)

        floor.crew.tricks = {f"job{number}": one_more for number in range(100_000)}
        await floor.push("long", next(names), queue="old")
        await floor.start(2)
        await floor.until(lambda: len(floor.crew.ended) > 5)
        await floor.push("new", queue="earlier")
        await floor.until(lambda: "new" in floor.crew.begun)


async def test_an_idle_process_takes_a_new_job_at_once() -> None:
    async with Floor(timeout=60) as floor:
        await floor.start(1)
        await floor.idle()
        await floor.push("job")
        await floor.until(lambda: floor.crew.ended == ["job"], timeout=1)


async def test_the_slow_poll_finds_what_no_wakeup_told() -> None:
    async with Floor("default", timeout=0.05) as floor:
        await floor.start(1)
        await floor.idle()
        floor.memory._store.queues.put("default", encode_job("silent", [], "default"))
        await floor.until(lambda: floor.crew.ended == ["silent"])


async def test_an_idle_process_asks_for_nothing() -> None:
    async with Floor() as floor:
        await floor.push("job")
        await floor.start(10)
        await floor.until(lambda: floor.told(WorkerSuccess) and floor.waits)
        before = dict(floor.backend.times)
        for _ in range(100):
            await asyncio.sleep(0)
        assert floor.backend.times == before


async def test_a_full_process_passes_a_wakeup_on() -> None:
    """It had free processors when it began to wait, but has none when it is woken."""
    async with Floor("default") as floor:
        gate = floor.crew.hold("first", "second")
        await floor.push("first")
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun == ["first"] and floor.waits)
        other = asyncio.create_task(floor.memory.wait(Process("other:1", ("default",)), floor.waiter._current, 5))
        await asyncio.sleep(0)
        # The job comes with two wake-ups, as it may where a store tells news twice.
        await floor.push("second")
        await floor.until(lambda: "second" in floor.crew.begun)
        await floor.push("third")
        wake = await asyncio.wait_for(other, 1)
        assert wake.jobs
        assert "third" not in floor.crew.begun
        gate.set()
        await floor.until(lambda: len(floor.crew.ended) == 3)


async def test_a_wakeup_that_comes_with_the_last_free_processor_gone_is_passed_on() -> None:
    async with Floor("default") as floor:
        floor.crew.hold("first")
        await floor.push("first")
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun == ["first"])
        floor.exchanger.wake()
        await floor.until(lambda: floor.backend.times["notify"] == 1)
        assert floor.backend.calls[-1] == ("notify", (("default",),))


async def test_a_fair_share_leaves_jobs_for_the_other_processes() -> None:
    async with Floor("default") as floor:
        await floor.memory.register(Process("other:1", ("default",)), [1], 60.0)
        gate = floor.crew.hold("a", "b", "c", "d")
        await floor.push("a", "b", "c", "d")
        await floor.start(4)
        await floor.until(lambda: len(floor.crew.begun) == 4)
        gate.set()
        shares = [len(args[2]) for verb, args in floor.backend.calls if verb == "exchange"]
        assert len(shares) >= 3, "it took more than its half at once"


async def test_nothing_is_claimed_while_workers_are_paused() -> None:
    async with Floor(timeout=0.02) as floor:
        await floor.memory.pause_all_workers()
        await floor.push("job")
        await floor.start(2)
        await floor.until(lambda: len(floor.told(WorkerPause)) >= 3)
        assert floor.crew.begun == []
        await floor.memory.pause_all_workers(paused=False)
        await floor.until(lambda: floor.crew.ended == ["job"])


async def test_events_tell_how_jobs_ended_once_that_is_recorded() -> None:
    async with Floor() as floor:
        answering = floor.backend.hold("exchange")
        answering.set()
        await floor.start(2)
        await floor.idle()
        answering.clear()
        await floor.push("good", "bad")
        answering.set()
        await floor.until(lambda: len(floor.crew.ended) == 2)
        await floor.until(lambda: floor.told(WorkerFailure) and floor.told(WorkerSuccess))
        (success,), (failure,) = floor.told(WorkerSuccess), floor.told(WorkerFailure)
        assert (success.job.name, success.queue, success.result) == ("good", "default", "good")
        assert failure.job.name == "bad"
        assert isinstance(failure.error, ValueError)
        assert success.worker.startswith("host.abc:1+")
        assert await floor.stats() == {"processed": 1, "failed": 1}
        assert [worker.succeeded + worker.failed for worker in floor.exchanger.roster.workers.values()] == [1, 1]
        assert floor.told(WorkerPoll)[-1].queues == ("default",)


async def test_a_retry_tells_its_attempt_and_the_last_one_is_a_failure() -> None:
    error = ValueError("again")

    def performed(_claim: object) -> Performed:
        outcome = Retrying(error=error, duration=0.5, counter="retries", limit=2, delays=(7.0,))
        return Performed(Job("flaky"), outcome, Retried("{}", "retries", 2, (7.0,)))

    async with Floor("default") as floor:
        floor.crew.tricks["flaky"] = performed
        await floor.push("flaky")
        await floor.start(1)
        await floor.until(lambda: floor.told(WorkerRetry))
        (retry,) = floor.told(WorkerRetry)
        assert (retry.attempt, retry.limit, retry.delay, retry.error) == (1, 2, 7.0, error)
        await floor.push("flaky")
        await floor.until(lambda: floor.told(WorkerFailure))
        assert len(floor.told(WorkerRetry)) == 1
        assert floor.exchanger.roster.workers[1].failed == 2


async def test_a_postponed_job_is_delayed_and_told() -> None:
    async with Floor("default") as floor:
        floor.crew.tricks["later"] = lambda _claim: Performed(Job("later"), Postponed(3.0), Delayed(3.0))
        await floor.push("later")
        await floor.start(1)
        await floor.until(lambda: floor.told(WorkerReEnqueue))
        floor.clock.advance(3)
        assert [decode_job(job.raw, "").name for job in (await floor.memory.due(10)).jobs] == ["later"]


async def test_a_processor_stays_taken_as_long_as_a_thread_of_its_job_runs() -> None:
    async with Floor("default") as floor:
        thread = asyncio.get_running_loop().create_future()
        late = Performed(Job("late"), Failure(TimeoutError()), Failed("{}"), thread)
        floor.crew.tricks["late"] = lambda _claim: late
        await floor.push("late")
        await floor.start(1)
        await floor.until(lambda: floor.told(WorkerFailure))
        await floor.push("next")
        for _ in range(20):
            await asyncio.sleep(0)
        assert floor.crew.begun == ["late"]
        assert floor.exchanger.roster.workers[1].working
        thread.set_result(None)
        await floor.until(lambda: floor.crew.ended == ["late", "next"])


async def test_a_bug_in_the_performer_fails_the_job_and_work_goes_on() -> None:
    async with Floor("default") as floor:
        floor.crew.tricks["broken"] = lambda _claim: 1 / 0
        await floor.push("broken", "good")
        await floor.start(1)
        await floor.until(lambda: "good" in floor.crew.ended)
        await floor.until(lambda: floor.told(WorkerSuccess))
        (entry,) = await floor.memory.failed()
        assert "ZeroDivisionError" in entry
        assert await floor.stats() == {"processed": 1, "failed": 1}
