"""Change one member of a JSON object in its text, and keep all other bytes.

The functions find members with a tokenizer, not by a text search, so they never mistake a value for a key.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from taskhero.wire.json_internals import make_scan
from taskhero.wire.json_writer import SURROGATE, quote

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["VISIBLE", "keep_queue", "value_text", "visible", "without"]

#: The prefix that turns the four digits of a lone surrogate into visible text.
VISIBLE: Final = "\\\\u"

_BLANKS = re.compile(r"[ \t\n\r]*")
# Numbers are not converted: their values are not needed, and they can have any number of digits.
_scan = make_scan(json.JSONDecoder(parse_float=len, parse_int=len))
# A pair of surrogates, a lone one, or any other escape.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class _Member(NamedTuple):
    """A member of an object: the positions of its key, and of the start and end of its value."""

    key: str
    start: int
    value_start: int
    end: int
    value: Any


def _blanks(text: str, at: int) -> int:
    """Return the position after white space."""
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _members(text: str) -> list[_Member] | None:
    """Return the members of the object in *text*, in their order, or None if it is not an object."""
    try:
        return _read_members(text)
    except (ValueError, StopIteration, IndexError, RecursionError):
        return None


def _read_members(text: str) -> list[_Member] | None:
    members: list[_Member] = []
    at = _blanks(text, 0)
    if text[at] != "{":
        return None
    at = _blanks(text, at + 1)
    while text[at] != "}" or members:
        start = at
        if text[at] != '"':
            return None
        key, at = _scan(text, at)
        at = _blanks(text, at)
        if text[at] != ":":
            return None
        value_start = _blanks(text, at + 1)
        value, end = _scan(text, value_start)
        members.append(_Member(key, start, value_start, end, value))
        at = _blanks(text, end)
        if text[at] == "}":
            break
        if text[at] != ",":
            return None
        at = _blanks(text, at + 1)
    return members if _blanks(text, at + 1) == len(text) else None


def value_text(text: str, key: str) -> str | None:
    """Return the bytes of a member's value. Of equal keys the last one counts, as for all readers.

    Args:
        text: The text of a JSON object.
        key: The member's key, in any spelling.

    Returns:
        The value's text, or None if the member does not exist or *text* is not an object.
    """
    for member in reversed(_members(text) or ()):
        if member.key == key:
            return text[member.value_start : member.end]
    return None


def keep_queue(text: str, queue: str) -> str:
    """Return a payload that names *queue*, so that the queue is known in any list.

    Args:
        text: The payload.
        queue: The queue from which it was claimed, or in which it is stored next.

    Returns:
        The same payload if it names this queue already, or is not a JSON object. Otherwise its `queue` members get
        this value. A payload without such a member gets one after its class, where node-resque writes it.
    """
    members = _members(text)
    if members is None:
        return text
    found = [member for member in members if member.key == "queue"]
    if found and found[-1].value == queue:
        return text
    name = quote(queue)
    if SURROGATE.search(name):
        return text  # bytes that are not UTF-8 would make the whole job unreadable
    for member in reversed(found):
        text = f"{text[: member.value_start]}{name}{text[member.end :]}"
    if found:
        return text
    classes = [member.end for member in members if member.key == "class"]
    if classes:
        return f'{text[: classes[-1]]},"queue":{name}{text[classes[-1] :]}'
    start = text.index("{") + 1
    return f'{text[:start]}"queue":{name}{"," if members else ""}{text[start:]}'


def without(text: str, keys: Collection[str]) -> str:
    """Return the text of an object without the members of these keys. Return other text unchanged."""
    members = _members(text) or []
    for position in range(len(members) - 1, -1, -1):
        member = members[position]
        if member.key not in keys:
            continue
        if position:  # with the comma before it
            text = text[: members[position - 1].end] + text[member.end :]
        else:  # with the comma after it, if a member follows
            comma = _blanks(text, member.end)
            end = _blanks(text, comma + 1) if text[comma] == "," else member.end
            text = text[: member.start] + text[end:]
    return text


def visible(text: str) -> str:
    r"""Return a JSON text with each escape of a lone surrogate as visible text: ``\\ud83d`` for ``\ud83d``."""
    return _ESCAPE.sub(lambda found: f"\\\\{found[1]}" if found[1] else found[0], text) if "\\" in text else text
