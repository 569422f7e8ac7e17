"""Read the timestamps that other programs store for their workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taskhero.wire.dates import parse_date
from taskhero.wire.workers import decode_working

if TYPE_CHECKING:
    from datetime import datetime

    from taskhero.backends.records.inspection import WorkerEntry

__all__ = ["newest_timestamp", "seen_at"]


def seen_at(entry: WorkerEntry, problems: list[str]) -> datetime | None:
    """Return the later of Ruby's heartbeat and node-resque's ping, and append unreadable dates to *problems*."""
    found: list[datetime] = []
    if entry.heartbeat is not None:
        _note(found, problems, "heartbeat", entry.heartbeat, parse_date(entry.heartbeat))
    if entry.ping is not None:
        try:
            ping = json.loads(entry.ping)
        except (ValueError, RecursionError):
            ping = None
        time = ping.get("time") if isinstance(ping, dict) else None
        _note(found, problems, "ping", entry.ping, parse_date(time))
    return max(found, default=None)


def newest_timestamp(entry: WorkerEntry) -> float | None:
    """Return the newest of a worker's heartbeat, ping, start and start of its job, in Unix seconds.

    Return None if it has no timestamp, or if its heartbeat or ping is not readable: that may be the newest.
    """
    problems = [entry.problems[what] for what in ("heartbeat", "ping") if what in entry.problems]
    found = [seen_at(entry, problems), parse_date(entry.started)]
    if entry.working is not None:
        found.append(decode_working(entry.working, "").run_at)
    instants = [instant.timestamp() for instant in found if instant is not None]
    return None if problems else max(instants, default=None)


def _note(found: list[datetime], problems: list[str], what: str, text: str, date: datetime | None) -> None:
    if date is None:
        problems.append(f"{what}: {text[:80]!r} is not a date")
    else:
        found.append(date)
