"""The public records: jobs, failed jobs, the state of workers and locks, and how a run ends.

All are frozen. *raw* is the exact stored text. It contains bytes that are not UTF-8 as lone surrogates (Python's
``surrogateescape``), so it identifies any entry exactly, also one of another program.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from taskhero._internal.bounds import LONGEST, MOST, between

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "CleanedWorker",
    "Details",
    "FailedJob",
    "FailedJobOutcome",
    "FailedJobResult",
    "Failure",
    "Job",
    "LockKind",
    "LockState",
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
        args: The arguments in their stored form: a list.
        queue: The queue in which it is or will be stored.
        raw: The payload, ``""`` for a job that is not stored yet.
        problem: Why the entry cannot be read, or None.
    """

    name: str
    args: list[Any] = attrs.field(factory=list)
    queue: str = "default"
    raw: str = attrs.field(default="", kw_only=True, repr=False)
    problem: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen(kw_only=True)
class FailedJob:
    """An entry of the failed list.

    Attributes:
        job: The job that failed.
        queue: The queue of the job.
        worker: The worker that ran it, as the writer of the entry names workers.
        exception: The name of the exception's class.
        error: The exception's message.
        backtrace: The lines of the traceback.
        failed_at: When it failed (aware), or None if the date cannot be read.
        retried_at: When it was retried without being removed, as Ruby Resque does, or None.
        source: The name of its list: ``failed``, or one of Ruby's, ``<queue>_failed``.
        raw: The exact stored text.
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
    """The job that a worker runs.

    Attributes:
        worker: The worker's name.
        queue: The queue of the job.
        job: The job.
        run_at: When the worker claimed it (aware), or None if the date cannot be read.
        raw: The exact stored text.
    """

    worker: str
    queue: str
    job: Job
    run_at: datetime | None = None
    raw: str = attrs.field(default="", repr=False)


# --- inspection ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WorkerState:
    """The stored state of a worker.

    Attributes:
        name: Its name.
        queues: Its queues, separated by commas; ``*`` for all.
        program: The program that it belongs to, by its heartbeat: ``taskhero``, ``node-resque`` or ``resque`` (Ruby),
            else ``""``.
        working: The job that it runs, or None if it is idle.
        started_at: When it was registered, or None if that is not stored.
        seen_at: Its last heartbeat by the clock of its own machine, or None. A worker of taskhero has a lease instead.
        alive_for: Seconds until the lease of its process expires, negative after that; None for other programs.
        processed: Number of its jobs that succeeded, as far as that is counted.
        failed: Number of its jobs that failed, as far as that is counted.
        problem: What cannot be read, or None.
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
    """The leader lock of another program's scheduler (resque-scheduler). While it is held, taskhero does not promote.

    Attributes:
        key: Its full name in the store.
        holder: Its value, which names the host and process id of its holder.
        since: When a scheduler of taskhero first observed this holder, or None.
        expires_in: Seconds until it expires unless its holder renews it; None if it has no lifetime.
        dead: Whether it counts as dead (`Settings.ignore_dead_master_lock`), so that taskhero promotes.
    """

    key: str
    holder: str
    since: datetime | None = None
    expires_in: float | None = None
    dead: bool = False


class LockKind(StrEnum):
    """What holds a lock."""

    QUEUED = "queued"  #: a job in a queue, or a delayed one
    RUNNING = "running"  #: a running job
    SCHEDULER = "scheduler"  #: another program's scheduler


@attrs.frozen(kw_only=True)
class LockState:
    """The stored state of a lock.

    Attributes:
        name: Its name as in `Queue.locks`, or the full key of a scheduler's lock.
        kind: What holds it.
        value: The stored value.
        owner: The owner that the value names, or None.
        expires_at: When it counts as free at the latest, by the store's clock; None if it does not expire.
        has_lifetime: Whether the store deletes it at that time.
        ends: What releases it earlier.
    """

    name: str
    kind: LockKind
    value: str
    owner: str | None
    expires_at: datetime | None
    has_lifetime: bool
    ends: str


@attrs.frozen(kw_only=True)
class Details:
    """The state of all queues, workers and schedulers of a namespace.

    Attributes:
        now: The store's time.
        queues: Each queue with its length, sorted by name; None for one that cannot be read.
        workers: All registered workers, in natural order of their names.
        stats: ``processed`` and ``failed``: the number of jobs that succeeded and that failed.
        leader: The name of the scheduler that leads, or None.
        delayed: Number of delayed jobs.
        failed: Number of failed jobs in all failed lists.
        paused: Whether all workers are paused (``pause-all-workers``).
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
    """A worker that was deregistered.

    Attributes:
        name: Its name.
        queues: Its queues, separated by commas.
        silent_for: Its heartbeat age in seconds; 0 if the age was not a condition.
        failed: The entry of its job in the failed list, or None if it was idle.
    """

    name: str
    queues: str
    silent_for: float = 0.0
    failed: FailedJob | None = None


class FailedJobOutcome(StrEnum):
    """What retrying or removing a failed job did."""

    RETRIED = "retried"  #: it is in its queue, and no longer listed
    REMOVED = "removed"  #: it is no longer listed
    GONE = "gone"  #: another process retried or removed it first
    REFUSED = "refused"  #: a plugin refused it, or its queue cannot take it, so it stays listed
    IMPOSSIBLE = "impossible"  #: it is not a job that can be stored, so it stays listed


@attrs.frozen(kw_only=True)
class FailedJobResult:
    """The result of retrying or removing a failed job.

    Attributes:
        failed: The failed job.
        outcome: What was done.
        reason: Why it stays listed, else ``""``.
        looked: Number of failed jobs processed so far, including this one.
        total: Number of failed jobs to process.
    """

    failed: FailedJob
    outcome: FailedJobOutcome
    reason: str = ""
    looked: int = 1
    total: int = 1

    @property
    def done(self) -> bool:
        """Whether it was retried or removed."""
        return self.outcome in {FailedJobOutcome.RETRIED, FailedJobOutcome.REMOVED}


# --- outcomes: how a run ended, as hooks see and decide it --------------------------------------------------------


@attrs.frozen
class Success:
    """The task returned *result* after *duration* seconds."""

    result: Any = None
    duration: float = 0.0


@attrs.frozen
class Failure:
    """The task raised *error* after *duration* seconds, or the job could not be run."""

    error: BaseException
    duration: float = 0.0


@attrs.frozen
class Refused:
    """A plugin refused the job before it ran. The job is removed and not counted."""


@attrs.frozen
class Postponed:
    """The job is delayed by *delay* seconds before it runs. It is not counted."""

    delay: float = attrs.field(validator=between(0, LONGEST))


@attrs.frozen
class Retrying:
    """The task raised *error*. The job is retried until it has had *limit* attempts.

    Attributes:
        error: The exception of the task.
        duration: Seconds for which the task ran.
        counter: Name of the counter of attempts.
        limit: Number of all attempts.
        delays: Seconds before the second attempt, the third, and so on. The last delay repeats.
        last_error_key: Name under which the last error is stored, ``""`` for none.
    """

    error: BaseException
    duration: float
    counter: str
    limit: int = attrs.field(validator=between(0, MOST, whole=True))
    delays: tuple[float, ...] = attrs.field(validator=between(0, LONGEST))
    last_error_key: str = ""


Outcome: TypeAlias = Success | Failure | Refused | Postponed | Retrying
