"""What would hurt the other readers of one Redis: Ruby's workers, its schedulers, its pages, and node-resque.

Each rule comes from a live trial in which a real Resque 3.0, resque-scheduler 5.0, resque-web or node-resque 9.7 met
such data: a worker died at its start, a scheduler ended or spun, a page answered 500, a count went wrong. Nothing here
uses taskhero, so that it judges taskhero.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

__all__ = ["DUMP", "RULES", "Dump", "Harm", "harms", "read_dump"]

#: Reads the whole key space in one step; gives key, type, seconds to live, and the elements as one flat list.
DUMP: Final = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, {}
  if kind == 'string' then value = { redis.call('GET', key) }
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'hash' then value = redis.call('HGETALL', key) end
  all[#all + 1] = { key, kind, redis.call('TTL', key), value }
end
return all
"""

#: Key to its type, its seconds to live (-1: for ever) and its elements; bytes that are no text as surrogate escapes.
Dump = Mapping[str, tuple[str, int, tuple[str, ...]]]


class Harm(NamedTuple):
    """Something that would hurt somebody, by the name of its rule."""

    rule: str
    key: str
    what: str


def read_dump(reply: list[Any], prefix: str = "resque:") -> Dump:
    """What the script `DUMP` answered, without the namespace."""

    def text(value: bytes) -> str:
        return value.decode("utf-8", "surrogateescape")

    return {text(key).removeprefix(prefix): (text(kind), ttl, tuple(map(text, v))) for key, kind, ttl, v in reply}


# --- how the others read -----------------------------------------------------------------------------------------

