"""Jobs to text and back."""

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

__all__ = [
    "MARK_KEYS",
    "check_queue_name",
    "decode_job",
    "encode_job",
    "equivalent_payloads",
    "forms_without_args",
    "has_one_spelling",
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
#: The keys that a rescue adds to a job's text.
MARK_KEYS = frozenset({RESCUES_KEY, LATE_KEY})
# No mark counts further, so that its length has a bound.
_MAX_COUNT = 10**10 - 1
_MARK = re.compile(rf',"{RESCUES_KEY}":([0-9]{{1,10}})(?:,"{LATE_KEY}":([0-9]{{1,10}}))?\}}\Z')
# A mark stands at the very end, so only this much of the text is looked at.
_LONGEST_MARK = len(f',"{RESCUES_KEY}":{_MAX_COUNT},"{LATE_KEY}":{_MAX_COUNT}}}')


# --- names -------------------------------------------------------------------------------------------------------


def check_queue_name(queue: str) -> str:
    """Return *queue* if a queue can have this name.

    Raises:
        InvalidQueueName: It is no str, is empty, or holds a comma, a line break, a control character or what is no
            character.
    """
    if not isinstance(queue, str):
        raise InvalidQueueName(f"A queue's name must be a str, not {short_repr(queue)} of type {type(queue).__name__}.")
    if not queue:
        raise InvalidQueueName("A queue's name must not be empty; pass a name such as 'default'.")
    for position, character in enumerate(queue):
        if character == ",":
            raise InvalidQueueName(
                f"The queue name {short_repr(queue)} holds a comma at position {position}, which separates queues in a "
                "worker's id; use another character, or name the queues one by one."
            )
        # Control characters, line and paragraph separators, lone surrogates.
        if unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}:
            raise InvalidQueueName(
                f"The queue name {short_repr(queue)} holds {character!r} at position {position}; leave out line "
                "breaks, "
                "control characters and what is no character."
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
                f"The job name {short_repr(name)} holds a lone surrogate at position {error.start}, which is no "
                "character."
            ) from None
    return str.__str__(name)


# --- writing -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _head(name: str, queue: str) -> str:
    """The text of a job up to its args; programs have few tasks, so it is kept."""
    return f'{{"class":{quote(_check_name(name))},"queue":{quote(check_queue_name(queue))},"args":'


def encode_job(name: str, args: Sequence[Any], queue: str) -> str:
    """Write a job as node-resque does: ``{"class":"add","queue":"math","args":[1,2]}``.

    Args:
        name: The task's name.
        args: The job's arguments, a list or tuple.
        queue: The queue it is meant for.

    Raises:
        InvalidArguments: The name is empty, or the arguments cannot be written (see `taskhero.wire.json.encode`).
        InvalidQueueName: A queue cannot have this name.
    """
    if not isinstance(args, (list, tuple)):
        raise InvalidArguments(f"args must be a list or tuple, not {short_repr(args)} of type {type(args).__name__}.")
    if type(name) is not str or type(queue) is not str:
        name, queue = _check_name(name), check_queue_name(queue)
    return f"{_head(name, queue)}{encode(args)}}}"


def equivalent_payloads(name: str, args: Sequence[Any], queue: str) -> tuple[str, ...]:
    """The texts that programs write for a job: node-resque and we, Ruby Resque, resque-scheduler.

    Ruby writes whole floats and large ones in its own way, so arguments with such have three more forms: the third is
    what `taskhero.wire.splicing.keep_queue` makes of Ruby's.

    Raises:
        InvalidArguments: As `encode_job`.
        InvalidQueueName: As `encode_job`.
    """
    ours = encode_job(name, args, queue)
    text, ruby = ours[len(_head(name, queue)) : -1], encode_as_ruby(args)
    head, tail = f'{{"class":{quote(name)},"args":', f',"queue":{quote(queue)}}}'
    equivalents = (ours, f"{head}{text}}}", f"{head}{text}{tail}")
    if ruby == text:
        return equivalents
    return (*equivalents, f"{head}{ruby}}}", f"{head}{ruby}{tail}", f"{_head(name, queue)}{ruby}}}")


def forms_without_args(name: str, queue: str) -> tuple[str, ...]:
    """Return the texts of a job whose args are missing, null or an empty object, with its queue or without.

    No program writes such a job by itself, but people and older programs do, and it means a job without arguments.
    """
    start, end = f'{{"class":{quote(name)}', f'"queue":{quote(queue)}'
    equivalents = [f"{start}}}", f"{start},{end}}}"]
    for args in ("null", "{}"):
        equivalents += (f'{start},"args":{args}}}', f'{start},{end},"args":{args}}}', f'{start},"args":{args},{end}}}')
    return tuple(equivalents)


