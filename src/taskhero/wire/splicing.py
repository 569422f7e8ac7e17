"""Change one member of a JSON object in its text, and leave all other bytes as they are.

The functions find members with a tokenizer, never by a search for text, so no value can pass for a key.
"""

from __future__ import annotations

import json
import re
from json.scanner import make_scanner
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from taskhero.wire.json_writer import SURROGATE, quote

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["VISIBLE", "keep_queue", "value_text", "visible", "without"]

#: What to put before the four digits of a lone surrogate, so that it is visible text.
VISIBLE: Final = "\\\\u"

_BLANKS = re.compile(r"[ \t\n\r]*")
# No number is read: its value does not matter, and it may have any number of digits.
_scan = make_scanner(json.JSONDecoder(parse_float=len, parse_int=len))  # type: ignore[arg-type]
# A pair of surrogates, a lone one, or any other escape.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class _Member(NamedTuple):
    """A member of an object: where its key begins, and where its value begins and ends."""

    key: str
    start: int
    value_start: int
    end: int
    value: Any


def _blanks(text: str, at: int) -> int:
    """Return the position behind white space."""
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _members(text: str) -> list[_Member] | None:
    """Return the members of the object that *text* is, in their order; None if it is no object."""
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
    """Return the text of a member's value as it is written; of equal keys the last one counts, as for all readers.

    Args:
        text: The text of a JSON object.
        key: The member's key, however the text spells it.

    Returns:
        The value's text, or None if there is no such member or *text* is no object.
    """
    for registered in reversed(_members(text) or ()):
        if registered.key == key:
            return text[registered.value_start : registered.end]
    return None


def keep_queue(text: str, queue: str) -> str:
    """Return a job's text that names *queue*, so that a list which is not the queue's own does not lose it.

    Args:
        text: The job's text.
        queue: The queue from which it was claimed, or to which it goes.

    Returns:
        The same text if it names this queue already, or is no JSON object. Else its `queue` members get this value. A
        text without such a member gets one behind its class, where node-resque writes it.
    """
    members = _members(text)
    if members is None:
        return text
    found = [registered for registered in members if registered.key == "queue"]
    if found and found[-1].value == queue:
        return text
    name = quote(queue)
    if SURROGATE.search(name):
        return text  # bytes that are no UTF-8 would make the whole job unreadable
    for registered in reversed(found):
        text = f"{text[: registered.value_start]}{name}{text[registered.end :]}"
    if found:
        return text
    classes = [registered.end for registered in members if registered.key == "class"]
    if classes:
        return f'{text[: classes[-1]]},"queue":{name}{text[classes[-1] :]}'
    start = text.index("{") + 1
    return f'{text[:start]}"queue":{name}{"," if members else ""}{text[start:]}'


def without(text: str, keys: Collection[str]) -> str:
    """Return the text of an object without the members of these keys; what is no object stays as it is."""
    members = _members(text) or []
    for position in range(len(members) - 1, -1, -1):
        registered = members[position]
        if registered.key not in keys:
            continue
        if position:  # with the comma before it
            text = text[: members[position - 1].end] + text[registered.end :]
        else:  # with the comma behind it, if a member that stays follows
            comma = _blanks(text, registered.end)
            end = _blanks(text, comma + 1) if text[comma] == "," else registered.end
            text = text[: registered.start] + text[end:]
    return text


def visible(text: str) -> str:
    r"""Return a JSON text in which each escape of a lone surrogate is visible text, ``\\ud83d`` for ``\ud83d``."""
    return _ESCAPE.sub(lambda found: f"\\\\{found[1]}" if found[1] else found[0], text) if "\\" in text else text
