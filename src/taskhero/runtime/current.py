"""What the running task can ask about itself."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from taskhero.errors import NotRunningATask

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from contextvars import Token

    from taskhero.models import Job

__all__ = ["Current", "TaskLogger", "current", "current_attempt", "enter", "leave", "task_logger"]

_Running: TypeAlias = "tuple[Job, str, Any, int]"

_running: ContextVar[_Running] = ContextVar("taskhero_running")
_log: Final = logging.getLogger("taskhero.task")


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


def current() -> Current:
    """What is known of the running task; it works in what the task calls, in threads and processes of tasks too.

    Raises:
        NotRunningATask: It was called outside a task.
    """
    try:
        job, worker, app, attempt = _running.get()
    except LookupError:
        raise NotRunningATask(
            "current() tells about the running task, and none runs here: call it in a task that a worker performs, or "
            "in what that task calls (a thread that a task starts itself needs its contextvars)"
        ) from None
    return Current(job, worker, app, task_logger(job, worker), attempt)


def current_attempt() -> int:
    """The number of the running task's attempt; 1 outside a task."""
    running = _running.get(None)
    return 1 if running is None else running[3]


def task_logger(job: Job, worker: str) -> TaskLogger:
    """The logger for what belongs to *job* in the hands of *worker*."""
    return TaskLogger(_log, {"task": job.name, "queue": job.queue, "worker": worker})


def enter(job: Job, worker: str, app: Any, attempt: int = 1) -> Token[_Running]:
    """From now on, in this context, `current` tells about this job; for those who perform jobs."""
    return _running.set((job, worker, app, attempt))


def leave(token: Token[_Running]) -> None:
    """Undo the `enter` that returned *token*."""
    try:  # noqa: SIM105 -- it is quicker than `suppress`, and called for each job
        _running.reset(token)
    except ValueError:  # a coroutine that is thrown away is ended in another context
        pass
