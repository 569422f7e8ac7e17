"""Read and write the date formats of Resque's programs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

__all__ = ["format_ruby_utc", "iso_z", "parse_date", "ruby_time"]

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

# Hours east of Greenwich for the abbreviations that Ruby's %Z writes. Where one means several zones, this is the zone
# that Ruby reads.
_ZONES = {
    "": 0, "Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "WET": 0,
    "BST": 1, "CET": 1, "MET": 1, "WEST": 1, "WAT": 1,
    "CEST": 2, "EET": 2, "MEST": 2, "SAST": 2, "CAT": 2,
    "EEST": 3, "MSK": 3, "EAT": 3, "IDT": 3, "PKT": 5, "IST": 5.5, "WIB": 7, "HKT": 8, "SGT": 8, "AWST": 8,
    "JST": 9, "KST": 9, "ACST": 9.5, "AEST": 10, "ACDT": 10.5, "AEDT": 11, "NZST": 12, "NZDT": 13,
    "NST": -3.5, "NDT": -2.5, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6,
    "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
}  # fmt: skip

# 2026/11/23 10:32:07 UTC, 2026-11-23T10:32:05.123Z, 2026-11-23 10:32:04 +0000
_NUMERIC = re.compile(
    r"(?P<year>\d{4})[-/](?P<month>\d\d?)[-/](?P<day>\d\d?)[T ](?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d{1,12}))? ?(?P<zone>[A-Za-z]{0,5}|[+-]\d\d(?::?\d\d)?)",
    re.ASCII,
)
# Mon Nov 23 2026 10:36:31 GMT+0530 (India Standard Time)
_JAVASCRIPT = re.compile(
    r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>\d\d?) (?P<year>\d{4}) "
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) (?:GMT)?(?P<zone>[+-]\d{4}|)(?: \(.*\))?",
    re.ASCII,
)
_EPOCH = re.compile(r"-?\d{1,17}(?:\.\d+)?", re.ASCII)
_MILLISECONDS_FROM = 1e11  # as seconds this would be the year 5138


# --- reading -----------------------------------------------------------------------------------------------------


def parse_date(text: object) -> datetime | None:
    """Read a date in any format of Resque's programs. Never raise.

    The formats are Ruby's ``2026/11/23 10:32:07 UTC`` and ``2026-11-23 10:32:04 +0000``, ISO 8601, JavaScript's
    ``Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)``, and Unix seconds or milliseconds as str or
    number. A date without a zone is UTC.

    Returns:
        The instant in UTC, or None if the date has another format or does not exist.
    """
    try:
        if isinstance(text, str):
            return _parse_text(text.strip())
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            return _from_epoch(float(text))
    except (ValueError, OverflowError, OSError):
        pass  # the day does not exist, or is out of range
    return None


def _parse_text(text: str) -> datetime | None:
    if _EPOCH.fullmatch(text):
        return _from_epoch(float(text))
    found = _NUMERIC.fullmatch(text) or _JAVASCRIPT.fullmatch(text)
    if found is None:
        return None
    offset = _offset(found["zone"])
    if offset is None:
        return None
    month = found["month"]
    fraction = found.groupdict().get("fraction") or "0"
    local = datetime(
        int(found["year"]),
        int(month) if month.isdigit() else _MONTHS.index(month) + 1,
        int(found["day"]),
        int(found["hour"]),
        int(found["minute"]),
        min(int(found["second"]), 59),  # a leap second
        int(fraction[:6].ljust(6, "0")),
        tzinfo=timezone(offset),
    )
    return local.astimezone(UTC)


def _offset(zone: str) -> timedelta | None:
    """Return the offset of a zone east of Greenwich, or None if the zone is unknown."""
    if zone[:1] in {"+", "-"}:
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
        return -offset if zone[0] == "-" else offset
    hours = _ZONES.get(zone.upper())
    return None if hours is None else timedelta(hours=hours)


def _from_epoch(seconds: float) -> datetime:
    if abs(seconds) >= _MILLISECONDS_FROM:
        seconds /= 1000
    return datetime.fromtimestamp(seconds, UTC)


# --- writing -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _fields(second: int) -> tuple[str, str]:
    """Return the date and time of a Unix second in UTC. Most calls ask for the same few seconds."""
    instant = datetime.fromtimestamp(second, UTC)
    return instant.strftime("%Y-%m-%d"), instant.strftime("%H:%M:%S")


def iso_z(seconds: float) -> str:
    """Write Unix seconds as ``2026-11-23T10:32:05Z``, without fractions."""
    date, time = _fields(int(seconds // 1))
    return f"{date}T{time}Z"


def ruby_time(seconds: float) -> str:
    """Write Unix seconds as ``2026-11-23 10:32:04 +0000``, without fractions."""
    date, time = _fields(int(seconds // 1))
    return f"{date} {time} +0000"


def format_ruby_utc(seconds: float) -> str:
    """Write Unix seconds as ``2026/11/23 10:32:07 UTC``, without fractions."""
    date, time = _fields(int(seconds // 1))
    return f"{date.replace('-', '/')} {time} UTC"
