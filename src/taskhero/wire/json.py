"""Read JSON, and write it byte for byte as ``JSON.stringify`` does, except that integers of any size are exact.

Other programs find jobs by comparing bytes, so each value has exactly one form: no spaces, no escapes that are not
necessary, ``1.0`` as ``1``, and object keys that look like array indices first, in ascending order.
"""

from __future__ import annotations

import json
import sys
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, Any, Final

from taskhero._internal.display import short_repr
from taskhero.errors import Undecodable
from taskhero.wire.json_internals import make_dump, make_scan
from taskhero.wire.json_writer import LENIENT, MAX_LEVELS_WRITTEN, RUBY, STRICT, SURROGATE, quote, write

if TYPE_CHECKING:
    from taskhero.wire.json_writer import PathOf

__all__ = ["MAX_LEVELS_READ", "MAX_LEVELS_WRITTEN", "decode", "encode", "encode_any", "encode_as_ruby", "quote"]

#: How many levels of nesting `decode` accepts; Python's own limit is slightly higher.
MAX_LEVELS_READ: Final = 500

_ATOMS = frozenset({str, int, bool, type(None)})
_PARTS = frozenset({list, dict, tuple})


# --- writing: the fast path, where Python's encoder writes the same bytes ----------------------------------------

_dump: Final = make_dump()


def _is_plain(value: Any, room: int) -> bool:
    """Return whether Python's encoder writes this array or object as JavaScript does, within *room* levels."""
    if not room:
        return False
    if type(value) is dict:
        for key in value:
            # Below ":" are the digits, so this excludes keys that look like an index.
            if type(key) is not str or key < ":":
                return False
        value = value.values()
    for item in value:
        kind = type(item)
        if kind in _ATOMS:
            continue
        if kind is list or kind is dict or kind is tuple:
            if not _is_plain(item, room - 1):
                return False
        elif kind is not float or not (item % 1 and 1e-4 <= abs(item) < 1e16):
            # Only fractions without an exponent have the same form in both.
            return False
    return True


# --- writing: the three forms ------------------------------------------------------------------------------------


def encode(value: Any, *, path: str | PathOf = "args") -> str:
    """Write the arguments of a job.

    Tuples become arrays. Subclasses of str, int, float, list and dict are written as their base class.

    Args:
        value: None, bool, int, float, str, list, tuple or dict with str keys, nested up to 90 levels.
        path: The name of *value* in error messages, or a function that returns how they call a part of it.

    Returns:
        The output of ``JSON.stringify``, except that integers are exact.

    Raises:
        InvalidArguments: A part cannot be written so that every reader understands it: NaN, an infinity, a lone
            surrogate, or an object of another type. The message names the part and says what to pass instead.
    """
    kind = type(value)
    if (kind is list or kind is dict or kind is tuple) and _is_plain(value, MAX_LEVELS_WRITTEN):
        try:
            text = _dump(value)
            if not text.isascii():
                text.encode()  # finds lone surrogates
        except ValueError:  # a lone surrogate, or an integer with too many digits: `write` names it
            pass
        else:
            return text
    return write(value, STRICT, path)


def encode_as_ruby(value: Any, *, path: str | PathOf = "args") -> str:
    """Write a value as Ruby's json library does: like `encode`, but ``1.0``, ``1.0e+21``, and keys in their order.

    Raises:
        InvalidArguments: As `encode`.
    """
    if type(value) in _PARTS and _is_plain(value, MAX_LEVELS_WRITTEN):
        # All three writers write a plain value alike.
        return encode(value, path=path)
    return write(value, RUBY, path)


def encode_any(value: Any, *, surrogate: str = "\\u") -> str:
    r"""Write any value that `decode` returned.

    Args:
        value: Decoded JSON; it may be nested deeper than `encode` allows.
        surrogate: The prefix of the four hexadecimal digits of a lone surrogate. JavaScript writes the escape ``\u``.
            Two backslashes make it visible text that every program can read.

    Returns:
        The output of ``JSON.stringify``, except that integers are exact.
    """
    kind = type(value)
    if (kind is list or kind is dict) and _is_plain(value, MAX_LEVELS_READ):
        text = _dump(value)
    else:
        text = write(value, LENIENT)
    return text if text.isascii() else _without_surrogates(text, surrogate)


def _without_surrogates(text: str, prefix: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # A surrogate pair becomes one character, as in JavaScript.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return SURROGATE.sub(lambda found: f"{prefix}{ord(found[0]):04x}", text)
    return text


# --- reading -----------------------------------------------------------------------------------------------------


def _no_constant(name: str) -> Any:
    raise Undecodable(f"not JSON: it contains {name}")


def _finite(text: str) -> float:
    value = float(text)
    if value in {inf, -inf}:
        raise Undecodable(f"contains a number that is too large for a float: {short_repr(text)}")
    return value


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_scan: Final = make_scan(_DECODER)


def decode(text: str) -> Any:
    """Read JSON. Of equal keys the last one counts.

    Returns:
        The value. It can contain lone surrogates that were written as escapes.

    Raises:
        Undecodable: The text is not JSON, is nested deeper than 500 levels, or contains NaN, Infinity, a number that is
            too large or bytes that are not UTF-8. The message says which.
    """
    try:
        value, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        value = _decode_carefully(text)
    else:
        if end != len(text):
            value = _decode_carefully(text)
    if not text.isascii():
        _check_utf8(text)
    if len(text) > 2 * MAX_LEVELS_READ and text.count("[") + text.count("{") > MAX_LEVELS_READ:
        _check_levels(value)
    return value


def _decode_carefully(text: str) -> Any:
    """Read a text with white space around it, or raise an error that says what is wrong."""
    try:
        return _DECODER.decode(text)
    except Undecodable:
        raise
    except json.JSONDecodeError as error:
        if not text:
            raise Undecodable("not JSON: it is empty") from None
        reason = error.msg.removesuffix(" at")
        around = short_repr(text[max(0, error.pos - 20) : error.pos + 20])
        raise Undecodable(f"not JSON: {reason} at position {error.pos}, near {around}") from None
    except ValueError:
        limit = sys.get_int_max_str_digits()
        raise Undecodable(f"contains an integer of more than {limit} digits") from None
    except RecursionError:
        raise Undecodable(f"is nested deeper than {MAX_LEVELS_READ} levels") from None


def _check_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = short_repr(text[max(0, error.start - 20) : error.start + 20])
        raise Undecodable(f"not UTF-8: a stray byte at position {error.start}, near {around}") from None


def _check_levels(value: Any) -> None:
    level = [value]
    for _ in range(MAX_LEVELS_READ):
        children = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for child in chain.from_iterable(children) if isinstance(child, (list, dict))]
        if not level:
            return
    raise Undecodable(f"is nested deeper than {MAX_LEVELS_READ} levels")
