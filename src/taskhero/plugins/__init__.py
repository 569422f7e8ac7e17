"""The plugins that come with taskhero, and what plugins of others are made of.

Those that come with it know nothing that others could not: they are written with the hooks of `taskhero.hooks.specs`,
and hold their options only.
"""

from __future__ import annotations

from taskhero.backends.protocol import Guard, NotDelayed, QueueLockGuard
from taskhero.errors import RetryLater
from taskhero.hooks.contexts import EnqueueContext, PerformContext
from taskhero.hooks.needs import CountAttempts, HoldLock, Need
from taskhero.hooks.plugin_registry import Renamed
from taskhero.hooks.specs import hookimpl
from taskhero.models import Failure, Outcome, Postponed, Refused, Retrying, Success
from taskhero.plugins.delay_queue_lock import DelayQueueLock
from taskhero.plugins.job_lock import JobLock
from taskhero.plugins.noop import Noop
from taskhero.plugins.queue_lock import QueueLock
from taskhero.plugins.retry import Retry

__all__ = [
    "CountAttempts",
    "DelayQueueLock",
    "EnqueueContext",
    "Failure",
    "Guard",
    "HoldLock",
    "JobLock",
    "Need",
    "Noop",
    "NotDelayed",
    "Outcome",
    "PerformContext",
    "Postponed",
    "QueueLock",
    "QueueLockGuard",
    "Refused",
    "Renamed",
    "Retry",
    "RetryLater",
    "Retrying",
    "Success",
    "hookimpl",
]
