"""For how long a job that may have killed its process is kept alone."""

from __future__ import annotations

from typing import Final

from taskhero.wire.jobs import late_crash_count

__all__ = ["MAX_PERIOD", "quarantine_period"]

#: Nobody is kept alone for more seconds, unless a process is taken for dead only after a longer time.
MAX_PERIOD: Final = 600.0
# With each late death the time is so many times as long: the fewer deaths until it is long enough, the better, and the
# shorter it is, the better for the jobs that are innocent.
_GROWTH: Final = 4.0
_MAX_GROWTH_STEPS: Final = 20


def quarantine_period(raw: str, minimum: float) -> float:
    """Seconds that a suspect waits for the jobs beside it, and then runs alone, at most.

    It is *minimum* at first, and four times as long after each death that came when it was over, up to `MOST`.

    Args:
        raw: The job's text.
        minimum: Seconds after which a process is taken for dead.
    """
    return min(minimum * _GROWTH ** min(late_crash_count(raw), _MAX_GROWTH_STEPS), max(MAX_PERIOD, minimum))
