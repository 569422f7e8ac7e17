"""What users and drivers hand around: jobs, failed jobs, what a worker does.

All are frozen. *raw* is the exact text that lies in the store; bytes that are not UTF-8 stand in it as lone
surrogates (Python's ``surrogateescape``), so that any entry can be named exactly, whoever wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from taskhero._internal.bounds import LONGEST, MOST, between

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "CleanedWorker",
    "Details",
    "FailedJob",
    "Failure",
    "Job",
    "LockState",
    "MendedJob",
    "Outcome",
    "Postponed",
    "Refused",
    "Retrying",
    "SchedulerLock",
    "Success",
    "WorkerState",
    "Working",
]


@attrs.frozen(kw_only=False)
class Job:
    """A task's name, its arguments and its queue.

    Attributes:
        name: The task's name, ``""`` if the entry cannot be read.
        args: The arguments as they lie on the wire: a list.
        queue: The queue it stands in, or is meant for.
        raw: The exact text in the store, ``""`` for a job that has none yet.
        problem: Why the entry cannot be read, or None.
    """

    name: str
    args: list[Any] = attrs.field(factory=list)
    queue: str = "default"
    raw: str = attrs.field(default="", kw_only=True, repr=False)
    problem: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen(kw_only=True)
class FailedJob:
    """An entry of the list of failures.

    Attributes:
        job: The job that failed.
        queue: The queue it came from.
        worker: The worker that ran it, as its writer names workers.
        exception: The exception's class.
        error: The exception's text.
        backtrace: The lines of the traceback.
        failed_at: When it failed, aware, or None if the writer's date cannot be read.
        retried_at: When it was retried and yet left in the list (as Ruby Resque does), or None.
        source: The list in which it stands: ``failed``, or one of Ruby's, ``<queue>_failed``.
        raw: The exact text in the store.
        problem: Why the entry cannot be read, or None.
    """

    job: Job
    queue: str
    worker: str = ""
    exception: str = ""
    error: str = ""
    backtrace: list[str] = attrs.field(factory=list)
    failed_at: datetime | None = None
    retried_at: datetime | None = None
    source: str = "failed"
    raw: str = attrs.field(default="", repr=False)
    problem: str | None = None


@attrs.frozen(kw_only=True)
class Working:
    """What a worker is busy with.

    Attributes:
        worker: The worker's name.
        queue: The queue the job came from.
        job: The job.
        run_at: Since when, aware, or None if the writer's date cannot be read.
        raw: The exact text in the store.
    """

    worker: str
    queue: str
    job: Job
    run_at: datetime | None = None
    raw: str = attrs.field(default="", repr=False)


# --- what people are told of the whole ----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WorkerState:
    """A worker as it stands in the store.

    Attributes:
        name: Its name.
        queues: Its queues, with commas between; ``*`` for all.
        program: Whose it is: ``taskhero``, ``node-resque`` or ``resque`` (Ruby) by its signs of life, else ``""``.
        working: What it is busy with, or None if it is idle.
        started_at: Since when it is there, or None.
        seen_at: Its last sign of life by its writer's clock, or None; a worker of taskhero's has its lease instead.
        alive_for: Seconds for which the lease of its process still holds, negative since it is over; None for others.
        processed: How many jobs it did, as far as that is counted.
        failed: How many of its jobs failed, likewise.
        problem: What of it cannot be read, or None.
    """

    name: str
    queues: str
    program: str = ""
    working: Working | None = None
    started_at: datetime | None = None
    seen_at: datetime | None = None
    alive_for: float | None = None
    processed: int = 0
    failed: int = 0
    problem: str | None = None


@attrs.frozen(kw_only=True)
class SchedulerLock:
    """The lock by which a scheduler of another program (resque-scheduler) leads; it stops the promotion here.

    Attributes:
        key: Its full name in the store.
        holder: What it says of its holder: host and process number.
        since: When a scheduler of taskhero first saw this holder, or None if none did.
        expires_in: Seconds after which it is gone unless its holder renews it; None if it has no lifetime.
        dead: Whether it counts as dead (`Settings.ignore_dead_master_lock`), so that it stops nothing.
    """

    key: str
    holder: str
    since: datetime | None = None
    expires_in: float | None = None
    dead: bool = False


@attrs.frozen(kw_only=True)
class LockState:
    """A lock as it stands in the store.

    Attributes:
        name: Its name, as `Queue.locks` has it; the full key for that of a scheduler.
        kind: Whose it is: a ``queued`` job's, a ``running`` job's, or another program's ``scheduler``'s.
        value: What stands there.
        owner: Who holds it, as far as that stands there, or None.
        expires_at: When it counts as free at the latest, by the store's clock; None if it never does.
        has_lifetime: Whether the store deletes it then.
        ends: What ends it before.
    """

    name: str
    kind: str
    value: str
    owner: str | None
    expires_at: datetime | None
    has_lifetime: bool
    ends: str


@attrs.frozen(kw_only=True)
class Details:
    """Everything at a glance.

    Attributes:
        now: The store's time.
        queues: Each queue with its length, sorted by name; None for one that cannot be read.
        workers: All workers in view, sorted by name, numbers within it as numbers.
        stats: ``processed`` and ``failed``: how many jobs were done, and how many failed.
        leader: The name of the scheduler that leads, or None.
        delayed: How many jobs are delayed.
        failed: How many failures are listed, in all lists.
        paused: Whether no worker may claim jobs (``pause-all-workers``).
        scheduler_lock: The lock of another program's scheduler, or None.
    """

    now: datetime
    queues: dict[str, int | None]
    workers: tuple[WorkerState, ...]
    stats: dict[str, int]
    leader: str | None
    delayed: int
    failed: int
    paused: bool
    scheduler_lock: SchedulerLock | None = None


@attrs.frozen(kw_only=True)
class CleanedWorker:
    """A worker that was taken from view.

    Attributes:
        name: Its name.
        queues: Its queues, with commas between.
        silent_for: Seconds without a sign of life; 0 if that was not asked.
        failed: Its job as it is listed in the failures now, or None if it was idle.
    """

    name: str
    queues: str
    silent_for: float = 0.0
    failed: FailedJob | None = None


@attrs.frozen(kw_only=True)
class MendedJob:
    """What became of a failure that was to be retried or removed.

    Attributes:
        failed: The failure.
        outcome: ``retried``; ``removed``; ``gone``: somebody else was faster; ``refused``: a plugin does not let it be
            stored, so it stays; ``impossible``: it holds no job that could be stored, so it stays.
        reason: Why it stays, else ``""``.
        looked: How many failures have been looked at so far, with this one.
        total: How many there are to look at.
    """

    failed: FailedJob
    outcome: str
    reason: str = ""
    looked: int = 1
    total: int = 1

    @property
    def done(self) -> bool:
        """Whether it was retried or removed."""
        return self.outcome in {"retried", "removed"}


# --- how a job ended, as hooks see and decide it ------------------------------------------------------------------


@attrs.frozen
class Success:
    """The task returned *result* after *duration* seconds."""

    result: Any = None
    duration: float = 0.0


@attrs.frozen
class Failure:
    """The task raised *error* after *duration* seconds, or the job could not be run at all."""

    error: BaseException
    duration: float = 0.0


@attrs.frozen
class Refused:
    """A plugin does not want the job to run: it goes, and nothing is counted."""


@attrs.frozen
class Postponed:
    """The job is to be tried again after *delay* seconds; nothing is counted."""

    delay: float = attrs.field(validator=between(0, LONGEST))


@attrs.frozen
class Retrying:
    """The task raised *error*; the job is tried again until it has been tried *limit* times.

    Attributes:
        error: What the task raised.
        duration: Seconds it ran.
        counter: Name of the counter of attempts.
        limit: How many attempts there are in all.
        delays: Seconds before the second attempt, the third ...; the last holds for all that follow.
        trace: Name under which the last error is kept beside the counter, ``""`` for nowhere.
    """

    error: BaseException
    duration: float
    counter: str
    limit: int = attrs.field(validator=between(0, MOST, whole=True))
    delays: tuple[float, ...] = attrs.field(validator=between(0, LONGEST))
    trace: str = ""


Outcome: TypeAlias = Success | Failure | Refused | Postponed | Retrying
