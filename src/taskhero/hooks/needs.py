"""What a job may need while it runs: data that plugins state, and that the engine sees to.

The locks that a job needs are taken together or not at all, before any hook of the run is called, and go with its end.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from taskhero.errors import PluginError
from taskhero.models import Postponed, Refused

__all__ = ["CountAttempts", "HoldLock", "Need"]


@attrs.frozen
class HoldLock:
    """Run the job only while it holds lock *key*; it is renewed under a long job and dies with its process.

    Attributes:
        key: The lock's name, such as ``workerslock:add:math:[1,2]``.
        timeout: Whole seconds until it lapses if nobody renews it.
        otherwise: How the job ends, without running and without any hook, if another one holds the lock.

    Raises:
        PluginError: One of these cannot be.
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
    """Count the job's attempts: the number is known before it runs, and forgotten when it has ended for good.

    It goes up with each `Retrying` that names the same counter.

    Attributes:
        counter: The counter's name, such as ``resque-retry:add:1-2``.
        trace: Name under which its last error is kept beside it, ``""`` for nowhere.

    Raises:
        PluginError: One of these cannot be.
    """

    counter: str
    trace: str = ""

    def __attrs_post_init__(self) -> None:
        _check_name("CountAttempts", "counter", self.counter)
        if self.trace != "":
            _check_name("CountAttempts", "trace", self.trace)


Need: TypeAlias = HoldLock | CountAttempts


def _check_name(of: str, field: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise PluginError(f"{of}({field}={name!r}): pass a str that is not empty")
