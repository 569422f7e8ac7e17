"""Moving delayed jobs to their queues when their moment has come."""

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
from taskhero.runtime.execution.failure_report import describe
from taskhero.wire.failures import encode_failure
from taskhero.wire.jobs import decode_job, equivalent_payloads, payload_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, DueJob, DueReply, Guard
    from taskhero.events import Emitter
    from taskhero.models import Job

__all__ = ["Promoter"]

#: So many jobs are promoted in one step of the backend.
BATCH = 100
#: So many jobs that cannot be promoted are looked past, to get at those behind them.
MAX_TRACKED_MISSES = 10_000
#: So often a job may be missed before that is told.
MISSES_BEFORE_REPORT = 3
#: Seconds between two looks while another program's scheduler promotes: its end is seen well within a second.
YIELD_INTERVAL = 0.5


@attrs.define
class _Missed:
    """A job that was shown as due and yet could not be promoted, so often; it is tried again at *again*."""

    times: int
    again: float


class Promoter:
    """Promotes due jobs in order, a batch at a time.

    Args:
        backend: Where the jobs are delayed.
        emitter: Is told what happens.
        owner: The scheduler's name.
        guards: Tells what must hold for a job to be queued; a job for which it raises is put into the failures.
        timeout: Seconds between two looks at most.
        clock: Tells seconds that only ever grow.
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
        # The key and the holder of the lock that stops the promotion, and those of one that is dead.
        self._yielded: tuple[str, str] | None = None
        self._dead: tuple[str, str] | None = None
        self._timestamp: int | None = None

    async def step(self) -> float:
        """Promote one batch of what is due.

        Returns:
            Seconds until there may be more to do: 0 if there may be at once.

        Raises:
            BackendError: The backend could not do it; what was promoted stays promoted.
        """
        self._emitter.emit(SchedulerPoll(self._owner))
        limit = BATCH + min(len(self._missed), MAX_TRACKED_MISSES)
        due = await self._backend.due(limit)
        self._note_foreign(due)
        if due.yielded:
            return min(YIELD_INTERVAL, self._timeout)
        self._forget(due.jobs, limit)
        now = self._clock()
        jobs = [job for job in due.jobs if job not in self._missed or self._missed[job].again <= now][:BATCH]
        if not jobs:
            return self._until_next(due)
        moves = [self._move(job, due.now) for job in jobs]
        for move, became in zip(moves, await self._promote(moves), strict=True):
            self._emit(move, became)
        return 0.0

    async def _promote(self, moves: Sequence[PromotionTarget]) -> Sequence[str]:
        try:
            return await self._backend.promote(moves)
        except BackendRefused:
            # It is about one of them: find out which, and let the others go.
            if len(moves) == 1:
                return [PromoteResult.MISSED]
            half = len(moves) // 2
            return [*await self._promote(moves[:half]), *await self._promote(moves[half:])]

    # where a job goes

    def _move(self, due: DueJob, now: float) -> PromotionTarget:
        queue = payload_queue(due.raw)
        job = decode_job(due.raw, queue or "")
        if job.problem is not None:
            return self._failure(due, queue, Undecodable(f"the delayed entry is no job: {job.problem}"), now)
        if queue is None:
            error = InvalidQueueName(
                f"the delayed job {job.name!r} names no queue, so it cannot be put into one; "
                "enqueue it again with a queue"
            )
            return self._failure(due, queue, error, now)
        try:
            # Other copies that are delayed still do not matter: this one's time has come.
            guards = tuple(guard for guard in self._guards(job) if isinstance(guard, QueueLockGuard))
        except Exception as error:  # noqa: BLE001 - a plugin's bug is this job's, not that of all behind it
            self._emitter.emit(SchedulerError(self._owner, error))
            return self._failure(due, queue, error, now)
        return PromotionTarget(
            due, queue, guards, equivalent_payloads=equivalent_payloads(job.name, job.args, queue) if guards else ()
        )

    def _failure(self, due: DueJob, queue: str | None, error: Exception, now: float) -> PromotionTarget:
        words = describe(error)
        entry = encode_failure(
            raw=due.raw,
            queue=queue or "",
            worker=self._owner,
            exception=words.exception,
            error=words.error,
            backtrace=words.backtrace,
            failed_at=now,
        )
        return PromotionTarget(due, None, failure=entry)

    # what became of it

    def _emit(self, move: PromotionTarget, became: str) -> None:
        due = move.job
        if became in {PromoteResult.MISSED, PromoteResult.HELD}:
            self._note_missed(move, held=became == PromoteResult.HELD)
            return
        self._missed.pop(due, None)
        if due.at != self._timestamp:
            self._timestamp = due.at
            self._emitter.emit(SchedulerWorkingTimestamp(self._owner, due.at))
        queue = move.queue or ""
        if became == PromoteResult.QUEUED and self._emitter.wants(SchedulerTransferredJob):
            self._emitter.emit(SchedulerTransferredJob(self._owner, due.at, queue, decode_job(due.raw, queue)))
        elif became == PromoteResult.MERGED:
            self._emitter.emit(SchedulerMerged(self._owner, due.at, queue, decode_job(due.raw, queue)))
        elif became == PromoteResult.FAILED:
            text = f"a delayed entry could not be queued and stands in the failures: {due.raw[:200]}"
            self._emitter.emit(SchedulerError(self._owner, BackendError(text)))

    def _note_missed(self, move: PromotionTarget, *, held: bool) -> None:
        """Somebody else was faster, its lock is *held*, or it cannot be done, which shows when it is shown again."""
        missed = self._missed.setdefault(move.job, _Missed(0, 0.0))
        missed.times += 1
        if missed.times > 1:
            missed.again = self._clock() + min(0.25 * 2 ** min(missed.times, 20), self._timeout)
        if missed.times == MISSES_BEFORE_REPORT and not held:
            where = f"into queue {move.queue!r}" if move.queue is not None else "into the failures"
            text = (
                f"a job that is due since {move.job.at} could not be put {where} in {MISSES_BEFORE_REPORT} attempts; "
                "it stays "
                f"delayed and is tried again, others go on: {move.job.raw[:200]}"
            )
            self._emitter.emit(SchedulerError(self._owner, BackendError(text)))

    def _forget(self, shown: Sequence[DueJob], limit: int) -> None:
        """Forget those of the missed that are not due any more: somebody else promoted them."""
        if not self._missed:
            return
        jobs = set(shown)
        beyond = shown[-1].at if len(shown) >= limit else math.inf
        self._missed = {job: missed for job, missed in self._missed.items() if job in jobs or job.at >= beyond}

    def _note_foreign(self, due: DueReply) -> None:
        """Tell when another program's scheduler begins to stop the promotion, and when its lock counts as dead."""
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
                "that scheduler is gone; if it lives, let the app have Settings(ignore_dead_master_lock=False)"
            )
            self._emitter.emit(SchedulerError(self._owner, BackendError(text)))
        self._dead = dead

    def _until_next(self, due: DueReply) -> float:
        if due.jobs:
            # All that is shown must wait. What comes next is not known, but moments are whole seconds.
            return min(math.floor(due.now) + 1 - due.now + 0.001, self._timeout)
        if due.next_at is None:
            return self._timeout
        if due.next_at <= due.now:
            return min(1.0, self._timeout)
        return min(due.next_at - due.now + 0.001, self._timeout)
