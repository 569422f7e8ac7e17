"""Jobs that may have killed their process: each runs alone, so that only the one that does it is convicted."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import DispatcherHarness
from memory_view import MemoryView

from taskhero.backends.protocol import Failed
from taskhero.errors import BackendUnavailable, ReplyLost
from taskhero.events import WorkerGivenBack, WorkerGone, WorkerSuccess
from taskhero.models import Failure, Job
from taskhero.runtime.execution.executor import JobResult
from taskhero.runtime.worker.jobs.finished_job import ReleaseReason
from taskhero.wire.jobs import encode_job, mark_rescued

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")
LOST = ReplyLost("the line broke")


def quarantined(name: str, deaths: int = 0, late: int = 0) -> str:
    """A job that was rescued from a dead process, *deaths* times while it ran alone and *late* times after that."""
    raw = mark_rescued(encode_job(name, [], "default"), running=False)
    for _ in range(deaths):
        raw = mark_rescued(raw, running=True)
    for _ in range(late):
        raw = mark_rescued(raw, running=False, late=True)
    return raw


async def test_a_quarantined_job_runs_alone() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("long")
        trial = harness.executor.hold("quarantined")
        await harness.push("long")
        await harness.push(raw=quarantined("quarantined"))
        await harness.push("after1", "after2")
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun == ["long"])
        await harness.until(lambda: harness.parts.quarantine.claim)
        await harness.push("after3")
        for _ in range(50):
            await asyncio.sleep(0)
        assert harness.executor.begun == ["long"], "nothing else is claimed while a quarantined job waits for its turn"
        assert harness.backend.times["mark_exclusive"] == 0
        gate.set()
        await harness.until(lambda: "quarantined" in harness.executor.begun)
        assert harness.backend.times["mark_exclusive"] == 1
        trial.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 5)
        assert all(names == {"quarantined"} for names in harness.executor.together if "quarantined" in names)
        assert await harness.stats() == {"processed": 5, "failed": 0}


async def test_a_quarantined_job_waits_for_a_long_job_of_a_neighbour_for_a_bounded_time_only() -> None:
    async with DispatcherHarness("default", lease=0.05) as harness:
        harness.executor.hold("long")
        await harness.push("long")
        await harness.push(raw=quarantined("quarantined"))
        await harness.push("after")
        await harness.start(2)
        await harness.until(
            lambda: {event.job.name for event in harness.events_of(WorkerSuccess)} == {"quarantined", "after"}
        )
        assert harness.backend.times["mark_exclusive"] == 1, "its process's death would count all the same"
        assert harness.executor.running == {"long"}


async def test_a_long_quarantined_job_does_not_keep_others_from_its_process_for_ever() -> None:
    async with DispatcherHarness("default", lease=0.05) as harness:
        trial = harness.executor.hold("quarantined")
        for name in ("quarantined", "second"):
            await harness.push(raw=quarantined(name))
        await harness.push("after1", "after2")
        await harness.start(2)
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 3)
        assert harness.executor.running == {"quarantined"}
        trial.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 4)
        assert await harness.stats() == {"processed": 4, "failed": 0}


async def test_a_quarantined_job_whose_process_died_late_is_kept_alone_for_longer() -> None:
    async with DispatcherHarness("default", lease=0.05) as harness:
        loop = asyncio.get_running_loop()
        harness.executor.hold("quarantined")
        times = {}
        for name in ("quarantined", "after"):
            harness.executor.tricks[name] = lambda _claim, name=name: times.setdefault(name, loop.time())
        await harness.push(raw=quarantined("quarantined", late=2))
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun == ["quarantined"])
        begun = loop.time()
        await harness.push("after")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 1)
        assert times["after"] - begun >= 0.05 * 16 - 0.01
        assert harness.executor.running == {"quarantined"}


async def test_a_quarantined_job_that_outlasts_its_time_and_dies_is_noted_in_the_store() -> None:
    """Not so one that merely waited, and a stop is no death."""
    async with DispatcherHarness("default", lease=0.05) as harness:
        harness.executor.hold("quarantined")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun == ["quarantined"])
        await harness.push("after")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 1)
        await harness.memory.rescue((await harness.memory.leases()).leases, 10)
        assert await harness.memory.queued("default") == [quarantined("quarantined", late=1)]
    async with DispatcherHarness("default", lease=0.05) as harness:
        harness.executor.hold("quarantined")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun == ["quarantined"])
        await harness.push("after")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 1)
        assert await harness.dispatcher.drain(0, 1)
        assert await harness.memory.queued("default") == [quarantined("quarantined")]


async def test_the_mark_of_a_long_quarantined_job_is_taken_back_before_others_run_beside_it() -> None:
    """One of them may kill the process then, which is not to be counted against it."""
    async with DispatcherHarness("default", lease=0.05) as harness:
        harness.executor.hold("quarantined")
        marked = []
        harness.executor.tricks["after"] = lambda _claim: marked.append(begun_alone(harness))
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun == ["quarantined"])
        assert begun_alone(harness)
        harness.backend.fail("mark_exclusive", AWAY)
        await harness.push("after")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 1)
        assert marked == [set()]
        assert harness.executor.running == {"quarantined"}


async def test_a_long_quarantined_job_that_was_taken_from_us_does_not_hold_up_others() -> None:
    async with DispatcherHarness("default", lease=0.05) as harness:
        trial = harness.executor.hold("quarantined")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: harness.executor.begun == ["quarantined"])
        harness.backend.change("mark_exclusive", lambda _mine: False)
        await harness.push("after")
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 1)
        trial.set()


async def test_a_quarantined_job_that_ends_while_its_mark_is_taken_back_is_no_trouble() -> None:
    async with DispatcherHarness("default", lease=0.05) as harness:
        trial = harness.executor.hold("quarantined")
        for name in ("quarantined", "second"):
            await harness.push(raw=quarantined(name))
        await harness.start(1)
        await harness.until(lambda: harness.executor.begun == ["quarantined"])
        answering = harness.backend.hold("mark_exclusive")
        await harness.until(lambda: harness.backend.times["mark_exclusive"] == 2)
        trial.set()
        await harness.until(lambda: harness.executor.ended == ["quarantined"])
        answering.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)
        assert harness.executor.begun == ["quarantined", "second"]


def begun_alone(harness: DispatcherHarness) -> set[int]:
    """The slots whose job's process would count if it died now."""
    return MemoryView(harness.memory).exclusive_slots_of(harness.process)


