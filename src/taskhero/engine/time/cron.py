"""Cron expressions in a time zone: pure functions of time, right across daylight saving."""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

import attrs

from taskhero._internal.display import short_repr
from taskhero.engine.time.instants import instant_of
from taskhero.errors import InvalidMoment, InvalidSchedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cronsim import CronSim

__all__ = ["CronSchedule", "check_instant"]

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: Final = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, L for the last, LW for the last working day"),
    ("month", "1-12 or jan-dec"),
    ("day of the week", "0-7 or sun-sat (0 and 7 are Sunday), mon#2 for the second Monday, 5L for the last Friday"),
)
_FORMS: Final = (
    "*, a number, a range such as 1-5 that does not begin after its end, steps such as */5, and lists of these"
)
_LONGEST: Final = 200
_SECOND: Final = timedelta(seconds=1)
#: Where the search for a first slot begins, when an expression is checked: any day would do.
_SOME_DAY: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - a time on the wall


def check_instant(moment: datetime) -> None:
    """Refuse what is no aware datetime before the year 5000.

    Raises:
        InvalidMoment: It is none.
    """
    if not isinstance(moment, datetime):
        raise InvalidMoment(f"{short_repr(moment)} is no moment of a schedule: pass an aware datetime")
    instant_of(moment)


def _tidy(given: object) -> str:
    if not isinstance(given, str):
        raise InvalidSchedule(
            f"cron={short_repr(given)} is no cron expression: pass a str such as '*/5 9-17 * * mon-fri'"
        )
    if len(given) > _LONGEST:
        raise InvalidSchedule(
            f"cron={short_repr(given)} has {len(given)} characters: more than {_LONGEST} are a mistake"
        )
    return " ".join(given.split())


def _zone_name(given: object) -> str:
    if given is UTC:
        return "UTC"
    name = getattr(given, "key", None) if isinstance(given, tzinfo) else given
    if not isinstance(name, str):
        raise InvalidSchedule(
            f"timezone={short_repr(given)} is not the name of a time zone: pass an IANA name such as 'Europe/Berlin'"
        )
    return name


