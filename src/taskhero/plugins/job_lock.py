"""A plugin that runs only one of several equal jobs at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.hooks.needs import HoldLock
from taskhero.hooks.specs import hookimpl
from taskhero.models import Postponed, Refused
from taskhero.plugins.option_checks import chosen_key, delay_option, flag_option, key_option, timeout_option
from taskhero.wire.equal_jobs import lock_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.hooks.needs import Need
    from taskhero.models import Job
    from taskhero.plugins.option_checks import Key

__all__ = ["JobLock"]


def _requeue(value: bool) -> bool:
    return flag_option(value, "requeue")


@attrs.frozen(eq=False)
class JobLock:
    """Run a job only while no equal one runs in any process: one with the same name, queue and arguments.

    The job holds a lock. The heartbeat renews it, and it is released when the job ends or its process dies. Its key is
    that of node-resque's JobLock, so that each side respects the other's locks.

    Args:
        timeout: Whole seconds, or a timedelta, after which the lock expires if it is not renewed.
        requeue: Whether a job is postponed if the lock is held. If False, it is refused.
        delay: Seconds, or a timedelta, by which the job is postponed.
        key: The lock's key inside the namespace instead of ``workerslock:<name>:<queue>:<args>``, or a function of the
            job that returns it. ``app.queue.locks()`` lists keys that begin with ``workerslock:``.

    Raises:
        PluginError: An option is not valid.
    """

    timeout: int = attrs.field(default=3600, converter=timeout_option)
    requeue: bool = attrs.field(default=True, converter=_requeue)
    delay: float = attrs.field(default=1, converter=delay_option)
    key: Key | None = attrs.field(default=None, converter=key_option)

    _otherwise: Postponed | Refused = attrs.field(init=False, repr=False)

    @_otherwise.default
    def _decide(self) -> Postponed | Refused:
        return Postponed(self.delay) if self.requeue else Refused()

    @hookimpl
    def taskhero_needs(self, job: Job) -> Sequence[Need]:
        """Return the lock that the job holds while it runs."""
        key = lock_name("workerslock", job) if self.key is None else chosen_key(self.key, job)
        return (HoldLock(key, self.timeout, self._otherwise),)
