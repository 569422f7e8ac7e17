"""A plugin that stores no job while an equal one is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import QueueLockGuard
from taskhero.hooks.specs import hookimpl
from taskhero.plugins.option_checks import chosen_key, key_option, timeout_option
from taskhero.wire.equal_jobs import lock_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Guard
    from taskhero.models import Job
    from taskhero.plugins.option_checks import Key

__all__ = ["QueueLock"]


@attrs.frozen(eq=False)
class QueueLock:
    """Store no job while an equal one is in the queue: one with the same name, queue and arguments.

    The queued job has a lock, which is released when the job is claimed, deleted or refused. Key and value are those of
    node-resque's QueueLock, so that each side respects the other's locks.

    Args:
        timeout: Whole seconds, or a timedelta, after which the lock expires.
        key: The lock's key inside the namespace instead of ``lock:<name>:<queue>:<args>``, or a function of the job
            that returns it. ``app.queue.locks()`` lists keys that begin with ``lock:``.

    Raises:
        PluginError: An option is not valid.
    """

    timeout: int = attrs.field(default=3600, converter=timeout_option)
    key: Key | None = attrs.field(default=None, converter=key_option)

    @hookimpl
    def taskhero_guards(self, job: Job) -> Sequence[Guard]:
        """Return a guard that holds if the lock is free."""
        key = lock_name("lock", job) if self.key is None else chosen_key(self.key, job)
        return (QueueLockGuard(key, self.timeout, shared=self.key is not None),)
