"""Periodic tasks: declared once for all processes, one chain each, stopped and restarted."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero.backends.protocol import (
    DelayedJobEntry,
    EnsureResult,
    Entry,
    NotDelayed,
    PeriodicTask,
    QueueLockGuard,
    Released,
    StopReason,
    Subscription,
)
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    LEASE,
    claim_one,
    hold,
    job,
    make_process,
    now_of,
    push,
    registered,
    rescue,
    schedule,
    settle,
    start_wait,
)
from taskhero.conformance.suite import Suite
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["PeriodicChains", "periodic"]

LOCK = QueueLockGuard("lock:tick", 3600)

_STEP = (
    "Each task is one atomic step: of several concurrent calls, one enqueues it.",
    "That call takes the locks that its guards name, and wakes processes as `push` does.",
)
_SEE = "Ensure that each of these tasks with a frequency runs again, and return an `EnsureResult` for each."
_LATER = "If all its copies are delayed for longer than its frequency, one that is delayed by its frequency"
_THOROUGH = (
    "With *full_scan*, a queue lock counts as free if the queue holds no payload of the task.",
    "That applies to locks that are not shared and were taken more than 60 seconds ago.",
)


def periodic(name: str = "tick", frequency: float = 10, queue: str = "q") -> PeriodicTask:
    """Return a periodic task. The default one has two equivalent payloads and locks."""
    if name == "tick":
        return PeriodicTask(
            name=name,
            queue=queue,
            raw=job(1, queue),
            equivalent_payloads=(job(1, queue), job("one", queue)),
            guards=(LOCK, NotDelayed((job(1, queue),))),
            holds=("workerslock:tick",),
            frequency=frequency,
        )
    return PeriodicTask(
        name=name, queue=queue, raw=job(name, queue), equivalent_payloads=(job(name, queue),), frequency=frequency
    )


async def _ensured(backend: Backend, *tasks: PeriodicTask, full_scan: bool = False) -> list[str]:
    """Return the answers of `Backend.ensure_periodic` for these tasks, by default for one."""
    return list(await backend.ensure_periodic(tasks or (periodic(),), full_scan=full_scan))


async def _next_due_time(backend: Backend) -> list[int]:
    """Return the earliest due time in a list, or an empty list."""
    at = (await backend.due(1)).next_at
    return [] if at is None else [at]


class PeriodicChains(Suite):
    """`Backend.declare_periodic`, `ensure_periodic`, `restart_periodic`, `stop_periodic` and `resume_periodic`."""

    # declarations

    @promise("declare_periodic", "Store that these tasks are declared for *lifetime* seconds from now, and return all")
    async def test_a_declared_task_is_known_to_all_processes(self, backend: Backend, views: Views) -> None:
        """Complete and sorted by name, whatever characters it has."""
        other = await views()
        odd = PeriodicTask(
            name='ä"ö\n',
            queue="a:b c",
            raw='{"class":"é😀","args":[{}]}',
            equivalent_payloads=('{"class":"é😀","args":[{}]}', "{}"),
            guards=(QueueLockGuard("lock:x", 60, shared=True), QueueLockGuard("lock:é", 61), NotDelayed(("{}", "x"))),
            holds=("workerslock:a b",),
            frequency=1.5,
        )
        cron = PeriodicTask(
            name="b",
            queue="q",
            raw="r",
            equivalent_payloads=("r",),
            cron="*/5 * * * *",
            timezone="Europe/Berlin",
            misfire="all",
        )
        await backend.declare_periodic([odd, periodic(), cron], 60)
        found = await other.declare_periodic()
        assert abs(found.now - await now_of(backend)) < 2
        assert [known.task for known in found.tasks] == [cron, periodic(), odd]
        assert [known.stopped for known in found.tasks] == [None] * 3
        assert [known.cron_cursor is not None for known in found.tasks] == [True, False, False]

    @promise("declare_periodic", "A new declaration of a name replaces the old one.")
    async def test_the_last_declaration_counts(self, backend: Backend) -> None:
        """As when a new version of a program starts. Other declarations stay."""
        await backend.declare_periodic([periodic("a", 5), periodic("b", 5)], 60)
        found = await backend.declare_periodic([periodic("b", 7, "other")], 60)
        assert [known.task for known in found.tasks] == [periodic("a", 5), periodic("b", 7, "other")]

    @promise("declare_periodic", "A declaration expires after its lifetime, but whether the task is stopped stays")
    @needs("clock")
    async def test_a_task_that_is_not_declared_again_is_forgotten(self, backend: Backend, clock: ManualClock) -> None:
        """Each after its own lifetime. A task that is declared again is still stopped."""
        await backend.declare_periodic([periodic("a"), periodic("b")], 60)
        await backend.stop_periodic(periodic("a"))
        clock.advance(50)
        await backend.declare_periodic([periodic("b")], 60)
        clock.advance(20)
        assert [known.task.name for known in (await backend.declare_periodic()).tasks] == ["b"]
        clock.advance(100)
        found = await backend.declare_periodic()
        assert (list(found.tasks), dict(found.stopped)) == ([], {"a": StopReason.ASKED})
        (known,) = (await backend.declare_periodic([periodic("a")], 60)).tasks
        assert (known.task, known.stopped) == (periodic("a"), StopReason.ASKED)

    # one chain

    @promise("ensure_periodic", _SEE, *_STEP)
    @promise("EnsureResult", "ENQUEUED", "QUEUED")
    async def test_a_task_without_a_copy_is_enqueued_once(self, backend: Backend, views: Views) -> None:
        """Its queue is then known, and its lock keeps equal jobs out."""
        assert await _ensured(backend) == [EnsureResult.ENQUEUED]
        assert await _ensured(await views()) == [EnsureResult.QUEUED]
        assert (await backend.queues(), await backend.queued("q")) == (["q"], [job(1)])
        assert list(await backend.push([Entry("q", job(1), guards=(LOCK,))])) == [False]

    @promise("ensure_periodic", *_STEP)
    async def test_of_many_at_once_one_enqueues_it(self, backend: Backend, views: Views) -> None:
        """Twenty processes that start together."""
        other = await views()
        answers = await asyncio.gather(*(_ensured(view) for view in [backend, other] * 10))
        assert sorted(answers) == sorted([[EnsureResult.ENQUEUED], *([[EnsureResult.QUEUED]] * 19)])
        assert await backend.queued("q") == [job(1)]

    @promise("ensure_periodic", _SEE)
    @promise("EnsureResult", "STOPPED", "DELAYED", "ENQUEUED")
    async def test_each_task_gets_its_answer(self, backend: Backend) -> None:
        """In the order given, with and without locks."""
        tasks = [periodic("a"), periodic(), periodic("c"), periodic("d", queue="other")]
        await backend.stop_periodic(tasks[0])
        await schedule(backend, await now_of(backend) + 9, job("c"))
        answers = await _ensured(backend, *tasks)
        assert answers == [EnsureResult.STOPPED, EnsureResult.ENQUEUED, EnsureResult.DELAYED, EnsureResult.ENQUEUED]
        assert (await backend.queued("q"), await backend.queued("other")) == ([job(1)], [job("d", "other")])
        assert list(await backend.ensure_periodic(())) == []

    @promise("ensure_periodic", *_STEP)
    async def test_a_waiting_process_is_woken(self, backend: Backend) -> None:
        """By the first run of a declared task."""
        waiting = await start_wait(backend, make_process(1), Subscription(queues=("q",)))
        assert await _ensured(backend) == [EnsureResult.ENQUEUED]
        assert (await waiting).jobs

    @promise("EnsureResult", "RUNNING")
    @needs("clock")
    async def test_a_task_that_runs_is_not_enqueued(self, backend: Backend, clock: ManualClock) -> None:
        """As long as it holds its lock, even if an outage keeps its process from renewing its lease."""
        process = await registered(backend)
        await push(backend, job(1))
        await hold(backend, process, await claim_one(backend, process), "workerslock:tick", timeout=1000)
        assert await _ensured(backend) == [EnsureResult.RUNNING]
        for late in (LEASE + 2, 100, 700):
            clock.advance(late)
            assert await _ensured(backend) == [EnsureResult.RUNNING]
        clock.advance(200)
        assert await _ensured(backend) == [EnsureResult.ENQUEUED]

    @promise("EnsureResult", "UNSURE")
    @promise("ensure_periodic", "If a lease expired less than 60 seconds ago, by the backend's clock, nothing is")
    @needs("clock")
    async def test_jobs_that_dead_processes_may_hold_are_waited_for(self, backend: Backend, clock: ManualClock) -> None:
        """The rescued job is then the only copy of the chain."""
        process = await registered(backend)
        await push(backend, job(1))
        await claim_one(backend, process)
        clock.advance(LEASE + 2)
        assert await _ensured(backend) == [EnsureResult.UNSURE]
        assert len(await rescue(backend)) == 1
        assert await _ensured(backend) == [EnsureResult.QUEUED]
        assert await backend.length("q") == 1

    @promise("ensure_periodic", *_THOROUGH)
    @needs("clock")
    async def test_a_lock_is_taken_over_by_a_job_only(self, backend: Backend, clock: ManualClock) -> None:
        """While a dead process may hold the job, the lock stays."""
        await registered(backend)
        await backend.push([Entry("other", job(9), guards=(LOCK,))])
        clock.advance(LEASE + 2)
        assert await _ensured(backend, full_scan=True) == [EnsureResult.UNSURE]
        assert list(await backend.push([Entry("q", job(1), guards=(LOCK,))])) == [False]
        clock.advance(60)
        assert await _ensured(backend, full_scan=True) == [EnsureResult.ENQUEUED]
        assert list(await backend.push([Entry("q", job(1), guards=(LOCK,))])) == [False]

    @pytest.mark.parametrize("number", [1, "one"])
    @promise("ensure_periodic", "A task also counts as queued if its payload, rescued or not, is among the first 100")
    async def test_a_copy_without_a_lock_is_seen(self, backend: Backend, number: object) -> None:
        """A copy that a stop released, after other released jobs."""
        process = await registered(backend)
        await push(backend, job(number), *(job(other) for other in range(1000, 1200)))
        await settle(backend, process, await claim_one(backend, process), Released())
        await backend.push([Entry("q", job(2000 + other), front=True) for other in range(90)])
        assert await _ensured(backend) == [EnsureResult.QUEUED]
        assert await _ensured(backend, periodic("other")) == [EnsureResult.ENQUEUED]

    @promise("EnsureResult", "DELAYED")
    @promise("ensure_periodic", _LATER)
    @needs("clock")
    async def test_a_delayed_copy_is_enough(self, backend: Backend, clock: ManualClock) -> None:
        """Any equivalent payload. A copy that is due but not promoted still counts."""
        now = int(clock.now())
        await schedule(backend, now + 10, job("one"))
        assert await _ensured(backend) == [EnsureResult.DELAYED]
        clock.advance(3600)
        assert await _ensured(backend) == [EnsureResult.DELAYED]
        assert (await _next_due_time(backend), await backend.length("q")) == ([now + 10], 0)

    @promise("EnsureResult", "DELAYED")
    @promise("ensure_periodic", _LATER)
    @needs("clock")
    async def test_a_copy_that_is_delayed_for_too_long_is_replaced(self, backend: Backend, clock: ManualClock) -> None:
        """As when a new version of a program runs a task more often. One copy is left."""
        now = int(clock.now())
        await schedule(backend, now + 12, job("one"))
        await schedule(backend, now + 500, job(1))
        assert await _ensured(backend) == [EnsureResult.DELAYED]
        clock.advance(1000)
        assert [(due_job.at, due_job.raw) for due_job in (await backend.due(10)).jobs] == [(now + 10, job(1))]

    @pytest.mark.parametrize("shared", [False, True])
    @promise("ensure_periodic", *_THOROUGH)
    @promise("EnsureResult", "QUEUED")
    @needs("clock")
    async def test_a_lock_that_was_left_behind_does_not_end_a_chain(
        self, backend: Backend, clock: ManualClock, shared: bool
    ) -> None:
        """A user deleted the job. Only a full scan looks for it, after a minute."""
        lock = attrs.evolve(LOCK, shared=shared)
        task = attrs.evolve(periodic(), guards=(lock,))
        await backend.push([Entry("other", job(1), guards=(lock,))])
        clock.advance(50)
        assert await _ensured(backend, task, full_scan=True) == [EnsureResult.QUEUED]
        clock.advance(20)
        assert await _ensured(backend, task) == [EnsureResult.QUEUED]
        assert await _ensured(backend, task, full_scan=True) == [
            EnsureResult.QUEUED if shared else EnsureResult.ENQUEUED
        ]
        assert await _ensured(backend, task, full_scan=True) == [EnsureResult.QUEUED]

    @promise("ensure_periodic", *_THOROUGH)
    @needs("clock")
    async def test_a_lock_whose_job_waits_for_long_is_kept(self, backend: Backend, clock: ManualClock) -> None:
        """Whatever its position in the queue."""
        await push(backend, *(job(number) for number in range(1000, 1200)))
        assert await _ensured(backend) == [EnsureResult.ENQUEUED]
        clock.advance(600)
        assert await _ensured(backend, full_scan=True) == [EnsureResult.QUEUED]
        assert await backend.length("q") == 201

    @promise("EnsureResult", "WRONG_TYPE")
    @needs("wrong_types")
    async def test_a_damaged_queue_affects_no_other_task(self, backend: Backend) -> None:
        """It takes no lock either."""
        await self.break_queue(backend, "q")
        assert await _ensured(backend, periodic(), periodic("b", queue="other")) == [
            EnsureResult.WRONG_TYPE,
            EnsureResult.ENQUEUED,
        ]
        assert list(await backend.push([Entry("other", job(1), guards=(LOCK,))])) == [True]

    # stopping and restarting

    @promise("stop_periodic", "Stop a task until `restart_periodic` or `resume_periodic`.")
    @promise("stop_periodic", "Return the number of its queued and delayed copies.")
    @promise("stop_periodic", "They are removed, and the locks that its guards name are released, as by")
    @promise("EnsureResult", "STOPPED")
    @promise("StopReason", "ASKED")
    @needs("clock")
    async def test_a_stopped_task_has_no_copies(self, backend: Backend, clock: ManualClock) -> None:
        """All equivalent payloads are removed, and no others."""
        now = int(clock.now())
        await push(backend, job(1), job("one"), job(1), job(2))
        await backend.push([Entry("other", job(3), guards=(LOCK,))])
        await backend.schedule(
            [DelayedJobEntry(now + n, "q", text) for n in (5, 90) for text in (job(1), job(2), job("one"))]
        )
        await backend.declare_periodic([periodic(), periodic("b")], 60)
        assert await backend.stop_periodic(periodic()) == 7
        assert await backend.queued("q") == [job(2)]
        assert await _ensured(backend) == [EnsureResult.STOPPED]
        assert [known.stopped for known in (await backend.declare_periodic()).tasks] == [None, StopReason.ASKED]
        clock.advance(100)
        assert [due_job.raw for due_job in (await backend.due(10)).jobs] == [job(2)] * 2
        assert list(await backend.push([Entry("q", job(1), guards=(LOCK,))])) == [True]
        assert await backend.stop_periodic(periodic()) == 1
        assert await backend.stop_periodic(periodic()) == 0

    @promise("stop_periodic", "They are removed, and the locks that its guards name are released, as by")
    @promise("restart_periodic", "Its queued copies (rescued ones among the first 100) and its delayed copies are")
    async def test_a_rescued_copy_is_removed_too(self, backend: Backend) -> None:
        """It is at the front of its queue, with the mark of the rescue at its end."""
        for verb, marks in product((backend.stop_periodic, backend.restart_periodic), ((), (True,), (True, False))):
            process = await registered(backend)
            await push(backend, job(1), *(job(number) for number in range(1000, 1050)))
            claimed = await claim_one(backend, process)
            for exclusive in marks:
                assert await backend.mark_exclusive(process, claimed, exclusive=exclusive)
            assert len(await rescue(backend)) == 1
            await verb(periodic())
            assert job(1) not in [unmark(text) for text in await backend.queued("q")]
            await backend.delete_queue("q")

    @promise("stop_periodic", "A current run continues and is the last one.")
    async def test_a_running_job_is_not_stopped(self, backend: Backend) -> None:
        """Its process keeps it, with its lock."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await hold(backend, process, claimed, "workerslock:tick")
        assert await backend.stop_periodic(periodic()) == 0
        assert list((await settle(backend, process, claimed)).gone) == []
        assert await _ensured(backend) == [EnsureResult.STOPPED]

    @promise("restart_periodic", "Restart a task, stopped or not, and return the due time of its next run in whole")
    @promise("restart_periodic", "Its queued copies (rescued ones among the first 100) and its delayed copies are")
    @promise("restart_periodic", "The locks that its guards name are released.")
    @promise("restart_periodic", "One copy is delayed by its frequency, as for `NextRun`.")
    @pytest.mark.parametrize("stopped", [False, True])
    @needs("clock")
    async def test_a_task_is_restarted(self, backend: Backend, clock: ManualClock, stopped: bool) -> None:
        """It has one copy, even after several restarts in different seconds."""
        now = int(clock.now())
        if stopped:
            await backend.stop_periodic(periodic())
        await push(backend, job(1), job("one"), job(2))
        await backend.push([Entry("other", job(3), guards=(LOCK,))])
        for n in range(3):
            assert await backend.restart_periodic(periodic()) == now + n + 10
            clock.advance(1)
        assert await _ensured(backend) == [EnsureResult.DELAYED]
        assert await backend.queued("q") == [job(2)]
        assert list(await backend.push([Entry("q", job(5), guards=(LOCK,))])) == [True]
        clock.advance(100)
        assert [(due_job.at, due_job.raw) for due_job in (await backend.due(10)).jobs] == [(now + 12, job(1))]

    @promise("resume_periodic", "End the stop of these tasks, and return how many were stopped.")
    @promise("resume_periodic", "With *failed*, only tasks that a failure stopped are resumed.")
    async def test_a_task_is_resumed(self, backend: Backend) -> None:
        """Only these tasks. A task that a user stopped stays so when a program starts."""
        for name in ("a", "b"):
            await backend.stop_periodic(periodic(name))
        assert await backend.resume_periodic(["a", "b", "c"], failed=True) == 0
        assert await backend.resume_periodic(["b", "c"]) == 1
        assert await backend.resume_periodic(["b"]) == 0
        assert await backend.resume_periodic([]) == 0
        assert await _ensured(backend, periodic("a"), periodic("b")) == [EnsureResult.STOPPED, EnsureResult.ENQUEUED]
