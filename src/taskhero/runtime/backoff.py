"""Waiting longer and longer while something does not work, and saying so once."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from taskhero.errors import BackendDenied, BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backoff", "Outage"]


class Backoff:
    """Delays that double up to a limit, each shortened by chance so that many processes do not come back at once.

    Args:
        first: The first delay at most, in seconds.
        limit: No delay is longer than this, in seconds; what was away is to be met again within a second of its return.
        chance: Returns a number from 0 up to 1.
    """

    __slots__ = ("_chance", "_first", "_limit", "_next")

    def __init__(self, first: float = 0.1, limit: float = 1.0, chance: Callable[[], float] = random.random) -> None:
        self._first = first
        self._limit = limit
        self._next = first
        self._chance = chance

    def next(self) -> float:
        """The delay to wait now, in seconds: between half of its step and all of it."""
        step = min(self._next, self._limit)
        self._next = step * 2
        return step * (1 - self._chance() / 2)

    def reset(self) -> None:
        """It worked: start from the first delay again."""
        self._next = self._first


class Outage:
    """Whether the backend is away for this process, told once when it begins and once when it ends.

    Several loops use the backend; each says how it fares under a name of its own.

    Args:
        began: Called with the loop's name and the error, when the first loop meets an error and when another one
            meets an error of a different kind.
        ended: Called with the seconds it lasted, when all loops are well again.
        clock: Tells seconds that only ever grow.
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
    def lasting(self) -> bool:
        """Whether any loop is in trouble."""
        return bool(self._failing_loops)

    def failed(self, who: str, error: Exception) -> None:
        """The loop *who* met *error*."""
        if not self._failing_loops:
            self._since = self._clock()
        kind = _kind(error)
        self._failing_loops.add(who)
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._began(who, error)

    def worked(self, who: str) -> None:
        """The loop *who* is well (again)."""
        if who not in self._failing_loops:
            return
        self._failing_loops.discard(who)
        if not self._failing_loops:
            self._kinds.clear()
            self._ended(self._clock() - self._since)


def _kind(error: Exception) -> str:
    if isinstance(error, BackendDenied):
        # To wait will not help: somebody has to know.
        return "denied"
    # That the store is away shows as a lost reply here and as a refused connection there: one thing to people.
    if isinstance(error, BackendError) and isinstance(error, ConnectionError):
        return "away"
    return f"{type(error).__name__}: {error}"
