"""Background jobs for Python, inside your server or beside it, stored in Resque's Redis format.

`TaskHero` in `app` connects the other packages. `engine` declares tasks and enqueues jobs, `runtime` runs them,
`backends` stores them, and `wire` encodes them. `hooks` and `events` are for extensions, `plugins` has the plugins that
come with taskhero, `cli` is the command line, and `conformance` tests backends. `settings`, `models`, `errors` and
`clock` are what all of them share. `_internal` has private helpers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero._internal.lazy import lazy_names

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.engine.queue.queue import Queue, QueueContext
    from taskhero.engine.task.task import Task, task
    from taskhero.errors import AlreadyScheduled, NotConnected, RetryLater, TaskheroError, UnknownTask
    from taskhero.hooks.contexts import EnqueueContext, OverrideContext, PerformContext
    from taskhero.hooks.specs import hookimpl
    from taskhero.models import FailedJob, Failure, Job, Outcome, Postponed, Refused, Retrying, Success, Working
    from taskhero.runtime.execution.context import Current, current
    from taskhero.runtime.scheduler.scheduler import Scheduler, SchedulerContext
    from taskhero.runtime.worker.autoscale import Load
    from taskhero.runtime.worker.pool import MultiWorker, MultiWorkerContext
    from taskhero.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "AlreadyScheduled",
    "Current",
    "EnqueueContext",
    "FailedJob",
    "Failure",
    "Job",
    "Load",
    "MultiWorker",
    "MultiWorkerContext",
    "NotConnected",
    "Outcome",
    "OverrideContext",
    "PerformContext",
    "Postponed",
    "Queue",
    "QueueContext",
    "Refused",
    "RetryLater",
    "Retrying",
    "Scheduler",
    "SchedulerContext",
    "Settings",
    "Success",
    "Task",
    "TaskHero",
    "TaskheroError",
    "UnknownTask",
    "Working",
    "__version__",
    "current",
    "hookimpl",
    "task",
]

# Each name is imported on its first use, so that `import taskhero` is fast.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "TaskHero": "taskhero.app",
        "Queue": "taskhero.engine.queue.queue",
        "QueueContext": "taskhero.engine.queue.queue",
        "Task": "taskhero.engine.task.task",
        "task": "taskhero.engine.task.task",
        **dict.fromkeys(("AlreadyScheduled", "NotConnected", "RetryLater"), "taskhero.errors"),
        **dict.fromkeys(("TaskheroError", "UnknownTask"), "taskhero.errors"),
        **dict.fromkeys(("EnqueueContext", "OverrideContext", "PerformContext"), "taskhero.hooks.contexts"),
        "hookimpl": "taskhero.hooks.specs",
        **dict.fromkeys(("FailedJob", "Failure", "Job", "Outcome", "Postponed"), "taskhero.models"),
        **dict.fromkeys(("Refused", "Retrying", "Success", "Working"), "taskhero.models"),
        **dict.fromkeys(("Current", "current"), "taskhero.runtime.execution.context"),
        "Load": "taskhero.runtime.worker.autoscale",
        **dict.fromkeys(("MultiWorker", "MultiWorkerContext"), "taskhero.runtime.worker.pool"),
        **dict.fromkeys(("Scheduler", "SchedulerContext"), "taskhero.runtime.scheduler.scheduler"),
        "Settings": "taskhero.settings",
    },
)
