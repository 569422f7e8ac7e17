"""JSON, byte for byte as ``JSON.stringify`` writes it, but for integers, which are exact at any size.

Other programs find jobs by comparing bytes, so a value has one form only: no spaces, text unescaped, ``1.0`` as ``1``,
and object keys that look like array indices first, in ascending order.
"""

from __future__ import annotations

import json
import json.encoder
import sys
from itertools import chain
from json.scanner import make_scanner
from math import inf
from typing import TYPE_CHECKING, Any, Final

from taskhero._internal.display import short_repr
from taskhero.errors import Undecodable
from taskhero.wire.json_writer import LENIENT, MAX_LEVELS_WRITTEN, RUBY, STRICT, SURROGATE, quote, write

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_LEVELS_READ", "MAX_LEVELS_WRITTEN", "decode", "encode", "encode_any", "encode_as_ruby", "quote"]

#: How deep a text may be nested to be read; Python's own limit is not far above.
MAX_LEVELS_READ: Final = 500

_ATOMS = frozenset({str, int, bool, type(None)})
_PARTS = frozenset({list, dict, tuple})


# --- writing: the quick way, where Python's encoder writes the same bytes ----------------------------------------


def _make_dump() -> Callable[[Any], str]:
    """Build the encoder in C once, since `JSONEncoder.encode` builds it for each value."""
    encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without the C part
        return encoder.encode
    chunks = make(None, encoder.default, quote, None, ":", ",", sort_keys=False, skipkeys=False, allow_nan=False)
    join = "".join
    return lambda value: join(chunks(value, 0))


_dump = _make_dump()


def _is_plain(value: Any, room: int) -> bool:
    """Whether Python's own encoder writes this array or object as JavaScript does; *room* is how deep it may be."""
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
            # Only a fraction without exponent looks the same in both.
            return False
    return True


# --- writing: the three forms ------------------------------------------------------------------------------------


def encode(value: Any, *, path: str = "args") -> str:
    """Write what a program wants to enqueue.

    Tuples are arrays, and subclasses of str, int, float, list and dict are what they derive from.

    Args:
        value: None, bool, int, float, str, list, tuple or dict with str keys, nested up to 90 levels.
        path: What to call *value* in an error's message.

    Returns:
        Exactly what ``JSON.stringify`` writes, but for integers, which are exact.

    Raises:
        InvalidArguments: A part cannot be written so that every reader understands it; the message tells which, and
            what to pass instead. Such are NaN and infinities, lone surrogates, and objects of any other type.
    """
    kind = type(value)
    if (kind is list or kind is dict or kind is tuple) and _is_plain(value, MAX_LEVELS_WRITTEN):
        try:
            text = _dump(value)
            if not text.isascii():
                text.encode()  # finds lone surrogates
        except ValueError:  # one of these, or an integer with too many digits: the exact way tells which
            pass
        else:
            return text
    return write(value, STRICT, path)


def encode_as_ruby(value: Any, *, path: str = "args") -> str:
    """Write what Ruby's json library writes for the same value: as `encode`, but ``1.0``, ``1.0e+21``, no key moved.

    Raises:
        InvalidArguments: As `encode`.
    """
    if type(value) in _PARTS and _is_plain(value, MAX_LEVELS_WRITTEN):
        # What is plain looks the same in all three.
        return encode(value, path=path)
    return write(value, RUBY, path)


def encode_any(value: Any, *, surrogate: str = "\\u") -> str:
    r"""Write whatever `decode` returned.

    Args:
        value: Decoded JSON; it may be nested deeper than `encode` allows.
        surrogate: What stands before the four hexadecimal digits of a lone surrogate. JavaScript writes the escape
            ``\u``; two backslashes make it visible text that all can read.

    Returns:
        What ``JSON.stringify`` writes, but for integers, which are exact.
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
        # Two that belong together become one character, as they are for JavaScript.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return SURROGATE.sub(lambda found: f"{prefix}{ord(found[0]):04x}", text)
    return text


# --- reading -----------------------------------------------------------------------------------------------------


def _no_constant(name: str) -> Any:
    raise Undecodable(f"not JSON: it holds {name}")


def _finite(text: str) -> float:
    value = float(text)
    if value in {inf, -inf}:
        raise Undecodable(f"holds a number that is too large for a float: {short_repr(text)}")
    return value


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_scan: Final[Callable[[str, int], tuple[Any, int]]] = make_scanner(_DECODER)  # type: ignore[arg-type]


def decode(text: str) -> Any:
    """Read JSON; of equal keys the last one counts.

    Returns:
        The value; lone surrogates that were written as escapes are in it.

    Raises:
        Undecodable: The text is not JSON, holds NaN, Infinity, a float or an integer that is too large or bytes that
            are not UTF-8, or is nested deeper than 500 levels. The message tells which.
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
    """Read a text with white space around it, or tell what is wrong with it."""
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
        raise Undecodable(f"holds an integer of more than {limit} digits") from None
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
