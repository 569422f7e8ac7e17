"""What the running task can ask about itself."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import attrs

from taskhero.errors import NotRunningATask

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from contextvars import Token

    from taskhero.models import Job

__all__ = [
    "Current",
    "Running",
    "TaskLogger",
    "current",
    "current_attempt",
    "enter",
    "leave",
    "mark_cancelled",
    "task_logger",
]

_log: Final = logging.getLogger("taskhero.task")


class Running:
    """A job that is performed. All contexts that its task starts, in threads too, share it.

    Attributes:
        job: The job.
        worker: The name of the task processor.
        app: The app, or None.
        attempt: The number of this attempt, from 1.
        cancelled: Whether the job was ended from outside, although its task may still run.
        begun: When it began, as `time.perf_counter` counts.
        preparing: Whether plugins still see to it before its function is called.
        decided: Whether it is known how the job ends, but for the plugins.
        abandoned: Whether the job has ended without its task, so that what the task still returns is dropped.
    """

    __slots__ = ("abandoned", "app", "attempt", "begun", "cancelled", "decided", "job", "preparing", "worker")

    def __init__(self, job: Job, worker: str, app: Any, attempt: int = 1) -> None:
        self.job = job
        self.worker = worker
        self.app = app
        self.attempt = attempt
        self.begun = perf_counter()
        self.cancelled = self.preparing = self.decided = self.abandoned = False


_running: ContextVar[Running] = ContextVar("taskhero_running")


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs to ``taskhero.task``; each record has the fields `task`, `queue` and `worker`."""

    extra: Mapping[str, object]

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the fields to those of the call, which go first."""
        given = kwargs.get("extra")
        kwargs["extra"] = {**self.extra, **given} if given else self.extra
        return msg, kwargs


@attrs.frozen
class Current:
    """What is known of the running task.

    Attributes:
        job: The job that it performs.
        worker: The name of the task processor, as others see it.
        app: The app, or None in a task with ``run_in="process"``: its process has no running app.
        logger: Logs to ``taskhero.task`` with the fields `task`, `queue` and `worker`.
        attempt: The number of this attempt, from 1; always 1 without a plugin that tries jobs again, such as `Retry`.
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

        The value is always up to date. What the task still does counts for nothing, so a long task in a thread should
        look at it now and then, and return. It is always False in a task with ``run_in="process"``: its process is
        killed.
        """
        return self._running is not None and self._running.cancelled


def current() -> Current:
    """What is known of the running task; it works in what the task calls, in threads and processes of tasks too.

    Raises:
        NotRunningATask: It was called outside a task.
    """
    try:
        running = _running.get()
    except LookupError:
        raise NotRunningATask(
            "current() tells about the running task, and none runs here: call it in a task that a worker performs, or "
            "in what that task calls (a thread that a task starts itself needs its contextvars)"
        ) from None
    logger = task_logger(running.job, running.worker)
    return Current(running.job, running.worker, running.app, logger, running.attempt, running=running)


def current_attempt() -> int:
    """The number of the running task's attempt; 1 outside a task."""
    running = _running.get(None)
    return 1 if running is None else running.attempt


def mark_cancelled() -> None:
    """Let `Current.cancelled` of the running task be True from now on; nothing outside a task."""
    running = _running.get(None)
    if running is not None:
        running.cancelled = True


def task_logger(job: Job, worker: str) -> TaskLogger:
    """The logger for what belongs to *job* in the hands of *worker*."""
    return TaskLogger(_log, {"task": job.name, "queue": job.queue, "worker": worker})


def enter(running: Running) -> Token[Running]:
    """From now on, in this context, `current` tells about this job; for those who perform jobs."""
    return _running.set(running)


def leave(token: Token[Running]) -> None:
    """Undo the `enter` that returned *token*."""
    try:  # noqa: SIM105 -- it is quicker than `suppress`, and called for each job
        _running.reset(token)
    except ValueError:  # a coroutine that is thrown away is ended in another context
        pass
