"""Delays that grow while the backend fails, and the state of an outage, reported once."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from taskhero.errors import BackendDenied, BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backoff", "Outage"]


class Backoff:
    """Delays that double up to a limit. Each is shortened at random, so that processes do not retry all at once.

    Args:
        first: The longest first delay, in seconds.
        limit: The longest delay, in seconds. With 1 s, a process meets a backend again within 1 s of its return.
        random_number: Returns a random number from 0 up to 1.
    """

    __slots__ = ("_first", "_limit", "_next", "_random")

    def __init__(
        self, first: float = 0.1, limit: float = 1.0, random_number: Callable[[], float] = random.random
    ) -> None:
        self._first = first
        self._limit = limit
        self._next = first
        self._random = random_number

    def next(self) -> float:
        """Return the next delay in seconds: between half of the current step and all of it."""
        step = min(self._next, self._limit)
        self._next = step * 2
        return step * (1 - self._random() / 2)

    def reset(self) -> None:
        """Start from the first delay again, after a success."""
        self._next = self._first


class Outage:
    """The state of the backend for this process. It reports the beginning and the end of an outage once each.

    Several loops use the backend. Each reports its errors and successes under its own name.

    Args:
        began: Called with the loop's name and the error: for the first error of an outage, and for each error of
            another kind.
        ended: Called with the length of the outage in seconds, when all loops work again.
        clock: Returns monotonic seconds.
    """

    __slots__ = ("_began", "_clock", "_ended", "_failing_loops", "_kinds", "_since")

    def __init__(
        self,
        began: Callable[[str, Exception], None],
        ended: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._began = began
        self._ended = ended
        self._clock = clock
        self._failing_loops: set[str] = set()
        self._kinds: set[str] = set()
        self._since = 0.0

    @property
    def active(self) -> bool:
        """Whether the last call of any loop failed."""
        return bool(self._failing_loops)

    def failed(self, loop: str, error: Exception) -> None:
        """Record that the loop *loop* got *error*."""
        if not self._failing_loops:
            self._since = self._clock()
        kind = _kind(error)
        self._failing_loops.add(loop)
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._began(loop, error)

    def worked(self, loop: str) -> None:
        """Record that the loop *loop* works."""
        if loop not in self._failing_loops:
            return
        self._failing_loops.discard(loop)
        if not self._failing_loops:
            self._kinds.clear()
            self._ended(self._clock() - self._since)


def _kind(error: Exception) -> str:
    if isinstance(error, BackendDenied):
        # A retry does not help: an operator must change the permissions, so this is reported separately.
        return "denied"
    # One outage causes lost replies in some loops and refused connections in others: report it once.
    if isinstance(error, BackendError) and isinstance(error, ConnectionError):
        return "unreachable"
    return f"{type(error).__name__}: {error}"
