"""How many task processors there are, and how they come and go."""

from __future__ import annotations

import asyncio

import pytest
from worker_pool_harness import WorkerPoolHarness

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
    async with WorkerPoolHarness(3, 8) as harness:
        harness.delay.seconds = 10.0
        await harness.multi_worker.start()
        assert harness.slots() == [1, 2, 3]
        assert harness.visible() == [1, 2, 3]
        names = [event.worker for event in harness.events_of(WorkerStart)]
        assert names == ["host.abc:1+1", "host.abc:1+2", "host.abc:1+3"]
        assert [worker.name for worker in harness.multi_worker.workers] == names
        assert harness.multi_worker.workers[0].queues == ("default",)
        assert harness.events_of(MultiWorkerStart)


@anyio
async def test_what_a_processor_works_can_be_seen() -> None:
    async with WorkerPoolHarness(2) as harness:
        gate = harness.executor.hold("seen")
        await harness.push("seen")
        await harness.multi_worker.start()
        await harness.until(lambda: harness.executor.begun)
        jobs = [worker.job for worker in harness.multi_worker.workers]
        assert [job.name if job else None for job in jobs] == ["seen", None]
        gate.set()
        await harness.until(lambda: harness.multi_worker.workers[0].job is None)
        assert harness.multi_worker.workers[0].succeeded == 1


@anyio
async def test_it_grows_by_doubling_while_there_is_a_backlog() -> None:
    async with WorkerPoolHarness(1, 6) as harness:
        gate = harness.executor.hold(*(f"job{number}" for number in range(20)))
        await harness.push(*(f"job{number}" for number in range(20)))
        await harness.multi_worker.start()
        await harness.until(lambda: len(harness.executor.begun) == 1)
        for count in (2, 4, 6):
            await harness.multi_worker.check()
            assert len(harness.slots()) == count
            await harness.until(lambda count=count: len(harness.executor.running) == count)
            assert harness.visible() == harness.slots()
        assert await harness.multi_worker.check() == 0
        assert [(event.verb, event.count) for event in harness.events_of(MultiWorkerAction)] == [
            ("+", 2),
            ("+", 4),
            ("+", 6),
            ("x", 6),
        ]
        gate.set()


@anyio
async def test_it_shrinks_by_idle_processors_first() -> None:
    async with WorkerPoolHarness(1, 4) as harness:
        gate = harness.executor.hold("a", "b", "c", "d", "long")
        await harness.push("a", "b", "c", "d")
        await harness.multi_worker.start()
        for _ in range(2):
            await harness.until(lambda: len(harness.executor.running) == len(harness.slots()))
            await harness.multi_worker.check()
        await harness.until(lambda: len(harness.executor.running) == 4)
        harness.executor.gates.pop("long", None)
        long = harness.executor.hold("long")
        gate.set()
        await harness.until(lambda: len(harness.executor.ended) == 4)
        await harness.push("long")
        await harness.until(lambda: "long" in harness.executor.running)
        busy = next(worker.slot for worker in harness.multi_worker.workers if worker.claim is not None)
        harness.multi_worker._slots.take_peak()
        for count in (3, 2):
            assert await harness.multi_worker.check() == -1
            await harness.until(lambda count=count: len(harness.events_of(WorkerEnd)) == 4 - count)
            await harness.until(lambda count=count: len(harness.visible()) == count)
        assert busy in harness.slots()
        assert await harness.multi_worker.check() == 0, "one of two works: as it is"
        long.set()


@anyio
async def test_a_busy_processor_ends_its_job_before_it_goes_and_holds_up_no_check() -> None:
    async with WorkerPoolHarness(1, 2) as harness:
        gate = harness.executor.hold("a", "b")
        await harness.push("a", "b")
        await harness.multi_worker.start()
        await harness.until(lambda: len(harness.executor.running) == 1)
        await harness.multi_worker.check()
        await harness.until(lambda: len(harness.executor.running) == 2)
        harness.delay.seconds = 1.0
        assert await asyncio.wait_for(harness.multi_worker.check(), 1) == -1
        assert len(harness.slots()) == 2, "it still works"
        assert await harness.multi_worker.check() == 0
        gate.set()
        await harness.until(lambda: harness.events_of(WorkerEnd))
        await harness.until(lambda: harness.backend.times["deregister_slots"] == 1)
        assert len(harness.slots()) == 1
        assert (await harness.memory.stats())["processed"] == 2, "nothing is given back or done twice"