async def test_what_ended_before_is_recorded_before_a_quarantined_job_begins() -> None:
    """If it kills the process, nobody else's work is to be done twice."""
    async with DispatcherHarness("default") as harness:
        await harness.push("innocent")
        await harness.push(raw=quarantined("quarantined"))
        counted = []
        harness.executor.tricks["quarantined"] = lambda _claim: counted.append(MemoryView(harness.memory).counters)
        await harness.start(2)
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)
        assert counted[0]["processed"] == 1


async def test_an_ending_that_comes_during_an_exchange_is_recorded_before_a_quarantined_job_begins_too() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("innocent")
        await harness.push("innocent", "quick")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(3)
        await harness.until(lambda: "quick" in harness.executor.begun)
        answering = harness.backend.hold("settle_and_claim")
        await harness.until(lambda: harness.backend.times["settle_and_claim"] == 2)
        gate.set()
        await harness.until(lambda: "innocent" in harness.executor.ended)
        answering.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 3)
        verbs = [
            "recorded" if verb == "settle_and_claim" and any("innocent" in item.claim.raw for item in args[1]) else verb
            for verb, args in harness.backend.calls
        ]
        assert verbs.index("recorded") < verbs.index("mark_exclusive")


async def test_of_several_quarantined_jobs_the_first_is_kept_and_the_others_go_back_in_their_order() -> None:
    async with DispatcherHarness("default") as harness:
        gate = harness.executor.hold("s1")
        for name in ("s1", "s2", "s3"):
            await harness.push(raw=quarantined(name))
        await harness.push("plain")
        await harness.start(4)
        await harness.until(lambda: harness.executor.begun == ["plain", "s1"])
        await harness.until(lambda: len(harness.events_of(WorkerGivenBack)) == 2)
        assert {event.reason for event in harness.events_of(WorkerGivenBack)} == {ReleaseReason.QUARANTINE_OCCUPIED}
        assert await harness.queued() == ["s2", "s3"]
        gate.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 4)
        assert harness.executor.begun == ["plain", "s1", "s2", "s3"]
        assert max(map(len, harness.executor.together)) == 1