# --- reading -----------------------------------------------------------------------------------------------------


def decode_job(raw: str, queue: str) -> Job:
    """Read a job; never raises.

    Args:
        raw: The text as it stands in the store.
        queue: The queue in which it stands, or is meant for; what the text itself says does not matter.

    Returns:
        The job. Missing args, null and ``{}`` are none; an object or scalar is one argument. What cannot be read has
        the name ``""``, the text as its only argument and a `problem`.
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
    """The job that a decoded payload stands for; as `decode_job`, never raises."""
    if not isinstance(payload, dict):
        return _garbage(raw, queue, f"it is not a JSON object but {short_repr(payload)}")
    name, args = payload.get("class"), payload.get("args")
    if not isinstance(name, str):
        return _garbage(
            raw, queue, f"its class is {short_repr(name)}, not text" if name is not None else "it has no class"
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
    """The queue that a job's own text names, or None if it names none or cannot be read."""
    try:
        payload = decode(raw)
    except Undecodable:
        return None
    queue = payload.get("queue") if isinstance(payload, dict) else None
    return queue if isinstance(queue, str) and queue else None


def same_meaning(raw: str, name: str, args: Sequence[Any]) -> bool:
    """Whether a text is a job of this name with equal arguments.

    The order of an object's keys does not matter, nor whether a number is written as ``1`` or ``1.0``; its queue,
    its other keys and how it is spelled do not either. A float equals the digits that JavaScript reads as it; integers
    are compared exactly. What cannot be read is equal to nothing.
    """
    job = decode_job(raw, "")
    return job.problem is None and job.name == name and _same(job.args, args)


def meaning_of(name: str, args: Sequence[Any], queue: str) -> str:
    """Return what all texts of one job have in common: a digest of its name, queue and arguments.

    The order of an object's keys and the form of a number do not matter, as for `same_meaning`.
    """
    text = encode_any([name, queue, _in_order(args)])
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def has_one_spelling(value: Any) -> bool:
    """Return whether all programs write this value alike: it has no float, and no object of several keys."""
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


def _same_float(written: Any, meant: Any) -> bool:
    """Whether an integer in a text is how JavaScript writes this float: 2.0**60 is ``1152921504606847000`` there."""
    if type(written) is not int or not isinstance(meant, float) or not meant.is_integer():
        return False
    try:
        return float(written) == meant
    except OverflowError:
        return False


# --- the mark of a rescued job -----------------------------------------------------------------------------------


def _find_mark(raw: str) -> re.Match[str] | None:
    # A mark ends in a digit and a brace; nearly no other job does, and this is asked for each.
    return _MARK.search(raw, max(len(raw) - _LONGEST_MARK, 0)) if raw[-2:-1].isdigit() else None


def rescue_count(raw: str) -> int | None:
    """How often the job's process died while the job ran alone in it, or None if it was never rescued.

    0 means that a process died that had claimed it among others.
    """
    mark = _find_mark(raw)
    return None if mark is None else int(mark[1])


def late_crash_count(raw: str) -> int:
    """How often the job's process died later than the job was kept alone in it, so that it is kept for longer next."""
    mark = _find_mark(raw)
    return 0 if mark is None else int(mark[2] or 0)


def mark_rescued(raw: str, *, running: bool, late: bool = False) -> str:
    """The job's text after one more rescue; one that does not end in ``}`` (and white space) is returned as it is.

    Args:
        raw: The text, marked or not.
        running: Whether the job ran alone in the process that died, so that the rescue counts.
        late: Whether it had run alone there, and others ran beside it when the process died.
    """
    trimmed = raw.rstrip(" \t\r\n")
    if not trimmed.endswith("}"):
        return raw
    count = min((rescue_count(trimmed) or 0) + running, _MAX_COUNT)
    after = min(late_crash_count(trimmed) + late, _MAX_COUNT)
    tail = f',"{LATE_KEY}":{after}' if after else ""
    return f'{unmark(trimmed)[:-1]},"{RESCUES_KEY}":{count}{tail}}}'


def unmark(raw: str) -> str:
    """The job's text as it was before any rescue."""
    mark = _find_mark(raw)
    return raw if mark is None else f"{raw[: mark.start()]}}}"
