"""The values of the running task: its job, worker, attempt and logger."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import attrs

from taskhero._internal.logs import get_logger
from taskhero.errors import NotRunningATask

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from taskhero.models import Job

__all__ = [
    "Current",
    "Running",
    "TaskLogger",
    "current",
    "running_job",
    "task_logger",
]

_log: Final = get_logger("taskhero.task")


@attrs.define(eq=False)
class Running:
    """A job that is being performed. All contexts that its task starts share it, also those in threads.

    Attributes:
        job: The job.
        worker: The name of the task processor.
        app: The app, or None.
        attempt: The number of this attempt, from 1.
        cancelled: Whether the job was ended from outside, although its task may still run.
        begun: Its start, on the clock of `time.perf_counter`, in seconds.
        preparing: Whether the hooks before the job still run.
        decided: Whether the function has ended, so that only the hooks after the job remain.
        abandoned: Whether the job has ended without its task, so that the result of the task is ignored.
    """

    job: Job
    worker: str
    app: Any
    attempt: int = 1
    cancelled: bool = False
    begun: float = attrs.field(init=False, factory=perf_counter)
    preparing: bool = attrs.field(init=False, default=False)
    decided: bool = attrs.field(init=False, default=False)
    abandoned: bool = attrs.field(init=False, default=False)


#: The running job of this context, for `current`.
running_job: Final[ContextVar[Running]] = ContextVar("taskhero_running")


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs to ``taskhero.task``. Each record has the fields `task`, `queue` and `worker`."""

    extra: Mapping[str, object]

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the fields to those of the call, which take precedence."""
        given = kwargs.get("extra")
        kwargs["extra"] = {**self.extra, **given} if given else self.extra
        return msg, kwargs


@attrs.frozen
class Current:
    """The values of the running task.

    Attributes:
        job: The job.
        worker: The name of the task processor, as other programs see it.
        app: The app, or None in a task with ``run_in="process"``: its child process has no running app.
        logger: Logs to ``taskhero.task`` with the fields `task`, `queue` and `worker`.
        attempt: The number of this attempt, from 1; always 1 without a plugin that retries jobs, such as `Retry`.
    """

    job: Job
    worker: str
    app: Any = attrs.field(repr=False)
    logger: TaskLogger = attrs.field(repr=False)
    attempt: int = 1
    _running: Running | None = attrs.field(default=None, repr=False, eq=False, kw_only=True)

    @property
    def cancelled(self) -> bool:
        """Whether the job was ended from outside: by its timeout, by SIGUSR1, or by the stop of its process.

        The value is always up to date. The result of the task is ignored from then on. A long task in a thread should
        check this value regularly, and return. It is always False in a task with ``run_in="process"``, since its child
        process is killed.
        """
        return self._running is not None and self._running.cancelled


def current() -> Current:
    """Return the values of the running task.

    It works in all functions that the task calls, also in threads and child processes of tasks.

    Raises:
        NotRunningATask: It was called outside a task.
    """
    try:
        running = running_job.get()
    except LookupError:
        raise NotRunningATask(
            "current() was called outside a running task: call it in a task that a worker performs, or in a function "
            "that the task calls (a thread that the task starts must run in contextvars.copy_context())"
        ) from None
    logger = task_logger(running.job, running.worker)
    return Current(running.job, running.worker, running.app, logger, running.attempt, running=running)


def task_logger(job: Job, worker: str) -> TaskLogger:
    """Return the logger for *job* on the task processor *worker*."""
    return TaskLogger(_log, {"task": job.name, "queue": job.queue, "worker": worker})
