"""The exceptions that taskhero raises.

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
    """The base class of all exceptions of taskhero."""


class NotConnected(TaskheroError, RuntimeError):
    """The app was used before it was connected, or after it was closed."""


class NothingToRun(TaskheroError, RuntimeError):
    """The settings enable neither task processors nor a scheduler."""


class AlreadyRunning(TaskheroError, RuntimeError):
    """The app was started while it was running."""


class NotRunningATask(TaskheroError, RuntimeError):
    """`current()` was called outside a task."""


class InvalidSettings(TaskheroError, ValueError):
    """A setting is unknown, has the wrong type or is out of its bounds."""


class InvalidTask(TaskheroError, ValueError):
    """A task cannot be declared as written."""


class InvalidSchedule(InvalidTask):
    """A cron expression or its time zone cannot be read, or would never fire."""


class UnknownTask(TaskheroError, LookupError):
    """This app does not declare the task, and the caller gave no queue."""


class UnknownWorker(TaskheroError, LookupError):
    """No worker with this name is registered."""


class NotInFailures(TaskheroError, LookupError):
    """The entry is not in the failed list. Another process may have retried or removed it."""


class CannotRetry(TaskheroError, ValueError):
    """A failed entry does not contain a job that can be stored again."""


class InvalidLockName(TaskheroError, ValueError):
    """A lock cannot have this name."""


class InvalidQueueName(TaskheroError, ValueError):
    """A queue cannot have this name."""


class InvalidMoment(TaskheroError, ValueError):
    """A time, duration or count is out of its bounds, or has the wrong type."""


class InvalidArguments(TaskheroError, ValueError, TypeError):
    """A job's arguments cannot be written as JSON that every reader understands."""


class UnknownEvent(TaskheroError, ValueError):
    """No event has this name."""


class InvalidHandler(TaskheroError, TypeError):
    """A handler cannot be called with its event."""


class AlreadyScheduled(TaskheroError):
    """An equal job is already delayed to the same second (as in ActionHero)."""


class UnknownBackend(TaskheroError, ValueError):
    """No installed backend supports the scheme of a backend URL."""


class PluginError(TaskheroError):
    """A plugin cannot be used as configured."""


class UnknownPlugin(PluginError, LookupError):
    """No installed plugin has this name."""


class AmbiguousOverride(PluginError):
    """Two plugins replace the same part of the app."""


class BackendError(TaskheroError):
    """The store of jobs could not perform an operation."""


class BackendUnavailable(BackendError, ConnectionError):
    """The store could not be reached, is not ready or is not the master. Nothing was changed."""


class BackendDenied(BackendUnavailable):
    """The store requires a password, or rejected it. Nothing was changed."""


class ReplyLost(BackendError, ConnectionError):
    """The reply of the store was lost. It may or may not have performed the operation."""


class BackendRefused(BackendError):
    """The store answered with an error. Nothing was changed."""


class PartlyRefused(BackendError):
    """Some of several jobs could not be stored. All others were processed as usual.

    Attributes:
        problems: Why jobs could not be stored, by their position among the given jobs, from 0.
        answers: The answer of `Backend.push` or `Backend.schedule` for each job; None for each job in `problems`.
    """

    def __init__(self, message: str, problems: Mapping[int, str], answers: Sequence[bool | str | None] = ()) -> None:
        super().__init__(message)
        self.problems = dict(problems)
        self.answers = tuple(answers)


class WrongType(BackendRefused):
    """A key of the store has the wrong type. Nothing was changed."""


class BackendTooOld(BackendError):
    """The server is older than the oldest supported version."""


class RetryLater(TaskheroError):
    """A task raises it to be retried after *delay*, by its `Retry` plugin. Without the plugin, the job fails.

    The attempt counts against the plugin's limit. The plugin's exceptions do not have to include this one.

    Args:
        delay: Seconds, or a timedelta, until the next attempt.

    Attributes:
        delay: Seconds until the next attempt.

    Raises:
        InvalidMoment: *delay* is not a duration, is negative or not finite, or is longer than 1000 years.
    """

    delay: float

    def __init__(self, delay: timedelta | float) -> None:
        seconds: object = delay.total_seconds() if isinstance(delay, timedelta) else delay
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= LONGEST_DELAY:
            try:
                shown = repr(delay)
            except ValueError:
                # Python refuses to format an int of thousands of digits.
                shown = f"<{type(delay).__name__} that cannot be shown>"
            raise InvalidMoment(
                f"RetryLater({shown}): pass a timedelta, or seconds, of 0 or more, and not longer than 1000 years"
            )
        super().__init__(seconds)
        self.delay = seconds

    @property
    def request(self) -> str:
        """The request as a text, for a job that is retried. The text of the error is for a job that is not."""
        return f"the task requested a retry after {self.delay:g} s"

    def __str__(self) -> str:
        return f"{self.request}, but no attempt is left: give it the plugin Retry(limit=...), or a higher limit"


class JobError(TaskheroError):
    """The base class of errors of jobs that their tasks did not raise. Failed entries contain them."""


class ArgumentsMismatch(JobError, TypeError):
    """The job's arguments do not fit the task's signature."""


class Undecodable(JobError, ValueError):
    """The entry of a queue is not a job."""


class NoSuchTask(JobError, LookupError):
    """The job names a task that the worker's app does not declare."""


class JobTimeout(JobError, TimeoutError):
    """The task ran longer than its `timeout`."""


class StoppedBySignal(JobError):
    """The worker process received SIGUSR1, which fails its running jobs."""


class KilledItsProcess(JobError):
    """Processes died during exclusive runs of the job, and `rescue_limit` is reached."""


class ProcessDied(JobError):
    """The child process of a task with ``run_in="process"`` died before the task ended, or did not start."""
