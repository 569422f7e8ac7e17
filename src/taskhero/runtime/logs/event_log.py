"""Events as log records, each at the level that the settings give it.

They go to the loggers ``taskhero.worker`` and ``taskhero.scheduler``. Besides the message, a record has the fields
`event` and those of the event: `worker`, `queue`, `duration`, `delay` ... A job becomes `task` and `job_args`, an
error becomes `exception` (its class) and `error` (its text). Values of the names in `Settings.filtered_params` are
masked; a traceback that quotes one is left out.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskhero import events
from taskhero.errors import BackendDenied
from taskhero.models import Job
from taskhero.runtime.execution.failure_report import text_of
from taskhero.runtime.logs.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskhero.events import Emitter, Event
    from taskhero.settings import Settings

__all__ = ["log_events"]

_LOGGERS: Final = {
    "worker": logging.getLogger("taskhero.worker"),
    "multi_worker": logging.getLogger("taskhero.worker"),
    "scheduler": logging.getLogger("taskhero.scheduler"),
}

_MESSAGES: Final[Mapping[type[Event], str]] = {
    events.WorkerStart: "worker %(worker)s started",
    events.WorkerEnd: "worker %(worker)s ended",
    events.WorkerPoll: "worker %(worker)s looks for jobs in %(queues)s",
    events.WorkerPause: "worker %(worker)s has nothing to do and waits",
    events.WorkerPing: "worker %(worker)s gave a sign of life",
    events.WorkerJob: "task %(task)r begins, from queue %(queue)r",
    events.WorkerSuccess: "task %(task)r succeeded in %(duration).3f s, from queue %(queue)r",
    events.WorkerFailure: "task %(task)r failed after %(duration).3f s, from queue %(queue)r: %(exception)s: %(error)s",
    events.WorkerRetry: "task %(task)r failed in attempt %(attempt)d of %(limit)d and is tried again in %(delay)g s, "
    "from queue %(queue)r: %(exception)s: %(error)s",
    events.WorkerReEnqueue: "task %(task)r is put off for %(delay)g s, from queue %(queue)r",
    events.WorkerRefused: "task %(task)r is not run, since a plugin refused it, from queue %(queue)r",
    events.WorkerGivenBack: "task %(task)r is released to the front of queue %(queue)r: %(reason)s",
    events.WorkerGone: "how task %(task)r of queue %(queue)r ended is not recorded: it was no longer the worker's, "
    "since another program took the worker for dead or removed it",
    events.WorkerCleaningWorker: "worker %(worker)s is dead and is cleaned up",
    events.WorkerRescue: "task %(task)r is back at the front of queue %(queue)r: its worker %(worker)s is dead",
    events.WorkerError: "worker %(worker)s met an error: %(exception)s: %(error)s",
    events.WorkerOutage: "worker %(worker)s cannot reach its backend and waits for it: %(exception)s: %(error)s",
    events.WorkerRecovered: "worker %(worker)s reaches its backend again, after %(duration).1f s",
    events.MultiWorkerStart: "task processors of %(worker)s start",
    events.MultiWorkerEnd: "task processors of %(worker)s have ended",
    events.MultiWorkerAction: "task processors of %(worker)s: %(verb)s, now %(count)d (the loop lags by %(delay).3f s)",
    events.SchedulerStart: "scheduler %(owner)s started",
    events.SchedulerEnd: "scheduler %(owner)s ended",
    events.SchedulerPoll: "scheduler %(owner)s looks for jobs that are due",
    events.SchedulerLeader: "scheduler %(owner)s leads now",
    events.SchedulerLeaderLost: "scheduler %(owner)s leads no longer",
    events.SchedulerEnqueue: "enqueued periodic task %(task)r in queue %(queue)r",
    events.SchedulerReEnqueue: "re-enqueued recurrent job %(task)s",
    events.SchedulerYielded: "scheduler %(owner)s promotes no delayed jobs: another program's scheduler, "
    "%(holder)r, holds the lock %(key)r, seen since %(since)s",
    events.SchedulerWorkingTimestamp: "jobs of the moment %(timestamp)d are due",
    events.SchedulerTransferredJob: "task %(task)r is due and stands in queue %(queue)r",
    events.SchedulerMerged: "task %(task)r is due, but an equal job waits in queue %(queue)r already",
    events.SchedulerCleanStuckWorker: "worker %(worker)s gave no sign of life for %(duration).0f s and is cleaned up; "
    "its job, if it had one, is listed as failed",
    events.SchedulerError: "scheduler %(owner)s met an error: %(exception)s: %(error)s",
    events.SchedulerOutage: "scheduler %(owner)s cannot reach its backend and waits for it: %(exception)s: %(error)s",
    events.SchedulerRecovered: "scheduler %(owner)s reaches its backend again, after %(duration).1f s",
}


def log_events(
    emitter: Emitter, settings: Settings, names: Callable[[str], Sequence[str]] = lambda _task: ()
) -> Callable[[], None]:
    """Log what *emitter* tells, each event at its level in `worker_logging` or `scheduler_logging`.

    Args:
        emitter: Tells the events.
        settings: The levels, and the names of what is masked.
        names: Tells which parameters of a task the values of its jobs' args go to, in their order.

    Returns:
        A function that ends it.
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

        def log(event: Event) -> None:
            if self._is_news(event):
                fields, traceback = _fields(event, self._redaction, self._names)
                logger.log(level, message, fields, exc_info=traceback, extra=fields)

        # While the level is off, the event is not even built, unless somebody else wants it.
        self._emitter.on(kind, log, when=partial(logger.isEnabledFor, level))
        self._handlers.append((kind, log))

    def _is_news(self, event: Event) -> bool:
        """An outage is told once, however often it is met, and so is its end; that it is the password, once too."""
        if event.name == "outage":
            outage = event.source, isinstance(getattr(event, "error", None), BackendDenied)
            known = outage in self._outages
            self._outages.add(outage)
            return not known
        if event.name == "recovered":
            self._outages -= {(event.source, False), (event.source, True)}
        return True


def _fields(
    event: Event, hide: Redaction, names: Callable[[str], Sequence[str]]
) -> tuple[dict[str, Any], BaseException | None]:
    """What a record says of an event, and the error whose traceback is shown, without values that are filtered."""
    fields: dict[str, Any] = {"event": event.name}
    secrets: list[str] = []
    for name in event.field_names():
        value = getattr(event, name)
        if isinstance(value, Job):
            named = names(value.name) if hide else ()
            secrets = list(hide.secrets_of_args(value.args, named)) if hide else []
            fields["task"], fields["job_args"] = value.name, hide.masked_args(value.args, named)
        elif isinstance(value, BaseException):
            fields["exception"], fields["error"] = type(value).__name__, text_of(value)
        else:
            fields[name] = hide.masked(value) if name == "result" else value
    shown = _to_show(event)
    if secrets and "error" in fields:
        fields["error"] = hide.masked_text(fields["error"], secrets)
        shown = shown if shown is None or hide.may_show(shown, secrets) else None
    return fields, shown


def _to_show(event: Event) -> BaseException | None:
    """The error whose traceback is shown: an outage needs none, nor does an error that has none."""
    error: BaseException | None = getattr(event, "error", None)
    if error is None or event.name == "outage" or (error.__traceback__ is None and error.__cause__ is None):
        return None
    return error
