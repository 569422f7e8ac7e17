"""Cron expressions in a time zone: pure functions of time that handle daylight saving."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

import attrs

from taskhero._internal.display import short_repr
from taskhero._internal.suggestions import close_names, did_you_mean
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
_MAX_LENGTH: Final = 200
_SECOND: Final = timedelta(seconds=1)
#: Start of the search for a first fire time when an expression is checked. Any day works.
_ANY_DAY: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - a local time


def check_instant(instant: datetime) -> None:
    """Check that a value is an aware datetime before the year 5000.

    Raises:
        InvalidMoment: The value is not a datetime, naive, or past the year 5000.
    """
    if not isinstance(instant, datetime):
        raise InvalidMoment(f"{short_repr(instant)} is not an instant: pass an aware datetime")
    instant_of(instant)


def _normalize(given: object) -> str:
    if not isinstance(given, str):
        raise InvalidSchedule(
            f"cron={short_repr(given)} is not a cron expression: pass a str such as '*/5 9-17 * * mon-fri'"
        )
    if len(given) > _MAX_LENGTH:
        raise InvalidSchedule(
            f"cron={short_repr(given)} has {len(given)} characters: pass an expression of at most {_MAX_LENGTH}"
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
    """The fire times of a cron expression in a time zone. Each fire time is an instant in UTC.

    The expression has five fields (minute, hour, day of the month, month, day of the week), as in Vixie cron. If both
    day fields are restricted and neither starts with ``*``, a day matches if either field matches. The macros
    ``@hourly``, ``@daily``, ``@weekly``, ``@monthly`` and ``@yearly`` are accepted too.

    When clocks are set forward, a local time that does not exist fires once, at the shift. When clocks are set back, a
    local time that occurs twice fires once, at its first occurrence. An expression for every hour of the day fires at
    each occurrence of its minute instead.

    Args:
        expression: The cron expression.
        timezone: The IANA name of the time zone, or a `zoneinfo.ZoneInfo`.

    Raises:
        InvalidSchedule: The expression or the time zone is invalid, the expression never fires, or the extra ``cron``
            is not installed.
    """

    expression: str = attrs.field(converter=_normalize)
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
        return _simulation(self._fields, _ANY_DAY).hours == set(range(24))

    def __str__(self) -> str:
        return f"{self.expression} ({self.timezone})"

    def next_after(self, instant: datetime) -> datetime:
        """Return the first fire time after *instant*, an aware datetime, in UTC.

        Raises:
            InvalidMoment: *instant* is naive, or past the year 5000.
        """
        local, overlap = self._local(instant)
        best: datetime | None = None
        # When clocks are set back, earlier local times may occur again, so the search starts before the overlap.
        for local_time in _simulation(self._fields, local - overlap):
            first, fire_times = self._first(local_time), self._fire_times_at(local_time)
            found = [fire_time for fire_time in fire_times if fire_time > instant]
            best = min((*found, best) if best is not None else found, default=None)
            if best is not None and first > instant:
                return best
        raise InvalidSchedule(f"cron={self.expression!r} does not fire within 50 years of {instant.isoformat()}")

    def last_until(self, instant: datetime) -> datetime:
        """Return the last fire time that is not after *instant*, an aware datetime, in UTC.

        Raises:
            InvalidMoment: *instant* is naive, or past the year 5000.
        """
        local, overlap = self._local(instant)
        best: datetime | None = None
        for local_time in _simulation(self._fields, local + overlap + _SECOND, reverse=True):
            fire_times = self._fire_times_at(local_time)
            found = [fire_time for fire_time in fire_times if fire_time <= instant]
            best = max((*found, best) if best is not None else found, default=None)
            if best is not None and fire_times and fire_times[-1] <= instant:
                return best
        raise InvalidSchedule(f"cron={self.expression!r} did not fire within 50 years of {instant.isoformat()}")

    def _local(self, instant: datetime) -> tuple[datetime, timedelta]:
        """Return the local time at *instant*, and the size of the shift if this local time occurs twice."""
        check_instant(instant)
        local = instant.astimezone(self._zone)
        early, late = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
        assert early is not None  # noqa: S101 - the zone is known
        assert late is not None  # noqa: S101
        return local.replace(tzinfo=None, fold=0), max(early - late, timedelta(0))

    def _first(self, local: datetime) -> datetime:
        """Return the first instant of a local time, or an instant after the shift if the local time does not exist."""
        return local.replace(tzinfo=self._zone, fold=0).astimezone(UTC)

    def _fire_times_at(self, local: datetime) -> tuple[datetime, ...]:
        """Return the fire times of a local time, in order."""
        first, second = self._first(local), local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        if first == second:
            return (first,)
        if first < second:
            return (first, second) if self._every_hour else (first,)
        # The local time does not exist: see PEP 495.
        return () if self._every_hour else (self._shift(second, first),)

    def _shift(self, before: datetime, after: datetime) -> datetime:
        """Return the first second whose UTC offset differs from the one at *before*."""
        offset = before.astimezone(self._zone).utcoffset()
        while after - before > _SECOND:
            middle = before + (after - before) // _SECOND // 2 * _SECOND
            if middle.astimezone(self._zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after


def _simulation(fields: str, start: datetime, *, reverse: bool = False) -> CronSim:
    """Return the matching local times after *start*, or before it. CronSim computes without a time zone here."""
    try:
        from cronsim import CronSim
    except ModuleNotFoundError as error:
        raise InvalidSchedule("cron= needs the package cronsim: run pip install 'taskhero[cron]'") from error
    return CronSim(fields, start, reverse=reverse)


def _is_valid(fields: str) -> bool:
    from cronsim import CronSimError

    try:
        _simulation(fields, _ANY_DAY)
    except CronSimError:
        return False
    return True


def _fields_of(expression: str) -> str:
    """Return the five fields of an expression or of a macro."""
    prefix = f"cron={expression!r}"
    fields = expression
    if expression.startswith("@"):
        if expression.lower() not in _MACROS:
            reason = (
                "not supported, enqueue the task when your program starts"
                if expression == "@reboot"
                else "unknown macro"
            )
            raise InvalidSchedule(f"{prefix}: {reason}; the macros are {', '.join(_MACROS)}")
        fields = _MACROS[expression.lower()]
    parts = fields.split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(name for name, _ in _FIELDS)
        seconds = "; for seconds, use frequency=" if len(parts) == len(_FIELDS) + 1 else ""
        raise InvalidSchedule(f"{prefix} has {len(parts)} fields, but {len(_FIELDS)} are needed: {names}{seconds}")
    _simulation("* * * * *", _ANY_DAY)
    for index, part in enumerate(parts):
        single = ["*"] * len(_FIELDS)
        single[index] = part
        if not _is_valid(" ".join(single)):
            name, values = _FIELDS[index]
            raise InvalidSchedule(f"{prefix}: {part!r} is not a valid {name}: pass {_FORMS}; values are {values}")
    if not _is_valid(fields) or next(_simulation(fields, _ANY_DAY), None) is None:
        raise InvalidSchedule(f"{prefix} never fires: no year has such a day; change the day or the month")
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
            f"timezone={name!r}: this machine has no time zone data: run pip install tzdata (part of taskhero[cron])"
        )
    guess = did_you_mean(_close_zones(name, known)) or ": pass an IANA name such as 'Europe/Berlin'"
    raise InvalidSchedule(f"timezone={name!r} is not a known time zone{guess}")


def _close_zones(name: str, known: set[str]) -> list[str]:
    """Return up to three time zones with a similar name or city, in any case."""

    def forms(zone: str) -> Iterator[str]:
        yield zone.lower()
        yield zone.rpartition("/")[2].lower()

    wanted = name.strip().lower().replace(" ", "_")
    zones_by_form: dict[str, list[str]] = {}
    for zone in sorted(known, key=lambda zone: ("/" not in zone, zone)):
        for form in forms(zone):
            zones_by_form.setdefault(form, []).append(zone)
    close = close_names(wanted, zones_by_form, number=3)
    return list(dict.fromkeys(zone for form in close for zone in zones_by_form[form]))[:3]
