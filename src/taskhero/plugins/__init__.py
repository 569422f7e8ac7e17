"""The plugins that come with taskhero, and the names that other plugins import.

Each plugin has a module of its own and uses only the hooks of `taskhero.hooks.specs`, as third parties do. Its fields
are its options. A plugin only declares locks and counters: the backend takes, counts and releases them in the step that
stores, prepares or settles the job. `option_checks` validates options, `taskhero.wire.equal_jobs` builds the keys that
equal jobs share, and `shipped_plugins` registers the plugins' names.
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
