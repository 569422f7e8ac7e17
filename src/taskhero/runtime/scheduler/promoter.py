"""Move delayed jobs to their queues when they are due."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import PromoteResult, PromotionTarget, QueueLockGuard
from taskhero.engine.time.instants import to_datetime
from taskhero.errors import BackendError, BackendRefused, InvalidQueueName, Undecodable
from taskhero.events import (
    SchedulerError,
    SchedulerMerged,
    SchedulerPoll,
    SchedulerTransferredJob,
    SchedulerWorkingTimestamp,
    SchedulerYielded,
)
from taskhero.runtime.execution.failure_report import failure_entry
from taskhero.wire.jobs import decode_job, equivalent_payloads, payload_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, DueJob, DueReply, Guard
    from taskhero.events import Emitter
    from taskhero.models import Job

__all__ = ["Promoter"]

#: Number of jobs that one step of the backend promotes.
BATCH = 100
#: Maximum number of jobs that could not be promoted and that a step reads past.
MAX_TRACKED_MISSES = 10_000
#: Number of misses of a job before it is reported.
MISSES_BEFORE_REPORT = 3
#: Seconds between two polls while another program's scheduler promotes: its end is noticed within 0.5 s.
YIELD_INTERVAL = 0.5


@attrs.define
class _Missed:
    """A due job that could not be promoted.

    Attributes:
        times: Number of attempts.
        retry_at: Time of the next attempt, by the monotonic clock.
    """

    times: int
    retry_at: float


class Promoter:
    """Promotes due jobs in order, in batches.

    Args:
        backend: The store of jobs.
        emitter: Receives the events.
        owner: The scheduler's name.
        guards: Returns the conditions on queueing a job. If it raises, the job goes to the failed list.
        timeout: Maximum number of seconds between two polls.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        emitter: Emitter,
        owner: str,
        guards: Callable[[Job], tuple[Guard, ...]],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._emitter = emitter
        self._owner = owner
        self._guards = guards
        self._timeout = timeout
        self._clock = clock
        self._missed: dict[DueJob, _Missed] = {}
        # Key and holder of another scheduler's lock that stops the promotion, and of one that is dead.
        self._yielded: tuple[str, str] | None = None
        self._dead: tuple[str, str] | None = None
        self._timestamp: int | None = None

    async def step(self) -> float:
        """Promote one batch of due jobs.

        Returns:
            Seconds until more jobs may be due; 0 if more may be due now.

        Raises:
            BackendError: The backend failed. Jobs that it has promoted stay promoted.
        """
        self._emitter.emit(SchedulerPoll(self._owner))
        limit = BATCH + min(len(self._missed), MAX_TRACKED_MISSES)
        due = await self._backend.due(limit)
        self._note_foreign(due)
        if due.yielded:
            return min(YIELD_INTERVAL, self._timeout)
        self._forget(due.jobs, limit)
        now = self._clock()
        jobs = [job for job in due.jobs if job not in self._missed or self._missed[job].retry_at <= now][:BATCH]
        if not jobs:
            return self._until_next(due)
        targets = [self._target_of(job, due.now) for job in jobs]
        for target, result in zip(targets, await self._promote(targets), strict=True):
            self._emit(target, result)
        return 0.0

    async def _promote(self, targets: Sequence[PromotionTarget]) -> Sequence[PromoteResult]:
        try:
            return await self._backend.promote(targets)
        except BackendRefused:
            # One of the jobs causes the error: bisect, so that the others are promoted.
            if len(targets) == 1:
                return [PromoteResult.MISSED]
            half = len(targets) // 2
            return [*await self._promote(targets[:half]), *await self._promote(targets[half:])]

    # the target of a job

    def _target_of(self, due: DueJob, now: float) -> PromotionTarget:
        queue = payload_queue(due.raw)
        job = decode_job(due.raw, queue or "")
        if job.problem is not None:
            return self._failure(due, queue, Undecodable(f"the delayed entry is not a job: {job.problem}"), now)
        if queue is None:
            error = InvalidQueueName(
                f"the delayed job {job.name!r} does not name a queue, so it cannot be promoted; "
                "enqueue it again with a queue"
            )
            return self._failure(due, queue, error, now)
        try:
            # Guards against delayed copies do not apply any more: this copy is due.
            guards = tuple(guard for guard in self._guards(job) if isinstance(guard, QueueLockGuard))
        except Exception as error:  # noqa: BLE001 - an error of a plugin must not stop the jobs after this one
            self._emitter.emit(SchedulerError(self._owner, error))
            return self._failure(due, queue, error, now)
        return PromotionTarget(
            due, queue, guards, equivalent_payloads=equivalent_payloads(job.name, job.args, queue) if guards else ()
        )

    def _failure(self, due: DueJob, queue: str | None, error: Exception, now: float) -> PromotionTarget:
        entry = failure_entry(error, raw=due.raw, queue=queue or "", worker=self._owner, failed_at=now)
        return PromotionTarget(due, None, failure=entry)

    # results

    def _emit(self, target: PromotionTarget, result: PromoteResult) -> None:
        due = target.job
        if result in {PromoteResult.MISSED, PromoteResult.HELD}:
            self._note_missed(target, held=result == PromoteResult.HELD)
            return
        self._missed.pop(due, None)
        if due.at != self._timestamp:
            self._timestamp = due.at
            self._emitter.emit(SchedulerWorkingTimestamp(self._owner, due.at))
        queue = target.queue or ""
        if result == PromoteResult.QUEUED and self._emitter.wants(SchedulerTransferredJob):
            self._emitter.emit(SchedulerTransferredJob(self._owner, due.at, queue, decode_job(due.raw, queue)))
        elif result == PromoteResult.MERGED:
            self._emitter.emit(SchedulerMerged(self._owner, due.at, queue, decode_job(due.raw, queue)))
        elif result == PromoteResult.FAILED:
            text = f"a delayed entry could not be queued and was moved to the failed list: {due.raw[:200]}"
            self._emitter.emit(SchedulerError(self._owner, BackendError(text)))

    def _note_missed(self, target: PromotionTarget, *, held: bool) -> None:
        """Count a miss, and report the job at the third one unless its lock is *held*.

        The first miss usually means that another scheduler promoted the job. If it is due again, it cannot be promoted.
        """
        missed = self._missed.setdefault(target.job, _Missed(0, 0.0))
        missed.times += 1
        if missed.times > 1:
            missed.retry_at = self._clock() + min(0.25 * 2 ** min(missed.times, 20), self._timeout)
        if missed.times == MISSES_BEFORE_REPORT and not held:
            where = f"to queue {target.queue!r}" if target.queue is not None else "to the failed list"
            text = (
                f"a job with due time {target.job.at} could not be moved {where} in {MISSES_BEFORE_REPORT} attempts; "
                "it stays delayed and is attempted again, other jobs are not affected; check the type of that key: "
                f"{target.job.raw[:200]}"
            )
            self._emitter.emit(SchedulerError(self._owner, BackendError(text)))

    def _forget(self, due: Sequence[DueJob], limit: int) -> None:
        """Forget missed jobs that are not due any more: another scheduler has promoted them."""
        if not self._missed:
            return
        jobs = set(due)
        beyond = due[-1].at if len(due) >= limit else math.inf
        self._missed = {job: missed for job, missed in self._missed.items() if job in jobs or job.at >= beyond}

    def _note_foreign(self, due: DueReply) -> None:
        """Emit an event when another program's lock begins to stop the promotion, and when it counts as dead."""
        lock = due.foreign
        stopped_by = (lock.key, lock.holder) if lock is not None else ("", "")
        if due.yielded and self._yielded != stopped_by:
            self._missed.clear()
            since = to_datetime(lock.since) if lock is not None and lock.since is not None else None
            self._emitter.emit(SchedulerYielded(self._owner, *stopped_by, since))
        self._yielded = stopped_by if due.yielded else None
        dead = stopped_by if lock is not None and lock.dead else None
        if dead is not None and self._dead != dead:
            text = (
                f"the lock {stopped_by[0]!r} of another program's scheduler, {stopped_by[1]!r}, has no lifetime and "
                "did not change for 10 minutes. It counts as dead: delayed jobs are promoted here. Delete the lock if "
                "that scheduler has ended; if it runs, pass Settings(ignore_dead_master_lock=False)"
            )
            self._emitter.emit(SchedulerError(self._owner, BackendError(text)))
        self._dead = dead

    def _until_next(self, due: DueReply) -> float:
        if due.jobs:
            # All returned jobs wait for their retry. The next due time is unknown, but it is a whole second.
            return min(math.floor(due.now) + 1 - due.now + 0.001, self._timeout)
        if due.next_at is None:
            return self._timeout
        if due.next_at <= due.now:
            return min(1.0, self._timeout)
        return min(due.next_at - due.now + 0.001, self._timeout)
