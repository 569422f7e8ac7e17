"""Jobs that wait for their moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from taskhero.backends.protocol import DueJob, DueReply, NotDelayed, PromoteResult, QueueLockGuard, ScheduleResult
from taskhero.backends.records.inspection import DelayedPage, StoredDelayedJob
from taskhero.wire.jobs import unmark
from taskhero_sqlite import locks, queues
from taskhero_sqlite.failures import fail
from taskhero_sqlite.steps import blob, marked, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import DelayedJobEntry, PromotionTarget
    from taskhero_sqlite.steps import Step

__all__ = [
    "copies",
    "delay",
    "delayed",
    "due",
    "due_times",
    "later",
    "promote",
    "remove_copies",
    "remove_delayed",
    "schedule",
    "search_delayed",
]


def later(now: float, seconds: float) -> int:
    """The first whole second that is not before so many seconds from now; counted in microseconds."""
    microseconds = round(now * 1_000_000) + math.ceil(seconds * 1_000_000 - 1e-3)
    return -(-microseconds // 1_000_000)


def delay(step: Step, at: int, raw: str, meaning: str | None = None) -> None:
    """Store a text until a moment, and tell who waits for the schedule if that is the earliest now."""
    if meaning is not None:
        still = "SELECT 1 FROM delayed AS d WHERE d.raw = spelled.raw AND d.at = spelled.at"
        step.do(f"DELETE FROM spelled WHERE meaning = ? AND NOT EXISTS ({still})", meaning)
        step.do("INSERT OR IGNORE INTO spelled VALUES (?, ?, ?)", meaning, at, blob(raw))
    earliest = step.value("SELECT min(at) FROM delayed")
    step.do("INSERT INTO delayed (at, raw) VALUES (?, ?)", at, blob(raw))
    if earliest is None or at < earliest:
        step.ring_schedule()


def schedule(step: Step, entries: Sequence[DelayedJobEntry]) -> list[ScheduleResult]:
    """See `Backend.schedule`."""
    return [_schedule(step, entry) for entry in entries]


def _schedule(step: Step, entry: DelayedJobEntry) -> ScheduleResult:
    at = _due_second(entry, step.now)
    if at is not None and entry.unique and _find(step, at, entry.raw) is not None:
        return ScheduleResult.ALREADY_DELAYED
    guards = entry.guards if at is None else [guard for guard in entry.guards if not isinstance(guard, QueueLockGuard)]
    if locks.take(step, guards) is not None:
        return ScheduleResult.DUPLICATE
    if at is not None:
        delay(step, at, entry.raw)
        return ScheduleResult.DELAYED
    queues.put(step, entry.queue, entry.raw)
    step.ring(entry.queue)
    return ScheduleResult.QUEUED


def _due_second(entry: DelayedJobEntry, now: float) -> int | None:
    """The whole second in which an entry is due, or None if that is not in the future."""
    if entry.delay is not None:
        at = later(now, entry.delay) if entry.delay > 0 else 0
    else:
        at = math.ceil(entry.at) if entry.at is not None and entry.at > now else 0
    return at if at > int(now) else None


def due(step: Step, limit: int) -> DueReply:
    """See `Backend.due`."""
    rows = step.rows("SELECT at, raw FROM delayed WHERE at <= ? ORDER BY at, id LIMIT ?", int(step.now), limit)
    return DueReply(
        now=step.now,
        jobs=[DueJob(at, text(raw)) for at, raw in rows],
        next_at=step.value("SELECT min(at) FROM delayed"),
    )


def promote(step: Step, moves: Sequence[PromotionTarget]) -> list[PromoteResult]:
    """See `Backend.promote`."""
    return [_promote(step, move) for move in moves]


def _promote(step: Step, move: PromotionTarget) -> PromoteResult:
    found = _find(step, move.job.at, move.job.raw) if move.job.at <= int(step.now) else None
    if found is None:
        return PromoteResult.MISSED
    if move.failure is not None or move.queue is None:
        step.do("DELETE FROM delayed WHERE id = ?", found)
        fail(step, move.failure or "")
        return PromoteResult.FAILED
    became = _take_or_merge(step, move, move.queue)
    if became != PromoteResult.HELD:
        step.do("DELETE FROM delayed WHERE id = ?", found)
    if became == PromoteResult.QUEUED:
        queues.put(step, move.queue, move.job.raw)
        step.ring(move.queue)
    return became


def _take_or_merge(step: Step, move: PromotionTarget, queue: str) -> PromoteResult:
    """Take what a due job's guards ask for, also locks that were left behind; return what becomes of it."""
    refused = locks.take(step, move.guards, moving=move.job)
    if refused is None:
        return PromoteResult.QUEUED
    if isinstance(refused, NotDelayed) or queues.holds(step, queue, (move.job.raw, *move.equivalent_payloads)):
        return PromoteResult.MERGED
    refused = locks.take(step, move.guards, moving=move.job, over=True)
    if refused is None:
        return PromoteResult.QUEUED
    return PromoteResult.MERGED if isinstance(refused, NotDelayed) else PromoteResult.HELD


