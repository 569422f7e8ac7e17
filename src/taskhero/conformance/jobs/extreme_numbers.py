"""The smallest and the largest number of each kind that a verb accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero._internal.bounds import LATEST, LONGEST, MOST
from taskhero.backends.protocol import (
    DelayedJobEntry,
    DueJob,
    EnsureResult,
    Entry,
    Failed,
    HeldLock,
    Lease,
    LockSpec,
    NextRun,
    PostponedByPlugin,
    Preparation,
    Prepared,
    PromoteResult,
    PromotionTarget,
    QueueLockGuard,
    Removal,
    Retried,
    ScheduleResult,
    Settlement,
    Succeeded,
)
from taskhero.backends.records.inspection import FailedEntry, FailedRetry, RetryResult
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.schedulers.periodic_chains import periodic
from taskhero.conformance.steps import (
    claim,
    claim_one,
    due,
    free_locks,
    job,
    make_process,
    now_of,
    payloads_of,
    push,
    registered,
    schedule,
    send_heartbeat,
)
from taskhero.conformance.suite import Suite
from taskhero.errors import InvalidMoment

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, Disposition
    from taskhero.clock import ManualClock

__all__ = ["ExtremeNumbers"]

_REFUSED = "Records reject numbers that are out of bounds (`taskhero._internal.bounds`)."
_WHOLE = "A step with any other number happens completely."

_timeouts = pytest.mark.parametrize("timeout", [1, LONGEST], ids=["shortest", "longest"])
_delays = pytest.mark.parametrize("delay", [0, 1e-6, 0.5, LONGEST], ids=["none", "tiny", "half", "longest"])
_counts = pytest.mark.parametrize("count", [1, MOST], ids=["one", "most"])

RECORDS: dict[str, Callable[[float], object]] = {
    "QueueLockGuard.timeout": lambda number: QueueLockGuard("lock:a", number),  # type: ignore[arg-type]
    "LockSpec.timeout": lambda number: LockSpec("work:a", number),  # type: ignore[arg-type]
    "DelayedJobEntry.at": lambda number: DelayedJobEntry(number, "q", job(1)),
    "DelayedJobEntry.delay": lambda number: DelayedJobEntry(None, "q", job(1), delay=number),
    "PostponedByPlugin.delay": PostponedByPlugin,
    "Retried.limit": lambda number: Retried("no", "retry:a", number, (1.0,)),  # type: ignore[arg-type]
    "Retried.delays": lambda number: Retried("no", "retry:a", 3, (1.0, number)),
    "NextRun.frequency": lambda number: NextRun("tick", job(1), (job(1),), number),
    "PeriodicTask.frequency": lambda number: attrs.evolve(periodic(), frequency=number),
}


class ExtremeNumbers(Suite):
    """Numbers at their bounds: the whole step succeeds."""

    @promise("all", _REFUSED)
    @pytest.mark.parametrize(
        "number",
        [-1, -0.5, float("nan"), float("inf"), 1e17, 10**5000, True, "1"],
        ids=["negative", "half", "nan", "inf", "huge", "10**5000", "bool", "text"],
    )
    @pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
    async def test_no_backend_is_given_a_number_out_of_its_bounds(
        self, backend: Backend, record: Callable[[float], object], number: float
    ) -> None:
        """So no backend has to check. The message names the field."""
        assert backend.location
        with pytest.raises(InvalidMoment, match=r"pass an? (int|number) from"):
            record(number)

    @promise("all", _WHOLE)
    @_timeouts
    @needs("clock")
    async def test_a_lock_of_a_queued_job_is_held_for_any_time(
        self, backend: Backend, clock: ManualClock, timeout: int
    ) -> None:
        """A push, a promotion and a retry of a failed job take it."""
        now = await now_of(backend)
        guards = [(QueueLockGuard(f"lock:{name}", timeout),) for name in "abcd"]
        assert list(await backend.push([Entry("q", job(1), guards=guards[0])])) == [True]
        assert list(await backend.schedule([DelayedJobEntry(0, "q", job(2), guards=guards[1])])) == [
            ScheduleResult.QUEUED
        ]
        await schedule(backend, now + 1, job(3))
        process = await registered(backend)
        failed = await claim_one(backend, process)
        await backend.settle_and_claim(process, [Settlement(failed, Failed("no"))], (), ())
        clock.advance(1)
        assert list(await backend.promote([PromotionTarget(DueJob(now + 1, job(3)), "q", guards[2])])) == [
            PromoteResult.QUEUED
        ]
        retry = FailedRetry(FailedEntry("no"), Entry("q", job(1), guards=guards[3]))
        assert list(await backend.retry_failed([retry])) == [RetryResult.STORED]
        assert await backend.queued("q") == [job(2), job(3), job(1)]
        assert list(await backend.push([Entry("q", job(4), guards=guards[3])])) == [False]

    @promise("all", _WHOLE)
    @_timeouts
    async def test_a_running_job_holds_its_lock_for_any_time(self, backend: Backend, timeout: int) -> None:
        """It is taken, renewed and released."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        lock = LockSpec("work:a", timeout)
        assert list(await backend.prepare(process, [Preparation(claimed, hold=(lock,))])) == [Prepared()]
        assert (await send_heartbeat(backend, process, locks=[HeldLock(claimed, lock)])).lost == ()
        await backend.settle_and_claim(process, [Settlement(claimed, Succeeded(), release=("work:a",))], (), ())
        assert await free_locks(backend, "work:a") == ["work:a"]

    @promise("all", _WHOLE)
    @_delays
    @pytest.mark.parametrize("kind", ["postponed", "retried"])
    async def test_a_job_that_ended_is_delayed_by_any_time(self, backend: Backend, kind: str, delay: float) -> None:
        """It is delayed once and its claim ends. The rest of the batch is recorded."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        first, second = await claim(backend, process, (1, 2))
        retried = Retried("no", "retry:a", MOST, (delay,))
        disposition: Disposition = PostponedByPlugin(delay) if kind == "postponed" else retried
        answer = await backend.settle_and_claim(
            process, [Settlement(first, disposition), Settlement(second, Succeeded())], (), ()
        )
        assert (list(answer.gone), list(answer.unsettled)) == ([], [])
        assert list((await backend.claims(process)).claims) == []
        ((_, count),) = await backend.due_times()
        assert count == 1
        (prepared,) = await self._count(backend)
        assert prepared == (None if kind == "postponed" else 0)

    async def _count(self, backend: Backend) -> list[int | None]:
        """Return the value of the counter of attempts."""
        process = make_process(2, ("counting",))
        await backend.register(process, (1,), 60)
        await push(backend, job(1), queue="counting")
        claimed = await claim_one(backend, process, queue="counting")
        return [found.count for found in await backend.prepare(process, [Preparation(claimed, counter="retry:a")])]

    @promise("all", _WHOLE)
    @_delays
    async def test_a_new_job_is_delayed_by_any_time(self, backend: Backend, delay: float) -> None:
        """A delay of 0 means now."""
        (answer,) = await backend.schedule([DelayedJobEntry(None, "q", job(1), delay=delay)])
        assert answer == (ScheduleResult.DELAYED if delay else ScheduleResult.QUEUED)
        assert [count for _, count in await backend.due_times()] == ([1] if delay else [])

    @promise("all", _WHOLE)
    async def test_a_job_is_delayed_to_any_second(self, backend: Backend) -> None:
        """The first one, the last before the year 5000, and milliseconds that another program took for seconds."""
        entries = [DelayedJobEntry(at, "q", job(1)) for at in (0, LATEST - 1, 4_102_444_800_000)]
        assert list(await backend.schedule(entries)) == [
            ScheduleResult.QUEUED,
            ScheduleResult.DELAYED,
            ScheduleResult.DELAYED,
        ]
        assert list(await backend.due_times()) == [(LATEST - 1, 1), (4_102_444_800_000, 1)]

    @promise("all", _WHOLE)
    @pytest.mark.parametrize("frequency", [1e-9, LONGEST], ids=["tiny", "longest"])
    async def test_a_periodic_task_has_any_frequency(self, backend: Backend, frequency: float) -> None:
        """One copy is delayed after its end and after a restart. A missing copy is enqueued."""
        task = attrs.evolve(periodic("b"), frequency=frequency)
        assert list(await backend.ensure_periodic([task])) == [EnsureResult.ENQUEUED]
        process = await registered(backend)
        claimed = await claim_one(backend, process)
        next_run = NextRun("b", task.raw, task.equivalent_payloads, frequency)
        answer = await backend.settle_and_claim(process, [Settlement(claimed, Succeeded(), next_run=next_run)], (), ())
        assert [count for _, count in await backend.due_times()] == [1]
        assert len(answer.next_runs) == 1
        assert await backend.restart_periodic(task) is not None
        assert [count for _, count in await backend.due_times()] == [1]
        assert list(await backend.ensure_periodic([task])) == [EnsureResult.DELAYED]

    @promise("all", _WHOLE)
    @_counts
    async def test_any_number_is_asked_for(self, backend: Backend, count: int) -> None:
        """Of due jobs, rescued jobs, delayed jobs and jobs to remove."""
        await push(backend, job(1), job(1), job(2))
        process = await registered(backend)
        assert len(await due(backend, count)) == 0
        assert list(await backend.rescue([], count)) == []
        gone = Lease(make_process(2).name, "1", 1.0)
        assert list(await backend.rescue([gone], count)) == []
        assert len((await backend.search_delayed(limit=count)).entries) == 0
        found = await backend.remove("q", [Removal(job(2)), Removal(job(1), -count), Removal(job(1), count)])
        assert list(found) == ([1, 1, 1] if count == 1 else [1, 2, 0])
        assert payloads_of(await claim(backend, process)) == []

    @promise("all", _WHOLE)
    @pytest.mark.parametrize("lease", [1e-9, LONGEST], ids=["shortest", "longest"])
    async def test_a_lease_has_any_length(self, backend: Backend, lease: float) -> None:
        """The lease of a process, and the leader's."""
        process = make_process()
        await backend.register(process, (1,), lease)
        assert (await send_heartbeat(backend, process)).missing == ()
        await backend.deregister(process)
        assert await backend.lead("me", lease)
        assert await backend.lead("me", 60)
