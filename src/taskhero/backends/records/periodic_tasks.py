"""Records of periodic tasks and cron tasks, and their encoding as JSON text."""

from __future__ import annotations

from enum import StrEnum
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
    "StopReason",
    "decode_periodic",
    "decode_stop_reason",
    "encode_periodic",
]


@attrs.frozen(kw_only=True)
class PeriodicTask:
    """A task that runs repeatedly, with all data that any process needs to enqueue it.

    Attributes:
        name: The task's name.
        queue: The queue of its jobs.
        raw: The payload of its job.
        equivalent_payloads: All payloads that mean the same job, including *raw*.
        guards: Conditions on queueing the job, as in `Entry`.
        holds: Names of the locks that the job holds while it runs.
        frequency: Seconds from the end of a run to the next run; None for a cron task.
        cron: The cron expression; None for a task with a frequency.
        timezone: The IANA name of the time zone of *cron*.
        misfire: The policy for fire times that no scheduler fired in time: ``"skip"``, ``"once"`` or ``"all"``.
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


class StopReason(StrEnum):
    """Why a periodic task is stopped."""

    ASKED = "asked"  #: `Backend.stop_periodic` stopped it
    FAILED = "failed"  #: its job failed, and `NextRun.stop_if_failed` was set


@attrs.frozen(kw_only=True)
class KnownPeriodicTask:
    """A periodic task that at least one process declares.

    Attributes:
        task: The task.
        stopped: Why the task is stopped; None if it is not.
        cron_cursor: Unix time in whole seconds up to which fire times were fired or skipped; None without *cron*.
    """

    task: PeriodicTask
    stopped: StopReason | None = None
    cron_cursor: int | None = None


@attrs.frozen(kw_only=True)
class PeriodicTasksReply:
    """Reply of `Backend.declare_periodic`.

    Attributes:
        now: The backend's time, in Unix seconds.
        tasks: The known tasks, sorted by name.
        stopped: The reason of each stopped task, by name, also of undeclared tasks.
    """

    now: float
    tasks: Sequence[KnownPeriodicTask] = ()
    stopped: Mapping[str, StopReason] = attrs.field(factory=dict)


@attrs.frozen
class NextRun:
    """The next run of the periodic task whose job is settled.

    When the job has ended, all delayed copies of the task are removed and one is delayed by its frequency. A job that
    is released, postponed or delayed for another attempt has not ended. The delay counts from now and is rounded to the
    nearest second, but never to the current one. If the task is stopped, nothing is delayed and nothing is removed.
    With *stop_if_failed*, a failed job stops the task instead.

    Attributes:
        name: The task's name.
        raw: The payload of its next job.
        equivalent_payloads: All payloads that mean the same job, including *raw*.
        frequency: Seconds from now to the next run.
        stop_if_failed: Whether `Failed`, or the last attempt of `Retried`, stops the task.
    """

    name: str
    raw: str
    equivalent_payloads: tuple[str, ...]
    frequency: float = attrs.field(validator=between(0, LONGEST))
    stop_if_failed: bool = False


class EnsureResult(StrEnum):
    """The state in which `Backend.ensure_periodic` found a periodic task."""

    STOPPED = "stopped"  #: the task is stopped
    RUNNING = "running"  #: a lock that its job holds while it runs is held
    QUEUED = "queued"  #: its job is queued, or its queue lock is held
    DELAYED = "delayed"  #: its job is delayed for at most its frequency; a longer delay was shortened
    UNSURE = "unsure"  #: a process whose lease expired less than 60 seconds ago may hold its job
    ENQUEUED = "enqueued"  #: none of these applied, so its job is now at the end of its queue
    WRONG_TYPE = "wrong_type"  #: its queue, or the second of its next run, is a key of the wrong type


class FireResult(StrEnum):
    """The result of `Backend.fire_cron`."""

    STORED = "stored"  #: the jobs are in the queue, except those whose guards did not hold
    MISSED = "missed"  #: another call moved the cursor: nothing changed
    STOPPED = "stopped"  #: the task is stopped: the cursor moved, and nothing was stored


def encode_periodic(task: PeriodicTask) -> str:
    """Return a task as JSON, which programs in other languages can read."""
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
    """Return the task that JSON text describes, or None if this version cannot read it."""
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


def decode_stop_reason(text: str) -> StopReason:
    """Return the reason that stored text names. A reason that this version does not know counts as `ASKED`."""
    return StopReason.FAILED if text == StopReason.FAILED else StopReason.ASKED


def _guard_of(fields: dict[str, Any]) -> Guard:
    if "lock" in fields:
        return QueueLockGuard(fields["lock"], int(fields["timeout"]), shared=bool(fields.get("shared")))
    return NotDelayed(tuple(fields["delayed"]), fields.get("meaning"))
