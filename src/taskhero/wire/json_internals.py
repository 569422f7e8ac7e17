"""Use the undocumented parts of Python's json library. No other module of taskhero does.

They skip work that the documented functions repeat for each value. Each has a fallback that reads and writes the same
bytes with documented functions, for an interpreter that does not have the part.
"""

from __future__ import annotations

import json
import json.encoder
import json.scanner
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_dump", "make_quote", "make_scan"]

#: A value with a part of each kind, and its text, to check an undocumented encoder.
_EXAMPLE: Final[dict[str, Any]] = {"a": [1, -2.5, True, None, 'é\u2028\x00"\\'], "b": ({}, [])}
_EXAMPLE_TEXT: Final = '{"a":[1,-2.5,true,null,"é\u2028\\u0000\\"\\\\"],"b":[{},[]]}'


def make_quote() -> Callable[[str], str]:
    """Return a function that writes a str as JSON. Lone surrogates stay as they are."""
    quote: Callable[[str], str] | None = getattr(json.encoder, "encode_basestring", None)
    return json.JSONEncoder(ensure_ascii=False).encode if quote is None else quote


def make_dump() -> Callable[[Any], str]:
    """Return a function that writes a value as JSON without spaces. It builds the C encoder only once."""
    encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    join = "".join
    try:
        chunks = make(
            None, encoder.default, make_quote(), None, ":", ",", sort_keys=False, skipkeys=False, allow_nan=False
        )
        same = join(chunks(_EXAMPLE, 0)) == _EXAMPLE_TEXT
    except (TypeError, ValueError):
        same = False
    return (lambda value: join(chunks(value, 0))) if same else encoder.encode


def make_scan(decoder: json.JSONDecoder) -> Callable[[str, int], tuple[Any, int]]:
    """Return a function that reads the JSON value at a position, and returns it and the position after it.

    It raises ValueError or StopIteration if there is no value.
    """
    make = getattr(json.scanner, "make_scanner", None)
    scan: Callable[[str, int], tuple[Any, int]] = decoder.raw_decode if make is None else make(decoder)
    return scan
