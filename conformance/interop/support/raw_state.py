"""Reads what lies in Redis by itself, so that it can judge what taskhero reads there; nothing here uses taskhero.

A dump is what `watching.look` gives: key, without the namespace, to type, seconds to live and elements.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from harm_rules import Dump

__all__ = [
    "PAUSE",
    "Failed",
    "Job",
    "Worker",
    "elements",
    "exact",
    "failed_lists",
    "failures",
    "job",
    "jobs_delayed",
    "jobs_queued",
    "locks",
    "master_lock",
    "moment",
    "names",
    "paused",
    "stats",
    "workers",
]

#: Ruby's switch that lets nobody work.
PAUSE: Final = "pause-all-workers"


class Job(NamedTuple):
    """A job; one that cannot be read has the name ``""`` and its text as its argument."""

    name: str
    args: list[Any]
    queue: str
    raw: str

    @property
    def readable(self) -> bool:
        """Whether a worker can perform it."""
        return bool(self.name)


class Failed(NamedTuple):
    """A failure that can be read."""

    job: Job
    queue: str
    worker: str
    exception: str
    error: str
    backtrace: list[str]
    failed_at: datetime | None
    retried_at: datetime | None


class Worker(NamedTuple):
    """A worker in view."""

    id: str
    name: str
    queues: str
    job: Job | None
    run_at: datetime | None
    started: datetime | None
    program: str
    seen_at: datetime | None
    processed: int
    failed: int


def elements(dump: Dump, key: str) -> tuple[str, ...]:
    """What stands under a key."""
    return dump[key][2] if key in dump else ()


def exact(value: Any) -> str:
    """A text that is equal for equal values only: 1 is not 1.0, 0.0 not -0.0, and the order of keys is no matter."""
    return json.dumps(value, sort_keys=True)


# --- jobs --------------------------------------------------------------------------------------------------------


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _float(text: str) -> float:
    return float(text) if abs(float(text)) != float("inf") else _refuse(text)


def decoded(text: str) -> Any:
    """What a text says; ``ValueError`` if it is no JSON or not even text."""
    try:
        text.encode()
        return json.loads(text, parse_constant=_refuse, parse_float=_float)
    except RecursionError:
        return _refuse(text)


def _args(given: Any) -> list[Any]:
    if given is None or given == {}:
        return []
    return given if isinstance(given, list) else [given]


def _of_payload(payload: Any, queue: str, raw: str) -> Job:
    if not isinstance(payload, dict) or not isinstance(payload.get("class"), str) or not payload["class"]:
        return Job("", [raw], queue, raw)
    return Job(payload["class"], _args(payload.get("args")), queue, raw)


def job(text: str, queue: str | None = None) -> Job:
    """The job that stands in a queue; without one it is delayed, and its text says where it goes (``""``: nowhere)."""
    try:
        payload = decoded(text)
    except ValueError:
        return Job("", [text], queue or "", text)
    if queue is None:
        own = payload.get("queue") if isinstance(payload, dict) else None
        queue = own if isinstance(own, str) else ""
    return _of_payload(payload, queue, text)


def jobs_queued(dump: Dump) -> dict[str, list[Job]]:
    """The jobs of all known queues."""
    return {q: [job(text, q) for text in elements(dump, f"queue:{q}")] for q in sorted(elements(dump, "queues"))}


def jobs_delayed(dump: Dump) -> dict[int, list[Job]]:
    """The jobs by the second to which they are delayed, the earliest first; what is no whole second is left out."""
    members = elements(dump, "delayed_queue_schedule")[::2]
    seconds = sorted(int(member) for member in members if member.isdecimal())
    return {at: [job(text) for text in elements(dump, f"delayed:{at}")] for at in seconds}


def names(dump: Dump) -> set[str]:
    """The names of all jobs anywhere."""
    found = {one.name for jobs in (*jobs_queued(dump).values(), *jobs_delayed(dump).values()) for one in jobs}
    found |= {failed.job.name for one in failed_lists(dump) for failed in failures(dump, one) if failed}
    found |= {worker.job.name for worker in workers(dump) if worker.job is not None}
    return found - {""}


# --- dates -------------------------------------------------------------------------------------------------------

_JS: Final = re.compile(r"\w{3} (\w{3} \d\d \d{4} \d\d:\d\d:\d\d) (\S+)(?: \(.*\))?")


def moment(text: Any, tz: str = "UTC") -> datetime | None:
    """A date as Ruby, JavaScript or Redis wrote it, in UTC; zones that have only a name are those of *tz*."""
    if text is None:
        return None
    if isinstance(text, int) or text.isdecimal():
        return datetime.fromtimestamp(int(text), UTC)
    if found := _JS.fullmatch(text):
        return _in_zone(found[1], "%b %d %Y %H:%M:%S", found[2], tz)
    date, time, zone = re.fullmatch(r"(.{10})[ T](\d\d:\d\d:\d\d) ?(\S*)", text).groups()
    return _in_zone(f"{date.replace('/', '-')} {time}", "%Y-%m-%d %H:%M:%S", zone, tz)


#: Where the short names are used that Ruby writes in these zones.
_NAMED: Final = {"EST": "America/New_York", "EDT": "America/New_York", "IST": "Asia/Kolkata"}


def _in_zone(text: str, form: str, zone: str, tz: str) -> datetime:
    if zone in {"", "Z", "UTC"}:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    if found := re.fullmatch(r"(?:GMT)?([+-])(\d\d):?(\d\d)?", zone):
        east = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        offset: tzinfo = timezone(-east if found[1] == "-" else east)
    else:
        offset = ZoneInfo(_NAMED.get(zone, tz))
    return datetime.strptime(text, form).replace(tzinfo=offset).astimezone(UTC)


# --- failures ----------------------------------------------------------------------------------------------------


def failed_lists(dump: Dump) -> list[str]:
    """The lists of failures."""
    return ["failed", *sorted(elements(dump, "failed_queues"))]


def failures(dump: Dump, source: str = "failed", tz: str = "UTC") -> list[Failed | None]:
    """The failures of a list; None for what is none."""
    return [_failed(text, tz) for text in elements(dump, source)]


def _failed(text: str, tz: str) -> Failed | None:
    try:
        told = decoded(text)
    except ValueError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("payload"), dict):
        return None
    queue = told.get("queue") or told["payload"].get("queue") or ""
    parts = [told.get(part) or "" for part in ("worker", "exception", "error")]
    dates = [moment(told.get(part), tz) for part in ("failed_at", "retried_at")]
    return Failed(_of_payload(told["payload"], queue, text), queue, *parts, told.get("backtrace") or [], *dates)


# --- workers and all else ----------------------------------------------------------------------------------------


def _number(dump: Dump, *keys: str) -> int:
    return next((int(elements(dump, key)[0]) for key in keys if key in dump), 0)


def workers(dump: Dump) -> list[Worker]:
    """The workers in view."""
    beats = elements(dump, "workers:heartbeat")
    heartbeats = dict(zip(beats[::2], beats[1::2], strict=True))
    return [_worker(dump, worker, heartbeats.get(worker)) for worker in sorted(elements(dump, "workers"))]


def _worker(dump: Dump, worker: str, beat: str | None) -> Worker:
    host, pid, queues = worker.split(":", 2)
    name = f"{host}:{pid}"
    started, held = (next(iter(elements(dump, f"worker:{worker}{end}")), None) for end in (":started", ""))
    ping = next(iter(elements(dump, f"worker:ping:{name}")), None)
    held = None if held is None else decoded(held)
    return Worker(
        id=worker,
        name=name,
        queues=queues,
        job=None if held is None else _of_payload(held["payload"], held["queue"], exact(held["payload"])),
        run_at=None if held is None else moment(held["run_at"]),
        started=moment(started),
        program="resque" if beat else "node-resque" if ping else "",
        seen_at=moment(beat) or _ping(ping),
        processed=_number(dump, f"stat:processed:{name}", f"stat:processed:{worker}"),
        failed=_number(dump, f"stat:failed:{name}", f"stat:failed:{worker}"),
    )


def _ping(text: str | None) -> datetime | None:
    """When node-resque's worker gave its sign of life, or None."""
    try:
        told = None if text is None else decoded(text)
    except ValueError:
        return None
    return moment(told.get("time")) if isinstance(told, dict) else None


def stats(dump: Dump) -> dict[str, int]:
    """All counters."""
    return {key.removeprefix("stat:"): int(value[0]) for key, (_, _, value) in dump.items() if key.startswith("stat:")}


def locks(dump: Dump) -> dict[str, str]:
    """The locks of jobs."""
    return {k: value[0] for k, (_, _, value) in dump.items() if k.startswith(("lock:", "workerslock:"))}


def paused(dump: Dump) -> bool:
    """Whether nobody may work."""
    return "".join(elements(dump, PAUSE)).strip().lower() == "true"


def master_lock(dump: Dump) -> str | None:
    """The key by which Ruby's scheduler leads, or None."""
    return next((key for key in dump if key.endswith("resque_scheduler_master_lock")), None)