async def test_nothing_is_claimed_for_a_wakeup_that_comes_as_a_quarantined_job_is_about_to_begin() -> None:
    async with DispatcherHarness("default") as harness:
        await harness.push(raw=quarantined("quarantined"))
        await harness.push("last", "other")
        # It ends with the wake-up: both are seen to in one round, in which no job runs.
        harness.executor.tricks["last"] = lambda _claim: harness.parts.rounds.wake()
        gate = harness.executor.hold("quarantined")
        await harness.start(2)
        await harness.until(lambda: "quarantined" in harness.executor.begun)
        assert harness.executor.begun == ["last", "quarantined"]
        assert [args[2] for verb, args in harness.backend.calls if verb == "settle_and_claim" and args[2]] == [(1, 2)]
        gate.set()
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 3)
        assert max(map(len, harness.executor.together)) == 1


async def test_a_quarantined_job_that_is_taken_from_us_before_it_begins_is_not_run() -> None:
    async with DispatcherHarness("default") as harness:
        harness.backend.change("mark_exclusive", lambda _mine: False)
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(1)
        await harness.until(lambda: harness.events_of(WorkerGone))
        assert harness.executor.begun == []
        await harness.memory.deregister(harness.process)
        await harness.until(lambda: harness.events_of(WorkerSuccess))


async def test_an_error_when_a_quarantined_job_is_to_begin_delays_it() -> None:
    async with DispatcherHarness("default") as harness:
        harness.backend.fail("mark_exclusive", AWAY)
        harness.backend.fail("mark_exclusive", LOST, acted=True)
        await harness.push(raw=quarantined("quarantined"))
        await harness.push("other")
        await harness.start(1)
        await harness.until(lambda: len(harness.events_of(WorkerSuccess)) == 2)
        assert harness.executor.begun == ["quarantined", "other"]
        assert harness.backend.times["mark_exclusive"] == 3


async def test_a_convicted_job_needs_no_solitude() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.hold("long")
        await harness.push("long")
        await harness.push(raw=quarantined("killer", deaths=3))
        await harness.start(2)
        await harness.until(lambda: "killer" in harness.executor.ended)
        assert harness.backend.times["mark_exclusive"] == 0


async def test_a_stop_gives_a_waiting_quarantined_job_back() -> None:
    async with DispatcherHarness("default") as harness:
        harness.executor.hold("long")
        await harness.push("long")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: harness.parts.quarantine.claim)
        assert await harness.dispatcher.drain(0, 1)
        assert sorted(await harness.queued()) == ["long", "quarantined"]
        assert "quarantined" not in harness.executor.begun


async def test_a_thread_that_never_ends_does_not_keep_a_quarantined_job_from_running() -> None:

    async with DispatcherHarness("default") as harness:
        thread = asyncio.get_running_loop().create_future()
        late = JobResult(Job("late"), Failure(TimeoutError()), Failed("{}"), thread)
        harness.executor.tricks["late"] = lambda _claim: late
        await harness.push("late")
        await harness.push(raw=quarantined("quarantined"))
        await harness.start(2)
        await harness.until(lambda: "quarantined" in harness.executor.ended)
