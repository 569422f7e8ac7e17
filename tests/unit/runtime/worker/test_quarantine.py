"""Jobs that may have killed their process: each runs alone, so that only the one that does it is convicted."""

from __future__ import annotations

import asyncio

import pytest
from dispatcher_harness import Floor

from taskhero.backends.protocol import Failed
from taskhero.errors import BackendUnavailable, ReplyLost
from taskhero.events import WorkerGivenBack, WorkerGone, WorkerSuccess
from taskhero.models import Failure, Job
from taskhero.runtime.execution.executor import Performed
from taskhero.runtime.worker.settlement_buffer import CROWDED
from taskhero.wire.jobs import encode_job, mark_rescued

pytestmark = pytest.mark.anyio

AWAY = BackendUnavailable("nobody listens")
LOST = ReplyLost("the line broke")


def suspect(name: str, deaths: int = 0, late: int = 0) -> str:
    """A job that was rescued from a dead process, *deaths* times while it ran alone and *late* times after that."""
    raw = mark_rescued(encode_job(name, [], "default"), running=False)
    for _ in range(deaths):
        raw = mark_rescued(raw, running=True)
    for _ in range(late):
        raw = mark_rescued(raw, running=False, late=True)
    return raw


async def test_a_suspect_runs_alone() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("long")
        trial = floor.crew.hold("suspect")
        await floor.push("long")
        await floor.push(raw=suspect("suspect"))
        await floor.push("after1", "after2")
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun == ["long"])
        await floor.until(lambda: floor.exchanger._jobs.suspect)
        await floor.push("after3")
        for _ in range(50):
            await asyncio.sleep(0)
        assert floor.crew.begun == ["long"], "nothing else is claimed while a suspect waits for its turn"
        assert floor.backend.times["begin"] == 0
        gate.set()
        await floor.until(lambda: "suspect" in floor.crew.begun)
        assert floor.backend.times["begin"] == 1
        trial.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 5)
        assert all(names == {"suspect"} for names in floor.crew.together if "suspect" in names)
        assert await floor.stats() == {"processed": 5, "failed": 0}


async def test_a_suspect_waits_for_a_long_job_of_a_neighbour_for_a_bounded_time_only() -> None:
    async with Floor("default", lease=0.05) as floor:
        floor.crew.hold("long")
        await floor.push("long")
        await floor.push(raw=suspect("suspect"))
        await floor.push("after")
        await floor.start(2)
        await floor.until(lambda: {event.job.name for event in floor.told(WorkerSuccess)} == {"suspect", "after"})
        assert floor.backend.times["begin"] == 1, "its process's death would count all the same"
        assert floor.crew.running == {"long"}


async def test_a_long_suspect_does_not_keep_others_from_its_process_for_ever() -> None:
    async with Floor("default", lease=0.05) as floor:
        trial = floor.crew.hold("suspect")
        for name in ("suspect", "second"):
            await floor.push(raw=suspect(name))
        await floor.push("after1", "after2")
        await floor.start(2)
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 3)
        assert floor.crew.running == {"suspect"}
        trial.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 4)
        assert await floor.stats() == {"processed": 4, "failed": 0}


async def test_a_suspect_whose_process_died_late_is_kept_alone_for_longer() -> None:
    async with Floor("default", lease=0.05) as floor:
        loop = asyncio.get_running_loop()
        floor.crew.hold("suspect")
        times = {}
        for name in ("suspect", "after"):
            floor.crew.tricks[name] = lambda _claim, name=name: times.setdefault(name, loop.time())
        await floor.push(raw=suspect("suspect", late=2))
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun == ["suspect"])
        begun = loop.time()
        await floor.push("after")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 1)
        assert times["after"] - begun >= 0.05 * 16 - 0.01
        assert floor.crew.running == {"suspect"}


async def test_a_suspect_that_outlasts_its_time_and_dies_is_noted_in_the_store() -> None:
    """Not so one that merely waited, and a stop is no death."""
    async with Floor("default", lease=0.05) as floor:
        floor.crew.hold("suspect")
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun == ["suspect"])
        await floor.push("after")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 1)
        await floor.memory.rescue((await floor.memory.leases()).leases, 10)
        assert await floor.memory.queued("default") == [suspect("suspect", late=1)]
    async with Floor("default", lease=0.05) as floor:
        floor.crew.hold("suspect")
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun == ["suspect"])
        await floor.push("after")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 1)
        assert await floor.exchanger.drain(0, 1)
        assert await floor.memory.queued("default") == [suspect("suspect")]


async def test_the_mark_of_a_long_suspect_is_taken_back_before_others_run_beside_it() -> None:
    """One of them may kill the process then, which is not to be counted against it."""
    async with Floor("default", lease=0.05) as floor:
        floor.crew.hold("suspect")
        marked = []
        floor.crew.tricks["after"] = lambda _claim: marked.append(begun_alone(floor))
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun == ["suspect"])
        assert begun_alone(floor)
        floor.backend.fail("begin", AWAY)
        await floor.push("after")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 1)
        assert marked == [set()]
        assert floor.crew.running == {"suspect"}


async def test_a_long_suspect_that_was_taken_from_us_does_not_hold_up_others() -> None:
    async with Floor("default", lease=0.05) as floor:
        trial = floor.crew.hold("suspect")
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: floor.crew.begun == ["suspect"])
        floor.backend.change("begin", lambda _mine: False)
        await floor.push("after")
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 1)
        trial.set()


