"""The sources of the current time: the system clock, and a clock that tests set."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> float:
        """Return the time in seconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The system clock of this machine."""

    def now(self) -> float:
        """Return the system time in seconds since 1970-01-01 UTC."""
        return time.time()


class ManualClock:
    """A clock whose time changes only when a test sets it."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the time last set, in seconds since 1970-01-01 UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Change the time by *seconds*, which may be negative."""
        self._now += seconds
