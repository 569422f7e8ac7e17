"""Names under which equal jobs share a lock or a counter, byte for byte as node-resque builds them.

Two jobs are equal if their task's name, their arguments and (but for attempts) their queue are. All names stand below
the namespace. Integers beyond 2**53 are exact here, while node-resque rounds them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from taskhero.errors import InvalidArguments, PluginError
from taskhero.wire.json import encode, encode_any

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.models import Job

    #: A name, or what makes one of a job.
    Key: TypeAlias = str | Callable[[Job], str]

__all__ = ["attempts_names", "chosen_key", "lock_name", "sendable"]

#: What JavaScript takes for white space; Python's own idea differs in six characters.
_SPACE: Final = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_FIRST_SPACE: Final = re.compile(f"[{_SPACE}]")
_NO_SPACE: Final = re.compile(f"[^{_SPACE}]")


def lock_name(prefix: str, job: Job) -> str:
    """The name of a lock of *job*: ``<prefix>:<name>:<queue>:<args as JSON>``."""
    return sendable(f"{_lock_head(prefix, job.name, job.queue)}:{_json(job.args)}")


def attempts_names(job: Job) -> tuple[str, str]:
    """The names of the counter of *job*'s attempts, and of what is kept of its last error.

    They are ``resque-retry:<name>:<args>`` and ``failure-resque-retry:<name>:<args>``, without a colon in front of no
    args in the first. The args have a hyphen between them; texts stand there as they are, objects and lists as JSON.
    The first white space of a name is left out, as node-resque does it.
    """
    (counter, spaced), (trace, trace_spaced) = _attempts_heads(job.name)
    args = "-".join(map(_in_a_list, job.args))
    if _NO_SPACE.search(args):
        counter = f"{counter}:{args if spaced else _without_space(args)}"
    return sendable(counter), sendable(f"{trace}:{args if trace_spaced else _without_space(args)}")


def chosen_key(key: Key, job: Job) -> str:
    """The name that the option ``key`` gives for *job*.

    Raises:
        PluginError: It gives something that can be no name.
    """
    if isinstance(key, str):
        return key
    made: object = key(job)
    if not isinstance(made, str) or not made:
        raise PluginError(f"key={key!r} gave {made!r} for a job of {job.name!r}: return a str that is not empty")
    return sendable(made)


def sendable(name: str) -> str:
    """The name as it is sent: JavaScript sends a lone surrogate as U+FFFD."""
    if name.isascii():
        return str.__str__(name)
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# Programs have few tasks, so what depends on their names is kept.
@lru_cache(maxsize=1024)
def _lock_head(prefix: str, name: str, queue: str) -> str:
    return _joined(prefix, name, queue)


@lru_cache(maxsize=1024)
def _attempts_heads(name: str) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """How the two names of attempts begin, each with whether a white space was left out of it already."""
    counter, trace = _joined("resque-retry", name), f"failure-resque-retry:{name}"
    short, shorter = _without_space(counter), _without_space(trace)
    return (short, short != counter), (shorter, shorter != trace)


def _without_space(text: str) -> str:
    """The text without its first white space."""
    return _FIRST_SPACE.sub("", text, 1)


def _joined(*parts: str) -> str:
    # node-resque leaves out what is blank.
    return ":".join(part for part in parts if _NO_SPACE.search(part))


def _in_a_list(value: Any) -> str:
    """A value as JavaScript's ``join`` writes it, but objects and lists as JSON."""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return encode(value)
    except InvalidArguments:
        # Read from the wire, it may hold what we would not write: lone surrogates, or too many levels.
        return encode_any(value)
