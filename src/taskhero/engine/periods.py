"""How often a periodic task runs: pure functions."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

from taskhero._internal.display import shown
from taskhero.engine.moments import duration_of
from taskhero.errors import InvalidMoment, InvalidTask

__all__ = ["frequency_of", "next_run"]

_WEEK: Final = 7 * 24 * 3600
_YEAR: Final = 366 * 24 * 3600


def frequency_of(given: timedelta | float, name: str) -> float:
    """The frequency of a task in seconds.

    Args:
        given: A timedelta, or seconds; ActionHero has milliseconds here.
        name: The task's.

    Raises:
        InvalidTask: It is no duration, less than a second or more than a year, or a bare number that looks like
            milliseconds.
    """
    try:
        seconds = duration_of(given, "frequency")
    except InvalidMoment as error:
        raise InvalidTask(f"task {name!r}: {error}") from None
    told = f"task {name!r}: frequency={shown(given)}"
    if not seconds:
        raise InvalidTask(
            f"{told} is no time at all: pass a second or more, or leave it out for a task that is not periodic"
        )
    if seconds < 1:
        raise InvalidTask(f"{told} is less than a second, and delayed jobs are stored by the second: pass 1 or more")
    if seconds > _YEAR:
        raise InvalidTask(f"{told} is more than a year (there are no milliseconds here): pass less, in seconds")
    if seconds > _WEEK and not isinstance(given, timedelta):
        raise InvalidTask(
            f"{told} is more than a week in seconds (there are no milliseconds here): pass a timedelta if that is what "
            "you mean"
        )
    return float(seconds)


def next_run(ended: float, frequency: float) -> int:
    """When a periodic task runs again, in whole unix seconds.

    Counted from the end of a run, as in ActionHero, and rounded to the nearest second; a half is rounded up. It is
    never the second in which the run ended, so the next run is never due at once.

    Args:
        ended: When the run ended, in unix seconds.
        frequency: Seconds, 1 or more.
    """
    return max(math.floor(ended + frequency + 0.5), math.floor(ended) + 1)
