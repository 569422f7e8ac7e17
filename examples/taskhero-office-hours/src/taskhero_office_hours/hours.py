"""When an office is open: hours of some days of the week, in the office's own time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import attrs

__all__ = ["Hours", "options_of"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ONE_DAY: Final = timedelta(days=1)
_TIME: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?")


def _time_of(given: object) -> time | None:
    """An hour, a text such as ``"17:30"``, or a time; the end of the day, 24, is None."""
    if isinstance(given, time) and given.tzinfo is None:
        return given
    if isinstance(given, (int, str)) and not isinstance(given, bool):
        match = _TIME.fullmatch(str(given).strip())
        if match is not None:
            hour, minute = int(match[1]), int(match[2] or 0)
            if hour < 24 and minute < 60:
                return time(hour, minute)
            if (hour, minute) == (24, 0):
                return None
    raise ValueError(f"{given!r} is no time of day: pass an hour from 0 to 24, or a text such as '17:30'")


def _start_of(given: object) -> time:
    return _time_of(given) or time(0)


def _days_of(given: object) -> tuple[int, ...]:
    """``"mon-fri"``, ``"sat,sun"`` or several of these, as numbers from 0 for Monday."""
    if isinstance(given, tuple) and given and all(type(day) is int and 0 <= day <= 6 for day in given):
        return tuple(sorted(set(given)))
    days: set[int] = set()
    for part in given if isinstance(given, (tuple, list)) else str(given).split(","):
        first, _, last = str(part).strip().lower().partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{part!r} are no days: pass such as 'mon-fri' or 'sat,sun' (known: {', '.join(_DAYS)})")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days.update((begin + number) % 7 for number in range((end - begin) % 7 + 1))
    if not days:
        raise ValueError("there are no days: pass a text such as 'mon-fri'")
    return tuple(sorted(days))


def _zone_of(given: object) -> ZoneInfo:
    try:
        return given if isinstance(given, ZoneInfo) else ZoneInfo(str(given))
    except (LookupError, ValueError, OSError):
        raise ValueError(f"{given!r} is no time zone: pass a name such as 'Europe/Berlin' or 'UTC'") from None


def _dates_of(given: Any) -> frozenset[date]:
    return frozenset(one if isinstance(one, date) else date.fromisoformat(one) for one in given)


def options_of(text: str) -> tuple[str, str, str, str]:
    """Start, end, days and time zone of such as ``"9-17"`` or ``"22-6 mon-sun Europe/Berlin"``.

    Raises:
        ValueError: It has not these parts.
    """
    span, *rest = text.split() or [""]
    start, dash, end = span.partition("-")
    if not dash or len(rest) > 2:
        raise ValueError(f"{text!r} are no hours: write such as '9-17', '8:30-17:30 mon-sat' or '9-17 mon-fri UTC'")
    days, timezone = (*rest, *("mon-fri", "UTC")[len(rest) :])
    return start, end, days, timezone


@attrs.frozen
class Hours:
    """From *start* to *end* on *days*, by the clock on the wall in *timezone*.

    Attributes:
        start: When it opens: an hour, or a text such as ``"8:30"``.
        end: When it closes, 24 for midnight; before *start*, it is on the next day.
        days: The days on which it opens, as ``"mon-fri"`` or ``"sat,sun"``.
        timezone: Where the clock hangs.
        closed: Dates on which it does not open, as ``"2026-12-25"``.

    Raises:
        ValueError: One of these cannot be.
    """

    start: time = attrs.field(default=time(9), converter=_start_of)
    end: time | None = attrs.field(default=time(17), converter=_time_of)
    days: tuple[int, ...] = attrs.field(default=(0, 1, 2, 3, 4), converter=_days_of)
    timezone: ZoneInfo = attrs.field(default=ZoneInfo("UTC"), converter=_zone_of)
    closed: frozenset[date] = attrs.field(default=frozenset(), converter=_dates_of)

    def __attrs_post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError(f"it opens and closes at {self.start:%H:%M}: pass start=0, end=24 for the whole day")

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read such as ``"9-17"``, ``"8:30-17:30 mon-sat"`` or ``"22-6 mon-sun Europe/Berlin"``.

        Raises:
            ValueError: It cannot be read.
        """
        return cls(*cast("Any", options_of(text)))

    def __str__(self) -> str:
        end = "24:00" if self.end is None else f"{self.end:%H:%M}"
        return f"{self.start:%H:%M}-{end} {','.join(_DAYS[day] for day in self.days)} {self.timezone.key}"

    def closes(self, moment: datetime) -> datetime | None:
        """When it closes, in UTC, if it is open at this moment; else None."""
        today = moment.astimezone(self.timezone).date()
        for day in (today - _ONE_DAY, today):
            opens, closes = self._of(day)
            if self._opens_on(day) and opens <= moment < closes:
                return closes
        return None

    def opens(self, moment: datetime) -> datetime:
        """When it opens next after this moment, in UTC."""
        day = moment.astimezone(self.timezone).date() - _ONE_DAY
        while True:
            opens, closes = self._of(day)
            if self._opens_on(day) and moment < opens < closes:
                return opens
            day += _ONE_DAY

    def _opens_on(self, day: date) -> bool:
        return day.weekday() in self.days and day not in self.closed

    def _of(self, day: date) -> tuple[datetime, datetime]:
        """When it opens and closes on a day, in UTC: only there do durations and comparisons count real hours."""
        ends = self.end or time(0)
        last = day + _ONE_DAY if ends <= self.start else day
        return self._at(day, self.start), self._at(last, ends)

    def _at(self, day: date, on_the_wall: time) -> datetime:
        # A time that a change of the clocks leaves out is the moment so long after midnight; of one that comes twice,
        # the first is meant.
        return datetime.combine(day, on_the_wall, self.timezone).astimezone(UTC)
