"""What users and drivers hand around: jobs, failed jobs, what a worker does.

All are frozen. *raw* is the exact text that lies in the store; bytes that are not UTF-8 stand in it as lone
surrogates (Python's ``surrogateescape``), so that any entry can be named exactly, whoever wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["FailedJob", "Failure", "Job", "Outcome", "Postponed", "Refused", "Retrying", "Success", "Working"]


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

    delay: float


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
    limit: int
    delays: tuple[float, ...]
    trace: str = ""


Outcome: TypeAlias = Success | Failure | Refused | Postponed | Retrying
