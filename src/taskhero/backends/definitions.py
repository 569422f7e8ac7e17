"""Periodic tasks as text, for backends that store text: any process may read what another one declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.backends.protocol import FreeLock, NotDelayed, Periodic
from taskhero.errors import Undecodable
from taskhero.wire.json import decode, encode_any

if TYPE_CHECKING:
    from taskhero.backends.protocol import Guard

__all__ = ["decode_periodic", "encode_periodic"]


def encode_periodic(task: Periodic) -> str:
    """Write a task as JSON, so that programs in other languages can see which tasks are periodic."""
    fields: dict[str, Any] = {
        "name": task.name,
        "queue": task.queue,
        "raw": task.raw,
        "forms": list(task.forms),
        "guards": [
            {"lock": guard.key, "timeout": guard.timeout, "shared": guard.shared}
            if isinstance(guard, FreeLock)
            else {"delayed": list(guard.forms), "meaning": guard.meaning}
            for guard in task.guards
        ],
        "holds": list(task.holds),
    }
    if task.cron is None:
        fields["frequency"] = task.frequency
    else:
        fields |= {"cron": task.cron, "timezone": task.timezone, "misfire": task.misfire}
    return encode_any(fields)


def decode_periodic(text: str) -> Periodic | None:
    """Read a task; None if this version cannot: it was written by one that is yet to come, or by a hand."""
    try:
        fields = decode(text)
        frequency = fields.get("frequency")
        return Periodic(
            name=fields["name"],
            queue=fields["queue"],
            raw=fields["raw"],
            forms=tuple(fields["forms"]),
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
        return FreeLock(given["lock"], int(given["timeout"]), shared=bool(given.get("shared")))
    return NotDelayed(tuple(given["delayed"]), given.get("meaning"))
