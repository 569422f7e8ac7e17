"""Recording how jobs ended."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from taskhero.backends.memory.delayed_store import Schedule
from taskhero.backends.memory.locks import Expiring, Locks, owner_of
from taskhero.backends.memory.periodic_store import Recurring
from taskhero.backends.memory.queue_store import Queues
from taskhero.backends.memory.wakeup_queue import Line
from taskhero.backends.protocol import Delayed, Done, DueJob, Failed, FreeLock, GivenBack, Moved, NotDelayed, Retried
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.memory.process_table import Member
    from taskhero.backends.protocol import Claim, Ending, Guard, Move, Removal, Settlement, TimedEntry

__all__ = ["Store", "due_second", "later"]

#: A counter of attempts outlives the wait for the next attempt by a day.
_COUNTER_LIFE = 86400


def later(now: float, delay: float) -> int:
    """The first whole second that is not before *delay* seconds from *now*; counted in microseconds."""
    microseconds = round(now * 1_000_000) + math.ceil(delay * 1_000_000 - 1e-3)
    return -(-microseconds // 1_000_000)


def due_second(entry: TimedEntry, now: float) -> int | None:
    """The whole second in which an entry is due, or None if that is not in the future."""
    if entry.delay is not None:
        at = later(now, entry.delay) if entry.delay > 0 else 0
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
        self.line = Line()
        self.queues = Queues(self.line)
        self.schedule = Schedule()
        # What endings delayed in a spelling of its own, by its meaning; what is not delayed any more goes with a look.
        self._spelled: dict[str, set[DueJob]] = {}
        self.locks = Locks()
        self.attempts: Expiring[int] = Expiring()
        self.traces: Expiring[str] = Expiring()
        self.failures: list[str] = []
        self.counters: dict[str, int] = {}
        self.recurring = Recurring(self.queues, self.schedule, self.line)

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
            self.line.ring_schedule()

    def take(
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
                    holds = not any(self._delayed(form, moving) for form in guard.forms)
                    holds = holds and not self._still_delayed(guard.meaning) - {moving}
                else:
                    holds = (over and not guard.shared) or self.locks.get(guard.key, now) is None
                if not holds:
                    return guard
            for guard in guards:
                if isinstance(guard, FreeLock):
                    self.locks.take(guard.key, None, now + guard.timeout, now)
        return None

    def _delayed(self, raw: str, moving: DueJob | None) -> bool:
        moments = self.schedule.moments(raw)
        return any(moving is None or (moment, raw) != (moving.at, moving.raw) for moment in moments)

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

    def take_or_merge(self, move: Move, queue: str, now: float) -> str:
        """Take what a due job's guards ask for, also locks that were left behind; return what becomes of it."""
        refused = self.take(move.guards, now, moving=move.job)
        if refused is None:
            return Moved.QUEUED
        waiting = self.queues.texts.get(queue, ())
        if isinstance(refused, NotDelayed) or any(text in waiting for text in (move.job.raw, *move.equal)):
            return Moved.MERGED
        refused = self.take(move.guards, now, moving=move.job, over=True)
        if refused is None:
            return Moved.QUEUED
        return Moved.MERGED if isinstance(refused, NotDelayed) else Moved.HELD

    def remove(self, queue: str, removal: Removal) -> int:
        """Remove entries from a queue, and with the last one the locks that go with them."""
        removed = self.queues.remove(queue, removal.raw, removal.count)
        if removed and removal.release and removal.raw not in self.queues.texts[queue]:
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
        self, member: Member | None, settled: Sequence[Settlement], now: float
    ) -> tuple[list[Claim], list[tuple[Claim, int]], list[tuple[Claim, int]]]:
        """Record how jobs ended; return the claims that are gone, the attempts of those tried again, and next runs."""
        gone: list[Claim] = []
        attempts: list[tuple[Claim, int]] = []
        nexts: list[tuple[Claim, int]] = []
        done = 0
        for settlement in settled:
            claim, ending = settlement.claim, settlement.ending
            if member is None or not member.holds(claim):
                gone.append(claim)
                self._release(member, settlement, now)
                continue
            worker = member.process.worker(claim.slot)
            attempt = None
            if type(ending) is Done:
                done += 1
                self.count(f"processed:{worker}")
            else:
                attempt = self._end(member.held[claim.slot][0], ending, worker, now)
                if attempt:
                    attempts.append((claim, attempt))
            self._release(member, settlement, now)
            if settlement.forget:
                self.forget(settlement.forget)
            if settlement.next is not None and not attempt and not isinstance(ending, (GivenBack, Delayed)):
                at = self.recurring.go_on(settlement.next, now, failed=isinstance(ending, (Failed, Retried)))
                if at is not None:
                    nexts.append((claim, at))
            member.let_go(claim.slot)
        if done:
            self.count("processed", done)
        return gone, attempts, nexts

    def _release(self, member: Member | None, settlement: Settlement, now: float) -> None:
        if member is not None and settlement.release:
            self.locks.release(settlement.release, owner_of(member.process, settlement.claim), now)

    def _end(self, claim: Claim, ending: Ending, worker: str, now: float) -> int | None:
        if isinstance(ending, Failed):
            self.fail(ending.entry, worker)
        elif isinstance(ending, Delayed):
            self.delay(later(now, ending.delay), claim.raw if ending.raw is None else ending.raw, ending.meaning)
        elif isinstance(ending, GivenBack):
            self.queues.give_back(claim.queue, claim.raw if ending.raw is None else ending.raw)
        elif isinstance(ending, Retried):
            return self._retry(claim, ending, worker, now)
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

    def _retry(self, claim: Claim, ending: Retried, worker: str, now: float) -> int | None:
        before = self.attempts.get(ending.counter, now)
        count = 0 if before is None else before + 1
        attempt = count + 1
        if attempt >= ending.limit:
            self.fail(ending.entry, worker)
            self.attempts.delete(ending.counter)
            if ending.trace is not None:
                self.traces.delete(ending.trace[0])
            return None
        delay = ending.delays[min(attempt, len(ending.delays)) - 1] if ending.delays else 0.0
        self.delay(later(now, delay), unmark(claim.raw) if ending.raw is None else ending.raw, ending.meaning)
        until = now + delay + _COUNTER_LIFE
        self.attempts.set(ending.counter, count, until=until, now=now)
        if ending.trace is not None:
            self.traces.set(*ending.trace, until=until, now=now)
        self._count_failure(worker)
        return attempt
