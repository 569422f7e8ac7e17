"""The queues and what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.wire.jobs import unmark
from taskhero_sqlite import locks
from taskhero_sqlite.steps import blob, marked, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import Entry, Removal
    from taskhero_sqlite.steps import Step

__all__ = [
    "bounds",
    "copies",
    "delete_queue",
    "holds",
    "length_of",
    "notify",
    "push",
    "put",
    "queued",
    "queues",
    "release",
    "remove",
    "remove_copies",
    "stands_first",
]

_PUT = "INSERT INTO job (queue, position, raw) SELECT ?, {}, ? FROM job WHERE queue = ?"
_TO_END = _PUT.format("coalesce(max(position), 0) + 1")
_TO_FRONT = _PUT.format("coalesce(min(position), 0) - 1")


def put(step: Step, queue: str, raw: str, *, front: bool = False) -> None:
    """Store a text without telling anybody."""
    name = blob(queue)
    step.do("INSERT OR IGNORE INTO queue (name) VALUES (?)", name)
    step.do(_TO_FRONT if front else _TO_END, name, blob(raw), name)


def release(step: Step, queue: str, raw: str) -> None:
    """Put a text to the front, and tell who waits for it."""
    put(step, queue, raw, front=True)
    step.ring(queue)


def push(step: Step, entries: Sequence[Entry]) -> list[bool]:
    """See `Backend.push`."""
    stored = []
    for entry in entries:
        free = locks.take(step, entry.guards) is None
        if free:
            put(step, entry.queue, entry.raw, front=entry.front)
        stored.append(free)
    for queue in {entry.queue for entry, was_stored in zip(entries, stored, strict=True) if was_stored}:
        step.ring(queue)
    return stored


def length_of(step: Step, queue: str) -> int:
    """How many jobs stand in a queue; 0 if it is unknown."""
    return step.value("SELECT length FROM queue WHERE name = ?", blob(queue)) or 0


def holds(step: Step, queue: str, raws: Iterable[str]) -> bool:
    """Whether any of these texts stands in a queue."""
    sql = "SELECT 1 FROM job WHERE queue = ? AND raw = ?"
    return any(step.value(sql, blob(queue), blob(raw)) is not None for raw in raws)


def notify(step: Step, names: Sequence[str]) -> None:
    """See `Backend.notify`."""
    for queue in names:
        if length_of(step, queue):
            step.ring(queue)


def queues(step: Step) -> list[str]:
    """See `Backend.queues`."""
    return sorted(text(name) for (name,) in step.rows("SELECT name FROM queue"))


def bounds(length: int, start: int, stop: int) -> tuple[int, int]:
    """Offset and number of the positions from *start* to *stop*, both included; negative ones count from the end."""
    first = max(start + length if start < 0 else start, 0)
    last = min(stop + length if stop < 0 else stop, length - 1)
    return first, max(last - first + 1, 0)


def queued(step: Step, queue: str, start: int, stop: int) -> list[str]:
    """See `Backend.queued`."""
    offset, number = bounds(length_of(step, queue), start, stop)
    rows = step.rows(
        "SELECT raw FROM job WHERE queue = ? ORDER BY position LIMIT ? OFFSET ?", blob(queue), number, offset
    )
    return [text(raw) for (raw,) in rows]


def remove(step: Step, queue: str, removals: Sequence[Removal]) -> list[int]:
    """See `Backend.remove`."""
    return [_remove(step, queue, removal) for removal in removals]


def _remove(step: Step, queue: str, removal: Removal) -> int:
    name, raw = blob(queue), blob(removal.raw)
    order = "DESC" if removal.count < 0 else "ASC"
    chosen = f"SELECT id FROM job WHERE queue = ? AND raw = ? ORDER BY position {order} LIMIT ?"
    removed = step.do(f"DELETE FROM job WHERE id IN ({chosen})", name, raw, abs(removal.count) or -1)
    if removed and removal.release and not step.value("SELECT 1 FROM job WHERE queue = ? AND raw = ?", name, raw):
        locks.free(step, removal.release)
    if removed and not length_of(step, queue):
        step.hush(queue)
    return removed


def copies(step: Step, queue: str, forms: Sequence[str]) -> set[int]:
    """All entries of a queue that are one of these texts, rescued or not."""
    sql = "SELECT id, raw FROM job WHERE queue = ? AND raw BETWEEN ? AND ?"
    rows = [row for form in forms for row in step.rows(sql, blob(queue), *marked(form))]
    return {number for number, raw in rows if unmark(text(raw)) in forms}


def stands_first(step: Step, queue: str, forms: Sequence[str], among: int) -> bool:
    """Whether one of these texts, rescued or not, is among the first of a queue."""
    return any(unmark(raw) in forms for raw in queued(step, queue, 0, among - 1))


def remove_copies(step: Step, queue: str, forms: Sequence[str]) -> int:
    """Remove all entries of a queue that are one of these texts, rescued or not; return how many there were."""
    found = copies(step, queue, forms)
    for number in found:
        step.do("DELETE FROM job WHERE id = ?", number)
    if found and not length_of(step, queue):
        step.hush(queue)
    return len(found)


def delete_queue(step: Step, queue: str, *, only_if_empty: bool) -> int:
    """See `Backend.delete_queue`."""
    length = length_of(step, queue)
    if length and only_if_empty:
        return 0
    step.do("DELETE FROM job WHERE queue = ?", blob(queue))
    step.do("DELETE FROM queue WHERE name = ?", blob(queue))
    step.hush(queue)
    return length
