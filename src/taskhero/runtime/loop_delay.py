"""How late the event loop is: a timer that measures its own drift."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LoopDelay"]


class LoopDelay:
    """Measures by how much the event loop runs its timers too late.

    Args:
        interval: Seconds between two measurements.
        clock: Tells seconds that only ever grow; the event loop's own clock if none is given.
    """

    __slots__ = ("_clock", "_due", "_interval", "_loop", "_timer", "_worst")

    def __init__(self, interval: float, clock: Callable[[], float] | None = None) -> None:
        self._interval = interval
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._worst = 0.0

    def start(self) -> None:
        """Begin to measure in the running event loop."""
        self._loop = asyncio.get_running_loop()
        if self._clock is None:
            self._clock = self._loop.time
        self._plan()

    def stop(self) -> None:
        """Measure no more; a second call changes nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> float:
        """The longest delay since the last call, in seconds; what is overdue just now counts, too."""
        worst = self._worst
        if self._timer is not None and self._clock is not None:
            worst = max(worst, self._clock() - self._due)
        self._worst = 0.0
        return max(worst, 0.0)

    def _plan(self) -> None:
        assert self._loop is not None  # noqa: S101 - for the type checker: start() has set it
        assert self._clock is not None  # noqa: S101
        self._due = self._clock() + self._interval
        self._timer = self._loop.call_later(self._interval, self._measure)

    def _measure(self) -> None:
        assert self._clock is not None  # noqa: S101
        self._worst = max(self._worst, self._clock() - self._due)
        self._plan()
