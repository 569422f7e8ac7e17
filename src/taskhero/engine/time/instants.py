"""Convert durations, instants and frequencies that users pass. The wire has whole seconds, rounded up."""

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
    """Return the seconds of a duration that is a `timedelta` or a number of seconds.

    Args:
        given: The duration.
        what: The name of the parameter, for messages.

    Raises:
        InvalidMoment: The value is not a duration, negative or not finite.
    """
    seconds = given.total_seconds() if isinstance(given, timedelta) else _number(given)
    if seconds is None:
        raise InvalidMoment(f"{what}={short_repr(given)} is not a duration: pass a timedelta, or seconds as a number")
    if not _finite(seconds):
        raise InvalidMoment(f"{what}={short_repr(given)} is not finite: pass a timedelta, or seconds as a number")
    if seconds < 0:
        raise InvalidMoment(f"{what}={short_repr(given)} is negative: pass a timedelta, or seconds, of 0 or more")
    return seconds


def delay_of(given: timedelta | float, *, instead: str = "") -> float:
    """Return the seconds of a delay. A bare number over a week raises, since it is probably milliseconds.

    Args:
        given: The delay.
        instead: The alternative to a negative delay, for the message.

    Raises:
        InvalidMoment: The value is not a delay, negative, not finite, a bare number over a week, or over 1000 years.
    """
    number = given.total_seconds() if isinstance(given, timedelta) else _number(given)
    if instead and number is not None and number < 0:
        raise InvalidMoment(
            f"delay={short_repr(given)} is negative: pass a timedelta, or seconds, of 0 or more; {instead}"
        )
    if number is not None and _finite(number) and number > _WEEK and not isinstance(given, timedelta):
        raise InvalidMoment(
            f"delay={short_repr(given)} is more than a week in seconds (delays are not milliseconds): "
            "pass a timedelta if you mean this delay"
        )
    seconds = duration_of(given, "delay")
    if seconds > LONGEST:
        raise InvalidMoment(
            f"delay={short_repr(given)} is longer than 1000 years: pass a timedelta, or seconds, of less"
        )
    return seconds


def instant_of(given: datetime | float) -> float:
    """Return the Unix seconds of an instant that is an aware `datetime` or a number of Unix seconds.

    The store rounds it up, so that no job starts early. An instant in the past, by the store's clock, means now.

    Args:
        given: The instant.

    Raises:
        InvalidMoment: The value is not an instant, naive, negative, not finite or past the year 5000.
    """
    if isinstance(given, datetime):
        return _of_datetime(given)
    seconds = _number(given)
    if seconds is None:
        raise InvalidMoment(
            f"when={short_repr(given)} is not an instant: pass an aware datetime, or Unix seconds as a number"
        )
    if not _finite(seconds):
        raise InvalidMoment(
            f"when={short_repr(given)} is not finite: pass an aware datetime, or Unix seconds as a number"
        )
    if seconds < 0:
        raise InvalidMoment(
            f"when={short_repr(given)} is negative: pass an aware datetime, or Unix seconds as a number"
        )
    if seconds >= LATEST:
        hint = ": it looks like milliseconds, pass seconds" if seconds < LATEST * 1000 else ": pass Unix seconds"
        raise InvalidMoment(f"when={short_repr(given)} is past the year 5000{hint}")
    return seconds


def second_of(given: datetime | float) -> int:
    """Return the whole Unix second of an instant, rounded up as the store rounds it.

    Raises:
        InvalidMoment: As for `instant_of`.
    """
    return math.ceil(instant_of(given))


def due_time_after(delay: float, now: float) -> int:
    """Return the whole Unix second *delay* seconds after *now*, rounded up; without a delay, rounded down.

    Raises:
        InvalidMoment: The due time is past the year 5000.
    """
    instant = now + delay
    if instant >= LATEST:
        raise InvalidMoment(f"a delay of {delay:g} seconds ends past the year 5000: pass a shorter one")
    return math.floor(instant) if delay <= 0 else math.ceil(instant)


def to_datetime(seconds: float) -> datetime:
    """Return Unix seconds as an aware datetime in UTC."""
    return _EPOCH + timedelta(seconds=seconds)


def _number(given: object) -> float | None:
    """Return *given* if it is a number other than a bool, otherwise None."""
    return given if isinstance(given, (int, float)) and not isinstance(given, bool) else None


def _finite(seconds: float) -> bool:
    # An int may be too large for a float.
    return isinstance(seconds, int) or math.isfinite(seconds)


def _of_datetime(given: datetime) -> float:
    if given.utcoffset() is None:
        raise InvalidMoment(
            f"when={short_repr(given)} is naive: add a time zone, as in datetime.now(UTC) or "
            ".replace(tzinfo=ZoneInfo(...))"
        )
    since = given - _EPOCH
    if since >= timedelta(seconds=LATEST):
        raise InvalidMoment(f"when={short_repr(given)} is past the year 5000")
    seconds = max(since.total_seconds(), 0.0)
    # A float may lose a microsecond and round up to another second, so the second is computed with integers.
    second = max(-(-since // _SECOND), 0)
    return seconds if math.ceil(seconds) == second else second


_YEAR: Final = 366 * 24 * 3600


def frequency_of(given: timedelta | float, name: str) -> float:
    """Return the frequency of a task in seconds.

    Args:
        given: A timedelta, or seconds. ActionHero uses milliseconds.
        name: The task's name.

    Raises:
        InvalidTask: The value is not a duration, less than a second, more than a year, or a bare number over a week.
    """
    try:
        seconds = duration_of(given, "frequency")
    except InvalidMoment as error:
        raise InvalidTask(f"task {name!r}: {error}") from None
    prefix = f"task {name!r}: frequency={short_repr(given)}"
    if not seconds:
        raise InvalidTask(f"{prefix} is zero: pass a second or more, or omit it for a task that is not periodic")
    if seconds < 1:
        raise InvalidTask(f"{prefix} is less than a second, and due times are whole seconds: pass 1 or more")
    if seconds > _YEAR:
        raise InvalidTask(f"{prefix} is more than a year (it is not in milliseconds): pass less, in seconds")
    if seconds > _WEEK and not isinstance(given, timedelta):
        raise InvalidTask(
            f"{prefix} is more than a week in seconds (it is not in milliseconds): pass a timedelta if you mean this "
            "frequency"
        )
    return float(seconds)


def next_run(ended: float, frequency: float) -> int:
    """Return the due time of a periodic task's next run, in whole Unix seconds.

    It counts from the end of a run, as in ActionHero, and is rounded to the nearest second, a half up. It is at least
    one second after the second in which the run ended, so the next run is never due at once.

    Args:
        ended: End of the run, in Unix seconds.
        frequency: Seconds, 1 or more.
    """
    return max(math.floor(ended + frequency + 0.5), math.floor(ended) + 1)
