"""Records about periodic and cron tasks, and their encoding for stores that keep text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from taskhero._internal.bounds import LONGEST, between
from taskhero.backends.records.entries import NotDelayed, QueueLockGuard
from taskhero.errors import Undecodable
from taskhero.wire.json import decode, encode_any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskhero.backends.records.entries import Guard

__all__ = [
    "EnsureResult",
    "FireResult",
    "KnownPeriodicTask",
    "NextRun",
    "PeriodicTask",
    "PeriodicTasksReply",
    "decode_periodic",
    "encode_periodic",
]


@attrs.frozen(kw_only=True)
class PeriodicTask:
    """A task that runs again and again: all that a process needs to keep it going, whether it declares it or not.

    Attributes:
        name: The task's name.
        queue: The queue of its jobs.
        raw: The text of its job.
        equivalent_payloads: All texts that mean the same job, *raw* among them.
        guards: What holds for the job to be queued, as in `Entry`.
        holds: Names of the locks that it holds while it runs.
        frequency: Seconds from the end of a run to the next one; None for a task by cron.
        cron: The cron expression; None for a task with a frequency.
        timezone: The IANA name of the time zone whose clocks count for *cron*.
        misfire: What becomes of slots that nobody could fire in time: ``"skip"``, ``"once"`` or ``"all"``.
    """

    name: str
    queue: str
    raw: str
    equivalent_payloads: tuple[str, ...]
    guards: tuple[Guard, ...] = ()
    holds: tuple[str, ...] = ()
    frequency: float | None = attrs.field(default=None, validator=attrs.validators.optional(between(0, LONGEST)))
    cron: str | None = None
    timezone: str = "UTC"
    misfire: str = "once"


@attrs.frozen(kw_only=True)
class KnownPeriodicTask:
    """A periodic task that some process declares.

    Attributes:
        task: The task.
        stopped: ``"asked"`` or ``"failed"`` if it is stopped, else None.
        cron_cursor: Until when the slots of a task by cron were fired or left out, in whole unix seconds; None else.
    """

    task: PeriodicTask
    stopped: str | None = None
    cron_cursor: int | None = None


@attrs.frozen(kw_only=True)
class PeriodicTasksReply:
    """Answer of `Backend.declare_periodic`.

    Attributes:
        now: The backend's time, in unix seconds.
        tasks: What is known, sorted by name.
        stopped: Why tasks are stopped (as in `KnownPeriodicTask`), by name; also of tasks that nobody declares now.
    """

    now: float
    tasks: Sequence[KnownPeriodicTask] = ()
    stopped: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class NextRun:
    """The next run of the periodic task whose job is settled.

    When the job has ended, all delayed copies of the task are removed and one is delayed by its frequency. A job that
    is released, postponed or delayed for another attempt has not ended. The delay counts from now and is rounded to the
    nearest second, but never to the current one. If the task is stopped, nothing is delayed and nothing is removed.
    With *stop_if_failed*, a failed job stops the task instead.

    Attributes:
        name: The task's name.
        raw: The text of its next job.
        equivalent_payloads: All texts that mean the same job, *raw* among them.
        frequency: Seconds.
        stop_if_failed: Whether `Failed`, or the last attempt of `Retried`, stops the task.
    """

    name: str
    raw: str
    equivalent_payloads: tuple[str, ...]
    frequency: float = attrs.field(validator=between(0, LONGEST))
    stop_if_failed: bool = False


class EnsureResult:
    """What `Backend.ensure_periodic` found of a periodic task."""

    STOPPED = "stopped"  #: it is stopped
    RUNNING = "running"  #: somebody holds a lock that its job holds while it runs
    QUEUED = "queued"  #: its job waits in the queue, or a lock of queued jobs is held
    DELAYED = "delayed"  #: its job is delayed for its frequency at most, from now on if it was delayed for longer
    UNSURE = "unsure"  #: a process that died a moment ago may hold its job
    ENQUEUED = "enqueued"  #: none of these, so its job stands at the end of its queue now
    WRONG_TYPE = "wrong_type"  #: its queue, or the second of its next run, cannot take the job (a key of a wrong type)


class FireResult:
    """What became of `Backend.fire_cron`."""

    STORED = "stored"  #: the jobs stand in the queue, as far as guards let them
    MISSED = "missed"  #: somebody else noted other slots meanwhile: nothing was done
    STOPPED = "stopped"  #: the task is stopped: its slots are noted as seen, and nothing was stored


def encode_periodic(task: PeriodicTask) -> str:
    """Write a task as JSON, so that programs in other languages can see which tasks are periodic."""
    fields: dict[str, Any] = {
        "name": task.name,
        "queue": task.queue,
        "raw": task.raw,
        "forms": list(task.equivalent_payloads),
        "guards": [
            {"lock": guard.key, "timeout": guard.timeout, "shared": guard.shared}
            if isinstance(guard, QueueLockGuard)
            else {"delayed": list(guard.equivalent_payloads), "meaning": guard.meaning}
            for guard in task.guards
        ],
        "holds": list(task.holds),
    }
    if task.cron is None:
        fields["frequency"] = task.frequency
    else:
        fields |= {"cron": task.cron, "timezone": task.timezone, "misfire": task.misfire}
    return encode_any(fields)


def decode_periodic(text: str) -> PeriodicTask | None:
    """Read a task; None if this version cannot: it was written by one that is yet to come, or by a hand."""
    try:
        fields = decode(text)
        frequency = fields.get("frequency")
        return PeriodicTask(
            name=fields["name"],
            queue=fields["queue"],
            raw=fields["raw"],
            equivalent_payloads=tuple(fields["forms"]),
            guards=tuple(map(_guard_of, fields["guards"])),
            holds=tuple(fields["holds"]),
            frequency=None if frequency is None else float(frequency),
            cron=fields.get("cron"),
            timezone=fields.get("timezone", "UTC"),
            misfire=fields.get("misfire", "once"),
        )
    except (Undecodable, KeyError, TypeError, ValueError, AttributeError):
        return None


def _guard_of(given: dict[str, Any]) -> Guard:
    if "lock" in given:
        return QueueLockGuard(given["lock"], int(given["timeout"]), shared=bool(given.get("shared")))
    return NotDelayed(tuple(given["delayed"]), given.get("meaning"))
