"""Decide how many task processors run: measure the event loop, then compare with the limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["Load", "LoopDelay", "decide"]


class LoopDelay:
    """Measures how late the event loop runs its timers.

    Args:
        interval: Seconds between two measurements.
        clock: Returns monotonic seconds; the event loop's clock if none is given.
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
        """Start to measure, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        if self._clock is None:
            self._clock = self._loop.time
        self._plan()

    def stop(self) -> None:
        """Stop measuring. A second call changes nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> float:
        """Return the longest delay since the last call, in seconds, including a timer that is overdue now."""
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


@attrs.frozen(kw_only=True)
class Load:
    """The input of `decide`.

    Attributes:
        workers: The number of task processors.
        working: The largest number of them that worked at once since the last check.
        minimum: The smallest number allowed.
        maximum: The largest number allowed.
        blocked: Whether the event loop delay exceeds its limit.
        backlog: Whether the queues held more jobs than the processors could claim.
    """

    workers: int
    working: int
    minimum: int
    maximum: int
    blocked: bool
    backlog: bool


def decide(load: Load) -> int:
    """Return how many task processors to add, or to remove if negative."""
    workers = load.workers
    if workers < load.minimum:
        # Also if the loop is late: without any processor no job would run.
        return load.minimum - workers
    if load.blocked:
        return -1 if workers > load.minimum else 0
    if workers < load.maximum and load.working * 2 > workers:
        return min(workers, load.maximum - workers) if load.backlog else 1
    if workers > load.minimum and load.working * 2 < workers:
        return -1
    return 0