async def test_a_suspect_that_ends_while_its_mark_is_taken_back_is_no_trouble() -> None:
    async with Floor("default", lease=0.05) as floor:
        trial = floor.crew.hold("suspect")
        for name in ("suspect", "second"):
            await floor.push(raw=suspect(name))
        await floor.start(1)
        await floor.until(lambda: floor.crew.begun == ["suspect"])
        answering = floor.backend.hold("begin")
        await floor.until(lambda: floor.backend.times["begin"] == 2)
        trial.set()
        await floor.until(lambda: floor.crew.ended == ["suspect"])
        answering.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)
        assert floor.crew.begun == ["suspect", "second"]


def begun_alone(floor: Floor) -> set[int]:
    """The slots whose job's process would count if it died now."""
    return set(floor.memory._work._members.get(floor.process.name).running)


async def test_what_ended_before_is_recorded_before_a_suspect_begins() -> None:
    """If it kills the process, nobody else's work is to be done twice."""
    async with Floor("default") as floor:
        await floor.push("innocent")
        await floor.push(raw=suspect("suspect"))
        counted = []
        floor.crew.tricks["suspect"] = lambda _claim: counted.append(dict(floor.memory._store.counters))
        await floor.start(2)
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)
        assert counted[0]["processed"] == 1


async def test_an_ending_that_comes_during_an_exchange_is_recorded_before_a_suspect_begins_too() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("innocent")
        await floor.push("innocent", "quick")
        await floor.push(raw=suspect("suspect"))
        await floor.start(3)
        await floor.until(lambda: "quick" in floor.crew.begun)
        answering = floor.backend.hold("exchange")
        await floor.until(lambda: floor.backend.times["exchange"] == 2)
        gate.set()
        await floor.until(lambda: "innocent" in floor.crew.ended)
        answering.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 3)
        verbs = [
            "recorded" if verb == "exchange" and any("innocent" in item.claim.raw for item in args[1]) else verb
            for verb, args in floor.backend.calls
        ]
        assert verbs.index("recorded") < verbs.index("begin")


async def test_of_several_suspects_the_first_is_kept_and_the_others_go_back_in_their_order() -> None:
    async with Floor("default") as floor:
        gate = floor.crew.hold("s1")
        for name in ("s1", "s2", "s3"):
            await floor.push(raw=suspect(name))
        await floor.push("plain")
        await floor.start(4)
        await floor.until(lambda: floor.crew.begun == ["plain", "s1"])
        await floor.until(lambda: len(floor.told(WorkerGivenBack)) == 2)
        assert {event.reason for event in floor.told(WorkerGivenBack)} == {CROWDED}
        assert await floor.queued() == ["s2", "s3"]
        gate.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 4)
        assert floor.crew.begun == ["plain", "s1", "s2", "s3"]
        assert max(map(len, floor.crew.together)) == 1


async def test_nothing_is_claimed_for_a_wakeup_that_comes_as_a_suspect_is_about_to_begin() -> None:
    async with Floor("default") as floor:
        await floor.push(raw=suspect("suspect"))
        await floor.push("last", "other")
        # It ends with the wake-up: both are seen to in one round, in which no job runs.
        floor.crew.tricks["last"] = lambda _claim: floor.exchanger.wake()
        gate = floor.crew.hold("suspect")
        await floor.start(2)
        await floor.until(lambda: "suspect" in floor.crew.begun)
        assert floor.crew.begun == ["last", "suspect"]
        assert [args[2] for verb, args in floor.backend.calls if verb == "exchange" and args[2]] == [(1, 2)]
        gate.set()
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 3)
        assert max(map(len, floor.crew.together)) == 1


async def test_a_suspect_that_is_taken_from_us_before_it_begins_is_not_run() -> None:
    async with Floor("default") as floor:
        floor.backend.change("begin", lambda _mine: False)
        await floor.push(raw=suspect("suspect"))
        await floor.start(1)
        await floor.until(lambda: floor.told(WorkerGone))
        assert floor.crew.begun == []
        await floor.memory.deregister(floor.process)
        await floor.until(lambda: floor.told(WorkerSuccess))


async def test_an_error_when_a_suspect_is_to_begin_delays_it() -> None:
    async with Floor("default") as floor:
        floor.backend.fail("begin", AWAY)
        floor.backend.fail("begin", LOST, acted=True)
        await floor.push(raw=suspect("suspect"))
        await floor.push("other")
        await floor.start(1)
        await floor.until(lambda: len(floor.told(WorkerSuccess)) == 2)
        assert floor.crew.begun == ["suspect", "other"]
        assert floor.backend.times["begin"] == 3


async def test_a_convicted_job_needs_no_solitude() -> None:
    async with Floor("default") as floor:
        floor.crew.hold("long")
        await floor.push("long")
        await floor.push(raw=suspect("killer", deaths=3))
        await floor.start(2)
        await floor.until(lambda: "killer" in floor.crew.ended)
        assert floor.backend.times["begin"] == 0


async def test_a_stop_gives_a_waiting_suspect_back() -> None:
    async with Floor("default") as floor:
        floor.crew.hold("long")
        await floor.push("long")
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: floor.exchanger._jobs.suspect)
        assert await floor.exchanger.drain(0, 1)
        assert sorted(await floor.queued()) == ["long", "suspect"]
        assert "suspect" not in floor.crew.begun


async def test_a_thread_that_never_ends_does_not_keep_a_suspect_from_running() -> None:

    async with Floor("default") as floor:
        thread = asyncio.get_running_loop().create_future()
        late = Performed(Job("late"), Failure(TimeoutError()), Failed("{}"), thread)
        floor.crew.tricks["late"] = lambda _claim: late
        await floor.push("late")
        await floor.push(raw=suspect("suspect"))
        await floor.start(2)
        await floor.until(lambda: "suspect" in floor.crew.ended)
