"""Every error that taskhero raises on purpose.

TaskheroError
├── NotConnected (RuntimeError)
├── NothingToRun (RuntimeError)
├── AlreadyRunning (RuntimeError)
├── NotRunningATask (RuntimeError)
├── InvalidSettings (ValueError)
├── InvalidTask (ValueError)
│   └── InvalidSchedule
├── UnknownTask (LookupError)
├── UnknownWorker (LookupError)
├── NotInFailures (LookupError)
├── CannotRetry (ValueError)
├── InvalidLockName (ValueError)
├── InvalidQueueName (ValueError)
├── InvalidMoment (ValueError)
├── InvalidArguments (ValueError, TypeError)
├── UnknownEvent (ValueError)
├── InvalidHandler (TypeError)
├── AlreadyScheduled
├── UnknownBackend (ValueError)
├── PluginError
│   ├── UnknownPlugin (LookupError)
│   └── AmbiguousOverride
├── BackendError
│   ├── BackendUnavailable (ConnectionError)
│   │   └── BackendDenied
│   ├── ReplyLost (ConnectionError)
│   ├── BackendRefused
│   │   └── WrongType
│   ├── PartlyRefused
│   └── BackendTooOld
├── RetryLater
└── JobError
    ├── ArgumentsMismatch (TypeError)
    ├── Undecodable (ValueError)
    ├── NoSuchTask (LookupError)
    ├── JobTimeout (TimeoutError)
    ├── StoppedBySignal
    ├── KilledItsProcess
    └── ProcessDied
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AlreadyRunning",
    "AlreadyScheduled",
    "AmbiguousOverride",
    "ArgumentsMismatch",
    "BackendDenied",
    "BackendError",
    "BackendRefused",
    "BackendTooOld",
    "BackendUnavailable",
    "CannotRetry",
    "InvalidArguments",
    "InvalidHandler",
    "InvalidLockName",
    "InvalidMoment",
    "InvalidQueueName",
    "InvalidSchedule",
    "InvalidSettings",
    "InvalidTask",
    "JobError",
    "JobTimeout",
    "KilledItsProcess",
    "NoSuchTask",
    "NotConnected",
    "NotInFailures",
    "NotRunningATask",
    "NothingToRun",
    "PartlyRefused",
    "PluginError",
    "ProcessDied",
    "ReplyLost",
    "RetryLater",
    "StoppedBySignal",
    "TaskheroError",
    "Undecodable",
    "UnknownBackend",
    "UnknownEvent",
    "UnknownPlugin",
    "UnknownTask",
    "UnknownWorker",
    "WrongType",
]


#: The longest delay, timeout or frequency, in seconds: 1000 years.
LONGEST_DELAY = 31_557_600_000


class TaskheroError(Exception):
    """The root of all errors that taskhero raises on purpose."""


class NotConnected(TaskheroError, RuntimeError):
    """The app was used before it was connected, or after it was closed."""


class NothingToRun(TaskheroError, RuntimeError):
    """The settings ask for neither task processors nor a scheduler."""


class AlreadyRunning(TaskheroError, RuntimeError):
    """The app was started a second time while it runs."""


class NotRunningATask(TaskheroError, RuntimeError):
    """`current()` was called outside a task."""


class InvalidSettings(TaskheroError, ValueError):
    """A setting is unknown, of the wrong type or out of its bounds."""


class InvalidTask(TaskheroError, ValueError):
    """A task cannot be declared as written."""


class InvalidSchedule(InvalidTask):
    """A cron expression or its time zone cannot be read, or would never fire."""


class UnknownTask(TaskheroError, LookupError):
    """A task was named that this app does not declare, and no queue was given for it."""


class UnknownWorker(TaskheroError, LookupError):
    """No worker of this name is in view."""


class NotInFailures(TaskheroError, LookupError):
    """The entry is not in the failures, or not any more: somebody else has retried or removed it."""


class CannotRetry(TaskheroError, ValueError):
    """A failure holds no job that could be stored again."""


class InvalidLockName(TaskheroError, ValueError):
    """No lock has a name like this."""


class InvalidQueueName(TaskheroError, ValueError):
    """A queue cannot have this name."""


class InvalidMoment(TaskheroError, ValueError):
    """A time, duration or count is one that can only be a mistake."""


class InvalidArguments(TaskheroError, ValueError, TypeError):
    """A job's arguments cannot be written as JSON that every reader understands."""


