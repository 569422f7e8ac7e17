"""Write events as log records, each at the level that the settings define.

The loggers are ``taskhero.worker`` and ``taskhero.scheduler``. A record has a message, the field `event` and the fields
of the event: `worker`, `queue`, `duration`, `delay` ... A job becomes `task`. An error becomes `exception` (its class)
and `error` (its text). The arguments of a job are `job_args`, except in a record of level INFO: routine lines contain
neither arguments nor results. Values of the names in `Settings.filtered_params` are masked. A traceback that quotes
such a value is omitted.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskhero import events
from taskhero._internal.logs import get_logger
from taskhero.errors import BackendDenied, RetryLater
from taskhero.models import Job
from taskhero.runtime.execution.failure_report import has_short_traceback, text_of
from taskhero.runtime.logs.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskhero.events import Emitter, Event
    from taskhero.settings import Settings

__all__ = ["log_events"]

_LOGGERS: Final = {
    "worker": get_logger("taskhero.worker"),
    "multi_worker": get_logger("taskhero.worker"),
    "scheduler": get_logger("taskhero.scheduler"),
}

_MESSAGES: Final[Mapping[type[Event], str]] = {
    events.WorkerStart: "worker %(worker)s started",
    events.WorkerEnd: "worker %(worker)s ended",
    events.WorkerPoll: "worker %(worker)s polls the queues %(queues)s",
    events.WorkerPause: "worker %(worker)s is idle and waits for jobs",
    events.WorkerPing: "worker %(worker)s sent a heartbeat",
    events.WorkerJob: "task %(task)r from queue %(queue)r started",
    events.WorkerSuccess: "task %(task)r from queue %(queue)r succeeded in %(duration).3f s",
    events.WorkerFailure: "task %(task)r from queue %(queue)r failed after %(duration).3f s: %(exception)s: %(error)s",
    events.WorkerRetry: "task %(task)r from queue %(queue)r failed in attempt %(attempt)d of %(limit)d and is retried "
    "in %(delay)g s: %(exception)s: %(error)s",
    events.WorkerReEnqueue: "task %(task)r from queue %(queue)r was postponed for %(delay)g s by a plugin",
    events.WorkerRefused: "task %(task)r from queue %(queue)r was refused by a plugin",
    events.WorkerGivenBack: "task %(task)r was released to the front of queue %(queue)r: %(reason)s",
    events.WorkerGone: "the outcome of task %(task)r from queue %(queue)r was not recorded: the worker had lost its "
    "claim, because another program treated the worker as dead or removed it",
    events.WorkerCleaningWorker: "worker %(worker)s is dead and is removed",
    events.WorkerRescue: "task %(task)r was rescued from dead worker %(worker)s to the front of queue %(queue)r",
    events.WorkerError: "error in worker %(worker)s: %(exception)s: %(error)s",
    events.WorkerOutage: "worker %(worker)s cannot reach its backend and retries: %(exception)s: %(error)s",
    events.WorkerRecovered: "worker %(worker)s reached its backend again after %(duration).1f s",
    events.MultiWorkerStart: "task processors of %(worker)s are starting",
    events.MultiWorkerEnd: "task processors of %(worker)s ended",
    events.MultiWorkerAction: "task processors of %(worker)s: %(verb)s, now %(count)d (event loop delay %(delay).3f s)",
    events.SchedulerStart: "scheduler %(owner)s started",
    events.SchedulerEnd: "scheduler %(owner)s ended",
    events.SchedulerPoll: "scheduler %(owner)s polls for due jobs",
    events.SchedulerLeader: "scheduler %(owner)s became the leader",
    events.SchedulerLeaderLost: "scheduler %(owner)s is not the leader any more",
    events.SchedulerEnqueue: "enqueued periodic task %(task)r in queue %(queue)r",
    events.SchedulerReEnqueue: "re-enqueued recurrent job %(task)s",
    events.SchedulerYielded: "scheduler %(owner)s does not promote delayed jobs: another program's scheduler, "
    "%(holder)r, holds the lock %(key)r, first seen at %(since)s",
    events.SchedulerWorkingTimestamp: "jobs with due time %(timestamp)d are promoted",
    events.SchedulerTransferredJob: "task %(task)r is due and was moved to queue %(queue)r",
    events.SchedulerMerged: "task %(task)r is due, but an equal job is already in queue %(queue)r",
    events.SchedulerCleanStuckWorker: "worker %(worker)s was removed after %(duration).0f s without a heartbeat; "
    "its job, if any, is listed as failed",
    events.SchedulerError: "error in scheduler %(owner)s: %(exception)s: %(error)s",
    events.SchedulerOutage: "scheduler %(owner)s cannot reach its backend and retries: %(exception)s: %(error)s",
    events.SchedulerRecovered: "scheduler %(owner)s reached its backend again after %(duration).1f s",
}


def log_events(
    emitter: Emitter, settings: Settings, names: Callable[[str], Sequence[str]] = lambda _task: ()
) -> Callable[[], None]:
    """Log the events of *emitter*, each at its level in `worker_logging` or `scheduler_logging`.

    Args:
        emitter: The emitter to subscribe to.
        settings: The levels, and the names of the values to mask.
        names: Returns the names of a task's parameters in the order of its jobs' args.

    Returns:
        A function that ends the subscriptions.
    """
    return _EventLog(emitter, settings, names).close


class _EventLog:
    def __init__(self, emitter: Emitter, settings: Settings, names: Callable[[str], Sequence[str]]) -> None:
        self._emitter = emitter
        self._handlers: list[tuple[type[Event], Callable[[Any], None]]] = []
        self._outages: set[tuple[str, bool]] = set()
        self._redaction = Redaction(settings.filtered_params)
        self._names = names
        for kind, message in _MESSAGES.items():
            levels = settings.scheduler_logging if kind.source == "scheduler" else settings.worker_logging
            level = levels.get(kind.name, "off")
            if level != "off":
                self._listen(kind, logging.getLevelNamesMapping()[level.upper()], message)

    def close(self) -> None:
        for kind, handler in self._handlers:
            self._emitter.off(kind, handler)
        self._handlers.clear()

    def _listen(self, kind: type[Event], level: int, message: str) -> None:
        logger = _LOGGERS[kind.source]
        with_data = level != logging.INFO

        def log(event: Event) -> None:
            if self._must_log(event):
                fields, traceback = _fields(event, self._redaction, self._names, with_data=with_data)
                logger.log(level, message, fields, exc_info=traceback, extra=fields)

        # While the level is off, the emitter does not build the event, unless another handler wants it.
        self._emitter.on(kind, log, when=partial(logger.isEnabledFor, level))
        self._handlers.append((kind, log))

    def _must_log(self, event: Event) -> bool:
        """Return False for an outage that is already logged; a denied login during an outage is logged once more."""
        if event.name == "outage":
            outage = event.source, isinstance(getattr(event, "error", None), BackendDenied)
            known = outage in self._outages
            self._outages.add(outage)
            return not known
        if event.name == "recovered":
            self._outages -= {(event.source, False), (event.source, True)}
        return True


def _fields(
    event: Event, redaction: Redaction, names: Callable[[str], Sequence[str]], *, with_data: bool
) -> tuple[dict[str, Any], BaseException | None]:
    """Return the fields of an event's record and the error whose traceback it shows, with filtered values masked."""
    fields: dict[str, Any] = {"event": event.name}
    secrets: list[str] = []
    for name in event.field_names():
        value = getattr(event, name)
        if isinstance(value, Job):
            named = names(value.name) if redaction else ()
            secrets = list(redaction.secrets_of_args(value.args, named)) if redaction else []
            fields["task"] = value.name
            if with_data:
                fields["job_args"] = redaction.masked_args(value.args, named)
        elif isinstance(value, BaseException):
            fields["exception"] = type(value).__name__
            fields["error"] = value.request if _is_granted(event) else text_of(value)  # type: ignore[attr-defined]
        elif name != "result":
            fields[name] = value
        elif with_data:
            fields[name] = redaction.masked_result(value)
    error = _error_with_traceback(event)
    if secrets and "error" in fields:
        fields["error"] = redaction.masked_text(fields["error"], secrets)
        error = error if error is None or redaction.may_show(error, secrets) else None
    return fields, error


def _is_granted(event: Event) -> bool:
    """Return whether the event is a retry that the task itself requested."""
    return type(event) is events.WorkerRetry and isinstance(event.error, RetryLater)


def _error_with_traceback(event: Event) -> BaseException | None:
    """Return the error whose traceback is logged, or None.

    An outage and a retry that the task requested have none. An error has none if it is huge, or if `logging` cannot
    format its traceback.
    """
    error: BaseException | None = getattr(event, "error", None)
    if error is None or event.name == "outage" or _is_granted(event) or not has_short_traceback(error):
        return None
    return error