def _find(step: Step, at: int, raw: str) -> int | None:
    """The first copy of a text that is delayed to a moment."""
    found: int | None = step.value("SELECT min(id) FROM delayed WHERE at = ? AND raw = ?", at, blob(raw))
    return found


def copies(step: Step, forms: Sequence[str]) -> dict[int, int]:
    """All delayed entries that are one of these texts, rescued or not, with their moments."""
    sql = "SELECT id, at, raw FROM delayed WHERE raw BETWEEN ? AND ?"
    rows = [row for form in forms for row in step.rows(sql, *marked(form))]
    return {number: at for number, at, raw in rows if unmark(text(raw)) in forms}


def remove_copies(step: Step, forms: Sequence[str]) -> int:
    """Remove all delayed entries that are one of these texts, rescued or not; return how many there were."""
    found = copies(step, forms)
    for number in found:
        step.do("DELETE FROM delayed WHERE id = ?", number)
    return len(found)


# --- looking, and mending


def due_times(step: Step) -> list[tuple[int, int]]:
    """See `Backend.due_times`."""
    return [(at, count) for at, count in step.rows("SELECT at, count(*) FROM delayed GROUP BY at ORDER BY at")]


def delayed(step: Step, at: int, start: int, stop: int) -> list[str]:
    """See `Backend.delayed`."""
    length = step.value("SELECT count(*) FROM delayed WHERE at = ?", at)
    offset, number = queues.bounds(length, start, stop)
    rows = step.rows("SELECT raw FROM delayed WHERE at = ? ORDER BY id LIMIT ? OFFSET ?", at, number, offset)
    return [text(raw) for (raw,) in rows]


def search_delayed(step: Step, containing: Sequence[str], *, limit: int, after: tuple[int, int] | None) -> DelayedPage:
    """See `Backend.search_delayed`; a place is a moment and an entry's number."""
    sql = "SELECT at, id, raw FROM delayed WHERE (at, id) >= (?, ?) ORDER BY at, id LIMIT ?"
    rows = step.rows(sql, *(after or (0, 0)), limit + 1)
    entries = [StoredDelayedJob(at, text(raw)) for at, _, raw in rows[:limit]]
    return DelayedPage(
        [entry for entry in entries if not containing or any(part in entry.raw for part in containing)],
        after=None if len(rows) <= limit else (rows[limit][0], rows[limit][1]),
    )


def remove_delayed(step: Step, entries: Sequence[StoredDelayedJob]) -> list[int]:
    """See `Backend.remove_delayed`."""
    return [step.do("DELETE FROM delayed WHERE at = ? AND raw = ?", entry.at, blob(entry.raw)) for entry in entries]