class UnknownEvent(TaskheroError, ValueError):
    """No event is called so."""


class InvalidHandler(TaskheroError, TypeError):
    """A handler cannot be called with the event that it was to listen to."""


class AlreadyScheduled(TaskheroError):
    """An equal job is already delayed to the same second (as in ActionHero)."""


class UnknownBackend(TaskheroError, ValueError):
    """A backend URL has a scheme that no installed driver answers to."""


class PluginError(TaskheroError):
    """A plugin cannot be used as asked."""


class UnknownPlugin(PluginError, LookupError):
    """No installed plugin has this name."""


class AmbiguousOverride(PluginError):
    """Two plugins want to replace the same part."""


class BackendError(TaskheroError):
    """The store of jobs could not do what it was asked."""


class BackendUnavailable(BackendError, ConnectionError):
    """The store could not be reached, or is not ready or not the master; nothing was changed."""


class BackendDenied(BackendUnavailable):
    """The store wants a password, or another one; nothing was asked of it, so nothing was changed."""


class ReplyLost(BackendError, ConnectionError):
    """The store was asked, but its answer never came: it may or may not have acted."""


class BackendRefused(BackendError):
    """The store answered with an error of its own; nothing was changed."""


class PartlyRefused(BackendError):
    """Some of several jobs could not be stored; all others were dealt with as usual.

    Attributes:
        problems: Why jobs could not be stored, by their position among those given, from 0.
        answers: What `Backend.push` or `Backend.schedule` answers for each job; None for each that is in `problems`.
    """

    def __init__(self, message: str, problems: Mapping[int, str], answers: Sequence[bool | str | None] = ()) -> None:
        super().__init__(message)
        self.problems = dict(problems)
        self.answers = tuple(answers)


class WrongType(BackendRefused):
    """What stands where the store was asked to look is of another type; nothing was changed."""


class BackendTooOld(BackendError):
    """The server is older than the oldest that is supported."""


class RetryLater(TaskheroError):
    """A task raises it to be tried again: with a `Retry` plugin after *delay*, else it is a failure like any other.

    It counts against the plugin's limit, and does not have to be among the exceptions that the plugin names.

    Args:
        delay: Seconds, or a timedelta, until the next attempt.

    Attributes:
        delay: The same in seconds.

    Raises:
        InvalidMoment: *delay* is no duration, negative, not finite or longer than 1000 years.
    """

    delay: float

    def __init__(self, delay: timedelta | float) -> None:
        seconds: object = delay.total_seconds() if isinstance(delay, timedelta) else delay
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= LONGEST_DELAY:
            try:
                shown = repr(delay)
            except ValueError:
                # An int of thousands of digits cannot be written.
                shown = f"<{type(delay).__name__} that cannot be shown>"
            raise InvalidMoment(
                f"RetryLater({shown}): pass a timedelta, or seconds, of 0 or more, and not longer than 1000 years"
            )
        super().__init__(seconds)
        self.delay = seconds

    def __str__(self) -> str:
        return (
            f"the task asked to be tried again after {self.delay:g} s, but no attempt is left: give it the plugin "
            "Retry(limit=...), or a higher limit"
        )


class JobError(TaskheroError):
    """Why a job failed without its task being at fault; seen in failed entries."""


class ArgumentsMismatch(JobError, TypeError):
    """The job's arguments do not fit the task's signature."""


class Undecodable(JobError, ValueError):
    """What stood in the queue is not a job."""


class NoSuchTask(JobError, LookupError):
    """The job names a task that the worker's app does not declare."""


class JobTimeout(JobError, TimeoutError):
    """The task ran longer than its `timeout`."""


class StoppedBySignal(JobError):
    """The worker process received SIGUSR1, which fails the jobs that it runs."""


class KilledItsProcess(JobError):
    """The job's process died under it as often as `rescue_limit` allows."""


class ProcessDied(JobError):
    """The process of a task with ``run_in="process"`` died before the task was done, or did not come up."""