@attrs.frozen
class CronSchedule:
    """When a cron expression fires: its *fire_times*, each a moment in UTC.

    Five fields (minute, hour, day of the month, month, day of the week) as in Vixie cron: if both kinds of days are
    restricted and neither begins with ``*``, either of them will do. Also ``@hourly``, ``@daily``, ``@weekly``,
    ``@monthly`` and ``@yearly``.

    Where clocks are set forward or back: a time on the wall that does not exist fires once, at the shift; one that
    occurs twice fires once, the first time. An expression for every hour of the day goes by real time instead, and
    fires whenever the wall clock shows its minute.

    Args:
        expression: The cron expression.
        timezone: The IANA name of the time zone whose clocks count, or the `zoneinfo.ZoneInfo`.

    Raises:
        InvalidSchedule: The expression or the zone cannot be read, or it would never fire; or the extra ``cron`` is not
            installed.
    """

    expression: str = attrs.field(converter=_tidy)
    timezone: str = attrs.field(default="UTC", converter=_zone_name)
    _zone: tzinfo = attrs.field(init=False, eq=False, repr=False)
    _fields: str = attrs.field(init=False, eq=False, repr=False)
    _every_hour: bool = attrs.field(init=False, eq=False, repr=False)

    @_zone.default
    def _find_zone(self) -> tzinfo:
        return _zone_of(self.timezone)

    @_fields.default
    def _read(self) -> str:
        return _fields_of(self.expression)

    @_every_hour.default
    def _is_every_hour(self) -> bool:
        return _simulation(self._fields, _SOME_DAY).hours == set(range(24))

    def __str__(self) -> str:
        return f"{self.expression} ({self.timezone})"

    def next_after(self, moment: datetime) -> datetime:
        """The first slot after *moment*, an aware datetime; in UTC.

        Raises:
            InvalidMoment: *moment* is naive, or past the year 5000.
        """
        wall, overlap = self._wall(moment)
        best: datetime | None = None
        # On a day on which clocks are set back, times that the wall has shown already may come again.
        for shown_time in _simulation(self._fields, wall - overlap):
            first, last = self._first(shown_time), self._fire_times_at(shown_time)
            found = [slot for slot in last if slot > moment]
            best = min((*found, best) if best is not None else found, default=None)
            if best is not None and first > moment:
                return best
        raise InvalidSchedule(f"cron={self.expression!r} does not fire within 50 years of {moment.isoformat()}")

    def last_until(self, moment: datetime) -> datetime:
        """The last slot that is not after *moment*, an aware datetime; in UTC.

        Raises:
            InvalidMoment: *moment* is naive, or past the year 5000.
        """
        wall, overlap = self._wall(moment)
        best: datetime | None = None
        for shown_time in _simulation(self._fields, wall + overlap + _SECOND, reverse=True):
            slots = self._fire_times_at(shown_time)
            found = [slot for slot in slots if slot <= moment]
            best = max((*found, best) if best is not None else found, default=None)
            if best is not None and slots and slots[-1] <= moment:
                return best
        raise InvalidSchedule(f"cron={self.expression!r} did not fire within 50 years of {moment.isoformat()}")

    def fire_times(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The first *limit* slots after *after*, up to and including *until*; in UTC.

        Raises:
            InvalidMoment: A moment is naive, or past the year 5000.
        """
        found: list[datetime] = []
        slot = after
        while len(found) < limit and (slot := self.next_after(slot)) <= until:
            found.append(slot)
        return found

    def _wall(self, moment: datetime) -> tuple[datetime, timedelta]:
        """What the wall clock shows at *moment*, and how far it is set back if it shows this time twice."""
        check_instant(moment)
        local = moment.astimezone(self._zone)
        early, late = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
        assert early is not None  # noqa: S101 - the zone is known
        assert late is not None  # noqa: S101
        return local.replace(tzinfo=None, fold=0), max(early - late, timedelta(0))

    def _first(self, wall: datetime) -> datetime:
        """When the wall clock shows *wall* first; somewhere behind the shift, if it never does."""
        return wall.replace(tzinfo=self._zone, fold=0).astimezone(UTC)

    def _fire_times_at(self, wall: datetime) -> tuple[datetime, ...]:
        """The slots of a time on the wall, in order."""
        first, second = self._first(wall), wall.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        if first == second:
            return (first,)
        if first < second:
            return (first, second) if self._every_hour else (first,)
        # It does not exist: see PEP 495.
        return () if self._every_hour else (self._shift(second, first),)

    def _shift(self, before: datetime, behind: datetime) -> datetime:
        """The first second in which clocks are set otherwise than at *before*."""
        offset = before.astimezone(self._zone).utcoffset()
        while behind - before > _SECOND:
            middle = before + (behind - before) // _SECOND // 2 * _SECOND
            if middle.astimezone(self._zone).utcoffset() == offset:
                before = middle
            else:
                behind = middle
        return behind


def _simulation(fields: str, start: datetime, *, reverse: bool = False) -> CronSim:
    """The times on the wall behind *start*, or before it. CronSim knows the calendar, and nothing of zones here."""
    try:
        from cronsim import CronSim
    except ModuleNotFoundError as error:
        raise InvalidSchedule("cron= needs the package cronsim: pip install 'taskhero[cron]'") from error
    return CronSim(fields, start, reverse=reverse)


def _is_readable(fields: str) -> bool:
    from cronsim import CronSimError

    try:
        _simulation(fields, _SOME_DAY)
    except CronSimError:
        return False
    return True


def _fields_of(expression: str) -> str:
    """The five fields of an expression, or of the macro that it is."""
    told = f"cron={expression!r}"
    fields = expression
    if expression.startswith("@"):
        if expression.lower() not in _MACROS:
            reason = (
                "a program has no boot: enqueue the task when yours starts" if expression == "@reboot" else "unknown"
            )
            raise InvalidSchedule(f"{told}: {reason}; there are {', '.join(_MACROS)}")
        fields = _MACROS[expression.lower()]
    parts = fields.split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(name for name, _ in _FIELDS)
        seconds = "; for seconds, use frequency=" if len(parts) == len(_FIELDS) + 1 else ""
        raise InvalidSchedule(f"{told} has {len(parts)} fields, but {len(_FIELDS)} are needed: {names}{seconds}")
    _simulation("* * * * *", _SOME_DAY)
    for place, part in enumerate(parts):
        alone = ["*"] * len(_FIELDS)
        alone[place] = part
        if not _is_readable(" ".join(alone)):
            name, values = _FIELDS[place]
            raise InvalidSchedule(f"{told}: {part!r} is no {name}: allowed are {_FORMS}; values are {values}")
    if not _is_readable(fields) or next(_simulation(fields, _SOME_DAY), None) is None:
        raise InvalidSchedule(f"{told} never fires: no year has such a day")
    return fields


def _zone_of(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = zoneinfo.available_timezones()
    if not known:
        raise InvalidSchedule(
            f"timezone={name!r}: this machine has no time zones: pip install tzdata (which comes with taskhero[cron])"
        )
    near = " or ".join(map(repr, _near(name, known)))
    guess = f"did you mean {near}?" if near else "pass an IANA name such as 'Europe/Berlin'"
    raise InvalidSchedule(f"timezone={name!r} is not known here: {guess}")


def _near(name: str, known: set[str]) -> list[str]:
    """Zones that somebody may mean who writes *name*: the city alone, other capitals, a slip of the hand."""

    def forms(zone: str) -> Iterator[str]:
        yield zone.lower()
        yield zone.rpartition("/")[2].lower()

    wanted = name.strip().lower().replace(" ", "_")
    spelt: dict[str, list[str]] = {}
    for zone in sorted(known, key=lambda zone: ("/" not in zone, zone)):
        for form in forms(zone):
            spelt.setdefault(form, []).append(zone)
    close = difflib.get_close_matches(wanted, spelt, n=3)
    return list(dict.fromkeys(zone for form in close for zone in spelt[form]))[:3]
