"""How many task processors there are, and how they come and go."""

from __future__ import annotations

import asyncio

import pytest
from worker_pool_harness import Plant

from taskhero.errors import BackendRefused, BackendUnavailable, ReplyLost
from taskhero.events import MultiWorkerAction, MultiWorkerStart, WorkerEnd, WorkerStart
from taskhero.runtime.worker.autoscale import Load, decide
from taskhero.runtime.worker.pool import MultiWorker

anyio = pytest.mark.anyio

# --- the decision ---


@pytest.mark.parametrize(
    ("workers", "working", "blocked", "backlog", "change"),
    [
        # From 2 to 8: the minimum is always honoured, all at once.
        (0, 0, False, False, 2),
        (0, 0, True, True, 2),
        (1, 1, True, False, 1),
        # The loop lags: one less, but never fewer than the minimum.
        (5, 5, True, True, -1),
        (3, 0, True, False, -1),
        (2, 2, True, True, 0),
        # More than half work: one more, twice as many if there is a backlog, never more than the maximum.
        (2, 2, False, False, 1),
        (3, 2, False, False, 1),
        (2, 2, False, True, 2),
        (3, 2, False, True, 3),
        (5, 5, False, True, 3),
        (7, 7, False, True, 1),
        (8, 8, False, True, 0),
        # Half of them: as it is.
        (4, 2, False, False, 0),
        (4, 2, False, True, 0),
        # Fewer than half: one less, down to the minimum.
        (8, 3, False, False, -1),
        (3, 1, False, True, -1),
        (2, 0, False, False, 0),
    ],
)
def test_the_table_of_decisions(workers: int, working: int, blocked: bool, backlog: bool, change: int) -> None:
    load = Load(workers=workers, working=working, minimum=2, maximum=8, blocked=blocked, backlog=backlog)
    assert decide(load) == change


def test_a_backlog_fills_a_process_in_few_steps() -> None:
    workers, steps = 1, 0
    while workers < 100:
        workers += decide(Load(workers=workers, working=workers, minimum=1, maximum=100, blocked=False, backlog=True))
        steps += 1
    assert (workers, steps) == (100, 7)


# --- processors come and go ---


@anyio
async def test_it_starts_with_the_minimum_each_visible_as_a_worker_of_its_own() -> None:
    async with Plant(3, 8) as plant:
        plant.delay.seconds = 10.0
        await plant.multi_worker.start()
        assert plant.slots() == [1, 2, 3]
        assert plant.visible() == [1, 2, 3]
        names = [event.worker for event in plant.told(WorkerStart)]
        assert names == ["host.abc:1+1", "host.abc:1+2", "host.abc:1+3"]
        assert [worker.name for worker in plant.multi_worker.workers] == names
        assert plant.multi_worker.workers[0].queues == ("default",)
        assert plant.told(MultiWorkerStart)


@anyio
async def test_what_a_processor_works_can_be_seen() -> None:
    async with Plant(2) as plant:
        gate = plant.crew.hold("seen")
        await plant.push("seen")
        await plant.multi_worker.start()
        await plant.until(lambda: plant.crew.begun)
        jobs = [worker.job for worker in plant.multi_worker.workers]
        assert [job.name if job else None for job in jobs] == ["seen", None]
        gate.set()
        await plant.until(lambda: plant.multi_worker.workers[0].job is None)
        assert plant.multi_worker.workers[0].succeeded == 1


@anyio
async def test_it_grows_by_doubling_while_there_is_a_backlog() -> None:
    async with Plant(1, 6) as plant:
        gate = plant.crew.hold(*(f"job{number}" for number in range(20)))
        await plant.push(*(f"job{number}" for number in range(20)))
        await plant.multi_worker.start()
        await plant.until(lambda: len(plant.crew.begun) == 1)
        for count in (2, 4, 6):
            await plant.multi_worker.check()
            assert len(plant.slots()) == count
            await plant.until(lambda count=count: len(plant.crew.running) == count)
            assert plant.visible() == plant.slots()
        assert await plant.multi_worker.check() == 0
        assert [(event.verb, event.count) for event in plant.told(MultiWorkerAction)] == [
            ("+", 2),
            ("+", 4),
            ("+", 6),
            ("x", 6),
        ]
        gate.set()


@anyio
async def test_it_shrinks_by_idle_processors_first() -> None:
    async with Plant(1, 4) as plant:
        gate = plant.crew.hold("a", "b", "c", "d", "long")
        await plant.push("a", "b", "c", "d")
        await plant.multi_worker.start()
        for _ in range(2):
            await plant.until(lambda: len(plant.crew.running) == len(plant.slots()))
            await plant.multi_worker.check()
        await plant.until(lambda: len(plant.crew.running) == 4)
        plant.crew.gates.pop("long", None)
        long = plant.crew.hold("long")
        gate.set()
        await plant.until(lambda: len(plant.crew.ended) == 4)
        await plant.push("long")
        await plant.until(lambda: "long" in plant.crew.running)
        busy = next(worker.slot for worker in plant.multi_worker.workers if worker.claim is not None)
        plant.multi_worker._exchanger.take_peak()
        for count in (3, 2):
            assert await plant.multi_worker.check() == -1
            await plant.until(lambda count=count: len(plant.told(WorkerEnd)) == 4 - count)
            await plant.until(lambda count=count: len(plant.visible()) == count)
        assert busy in plant.slots()
        assert await plant.multi_worker.check() == 0, "one of two works: as it is"
        long.set()


