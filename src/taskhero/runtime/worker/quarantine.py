"""Compute how long a job that may have crashed its process is quarantined."""

from __future__ import annotations

from typing import Final

from taskhero.wire.jobs import late_crash_count

__all__ = ["MAX_PERIOD", "quarantine_period"]

#: The longest quarantine period in seconds, unless the lease of a process is longer.
MAX_PERIOD: Final = 600.0
# Growth after each crash that came after the period: large, so that few crashes are needed to attribute one, but not
# larger, since other jobs wait for the period.
_GROWTH: Final = 4.0
_MAX_GROWTH_STEPS: Final = 20


def quarantine_period(raw: str, minimum: float) -> float:
    """Return how many seconds a quarantined job waits for other jobs, and then runs exclusively, at most.

    The period is *minimum* at first. It is four times as long after each crash that came after it, up to `MAX_PERIOD`.

    Args:
        raw: The job's payload.
        minimum: Length of the process's lease in seconds.
    """
    return min(minimum * _GROWTH ** min(late_crash_count(raw), _MAX_GROWTH_STEPS), max(MAX_PERIOD, minimum))