@anyio
async def test_a_processor_that_was_to_go_stays_if_it_is_needed_again() -> None:
    async with WorkerPoolHarness(1, 2) as harness:
        harness.executor.hold("a", "b")
        await harness.push("a", "b")
        await harness.multi_worker.start()
        await harness.until(lambda: len(harness.executor.running) == 1)
        await harness.multi_worker.check()
        await harness.until(lambda: len(harness.executor.running) == 2)
        harness.delay.seconds = 1.0
        await harness.multi_worker.check()
        harness.delay.seconds = 0.0
        registered = harness.backend.times["register"]
        assert await harness.multi_worker.check() == 1
        assert len(harness.slots()) == 2
        assert harness.backend.times["register"] == registered
        assert not any(worker.retiring for worker in harness.multi_worker.workers)


@anyio
async def test_slots_are_used_again() -> None:
    async with WorkerPoolHarness(1, 2) as harness:
        await harness.multi_worker.start()
        for _ in range(3):
            gate = harness.executor.hold("a", "b")
            await harness.push("a", "b")
            await harness.until(lambda: len(harness.executor.running) == 1)
            await harness.multi_worker.check()
            assert harness.slots() == [1, 2]
            await harness.until(lambda: len(harness.executor.running) == 2)
            gate.set()
            await harness.until(lambda: not harness.executor.running)
            harness.multi_worker._slots.take_peak()
            ended = len(harness.events_of(WorkerEnd))
            assert await harness.multi_worker.check() == -1
            await harness.until(lambda ended=ended: len(harness.events_of(WorkerEnd)) > ended)
            await harness.until(lambda: harness.visible() == [1])


@anyio
async def test_errors_never_end_the_scaling() -> None:
    async with WorkerPoolHarness(1, 4, check_interval=0.001) as harness:
        harness.executor.hold("a", "b", "c", "d")
        await harness.push("a", "b", "c", "d")
        await harness.multi_worker.start()
        await harness.until(lambda: harness.executor.running)
        harness.backend.fail("register", BackendUnavailable("no route"), times=2)
        harness.backend.fail("register", ReplyLost("the line broke"), acted=True)
        harness.backend.fail("register", RuntimeError("a bug"))
        await harness.until(lambda: len(harness.executor.running) == 4)
        assert harness.slots() == [1, 2, 3, 4]


@anyio
async def test_an_error_when_a_processor_retires_is_tried_again() -> None:
    async with WorkerPoolHarness(1, 2) as harness:
        gate = harness.executor.hold("a", "b")
        await harness.push("a", "b")
        await harness.multi_worker.start()
        await harness.until(lambda: len(harness.executor.running) == 1)
        await harness.multi_worker.check()
        await harness.until(lambda: len(harness.executor.running) == 2)
        harness.backend.fail("deregister_slots", BackendUnavailable("no route"))
        gate.set()
        await harness.until(lambda: not harness.executor.running)
        harness.multi_worker._slots.take_peak()
        await harness.multi_worker.check()
        await harness.until(lambda: harness.backend.times["deregister_slots"] == 2)
        await harness.until(lambda: len(harness.visible()) == 1)


@anyio
async def test_a_start_that_fails_leaves_nothing_behind() -> None:
    async with WorkerPoolHarness(2) as harness:
        harness.backend.fail("register", BackendRefused("no permission"))
        with pytest.raises(BackendRefused):
            await harness.multi_worker.start()
        assert not harness.multi_worker.running
        assert harness.slots() == []


@anyio
async def test_a_subclass_may_decide_otherwise() -> None:
    class Eager(MultiWorker):
        def decide(self, load: Load) -> int:
            return load.maximum - load.workers

    async with WorkerPoolHarness(1, 5) as harness:
        harness.multi_worker = Eager(harness.multi_worker.context, loop_delay=harness.delay)
        await harness.multi_worker.start()
        assert await harness.multi_worker.check() == 4
        assert harness.slots() == [1, 2, 3, 4, 5]
