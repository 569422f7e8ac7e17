"""Durations, instants and frequencies as users pass them. The wire has whole seconds, rounded up."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from taskhero._internal.bounds import LATEST, LONGEST
from taskhero._internal.display import short_repr
from taskhero.errors import InvalidMoment, InvalidTask

__all__ = [
    "LATEST",
    "delay_of",
    "due_time_after",
    "duration_of",
    "frequency_of",
    "instant_of",
    "next_run",
    "second_of",
    "to_datetime",
]

_WEEK: Final = 7 * 24 * 3600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def duration_of(given: timedelta | float, what: str) -> float:
    """Seconds of a duration that is a `timedelta` or a number of seconds.

    Args:
        given: The duration.
        what: How messages call it.

    Raises:
        InvalidMoment: It is no duration, negative or not finite.
    """
    seconds = given.total_seconds() if isinstance(given, timedelta) else _number(given)
    if seconds is None:
        raise InvalidMoment(f"{what}={short_repr(given)} is no duration: pass a timedelta, or seconds as a number")
    if not _finite(seconds):
        raise InvalidMoment(f"{what}={short_repr(given)} is not finite: pass a timedelta, or seconds as a number")
    if seconds < 0:
        raise InvalidMoment(f"{what}={short_repr(given)} is negative: pass a timedelta, or seconds, of 0 or more")
    return seconds


def delay_of(given: timedelta | float, *, instead: str = "") -> float:
    """Seconds of a delay; a bare number over a week is taken for milliseconds and refused.

    Args:
        given: The delay.
        instead: What to do instead of passing a negative one, for the message.

    Raises:
        InvalidMoment: It is no delay.
    """
    number = given.total_seconds() if isinstance(given, timedelta) else _number(given)
    if instead and number is not None and number < 0:
        raise InvalidMoment(
            f"delay={short_repr(given)} is negative: pass a timedelta, or seconds, of 0 or more; {instead}"
        )
    if number is not None and _finite(number) and number > _WEEK and not isinstance(given, timedelta):
        raise InvalidMoment(
            f"delay={short_repr(given)} is more than a week in seconds (there are no milliseconds here): "
            "pass a timedelta if that is what you mean"
        )
    seconds = duration_of(given, "delay")
    if seconds > LONGEST:
        raise InvalidMoment(
            f"delay={short_repr(given)} is longer than 1000 years: pass a timedelta, or seconds, of less"
        )
    return seconds


def instant_of(given: datetime | float) -> float:
    """Unix seconds of a moment that is an aware `datetime` or a number of unix seconds.

    The store rounds it up, so that nothing is early, and compares it with its own clock first: a moment that has passed
    there is now.

    Args:
        given: The moment.

    Raises:
        InvalidMoment: It is no moment, naive, negative, not finite or past the year 5000.
    """
    if isinstance(given, datetime):
        return _of_datetime(given)
    seconds = _number(given)
    if seconds is None:
        raise InvalidMoment(
            f"when={short_repr(given)} is no moment: pass an aware datetime, or unix seconds as a number"
        )
    if not _finite(seconds):
        raise InvalidMoment(
            f"when={short_repr(given)} is not finite: pass an aware datetime, or unix seconds as a number"
        )
    if seconds < 0:
        raise InvalidMoment(
            f"when={short_repr(given)} is negative: pass an aware datetime, or unix seconds as a number"
        )
    if seconds >= LATEST:
        hint = ": it looks like milliseconds, pass seconds" if seconds < LATEST * 1000 else ": pass unix seconds"
        raise InvalidMoment(f"when={short_repr(given)} is past the year 5000{hint}")
    return seconds


def second_of(given: datetime | float) -> int:
    """The whole second of a moment, rounded up as the store rounds it.

    Raises:
        InvalidMoment: As for `instant_of`.
    """
    return math.ceil(instant_of(given))


def due_time_after(delay: float, now: float) -> int:
    """Whole unix seconds of the moment *delay* seconds from *now*, rounded up; no delay at all is rounded down.

    Raises:
        InvalidMoment: It is past the year 5000.
    """
    moment = now + delay
    if moment >= LATEST:
        raise InvalidMoment(f"a delay of {delay:g} seconds ends past the year 5000")
    return math.floor(moment) if delay <= 0 else math.ceil(moment)


def to_datetime(seconds: float) -> datetime:
    """The moment of unix seconds, aware, in UTC."""
    return _EPOCH + timedelta(seconds=seconds)


def _number(given: object) -> float | None:
    """*given* if it is a number that is no bool."""
    return given if isinstance(given, (int, float)) and not isinstance(given, bool) else None


def _finite(seconds: float) -> bool:
    # A whole number may be too large to be a float.
    return isinstance(seconds, int) or math.isfinite(seconds)


def _of_datetime(given: datetime) -> float:
    if given.utcoffset() is None:
        raise InvalidMoment(
            f"when={short_repr(given)} is naive: give it a time zone, such as datetime.now(UTC) or "
            ".replace(tzinfo=ZoneInfo(...))"
        )
    since = given - _EPOCH
    if since >= timedelta(seconds=LATEST):
        raise InvalidMoment(f"when={short_repr(given)} is past the year 5000")
    seconds = max(since.total_seconds(), 0.0)
    # Whole microseconds say what a float may lose: to which second it is rounded up.
    second = max(-(-since // _SECOND), 0)
    return seconds if math.ceil(seconds) == second else second


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
    told = f"task {name!r}: frequency={short_repr(given)}"
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
