"""Encode and decode payloads, compare them, and mark those of rescued jobs."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from taskhero._internal.display import short_repr
from taskhero.errors import InvalidArguments, InvalidQueueName, Undecodable
from taskhero.models import Job
from taskhero.wire.json import decode, encode, encode_any, encode_as_ruby, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.wire.json_writer import PathOf

__all__ = [
    "MARK_KEYS",
    "check_queue_name",
    "decode_job",
    "encode_job",
    "equivalent_payloads",
    "forms_without_args",
    "has_one_spelling",
    "is_nothing",
    "job_of",
    "late_crash_count",
    "mark_rescued",
    "meaning_of",
    "payload_queue",
    "rescue_count",
    "same_meaning",
    "unmark",
]

RESCUES_KEY = "taskhero:rescues"
LATE_KEY = "taskhero:late"
#: The keys that a rescue adds to a payload.
MARK_KEYS = frozenset({RESCUES_KEY, LATE_KEY})
# The largest count of a mark, so that its length is bounded.
_MAX_COUNT = 10**10 - 1
_MARK = re.compile(rf',"{RESCUES_KEY}":([0-9]{{1,10}})(?:,"{LATE_KEY}":([0-9]{{1,10}}))?\}}\Z')
# A mark is at the very end, so only this many characters are searched.
_LONGEST_MARK = len(f',"{RESCUES_KEY}":{_MAX_COUNT},"{LATE_KEY}":{_MAX_COUNT}}}')


# --- names -------------------------------------------------------------------------------------------------------


def check_queue_name(queue: str) -> str:
    """Return *queue* if a queue can have this name.

    Raises:
        InvalidQueueName: It is not a str, is empty, or contains a comma, a line break, a control character or a lone
            surrogate.
    """
    if not isinstance(queue, str):
        raise InvalidQueueName(f"A queue's name must be a str, not {short_repr(queue)} of type {type(queue).__name__}.")
    if not queue:
        raise InvalidQueueName("A queue's name must not be empty; pass a name such as 'default'.")
    for position, character in enumerate(queue):
        if character == ",":
            raise InvalidQueueName(
                f"The queue name {short_repr(queue)} contains a comma at position {position}, which separates queues "
                "in a worker's id; use another character, or name the queues one by one."
            )
        # Control characters, line and paragraph separators, lone surrogates.
        if unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}:
            raise InvalidQueueName(
                f"The queue name {short_repr(queue)} contains {character!r} at position {position}; leave out line "
                "breaks, control characters and lone surrogates."
            )
    return str.__str__(queue)


def _check_name(name: str) -> str:
    if not isinstance(name, str):
        raise InvalidArguments(f"A job's name must be a str, not {short_repr(name)} of type {type(name).__name__}.")
    if not name:
        raise InvalidArguments("A job's name must not be empty; pass the name of its task.")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise InvalidArguments(
                f"The job name {short_repr(name)} contains a lone surrogate at position {error.start}, which is "
                "not a character; leave it out."
            ) from None
    return str.__str__(name)


# --- writing -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _head(name: str, queue: str) -> str:
    """Return the start of a payload, up to its args. Cached, since programs have few tasks."""
    return f'{{"class":{quote(_check_name(name))},"queue":{quote(check_queue_name(queue))},"args":'


def encode_job(name: str, args: Sequence[Any], queue: str, path: str | PathOf = "args") -> str:
    """Write a job as node-resque does: ``{"class":"add","queue":"math","args":[1,2]}``.

    Args:
        name: The task's name.
        args: The job's arguments, a list or tuple.
        queue: The queue of the job.
        path: The name of *args* in error messages, or a function that returns how they call a part of it.

    Raises:
        InvalidArguments: The name is empty, or the arguments cannot be written (see `taskhero.wire.json.encode`).
        InvalidQueueName: A queue cannot have this name.
    """
    if not isinstance(args, (list, tuple)):
        raise InvalidArguments(f"args must be a list or tuple, not {short_repr(args)} of type {type(args).__name__}.")
    if type(name) is not str or type(queue) is not str:
        name, queue = _check_name(name), check_queue_name(queue)
    return f"{_head(name, queue)}{encode(args, path=path)}}}"


def equivalent_payloads(name: str, args: Sequence[Any], queue: str) -> tuple[str, ...]:
    """Return the payloads that node-resque (and taskhero), Ruby Resque and resque-scheduler write for a job.

    Ruby writes whole and large floats differently, so args that contain such floats have three more payloads. The last
    is Ruby's with the queue added by `taskhero.wire.splicing.keep_queue`.

    Raises:
        InvalidArguments: As `encode_job`.
        InvalidQueueName: As `encode_job`.
    """
    payload = encode_job(name, args, queue)
    written, ruby = payload[len(_head(name, queue)) : -1], encode_as_ruby(args)
    head, tail = f'{{"class":{quote(name)},"args":', f',"queue":{quote(queue)}}}'
    equivalents = (payload, f"{head}{written}}}", f"{head}{written}{tail}")
    if ruby == written:
        return equivalents
    return (*equivalents, f"{head}{ruby}}}", f"{head}{ruby}{tail}", f"{_head(name, queue)}{ruby}}}")


def forms_without_args(name: str, queue: str) -> tuple[str, ...]:
    """Return the payloads whose args are missing, null or an empty object, with and without the queue.

    Such a payload is a job without arguments. People and older programs write it.
    """
    start, end = f'{{"class":{quote(name)}', f'"queue":{quote(queue)}'
    equivalents = [f"{start}}}", f"{start},{end}}}"]
    for args in ("null", "{}"):
        equivalents += (f'{start},"args":{args}}}', f'{start},{end},"args":{args}}}', f'{start},"args":{args},{end}}}')
    return tuple(equivalents)


def is_nothing(args: list[Any]) -> bool:
    """Return whether *args* means "no arguments", as programs write it: ``[]``, ``[null]`` or ``[{}]``."""
    return not args or (len(args) == 1 and (args[0] is None or (isinstance(args[0], dict) and not args[0])))


# --- reading -----------------------------------------------------------------------------------------------------


def decode_job(raw: str, queue: str) -> Job:
    """Read a payload. Never raise.

    Args:
        raw: The payload.
        queue: The queue of the job. The queue in the payload is ignored.

    Returns:
        The job. Missing args, null and ``{}`` mean no arguments; an object or a scalar is one argument. A payload that
        cannot be read becomes a job with the name ``""``, the payload as its only argument and a `problem`.
    """
    try:
        payload = decode(raw)
    except Undecodable as error:
        return _garbage(raw, queue, str(error))
    if type(payload) is dict:
        name, args = payload.get("class"), payload.get("args")
        if type(name) is str and name:
            return Job(name, args if type(args) is list else _lenient(args), queue, raw=raw)
    return job_of(payload, queue, raw)


def job_of(payload: Any, queue: str, raw: str) -> Job:
    """Return the job of a decoded payload, as `decode_job` does. Never raise."""
    if not isinstance(payload, dict):
        return _garbage(raw, queue, f"it is not a JSON object but {short_repr(payload)}")
    name, args = payload.get("class"), payload.get("args")
    if not isinstance(name, str):
        return _garbage(
            raw, queue, f"its class is {short_repr(name)}, not a str" if name is not None else "it has no class"
        )
    problem = None if name else "its class is empty"
    return Job(name, _lenient(args), queue, raw=raw, problem=problem)


def _lenient(args: Any) -> list[Any]:
    if isinstance(args, list):
        return args
    return [] if args is None or args == {} else [args]


def _garbage(raw: str, queue: str, problem: str) -> Job:
    return Job("", [unmark(raw)], queue, raw=raw, problem=problem)


def payload_queue(raw: str) -> str | None:
    """Return the queue that a payload names, or None if it does not name one or cannot be read."""
    try:
        payload = decode(raw)
    except Undecodable:
        return None
    queue = payload.get("queue") if isinstance(payload, dict) else None
    return queue if isinstance(queue, str) and queue else None


def same_meaning(raw: str, name: str, args: Sequence[Any]) -> bool:
    """Return whether a payload is a job of this name with equal arguments.

    The comparison ignores the order of an object's keys, ``1`` against ``1.0``, the queue, other keys of the payload
    and spelling. A float equals the digits that JavaScript reads as it. Integers are compared exactly. A payload that
    cannot be read equals no job.
    """
    job = decode_job(raw, "")
    return job.problem is None and job.name == name and _same(job.args, args)


def meaning_of(name: str, args: Sequence[Any], queue: str) -> str:
    """Return what all equivalent payloads of a job share: a digest of its name, queue and arguments.

    It ignores the order of an object's keys and the form of a number, as `same_meaning` does.
    """
    text = encode_any([name, queue, _in_order(args)])
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def has_one_spelling(value: Any) -> bool:
    """Return whether all programs write this value alike: without floats and objects of several keys."""
    if isinstance(value, dict):
        return len(value) < 2 and all(map(has_one_spelling, value.values()))
    return all(map(has_one_spelling, value)) if isinstance(value, list) else not isinstance(value, float)


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, (list, tuple)) else value


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        if not isinstance(right, (list, tuple)) or len(left) != len(right):
            return False
        return all(map(_same, left, right))
    if isinstance(left, dict):
        if not isinstance(right, dict) or left.keys() != right.keys():
            return False
        return all(_same(item, right[key]) for key, item in left.items())
    # In Python True == 1, in JSON they differ.
    return isinstance(left, bool) is isinstance(right, bool) and (bool(left == right) or _same_float(left, right))


def _same_float(written: Any, expected: Any) -> bool:
    """Return whether JavaScript writes this float as this integer: 2.0**60 as ``1152921504606847000``."""
    if type(written) is not int or not isinstance(expected, float) or not expected.is_integer():
        return False
    try:
        return float(written) == expected
    except OverflowError:
        return False


# --- the mark of a rescued job -----------------------------------------------------------------------------------


def _find_mark(raw: str) -> re.Match[str] | None:
    # A mark ends in a digit and a brace. Few other payloads do, so this saves most searches.
    return _MARK.search(raw, max(len(raw) - _LONGEST_MARK, 0)) if raw[-2:-1].isdigit() else None


def rescue_count(raw: str) -> int | None:
    """Return the number of processes that died during an exclusive run of the job, or None if it was never rescued.

    0 means that a process died that had claimed it together with other jobs.
    """
    mark = _find_mark(raw)
    return None if mark is None else int(mark[1])


def late_crash_count(raw: str) -> int:
    """Return the number of crashes after the job's quarantine had ended. Each prolongs the next quarantine."""
    mark = _find_mark(raw)
    return 0 if mark is None else int(mark[2] or 0)


def mark_rescued(raw: str, *, running: bool, late: bool = False) -> str:
    """Return a payload after one more rescue. One that does not end in ``}`` and white space is returned unchanged.

    Args:
        raw: The payload, with or without a mark.
        running: Whether the job ran exclusively when its process died, so that the rescue counts.
        late: Whether its exclusive run had ended, and other jobs ran when its process died.
    """
    trimmed = raw.rstrip(" \t\r\n")
    if not trimmed.endswith("}"):
        return raw
    count = min((rescue_count(trimmed) or 0) + running, _MAX_COUNT)
    late_crashes = min(late_crash_count(trimmed) + late, _MAX_COUNT)
    tail = f',"{LATE_KEY}":{late_crashes}' if late_crashes else ""
    return f'{unmark(trimmed)[:-1]},"{RESCUES_KEY}":{count}{tail}}}'


def unmark(raw: str) -> str:
    """Return the payload without its rescue mark."""
    mark = _find_mark(raw)
    return raw if mark is None else f"{raw[: mark.start()]}}}"
