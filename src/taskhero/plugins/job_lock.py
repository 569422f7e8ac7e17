"""No two equal jobs running at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.hooks.needs import HoldLock
from taskhero.hooks.specs import hookimpl
from taskhero.models import Postponed, Refused
from taskhero.plugins.equal_jobs import chosen_key, lock_name
from taskhero.plugins.option_checks import delay_option, flag_option, key_option, timeout_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.hooks.needs import Need
    from taskhero.models import Job
    from taskhero.plugins.equal_jobs import Key

__all__ = ["JobLock"]


def _requeue(given: bool) -> bool:
    return flag_option(given, "requeue")


@attrs.frozen(eq=False)
class JobLock:
    """Run a job only while no equal one, of the same name, queue and arguments, runs anywhere.

    The job holds a lock, which is renewed as long as it runs and goes with its end or its process. Its name is that of
    node-resque's JobLock, so that each side honours the other's.

    Args:
        timeout: Whole seconds, or a timedelta, after which the lock lapses if nobody renews it.
        requeue: Whether a job that finds the lock held is tried again later; if not, it is dropped.
        delay: Seconds, or a timedelta, until it is tried again.
        key: The lock's name below the namespace instead of ``workerslock:<name>:<queue>:<args>``, or a function of the
            job that makes one. What begins with ``workerslock:`` is seen in ``app.queue.locks()``.

    Raises:
        PluginError: An option cannot be.
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
        """The job holds its lock while it runs."""
        key = lock_name("workerslock", job) if self.key is None else chosen_key(self.key, job)
        return (HoldLock(key, self.timeout, self._otherwise),)