@anyio
async def test_a_busy_processor_ends_its_job_before_it_goes_and_holds_up_no_check() -> None:
    async with Plant(1, 2) as plant:
        gate = plant.crew.hold("a", "b")
        await plant.push("a", "b")
        await plant.multi_worker.start()
        await plant.until(lambda: len(plant.crew.running) == 1)
        await plant.multi_worker.check()
        await plant.until(lambda: len(plant.crew.running) == 2)
        plant.delay.seconds = 1.0
        assert await asyncio.wait_for(plant.multi_worker.check(), 1) == -1
        assert len(plant.slots()) == 2, "it still works"
        assert await plant.multi_worker.check() == 0
        gate.set()
        await plant.until(lambda: plant.told(WorkerEnd))
        await plant.until(lambda: plant.backend.times["retire"] == 1)
        assert len(plant.slots()) == 1
        assert (await plant.memory.stats())["processed"] == 2, "nothing is given back or done twice"


@anyio
async def test_a_processor_that_was_to_go_stays_if_it_is_needed_again() -> None:
    async with Plant(1, 2) as plant:
        plant.crew.hold("a", "b")
        await plant.push("a", "b")
        await plant.multi_worker.start()
        await plant.until(lambda: len(plant.crew.running) == 1)
        await plant.multi_worker.check()
        await plant.until(lambda: len(plant.crew.running) == 2)
        plant.delay.seconds = 1.0
        await plant.multi_worker.check()
        plant.delay.seconds = 0.0
        registered = plant.backend.times["register"]
        assert await plant.multi_worker.check() == 1
        assert len(plant.slots()) == 2
        assert plant.backend.times["register"] == registered
        assert not any(worker.leaving for worker in plant.multi_worker.workers)


@anyio
async def test_slots_are_used_again() -> None:
    async with Plant(1, 2) as plant:
        await plant.multi_worker.start()
        for _ in range(3):
            gate = plant.crew.hold("a", "b")
            await plant.push("a", "b")
            await plant.until(lambda: len(plant.crew.running) == 1)
            await plant.multi_worker.check()
            assert plant.slots() == [1, 2]
            await plant.until(lambda: len(plant.crew.running) == 2)
            gate.set()
            await plant.until(lambda: not plant.crew.running)
            plant.multi_worker._exchanger.take_peak()
            ended = len(plant.told(WorkerEnd))
            assert await plant.multi_worker.check() == -1
            await plant.until(lambda ended=ended: len(plant.told(WorkerEnd)) > ended)
            await plant.until(lambda: plant.visible() == [1])


@anyio
async def test_errors_never_end_the_scaling() -> None:
    async with Plant(1, 4, check_interval=0.001) as plant:
        plant.crew.hold("a", "b", "c", "d")
        await plant.push("a", "b", "c", "d")
        await plant.multi_worker.start()
        await plant.until(lambda: plant.crew.running)
        plant.backend.fail("register", BackendUnavailable("no route"), times=2)
        plant.backend.fail("register", ReplyLost("the line broke"), acted=True)
        plant.backend.fail("register", RuntimeError("a bug"))
        await plant.until(lambda: len(plant.crew.running) == 4)
        assert plant.slots() == [1, 2, 3, 4]


@anyio
async def test_an_error_when_a_processor_retires_is_tried_again() -> None:
    async with Plant(1, 2) as plant:
        gate = plant.crew.hold("a", "b")
        await plant.push("a", "b")
        await plant.multi_worker.start()
        await plant.until(lambda: len(plant.crew.running) == 1)
        await plant.multi_worker.check()
        await plant.until(lambda: len(plant.crew.running) == 2)
        plant.backend.fail("retire", BackendUnavailable("no route"))
        gate.set()
        await plant.until(lambda: not plant.crew.running)
        plant.multi_worker._exchanger.take_peak()
        await plant.multi_worker.check()
        await plant.until(lambda: plant.backend.times["retire"] == 2)
        await plant.until(lambda: len(plant.visible()) == 1)


@anyio
async def test_a_start_that_fails_leaves_nothing_behind() -> None:
    async with Plant(2) as plant:
        plant.backend.fail("register", BackendRefused("no permission"))
        with pytest.raises(BackendRefused):
            await plant.multi_worker.start()
        assert not plant.multi_worker.running
        assert plant.slots() == []


@anyio
async def test_a_subclass_may_decide_otherwise() -> None:
    class Eager(MultiWorker):
        def decide(self, load: Load) -> int:
            return load.maximum - load.workers

    async with Plant(1, 5) as plant:
        plant.multi_worker = Eager(plant.multi_worker.context, loop_delay=plant.delay)
        await plant.multi_worker.start()
        assert await plant.multi_worker.check() == 4
        assert plant.slots() == [1, 2, 3, 4, 5]
