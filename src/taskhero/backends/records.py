"""What a backend and the engine hand each other: entries, claims, endings, leases, moves and wake-ups.

All are frozen data without behaviour; what a backend does with them is said in `taskhero.backends.protocol`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Beat",
    "Claim",
    "Claims",
    "Delayed",
    "Done",
    "Dropped",
    "Due",
    "DueJob",
    "Ending",
    "Entry",
    "Exchange",
    "Failed",
    "FreeLock",
    "GivenBack",
    "Guard",
    "HeldLock",
    "Interest",
    "Lock",
    "Move",
    "Moved",
    "NotDelayed",
    "Preparation",
    "Prepared",
    "Process",
    "Removal",
    "Rescued",
    "Retried",
    "Scheduled",
    "Settlement",
    "TimedEntry",
    "Wake",
]


# --- what is stored --------------------------------------------------------------------------------------------


@attrs.frozen
class FreeLock:
    """Store the job only if lock *key* is free, and take it.

    Attributes:
        key: The lock's name, such as ``lock:add:math:[1,2]``.
        timeout: Seconds until the lock lapses by itself.
        shared: Whether jobs that are not equal may hold it, too, so that it says nothing about where an equal one is.
    """

    key: str
    timeout: int
    shared: bool = False


@attrs.frozen
class NotDelayed:
    """Store the job only if none of these texts is delayed.

    Attributes:
        forms: The raw texts that mean the same job.
    """

    forms: tuple[str, ...]


Guard: TypeAlias = FreeLock | NotDelayed


@attrs.frozen
class Entry:
    """A job to be stored in a queue.

    Attributes:
        queue: The queue's name.
        raw: The job's text.
        front: Put it before all others instead of behind them.
        guards: Conditions; the entry is stored only if all hold, and what they take is taken in the same step.
    """

    queue: str
    raw: str
    front: bool = False
    guards: tuple[Guard, ...] = ()


@attrs.frozen
class TimedEntry:
    """A job to be stored until a moment.

    Attributes:
        at: The moment, in whole unix seconds.
        queue: The queue that it goes to then.
        raw: The job's text.
        guards: As for `Entry`.
        unique: Refuse it if the same text is delayed to the same second already.
    """

    at: int
    queue: str
    raw: str
    guards: tuple[Guard, ...] = ()
    unique: bool = True


@attrs.frozen
class Removal:
    """Entries to be removed from a queue.

    Attributes:
        raw: Their exact text.
        count: 0 for all of them, else so many from the front (negative: from the end).
        release: Locks that go with the last one of this text.
    """

    raw: str
    count: int = 0
    release: tuple[str, ...] = ()


class Scheduled:
    """What became of a `TimedEntry`."""

    DELAYED = "delayed"  #: it waits for its moment
    QUEUED = "queued"  #: its moment was not in the future, so it stands in its queue
    DUPLICATE = "duplicate"  #: the same text was delayed to the same second already
    REFUSED = "refused"  #: a guard did not hold


# --- who works -------------------------------------------------------------------------------------------------


@attrs.frozen
class Process:
    """A worker process and the names of its task processors.

    Attributes:
        name: ``<host>.<token>:<pid>``, unique for ever.
        queues: The queues it works as declared, in priority order; ``("*",)`` for all.
    """

    name: str
    queues: tuple[str, ...]

    def worker(self, slot: int) -> str:
        """Name of the task processor in *slot* (counted from 1), as others see it."""
        return f"{self.name}+{slot}"

    def worker_id(self, slot: int) -> str:
        """What stands in the set of workers for *slot*: its name and its queues."""
        return f"{self.name}+{slot}:{','.join(self.queues)}"


@attrs.frozen
class Claim:
    """A job in the hands of one task processor.

    Attributes:
        slot: The task processor's number, from 1.
        token: Marks this claim among all that the slot ever had.
        queue: Where the job came from.
        raw: The job's text.
    """

    slot: int
    token: str
    queue: str
    raw: str


@attrs.frozen
class Lock:
    """A lock that a job is to hold while it runs.

    Attributes:
        key: The lock's name, such as ``workerslock:add:math:[1,2]``.
        timeout: Seconds until it lapses if nobody renews it.
    """

    key: str
    timeout: int


@attrs.frozen
class HeldLock:
    """A lock that a claimed job holds."""

    claim: Claim
    lock: Lock


@attrs.frozen
class Preparation:
    """What a claimed job needs before it runs.

    Attributes:
        claim: The job.
        release: Locks that it held while it was queued (`FreeLock`); they have no owner, so they go in any case.
        hold: Locks that it must hold while it runs.
        counter: Name of the counter of its attempts, which is read; None for none.
    """

    claim: Claim
    release: tuple[str, ...] = ()
    hold: tuple[Lock, ...] = ()
    counter: str | None = None


@attrs.frozen(kw_only=True)
class Prepared:
    """What became of a `Preparation`.

    Attributes:
        mine: False if the claim is no longer the process's, or the process was declared dead; nothing was changed then.
        blocked_by: Which lock of `Preparation.hold` somebody else holds (its position), so that none was taken; None if
            the job holds them all.
        count: What the counter holds, or None if it holds no number.
    """

    mine: bool = True
    blocked_by: int | None = None
    count: int | None = None


@attrs.frozen
class Done:
    """The job succeeded: counted as processed."""


@attrs.frozen
class Dropped:
    """The job was refused before it ran: it goes, and nothing is counted."""


@attrs.frozen
class Failed:
    """The job failed: *entry* is appended to the failures, and it is counted as failed."""

    entry: str


@attrs.frozen
class GivenBack:
    """The job goes back to the front of its queue, as *raw* if that is given; nothing is counted."""

    raw: str | None = None


@attrs.frozen
class Delayed:
    """The job is delayed by *delay* seconds, counted from now and rounded up; nothing is counted."""

    delay: float


@attrs.frozen
class Retried:
    """The job failed and is delayed again until it has been tried *limit* times; then it is in the failures.

    It is counted as failed each time. Counter and trace outlive the wait for the next attempt by a day, and go with the
    last one.

    Attributes:
        entry: The failure's text, appended when this was the last attempt.
        counter: Name of the counter of attempts; it starts at -1 as node-resque's does.
        limit: How many attempts there are in all.
        delays: Seconds before the second attempt, the third ...; the last one holds for all that follow.
        trace: Name and text of what is kept of the last error beside the counter; None for nothing.
    """

    entry: str
    counter: str
    limit: int
    delays: tuple[float, ...]
    trace: tuple[str, str] | None = None


Ending: TypeAlias = Done | Dropped | Failed | GivenBack | Delayed | Retried


@attrs.frozen
class Settlement:
    """How a claimed job ended.

    Attributes:
        claim: The job.
        ending: How it ended.
        release: Locks that it held while it ran; those that are still the claim's own go.
        forget: Counters, and what is kept beside them, that are not needed any more.
    """

    claim: Claim
    ending: Ending
    release: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Exchange:
    """Answer of `Backend.exchange`.

    Attributes:
        claims: What was claimed, in the order of the queues.
        gone: Claims that were not settled since they are no longer this process's.
        unsettled: Claims whose ending could not be recorded, with the reason; they are still held.
        attempts: For each `Retried` that was delayed again, the claim and its attempt's number (from 1).
        problems: Queues that could not be read, with the reason.
        waiting: Whether any of the queues still holds jobs.
        registered: False if the process was declared dead meanwhile; nothing was claimed then.
        paused: Whether claiming is switched off for all workers (``pause-all-workers``).
    """

    claims: Sequence[Claim] = ()
    gone: Sequence[Claim] = ()
    unsettled: Sequence[tuple[Claim, str]] = ()
    attempts: Sequence[tuple[Claim, int]] = ()
    problems: Mapping[str, str] = attrs.field(factory=dict)
    waiting: bool = False
    registered: bool = True
    paused: bool = False


@attrs.frozen(kw_only=True)
class Claims:
    """Answer of `Backend.claims`: what stands under a process's names, and what there cannot be read."""

    claims: Sequence[Claim] = ()
    unreadable: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Beat:
    """Answer of `Backend.beat`.

    Attributes:
        alive: False if the process had been declared dead, or was not registered; it is registered (again) now.
        missing: Worker names that somebody had removed; they are registered again now.
        dead: How many processes have outlived their lease.
        lost: Locks that somebody else holds meanwhile.
    """

    alive: bool
    missing: tuple[str, ...]
    dead: int
    lost: tuple[HeldLock, ...] = ()


