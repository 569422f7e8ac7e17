"""How values appear in messages: short, with the way to a part, and without the password of a URL."""

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

__all__ = ["location_of", "path_to", "remedy", "short_repr", "without_secrets"]

_LONGEST = 80
_MAX_STEPS = 12

# The first that fits counts, so the special stand before the general.
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
    """What to pass instead of *value*, as the end of a sentence."""
    for kinds, advice in _REMEDIES:
        if isinstance(value, kinds):
            return advice
    for fits, advice in _SHAPES:
        if fits(value):
            return advice
    return "pass what the task needs of it as plain values, such as its id"


def _has(method: str) -> Callable[[object], bool]:
    """A test for objects with a method, which tells a library's objects without importing it."""
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
    """The value's repr, cut if it is long; never raises."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - whatever a foreign __repr__ raises, the message must come out
        return f"<{type(value).__name__} that cannot be shown>"
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 4]} ..."


def path_to(root: str, steps: Iterable[object]) -> str:
    """Join keys and positions, outermost first: ``args[0].user["first name"]``; a long path is cut."""
    path = root
    for count, step in enumerate(steps):
        if count == _MAX_STEPS:
            return f"{path} ..."
        if isinstance(step, str) and step.isidentifier():
            path += f".{step}"
        else:
            path += f"[{short_repr(step)}]"
    return path


#: Options whose values an error may show: others may hold a password, or be one whose name is misspelt.
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
    """The URL without user, password and options but the database; only its scheme if these cannot be told apart."""
    scheme, _, rest = url.partition("://")
    user_info, _, place = rest.rpartition("@")
    if any(sign in user_info for sign in "/?#"):
        # A password that is not percent-encoded, or an option that holds an "@".
        return f"{scheme}://***"
    path, _, query = place.partition("#")[0].partition("?")
    database = next((value for name, value in parse_qsl(query) if name == "db"), "")
    shown = f"?db={database}" if database.isascii() and database.isdigit() else ""
    return f"{scheme}://{path}{shown}"


def without_secrets(text: str, url: str) -> str:
    """The text without what the URL has before ``@`` or behind ``?``, but for values that cannot be secrets."""
    rest = url.partition("://")[2]
    user_info, at, _ = rest.rpartition("@")
    query = rest.partition("?")[2]
    secrets = {user_info, *user_info.split(":", 1)} if at else set()
    secrets |= {value for name, value in parse_qsl(query) if name not in _HARMLESS}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
