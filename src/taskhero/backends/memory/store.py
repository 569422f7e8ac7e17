"""Hold all jobs, and record how they ended."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from taskhero.backends.memory.delayed_store import DelayedMeanings, DelayedStore
from taskhero.backends.memory.locks import ExpiringMap, LockStore, owner_of
from taskhero.backends.memory.periodic_store import PeriodicStore
from taskhero.backends.memory.queue_store import QueueStore
from taskhero.backends.memory.wakeup_queue import WakeupQueue
from taskhero.backends.protocol import (
    DueJob,
    Failed,
    NotDelayed,
    PostponedByPlugin,
    PromoteResult,
    QueueLockGuard,
    Released,
    Retried,
    Succeeded,
)
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.memory.process_table import RegisteredProcess
    from taskhero.backends.protocol import (
        Claim,
        DelayedJobEntry,
        Disposition,
        Guard,
        PromotionTarget,
        Removal,
        Settlement,
    )

__all__ = ["Store", "due_second", "due_time"]

#: Seconds for which a counter of attempts outlives the delay before the next attempt (one day).
_COUNTER_LIFETIME = 86400


def due_time(now: float, delay: float) -> int:
    """Return the first whole second at or after *now* + *delay*, computed in microseconds."""
    microseconds = round(now * 1_000_000) + math.ceil(delay * 1_000_000 - 1e-3)
    return -(-microseconds // 1_000_000)


def due_second(entry: DelayedJobEntry, now: float) -> int | None:
    """Return the due time of an entry in whole seconds, or None if it is not in the future."""
    if entry.delay is not None:
        at = due_time(now, entry.delay) if entry.delay > 0 else 0
    else:
        at = math.ceil(entry.at) if entry.at is not None and entry.at > now else 0
    return at if at > int(now) else None


class Store:
    """All jobs, locks and counters, and the small steps that several verbs share.

    Each argument replaces a part. Without it, the part is a new one of the usual class.

    Args:
        wakeups: The processes that wait for jobs.
        queues: The queues. They must signal *wakeups*.
        schedule: The delayed jobs.
        meanings: The meanings of the jobs in *schedule*.
        locks: The locks of queued and of running jobs.
        attempts: The counters of attempts.
        last_errors: The last errors of retried jobs.

    Attributes:
        guard: A mutex for leases, claims and locks, because heartbeats come from threads.
        failures: The entries of the failed list, the oldest first.
        counters: The counters of processed and failed jobs, by name.
        periodic: The declared periodic tasks.
    """

    def __init__(
        self,
        *,
        wakeups: WakeupQueue | None = None,
        queues: QueueStore | None = None,
        schedule: DelayedStore | None = None,
        meanings: DelayedMeanings | None = None,
        locks: LockStore | None = None,
        attempts: ExpiringMap[int] | None = None,
        last_errors: ExpiringMap[str] | None = None,
    ) -> None:
        self.guard = threading.Lock()
        self.wakeups = WakeupQueue() if wakeups is None else wakeups
        self.queues = QueueStore(self.wakeups) if queues is None else queues
        self.schedule = DelayedStore() if schedule is None else schedule
        self.meanings = DelayedMeanings(self.schedule) if meanings is None else meanings
        self.locks = LockStore() if locks is None else locks
        self.attempts: ExpiringMap[int] = ExpiringMap() if attempts is None else attempts
        self.last_errors: ExpiringMap[str] = ExpiringMap() if last_errors is None else last_errors
        self.failures: list[str] = []
        self.counters: dict[str, int] = {}
        self.periodic = PeriodicStore(self.queues, self.schedule, self.wakeups)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        self.counters[name] = self.counters.get(name, 0) + by

    def forget_counts(self, worker: str) -> None:
        """Delete the counters of one worker."""
        self.counters.pop(f"processed:{worker}", None)
        self.counters.pop(f"failed:{worker}", None)

    def delay(self, at: int, raw: str, meaning: str | None = None) -> None:
        """Delay a payload until *at*. Signal the schedule if that is the earliest due time."""
        if meaning is not None:
            self.meanings.add(meaning, DueJob(at, raw))
        if self.schedule.add(at, raw):
            self.wakeups.signal_schedule()

    def acquire(
        self, guards: Sequence[Guard], now: float, *, moving: DueJob | None = None, force: bool = False
    ) -> Guard | None:
        """Acquire all locks of the guards if every guard holds. Otherwise return the first one that does not.

        Args:
            guards: The conditions.
            now: The time in unix seconds.
            moving: The delayed job that is promoted. It does not count as delayed.
            force: Whether to acquire locks that are held, except shared ones.
        """
        if not guards:
            return None
        with self.guard:
            for guard in guards:
                if isinstance(guard, NotDelayed):
                    holds = not any(self._delayed(payload, moving) for payload in guard.equivalent_payloads)
                    holds = holds and not self.meanings.delayed(guard.meaning) - {moving}
                else:
                    holds = (force and not guard.shared) or self.locks.get(guard.key, now) is None
                if not holds:
                    return guard
            for guard in guards:
                if isinstance(guard, QueueLockGuard):
                    self.locks.take(guard.key, None, now + guard.timeout, now)
        return None

    def _delayed(self, raw: str, moving: DueJob | None) -> bool:
        due_times = self.schedule.due_times(raw)
        return any(moving is None or (at, raw) != (moving.at, moving.raw) for at in due_times)

    def acquire_or_merge(self, move: PromotionTarget, queue: str, now: float) -> PromoteResult:
        """Acquire the locks of a due job, also stale ones. Return what happens to it."""
        failed_guard = self.acquire(move.guards, now, moving=move.job)
        if failed_guard is None:
            return PromoteResult.QUEUED
        waiting = self.queues.payloads.get(queue, ())
        if isinstance(failed_guard, NotDelayed) or any(
            payload in waiting for payload in (move.job.raw, *move.equivalent_payloads)
        ):
            return PromoteResult.MERGED
        failed_guard = self.acquire(move.guards, now, moving=move.job, force=True)
        if failed_guard is None:
            return PromoteResult.QUEUED
        return PromoteResult.MERGED if isinstance(failed_guard, NotDelayed) else PromoteResult.HELD

    def remove(self, queue: str, removal: Removal) -> int:
        """Remove entries from a queue. With the last one, free the locks of the removal."""
        removed = self.queues.remove(queue, removal.raw, removal.count)
        if removed and removal.release and removal.raw not in self.queues.payloads[queue]:
            with self.guard:
                self.locks.free(removal.release)
        return removed

    def forget(self, names: Iterable[str]) -> None:
        """Delete counters of attempts and their last errors."""
        for name in names:
            self.attempts.delete(name)
            self.last_errors.delete(name)

    # settlements

    def settle(
        self, registered: RegisteredProcess | None, settlements: Sequence[Settlement], now: float
    ) -> tuple[list[Claim], list[tuple[Claim, int]], list[tuple[Claim, int]]]:
        """Record settlements. Return lost claims, the attempts of retried jobs, and the due times of next runs."""
        gone: list[Claim] = []
        attempts: list[tuple[Claim, int]] = []
        next_runs: list[tuple[Claim, int]] = []
        succeeded = 0
        for settlement in settlements:
            claim, disposition = settlement.claim, settlement.disposition
            if registered is None or not registered.holds(claim):
                gone.append(claim)
                self._release(registered, settlement, now)
                continue
            worker = registered.process.worker(claim.slot)
            attempt = None
            if type(disposition) is Succeeded:
                succeeded += 1
                self.count(f"processed:{worker}")
            else:
                attempt = self._apply(registered.held[claim.slot][0], disposition, worker, now)
                if attempt:
                    attempts.append((claim, attempt))
            self._release(registered, settlement, now)
            if settlement.forget:
                self.forget(settlement.forget)
            if (
                settlement.next_run is not None
                and not attempt
                and not isinstance(disposition, (Released, PostponedByPlugin))
            ):
                at = self.periodic.delay_next_run(
                    settlement.next_run, now, failed=isinstance(disposition, (Failed, Retried))
                )
                if at is not None:
                    next_runs.append((claim, at))
            registered.release(claim.slot)
        if succeeded:
            self.count("processed", succeeded)
        return gone, attempts, next_runs

    def _release(self, registered: RegisteredProcess | None, settlement: Settlement, now: float) -> None:
        if registered is not None and settlement.release:
            self.locks.release(settlement.release, owner_of(registered.process, settlement.claim), now)

    def _apply(self, claim: Claim, disposition: Disposition, worker: str, now: float) -> int | None:
        if isinstance(disposition, Failed):
            self.fail(disposition.entry, worker)
        elif isinstance(disposition, PostponedByPlugin):
            self.delay(
                due_time(now, disposition.delay),
                claim.raw if disposition.raw is None else disposition.raw,
                disposition.meaning,
            )
        elif isinstance(disposition, Released):
            self.queues.release(claim.queue, claim.raw if disposition.raw is None else disposition.raw)
        elif isinstance(disposition, Retried):
            return self._retry(claim, disposition, worker, now)
        return None

    def fail(self, entry: str, worker: str | None = None) -> None:
        """Append an entry to the failed list, and count it."""
        self.failures.append(entry)
        self._count_failure(worker)

    def remove_failed(self, entry: str) -> bool:
        """Remove the latest failed entry with these bytes. Return False if there is none."""
        for position in range(len(self.failures) - 1, -1, -1):
            if self.failures[position] == entry:
                del self.failures[position]
                return True
        return False

    def _count_failure(self, worker: str | None) -> None:
        self.count("failed")
        if worker is not None:
            self.count(f"failed:{worker}")

    def _retry(self, claim: Claim, disposition: Retried, worker: str, now: float) -> int | None:
        before = self.attempts.get(disposition.counter, now)
        count = 0 if before is None else before + 1
        attempt = count + 1
        if attempt >= disposition.limit:
            self.fail(disposition.entry, worker)
            self.attempts.delete(disposition.counter)
            if disposition.last_error is not None:
                self.last_errors.delete(disposition.last_error[0])
            return None
        delay = disposition.delays[min(attempt, len(disposition.delays)) - 1] if disposition.delays else 0.0
        self.delay(
            due_time(now, delay), unmark(claim.raw) if disposition.raw is None else disposition.raw, disposition.meaning
        )
        until = now + delay + _COUNTER_LIFETIME
        self.attempts.set(disposition.counter, count, until=until, now=now)
        if disposition.last_error is not None:
            self.last_errors.set(*disposition.last_error, until=until, now=now)
        self._count_failure(worker)
        return attempt