_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d\d:?\d\d)?"
_RUBY = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?: [A-Z]{3,4}| [+-]\d\d)?"
_NODE = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4}(?: \(.+\))?"
_DATE = re.compile(f"{_ISO}|{_RUBY}|{_NODE}", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_MOMENT = re.compile(r"\d{1,11}", re.ASCII)
#: How deep arrays and objects may be nested in a job's text: two levels around 97 in its arguments.
_LEVELS = 99


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    numbers = re.findall(r"\d+", value)
    if len(numbers[0]) == 4:  # there is such a day and such a time
        datetime(*map(int, numbers[:6]))  # noqa: DTZ001
    return True


class Unreadable(Exception):
    """Ruby's JSON, or JavaScript's, does not read it."""


def _constant(name: str) -> Any:
    raise Unreadable(name)


def _float(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise Unreadable(text)
    return number


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _json(text: str) -> Any:
    """Read it as the strictest reader does."""
    try:
        value = json.loads(text, parse_constant=_constant, parse_float=_float)
        json.dumps(value, ensure_ascii=False).encode()  # no bytes that are no text, no half of a surrogate pair
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    if _depth(value) > _LEVELS:
        raise Unreadable("nested too deep")
    return value


# --- the rules ---------------------------------------------------------------------------------------------------

Check = Callable[[Dump], Iterator[tuple[str, str]]]
#: Each rule by its name: what would happen.
RULES: Final[dict[str, Check]] = {}


def _rule(name: str) -> Callable[[Check], Check]:
    def keep(check: Check) -> Check:
        RULES[name] = check
        return check

    return keep


def _elements(dump: Dump, key: str) -> tuple[str, ...]:
    return dump[key][2] if key in dump else ()


def _keys(dump: Dump, prefix: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for key, (kind, _, elements) in dump.items():
        if key.startswith(prefix):
            yield key, kind, elements


def _working(dump: Dump) -> Iterator[tuple[str, str]]:
    """The ids of busy workers, and what stands under them."""
    for key, _, elements in _keys(dump, "worker:"):
        if not key.startswith("worker:ping:") and not key.endswith(":started"):
            yield key.removeprefix("worker:"), elements[0]


@_rule("a worker's id without host, pid and queues kills every Ruby worker that starts")
def _ids(dump: Dump) -> Iterator[tuple[str, str]]:
    for worker in _elements(dump, "workers"):
        parts = worker.split(":", 2)
        if len(parts) < 3 or not all(parts) or not any(parts[2].split(",")):
            yield "workers", worker


@_rule("a slash in a worker's host leaves its page without an address")
def _hosts(dump: Dump) -> Iterator[tuple[str, str]]:
    return (("workers", worker) for worker in _elements(dump, "workers") if "/" in worker.split(":")[0])


@_rule("a heartbeat that is not a date kills every Ruby worker that starts")
def _heartbeats(dump: Dump) -> Iterator[tuple[str, str]]:
    for beat in _elements(dump, "workers:heartbeat")[1::2]:
        if not _is_date(beat):
            yield "workers:heartbeat", beat


@_rule("a worker's job that is not a JSON object with a payload breaks the pages and a Ruby worker's pruning")
def _busy(dump: Dump) -> Iterator[tuple[str, str]]:
    for worker, value in _working(dump):
        try:
            payload = _json(value)["payload"]
            if not isinstance(payload["class"], str):
                yield f"worker:{worker}", value
        except (Unreadable, KeyError, TypeError, IndexError):
            yield f"worker:{worker}", value


@_rule("a worker's job that names another worker makes node-resque delete it or count failures")
def _busy_names(dump: Dump) -> Iterator[tuple[str, str]]:
    for worker, value in _working(dump):
        try:
            told = _json(value)
        except Unreadable:
            continue  # told by another rule
        if not isinstance(told, dict) or told.get("worker") != ":".join(worker.split(":")[:2]):
            yield f"worker:{worker}", value


@_rule("a busy worker that is not registered is seen by no program")
def _unseen(dump: Dump) -> Iterator[tuple[str, str]]:
    known = _elements(dump, "workers")
    return ((f"worker:{worker}", value) for worker, value in _working(dump) if worker not in known)


@_rule("a ping that is not JSON stops node-resque's scheduler permanently")
def _pings(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _keys(dump, "worker:ping:"):
        try:
            told = _json(elements[0])
            if not isinstance(told["time"], int) or not isinstance(told["queues"], str):
                yield key, elements[0]
        except (Unreadable, KeyError, TypeError):
            yield key, elements[0]


@_rule("a ping of a name that is not a registered worker counts failures at each poll of node-resque's scheduler")
def _pinging(dump: Dump) -> Iterator[tuple[str, str]]:
    names = {":".join(worker.split(":")[:2]) for worker in _elements(dump, "workers")}
    for key, _, elements in _keys(dump, "worker:ping:"):
        name = key.removeprefix("worker:ping:")
        if name not in names or f'"name":"{name}"' not in elements[0]:
            yield key, elements[0]


@_rule("a counter that is not an integer stops every program that counts")
def _counters(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, kind, elements in _keys(dump, "stat:"):
        if kind != "string" or not _INTEGER.fullmatch(elements[0]):
            yield key, str(elements)


@_rule("a queue's name that is empty is one list to Ruby and another one to node-resque")
def _names(dump: Dump) -> Iterator[tuple[str, str]]:
    return (("queues", name) for name in _elements(dump, "queues") if not name.strip())


@_rule("a queue that is not in the set of queues is seen by no worker on all queues")
def _listed(dump: Dump) -> Iterator[tuple[str, str]]:
    known = _elements(dump, "queues")
    for key, kind, _ in _keys(dump, "queue:"):
        if key.removeprefix("queue:") not in known or kind != "list":
            yield key, kind


def _job(text: str) -> dict[str, Any] | None:
    try:
        job = _json(text)
    except Unreadable:
        return None
    return job if isinstance(job, dict) else None


@_rule("a queued job that is not a JSON object kills the Ruby worker that takes it")
def _queued(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _keys(dump, "queue:"):
        yield from ((key, text) for text in elements if _job(text) is None)


@_rule("a queued job without a class fails in both languages, and breaks the search page")
def _queued_classes(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _keys(dump, "queue:"):
        for text in elements:
            job = _job(text)
            if job is not None and not (isinstance(job.get("class"), str) and job["class"]):
                yield key, text


@_rule("arguments that are not an array are read as something else by each language")
def _arguments(dump: Dump) -> Iterator[tuple[str, str]]:
    for prefix in ("queue:", "delayed:"):
        for key, kind, elements in _keys(dump, prefix):
            for text in elements if kind == "list" else ():
                job = _job(text)
                if job is not None and not isinstance(job.get("args"), list):
                    yield key, text


def _delayed(dump: Dump) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    return (found for found in _keys(dump, "delayed:") if found[0] != "delayed:last_enqueued_at")


@_rule("a due time that is not a whole second makes every scheduler loop without end")
def _moments(dump: Dump) -> Iterator[tuple[str, str]]:
    schedule = _elements(dump, "delayed_queue_schedule")
    for member, score in zip(schedule[::2], schedule[1::2], strict=True):
        if not _MOMENT.fullmatch(member) or member != score:
            yield "delayed_queue_schedule", f"{member} at {score}"


@_rule("a list of a due time that is not in the schedule is never promoted")
def _scheduled(dump: Dump) -> Iterator[tuple[str, str]]:
    members = _elements(dump, "delayed_queue_schedule")[::2]
    for key, kind, _ in _delayed(dump):
        if kind != "list" or key.removeprefix("delayed:") not in members:
            yield key, kind


@_rule("a delayed job that is not a JSON object ends the Ruby scheduler, and stops that of node-resque permanently")
def _delayed_jobs(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _delayed(dump):
        yield from ((key, text) for text in elements if _job(text) is None)


@_rule("a delayed job without class or queue is lost by the schedulers, and breaks the page of delayed jobs")
def _delayed_queues(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _delayed(dump):
        for text in elements:
            job = _job(text)
            if job is not None and not all(isinstance(job.get(part), str) and job[part] for part in ("class", "queue")):
                yield key, text


@_rule("a delayed job that is not under its timestamps is found by no removal")
def _timestamps(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _delayed(dump):
        for text in elements:
            if key not in _elements(dump, f"timestamps:{text}"):
                yield key, text


@_rule("timestamps of a job that is not delayed refuse an equal one")
def _stale(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _keys(dump, "timestamps:"):
        for bucket in elements:
            if key.removeprefix("timestamps:") not in _elements(dump, bucket):
                yield key, bucket


def _entries(dump: Dump) -> Iterator[tuple[str, dict[str, Any]]]:
    for text in _elements(dump, "failed"):
        entry = _job(text)
        if entry is not None:
            yield text, entry


@_rule("a failure that is not a JSON object breaks the page of failures, and node-resque's list of them")
def _failures(dump: Dump) -> Iterator[tuple[str, str]]:
    return (("failed", text) for text in _elements(dump, "failed") if _job(text) is None)


@_rule("a failure with a date that is not valid breaks the page of failures")
def _failed_at(dump: Dump) -> Iterator[tuple[str, str]]:
    for text, entry in _entries(dump):
        if not _is_date(entry.get("failed_at")) or not _is_date(entry.get("retried_at", entry.get("failed_at"))):
            yield "failed", text


@_rule("a failure without a worker, or with a backtrace that is not an array, breaks the page or node-resque's retries")
def _failed_parts(dump: Dump) -> Iterator[tuple[str, str]]:
    for text, entry in _entries(dump):
        backtrace = entry.get("backtrace")
        fine = isinstance(backtrace, list) and all(isinstance(line, str) for line in backtrace)
        if not fine or not all(isinstance(entry.get(part), str) for part in ("worker", "queue", "exception", "error")):
            yield "failed", text


@_rule("a failure whose payload is not a job cannot be shown or retried")
def _failed_payloads(dump: Dump) -> Iterator[tuple[str, str]]:
    for text, entry in _entries(dump):
        payload = entry.get("payload")
        if not isinstance(payload, dict) or not isinstance(payload.get("class"), str):
            yield "failed", text


@_rule("a lock that does not begin with its number, or never expires, is held permanently or by no job")
def _locks(dump: Dump) -> Iterator[tuple[str, str]]:
    for prefix in ("lock:", "workerslock:"):
        for key, kind, elements in _keys(dump, prefix):
            if kind != "string" or not re.match(r"\d+", elements[0]) or dump[key][1] < 0:
                yield key, str(elements)


@_rule("a count of attempts that is not an integer, or never expires, counts wrong for the next equal job")
def _attempts(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, kind, elements in _keys(dump, "resque-retry:"):
        if kind != "string" or not _INTEGER.fullmatch(elements[0]) or dump[key][1] < 0:
            yield key, str(elements)


@_rule("a lock of another program's scheduler stops what only its holder does")
def _others_locks(dump: Dump) -> Iterator[tuple[str, str]]:
    for key, _, elements in _keys(dump, "resque"):
        if key.endswith(("resque_scheduler_leader_lock", "resque_scheduler_master_lock")):
            yield key, elements[0]


_KNOWN = re.compile(
    r"queues|workers|workers:heartbeat|failed|delayed_queue_schedule|stat:(?:processed|failed)(?::.+)?"
    r"|(?:queue|worker|delayed|timestamps|lock|workerslock|resque-retry|failure-resque-retry|taskhero):.+"
    r"|(?:resque:)?resque_scheduler_(?:master|leader)_lock",
    re.DOTALL,
)


@_rule("a key that no Resque knows is not written outside taskhero's own names")
def _known(dump: Dump) -> Iterator[tuple[str, str]]:
    return ((key, kind) for key, (kind, _, _) in dump.items() if not _KNOWN.fullmatch(key))


@_rule("what taskhero keeps for itself expires or is bounded by what runs")
def _own(dump: Dump) -> Iterator[tuple[str, str]]:
    bounded = {"taskhero:processes", "taskhero:renewals", "taskhero:leases", "taskhero:workers"}
    for key, _, elements in _keys(dump, "taskhero:"):
        if key not in bounded and dump[key][1] < 0:
            yield key, str(elements[:3])


def harms(dump: Dump, *, but: frozenset[str] = frozenset()) -> list[Harm]:
    """All that would hurt somebody, of all rules *but* those named."""
    return [Harm(name, *found) for name, check in RULES.items() if name not in but for found in check(dump)]
