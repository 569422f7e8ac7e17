"""For how long a job that may have killed its process is kept alone."""

from __future__ import annotations

from typing import Final

from taskhero.wire.jobs import late_deaths

__all__ = ["MOST", "probation"]

#: Nobody is kept alone for more seconds, unless a process is taken for dead only after a longer time.
MOST: Final = 600.0
# With each late death the time is so many times as long: the fewer deaths until it is long enough, the better, and the
# shorter it is, the better for the jobs that are innocent.
_LONGER: Final = 4.0
_ENOUGH: Final = 20


def probation(raw: str, least: float) -> float:
    """Seconds that a suspect waits for the jobs beside it, and then runs alone, at most.

    It is *least* at first, and four times as long after each death that came when it was over, up to `MOST`.

    Args:
        raw: The job's text.
        least: Seconds after which a process is taken for dead.
    """
    return min(least * _LONGER ** min(late_deaths(raw), _ENOUGH), max(MOST, least))
