"""Write JSON exactly as JavaScript or Ruby does, and report the path to a value that JSON cannot express."""

from __future__ import annotations

import re
import sys
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import attrs

from taskhero._internal.display import path_to, remedy, short_repr
from taskhero.errors import InvalidArguments
from taskhero.wire.json_internals import make_quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    #: Returns how an error message calls a part of a value. The keys and positions lead to it, outermost first.
    PathOf = Callable[[Sequence[object]], str]

__all__ = [
    "LENIENT",
    "MAX_LEVELS_WRITTEN",
    "RUBY",
    "STRICT",
    "SURROGATE",
    "Style",
    "js_float",
    "quote",
    "ruby_float",
    "write",
]


def js_float(value: float) -> str:
    """Write a finite float as ``JSON.stringify`` does: ``1.0`` is ``1``, ``1e-7`` has no zero before the 7."""
    text = float.__repr__(value)
    if "e" not in text:
        if not text.endswith(".0"):
            return text
        return "0" if value == 0 else text[:-2]
    mantissa, _, power = text.partition("e")
    exponent = int(power)
    if exponent >= 21 or exponent < -6:
        return f"{mantissa}e{exponent:+d}"
    sign = "-" if value < 0 else ""
    digits = mantissa.lstrip("-").replace(".", "")
    if exponent > 0:
        return sign + digits.ljust(exponent + 1, "0")
    return f"{sign}0.{'0' * (-exponent - 1)}{digits}"


def ruby_float(value: float) -> str:
    """Write a finite float as Ruby's json library does: ``1.0``, ``1.0e+21``, ``1.0e-07``."""
    text = float.__repr__(value)
    mantissa, mark, power = text.partition("e")
    if mark:
        return text if "." in mantissa else f"{mantissa}.0e{power}"
    if abs(value) < 1e15:
        return text
    digits = text.removesuffix(".0").replace(".", "")
    head = 2 if value < 0 else 1
    return f"{digits[:head]}.{digits[head:].rstrip('0') or '0'}e+15"


#: How many levels a job's arguments may be nested. Ruby's limit is 97, and failed entries add levels.
MAX_LEVELS_WRITTEN: Final = 90
SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LARGEST_INDEX = 2**32 - 2

#: Write a str as JSON; lone surrogates stay as they are.
quote: Final = make_quote()


class _Unencodable(Exception):
    """Internal: a value cannot be written. `steps` are the keys and positions to it, innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[object] = []


@attrs.frozen
class Style:
    """A form of JSON.

    Attributes:
        strict: Reject NaN, infinities and lone surrogates. Otherwise write null and keep surrogates.
        float_text: Writes a finite float.
        sorts_indices: Whether keys that look like array indices come first.
        levels: How many levels the value may be nested.
    """

    strict: bool
    float_text: Callable[[float], str]
    sorts_indices: bool
    levels: int


STRICT = Style(strict=True, float_text=js_float, sorts_indices=True, levels=MAX_LEVELS_WRITTEN)
LENIENT = Style(strict=False, float_text=js_float, sorts_indices=True, levels=sys.maxsize)
RUBY = Style(strict=True, float_text=ruby_float, sorts_indices=False, levels=MAX_LEVELS_WRITTEN)


def _text(value: Any, style: Style, room: int) -> str:
    """Write any value, with one stack frame for each level, so that it can write all that `decode` accepts."""
    members: Iterable[tuple[object, str, Any]]
    if isinstance(value, Enum):
        return _atom(value, style)
    if isinstance(value, dict):
        members, opening, closing = _members(value, style), "{", "}"
    elif isinstance(value, (list, tuple)):
        members, opening, closing = ((position, "", item) for position, item in enumerate(value)), "[", "]"
    else:
        return _atom(value, style)
    if not room:
        raise _Unencodable(
            f"is nested deeper than {style.levels} levels, or contains itself; store less, or pass an id"
        )
    parts = []
    for step, head, item in members:
        try:
            parts.append(head + _text(item, style, room - 1))
        except _Unencodable as culprit:
            culprit.steps.append(step)
            raise
    return f"{opening}{','.join(parts)}{closing}"


def _members(value: dict[Any, Any], style: Style) -> Iterator[tuple[object, str, Any]]:
    """Yield each key, the key as JSON, and its value, in JavaScript's order."""
    pairs: Iterable[tuple[Any, Any]] = value.items()
    if style.sorts_indices and any(_is_index(key) for key in value):
        indices = sorted((pair for pair in pairs if _is_index(pair[0])), key=lambda pair: int(pair[0]))
        pairs = chain(indices, (pair for pair in pairs if not _is_index(pair[0])))
    for key, item in pairs:
        if not isinstance(key, str) or isinstance(key, Enum):
            raise _Unencodable(f"has the key {short_repr(key)}, of type {type(key).__name__}; keys must be str")
        yield key, f"{_string(key, style, 'has a key')}:", item


def _is_index(key: object) -> bool:
    """Return whether JavaScript reads this key as an array index and puts it before all others."""
    if not isinstance(key, str) or len(key) > 10 or not (key.isascii() and key.isdigit()):
        return False
    return (key[0] != "0" or key == "0") and int(key) <= _LARGEST_INDEX


def _atom(value: Any, style: Style) -> str:
    """Write a value that is neither an array nor an object."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if not isinstance(value, Enum):
        if isinstance(value, str):
            return _string(value, style, "is a str")
        if isinstance(value, int):
            return _integer(value)
        if isinstance(value, float):
            return _float(value, style)
    raise _Unencodable(
        f"is {short_repr(value)}, of type {type(value).__name__}, which JSON does not have; {remedy(value)}"
    )


def _string(value: str, style: Style, subject: str) -> str:
    if style.strict and not value.isascii() and (found := SURROGATE.search(value)):
        position = found.start()
        around = short_repr(value[max(0, position - 20) : position + 20])
        raise _Unencodable(
            f"{subject} with a lone surrogate at position {position} ({around}), which has no UTF-8 "
            'form; pass the result of `.encode("utf-8", "replace").decode()`, or base64 of the bytes'
        )
    return quote(value)


def _integer(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:  # Python's limit on digits, since reading many takes quadratic time
        limit = sys.get_int_max_str_digits()
        raise _Unencodable(
            f"is an integer of more than {limit} digits, which readers refuse; pass `hex(...)` of it"
        ) from None


def _float(value: float, style: Style) -> str:
    if value - value == 0:
        return style.float_text(value)
    if style.strict:
        raise _Unencodable(f"is {float.__repr__(value)}, which JSON does not have; pass None, or a str such as 'nan'")
    return "null"  # as JSON.stringify does


def write(value: Any, style: Style, path: str | PathOf = "args") -> str:
    """Write any value in a style. *path* is its name in error messages, or returns how they call a part of it.

    Raises:
        InvalidArguments: A part cannot be written in this style. The message names it and says what to pass instead.
    """
    try:
        return _text(value, style, style.levels)
    except _Unencodable as culprit:
        steps = culprit.steps[::-1]
        place = path(steps) if callable(path) else path_to(path, steps)
        raise InvalidArguments(f"{place} {culprit.reason}.") from None
