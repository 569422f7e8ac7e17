"""Keys of the locks and counters that equal jobs share, byte for byte as node-resque builds them.

Two jobs are equal if their name, their arguments and (except for attempts) their queue are equal. All keys are inside
the namespace. Integers beyond 2**53 are exact here, while node-resque rounds them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from taskhero.errors import InvalidArguments
from taskhero.wire.json import encode, encode_any

if TYPE_CHECKING:
    from taskhero.models import Job

__all__ = ["attempts_names", "lock_name", "sendable"]

#: White space in JavaScript, which differs from Python's in six characters.
_SPACE: Final = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_FIRST_SPACE: Final = re.compile(f"[{_SPACE}]")
_NO_SPACE: Final = re.compile(f"[^{_SPACE}]")


def lock_name(prefix: str, job: Job) -> str:
    """Return the key of a lock of *job*: ``<prefix>:<name>:<queue>:<args as JSON>``."""
    return sendable(f"{_lock_head(prefix, job.name, job.queue)}:{_json(job.args)}")


def attempts_names(job: Job) -> tuple[str, str]:
    """Return the keys of the counter of *job*'s attempts and of its last error.

    They are ``resque-retry:<name>:<args>`` and ``failure-resque-retry:<name>:<args>``. Without args, the first has no
    colon after the name. Hyphens separate the args. Strings are unchanged, objects and lists are JSON. The first white
    space of a key is removed, as node-resque does.
    """
    (counter, spaced), (last_error, last_error_spaced) = _attempts_heads(job.name)
    args = "-".join(map(_in_a_list, job.args))
    if _NO_SPACE.search(args):
        counter = f"{counter}:{args if spaced else _without_space(args)}"
    return sendable(counter), sendable(f"{last_error}:{args if last_error_spaced else _without_space(args)}")


def sendable(name: str) -> str:
    """Return the key as it is sent: JavaScript sends a lone surrogate as U+FFFD."""
    if name.isascii():
        return str.__str__(name)
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# Programs have few tasks, so a cache by name is small.
@lru_cache(maxsize=1024)
def _lock_head(prefix: str, name: str, queue: str) -> str:
    return _joined(prefix, name, queue)


@lru_cache(maxsize=1024)
def _attempts_heads(name: str) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """Return the beginnings of both keys, each with whether white space was removed from it already."""
    counter, last_error = _joined("resque-retry", name), f"failure-resque-retry:{name}"
    short_counter, short_last_error = _without_space(counter), _without_space(last_error)
    return (short_counter, short_counter != counter), (short_last_error, short_last_error != last_error)


def _without_space(text: str) -> str:
    """Return the text without its first white space."""
    return _FIRST_SPACE.sub("", text, 1)


def _joined(*parts: str) -> str:
    # node-resque skips blank parts.
    return ":".join(part for part in parts if _NO_SPACE.search(part))


def _in_a_list(value: Any) -> str:
    """Return a value as JavaScript's ``join`` writes it, but objects and lists as JSON."""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return encode(value)
    except InvalidArguments:
        # A job from the wire may have lone surrogates or too many levels, which taskhero does not write.
        return encode_any(value)
