"""The needs of a job while it runs: records that plugins return and that the engine carries out.

One step takes all locks of a job or none, before any hook of the run. The settlement of the job releases them.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from taskhero.errors import PluginError
from taskhero.models import Postponed, Refused

__all__ = ["CountAttempts", "HoldLock", "Need"]


@attrs.frozen
class HoldLock:
    """Run the job only while it holds the lock *key*. The heartbeat renews the lock until the job ends.

    Attributes:
        key: The lock's name, such as ``workerslock:add:math:[1,2]``.
        timeout: Whole seconds until the lock expires if it is not renewed, for example after a crash.
        otherwise: How the job ends, without a run and without hooks, if another job holds the lock.

    Raises:
        PluginError: A field is not valid.
    """

    key: str
    timeout: int
    otherwise: Postponed | Refused

    def __attrs_post_init__(self) -> None:
        _check_name("HoldLock", "key", self.key)
        if type(self.timeout) is not int or self.timeout < 1:
            raise PluginError(f"HoldLock(timeout={self.timeout!r}): pass whole seconds, 1 or more")
        if not isinstance(self.otherwise, (Postponed, Refused)):
            raise PluginError(f"HoldLock(otherwise={self.otherwise!r}): pass Postponed(seconds) or Refused()")


@attrs.frozen
class CountAttempts:
    """Count the job's attempts. The number is known before the run, and deleted when the job succeeds or finally fails.

    Each `Retrying` with the same counter increments it.

    Attributes:
        counter: The counter's name, such as ``resque-retry:add:1-2``.
        last_error_key: Name of the key that stores the last error, or ``""`` to store none.

    Raises:
        PluginError: A field is not valid.
    """

    counter: str
    last_error_key: str = ""

    def __attrs_post_init__(self) -> None:
        _check_name("CountAttempts", "counter", self.counter)
        if self.last_error_key != "":
            _check_name("CountAttempts", "last_error_key", self.last_error_key)


Need: TypeAlias = HoldLock | CountAttempts


def _check_name(record: str, field: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise PluginError(f"{record}({field}={name!r}): pass a str that is not empty")
