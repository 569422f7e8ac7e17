"""The names of taskhero's plugins, and of their options in node-resque. Other plugins register names the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from taskhero.errors import PluginError
from taskhero.hooks.plugin_registry import Renamed
from taskhero.hooks.specs import hookimpl
from taskhero.plugins.delay_queue_lock import DelayQueueLock
from taskhero.plugins.job_lock import JobLock
from taskhero.plugins.noop import Noop
from taskhero.plugins.queue_lock import QueueLock
from taskhero.plugins.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskhero.hooks.plugin_registry import PluginRegistry

__all__ = ["taskhero_register_plugins"]


def _seconds(milliseconds: Any) -> float:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        raise PluginError("pass milliseconds as a number")
    return milliseconds / 1000


def _all_seconds(milliseconds: Any) -> tuple[float, ...] | None:
    if milliseconds is None:
        return None
    if not isinstance(milliseconds, (list, tuple)):
        raise PluginError("pass a list of milliseconds")
    return tuple(map(_seconds, milliseconds))


#: node-resque's names of options. Its durations are milliseconds, except timeouts of locks.
_QUEUE_LOCK: Final[Mapping[str, Renamed]] = {"lockTimeout": Renamed("timeout")}
_JOB_LOCK: Final[Mapping[str, Renamed]] = {
    "lockTimeout": Renamed("timeout"),
    "reEnqueue": Renamed("requeue"),
    "enqueueTimeout": Renamed("delay", _seconds),
}
_RETRY: Final[Mapping[str, Renamed]] = {
    "retryLimit": Renamed("limit"),
    "retryDelay": Renamed("delay", _seconds),
    "backoffStrategy": Renamed("backoff", _all_seconds),
}


@hookimpl
def taskhero_register_plugins(registry: PluginRegistry) -> None:
    """Register each plugin under its own name and those that node-resque and ActionHero use."""
    registry.add("queue-lock", QueueLock, "QueueLock", "queueLock", options=_QUEUE_LOCK)
    registry.add("delay-queue-lock", DelayQueueLock, "DelayQueueLock", "delayQueueLock")
    registry.add("job-lock", JobLock, "JobLock", "jobLock", options=_JOB_LOCK)
    registry.add("retry", Retry, "Retry", options=_RETRY)
    registry.add("noop", Noop, "Noop")
