"""Recording how jobs ended."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from taskhero.backends.memory.delayed_store import DelayedStore
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

#: A counter of attempts outlives the wait for the next attempt by a day.
_COUNTER_LIFE = 86400


def due_time(now: float, delay: float) -> int:
    """The first whole second that is not before *delay* seconds from *now*; counted in microseconds."""
    microseconds = round(now * 1_000_000) + math.ceil(delay * 1_000_000 - 1e-3)
    return -(-microseconds // 1_000_000)


def due_second(entry: DelayedJobEntry, now: float) -> int | None:
    """The whole second in which an entry is due, or None if that is not in the future."""
    if entry.delay is not None:
        at = due_time(now, entry.delay) if entry.delay > 0 else 0
    else:
        at = math.ceil(entry.at) if entry.at is not None and entry.at > now else 0
    return at if at > int(now) else None


class Store:
    """What lies in the store, and the small steps that several verbs share.

    Attributes:
        guard: Held by whoever looks at leases, claims or locks: processes stay alive by threads of their own.
    """

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.wakeups = WakeupQueue()
        self.queues = QueueStore(self.wakeups)
        self.schedule = DelayedStore()
        # What endings delayed in a spelling of its own, by its meaning; what is not delayed any more goes with a look.
        self._spelled: dict[str, set[DueJob]] = {}
        self.locks = LockStore()
        self.attempts: ExpiringMap[int] = ExpiringMap()
        self.traces: ExpiringMap[str] = ExpiringMap()
        self.failures: list[str] = []
        self.counters: dict[str, int] = {}
        self.periodic = PeriodicStore(self.queues, self.schedule, self.wakeups)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        self.counters[name] = self.counters.get(name, 0) + by

    def forget_counts(self, worker: str) -> None:
        """Forget what was counted for one worker."""
        self.counters.pop(f"processed:{worker}", None)
        self.counters.pop(f"failed:{worker}", None)

    def delay(self, at: int, raw: str, meaning: str | None = None) -> None:
        """Store a text until a moment, and tell who waits for the schedule if that is the earliest now."""
        if meaning is not None:
            self._spelled[meaning] = {*self._still_delayed(meaning), DueJob(at, raw)}
        if self.schedule.add(at, raw):
            self.wakeups.signal_schedule()

    def acquire(
        self, guards: Sequence[Guard], now: float, *, moving: DueJob | None = None, over: bool = False
    ) -> Guard | None:
        """Take what guards ask for, all or nothing; return the one that does not hold.

        Args:
            guards: The conditions.
            now: The time.
            moving: A delayed job that is not in its own way.
            over: Take locks over, but for shared ones.
        """
        if not guards:
            return None
        with self.guard:
            for guard in guards:
                if isinstance(guard, NotDelayed):
                    holds = not any(self._delayed(form, moving) for form in guard.equivalent_payloads)
                    holds = holds and not self._still_delayed(guard.meaning) - {moving}
                else:
                    holds = (over and not guard.shared) or self.locks.get(guard.key, now) is None
                if not holds:
                    return guard
            for guard in guards:
                if isinstance(guard, QueueLockGuard):
                    self.locks.take(guard.key, None, now + guard.timeout, now)
        return None

    def _delayed(self, raw: str, moving: DueJob | None) -> bool:
        due_times = self.schedule.due_times(raw)
        return any(moving is None or (moment, raw) != (moving.at, moving.raw) for moment in due_times)

    def _still_delayed(self, meaning: str | None) -> set[DueJob]:
        """What is delayed in a spelling of its own and has this meaning."""
        if meaning is None or meaning not in self._spelled:
            return set()
        found = {job for job in self._spelled[meaning] if self.schedule.holds(job.at, job.raw)}
        if found:
            self._spelled[meaning] = found
        else:
            del self._spelled[meaning]
        return found

    def acquire_or_merge(self, move: PromotionTarget, queue: str, now: float) -> str:
        """Take what a due job's guards ask for, also locks that were left behind; return what becomes of it."""
        refused = self.acquire(move.guards, now, moving=move.job)
        if refused is None:
            return PromoteResult.QUEUED
        waiting = self.queues.payloads.get(queue, ())
        if isinstance(refused, NotDelayed) or any(
            text in waiting for text in (move.job.raw, *move.equivalent_payloads)
        ):
            return PromoteResult.MERGED
        refused = self.acquire(move.guards, now, moving=move.job, over=True)
        if refused is None:
            return PromoteResult.QUEUED
        return PromoteResult.MERGED if isinstance(refused, NotDelayed) else PromoteResult.HELD

    def remove(self, queue: str, removal: Removal) -> int:
        """Remove entries from a queue, and with the last one the locks that go with them."""
        removed = self.queues.remove(queue, removal.raw, removal.count)
        if removed and removal.release and removal.raw not in self.queues.payloads[queue]:
            with self.guard:
                self.locks.free(removal.release)
        return removed

    def forget(self, names: Iterable[str]) -> None:
        """Forget counters of attempts, and what is kept beside them."""
        for name in names:
            self.attempts.delete(name)
            self.traces.delete(name)

    # endings

    def settle(
        self, member: RegisteredProcess | None, settled: Sequence[Settlement], now: float
    ) -> tuple[list[Claim], list[tuple[Claim, int]], list[tuple[Claim, int]]]:
        """Record how jobs ended; return the claims that are gone, the attempts of those tried again, and next runs."""
        gone: list[Claim] = []
        attempts: list[tuple[Claim, int]] = []
        next_runs: list[tuple[Claim, int]] = []
        done = 0
        for settlement in settled:
            claim, disposition = settlement.claim, settlement.disposition
            if member is None or not member.holds(claim):
                gone.append(claim)
                self._release(member, settlement, now)
                continue
            worker = member.process.worker(claim.slot)
            attempt = None
            if type(disposition) is Succeeded:
                done += 1
                self.count(f"processed:{worker}")
            else:
                attempt = self._end(member.held[claim.slot][0], disposition, worker, now)
                if attempt:
                    attempts.append((claim, attempt))
            self._release(member, settlement, now)
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
            member.release(claim.slot)
        if done:
            self.count("processed", done)
        return gone, attempts, next_runs

    def _release(self, registered: RegisteredProcess | None, settlement: Settlement, now: float) -> None:
        if registered is not None and settlement.release:
            self.locks.release(settlement.release, owner_of(registered.process, settlement.claim), now)

    def _end(self, claim: Claim, disposition: Disposition, worker: str, now: float) -> int | None:
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
        """Append to the failures, and count it."""
        self.failures.append(entry)
        self._count_failure(worker)

    def unfail(self, entry: str) -> bool:
        """Remove the youngest failure of this text; False if there is none."""
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
            if disposition.trace is not None:
                self.traces.delete(disposition.trace[0])
            return None
        delay = disposition.delays[min(attempt, len(disposition.delays)) - 1] if disposition.delays else 0.0
        self.delay(
            due_time(now, delay), unmark(claim.raw) if disposition.raw is None else disposition.raw, disposition.meaning
        )
        until = now + delay + _COUNTER_LIFE
        self.attempts.set(disposition.counter, count, until=until, now=now)
        if disposition.trace is not None:
            self.traces.set(*disposition.trace, until=until, now=now)
        self._count_failure(worker)
        return attempt
