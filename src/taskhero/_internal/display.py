"""Format values for messages: short, with the path to a part, without the password of a URL, in one time zone."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from urllib.parse import parse_qsl, unquote

import attrs

__all__ = ["display_utc", "location_of", "path_to", "remedy", "short_repr", "time_text", "without_secrets"]

_LONGEST = 80
_MAX_STEPS = 12

# The first match counts, so specific types precede general ones.
_REMEDIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (enum.Enum, "pass its `.value`"),
    ((dt.datetime, dt.date, dt.time), "pass its `.isoformat()`"),
    (dt.timedelta, "pass its `.total_seconds()`"),
    (uuid.UUID, "pass `str(...)` of it"),
    ((decimal.Decimal, fractions.Fraction), "pass `str(...)` of it, which keeps it exact"),
    (complex, "pass its `.real` and `.imag` as a list"),
    ((bytes, bytearray, memoryview), "pass `base64.b64encode(...).decode()` of it, or `.decode()` if it is text"),
    (PurePath, "pass `str(...)` of it"),
    ((set, frozenset), "pass `sorted(...)` of it, which is a list"),
    (BaseException, "pass `str(...)` of it"),
    (type, "pass its name"),
)


def remedy(value: object) -> str:
    """Return what to pass instead of *value*, as the end of a sentence."""
    for kinds, advice in _REMEDIES:
        if isinstance(value, kinds):
            return advice
    for fits, advice in _SHAPES:
        if fits(value):
            return advice
    return "pass the parts that the task needs as plain values, such as its id"


def _has(method: str) -> Callable[[object], bool]:
    """Return a test for objects with a method. It recognizes a library's objects without an import."""
    return lambda value: callable(getattr(type(value), method, None))


_SHAPES: tuple[tuple[Callable[[object], bool], str], ...] = (
    (dataclasses.is_dataclass, "pass `dataclasses.asdict(...)` of it"),
    (lambda value: attrs.has(type(value)), "pass `attrs.asdict(...)` of it"),
    (_has("model_dump"), 'pass its `.model_dump(mode="json")`'),
    (_has("tolist"), "pass its `.tolist()`"),
    (lambda value: isinstance(value, Mapping), "pass `dict(...)` of it"),
    (lambda value: isinstance(value, Iterable), "pass `list(...)` of it"),
    (callable, "pass its name, or what it returns"),
)


def short_repr(value: object) -> str:
    """Return the value's repr, truncated to 80 characters. Never raise."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the message matters more than what a foreign __repr__ raises
        return f"<{type(value).__name__} that cannot be shown>"
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 4]} ..."


def path_to(root: str, steps: Iterable[object]) -> str:
    """Join keys and positions, outermost first: ``args[0].user["first name"]``; a long path is truncated."""
    path = root
    for count, step in enumerate(steps):
        if count == _MAX_STEPS:
            return f"{path} ..."
        if isinstance(step, str) and step.isidentifier():
            path += f".{step}"
        else:
            path += f"[{short_repr(step)}]"
    return path


#: The zone in which this program shows times; None is the zone of the machine.
_zone: list[dt.tzinfo | None] = [None]


def display_utc(enabled: bool) -> None:
    """Make this program show all times in UTC, or in the zone of the machine."""
    _zone[0] = dt.UTC if enabled else None


def time_text(when: dt.datetime, timespec: str = "seconds", separator: str = " ") -> str:
    """Return an instant for people in the displayed zone, with the offset: ``2027-01-15 09:00:00+01:00``."""
    return when.astimezone(_zone[0]).isoformat(separator, timespec)


#: Options whose values an error may show. Others can contain a password, also under a misspelt name.
_HARMLESS = {
    "db",
    "max_connections",
    "socket_connect_timeout",
    "socket_keepalive",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_min_version",
}


def location_of(url: str) -> str:
    """Return the URL without user, password and options except `db`, or only its scheme if it is ambiguous."""
    scheme, _, rest = url.partition("://")
    user_info, _, place = rest.rpartition("@")
    if any(character in user_info for character in "/?#"):
        # A password that is not percent-encoded, or an option that contains an "@".
        return f"{scheme}://***"
    path, _, query = place.partition("#")[0].partition("?")
    database = next((value for name, value in parse_qsl(query) if name == "db"), "")
    shown = f"?db={database}" if database.isascii() and database.isdigit() else ""
    return f"{scheme}://{path}{shown}"


def without_secrets(text: str, url: str) -> str:
    """Return the text without the parts of the URL before ``@`` and after ``?`` that can be secrets."""
    rest = url.partition("://")[2]
    user_info, at, _ = rest.rpartition("@")
    query = rest.partition("?")[2]
    secrets = {user_info, *user_info.split(":", 1)} if at else set()
    secrets |= {value for name, value in parse_qsl(query) if name not in _HARMLESS}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