@attrs.frozen
class Rescued:
    """A job that was taken from a dead process.

    Attributes:
        worker: The name of the worker that held it.
        queue: The queue to whose front it went.
        raw: Its text as it stands there now.
        running: Whether the dead process had begun it alone (`Backend.begin`).
    """

    worker: str
    queue: str
    raw: str
    running: bool


# --- time ------------------------------------------------------------------------------------------------------


@attrs.frozen
class DueJob:
    """A delayed job whose moment has come: *at* is the second, *raw* its text."""

    at: int
    raw: str


@attrs.frozen(kw_only=True)
class Due:
    """Answer of `Backend.due`.

    Attributes:
        now: The backend's time, in unix seconds.
        jobs: The first jobs that are due, by moment and then in the order stored.
        next_at: The earliest moment for which something is delayed, or None; not in the future if jobs are due.
        yielded: Whether another program's scheduler holds its lock, so that nothing may be promoted.
    """

    now: float
    jobs: Sequence[DueJob] = ()
    next_at: int | None = None
    yielded: bool = False


@attrs.frozen
class Move:
    """Where a due job goes.

    Attributes:
        job: The job as `Backend.due` gave it.
        queue: Its queue, or None if it cannot be queued at all and *failure* is set.
        guards: As for `Entry`. If one does not hold, the job is merged with the equal one that waits. If none does, a
            lock that was left behind is taken over; but if that is a `FreeLock.shared` one, the job stays delayed.
        failure: The text to append to the failures instead of queueing the job.
        equal: Texts that mean the same job, by which an equal one is found in the queue; its own text always does.
    """

    job: DueJob
    queue: str | None
    guards: tuple[Guard, ...] = ()
    failure: str | None = None
    equal: tuple[str, ...] = ()


class Moved:
    """What became of a `Move`."""

    QUEUED = "queued"  #: it stands at the end of its queue
    MERGED = "merged"  #: a guard did not hold: the delayed entry is gone, an equal job waits already
    HELD = "held"  #: jobs that are not equal hold a shared lock: it stays delayed
    FAILED = "failed"  #: it stands in the failures
    MISSED = "missed"  #: it was no longer there, or not due, or another scheduler's lock is held: nothing was done
    REFUSED = "refused"  #: where it should go cannot take it (a key of a wrong type): nothing was done


# --- waking ----------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Interest:
    """What a process waits for.

    Attributes:
        queues: Jobs in any of these.
        everything: Jobs in queues that are new, too.
        schedule: A delayed job with an earlier moment than all others.
    """

    queues: tuple[str, ...] = ()
    everything: bool = False
    schedule: bool = False


@attrs.frozen
class Wake:
    """Why a wait ended; both False if its time was up."""

    jobs: bool = False
    schedule: bool = False
