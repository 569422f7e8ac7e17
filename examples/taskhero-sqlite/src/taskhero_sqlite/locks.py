"""Locks: those of queued jobs, which have no owner, and those that a claim holds while its job runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import FreeLock
from taskhero_sqlite.steps import blob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import Guard, Lock
    from taskhero_sqlite.steps import Step

__all__ = ["free", "free_claims", "hold", "is_taken", "release", "sweep", "take"]


def take(step: Step, guards: Sequence[Guard]) -> bool:
    """Take what guards ask for, all or nothing."""
    taken: list[str] = []
    for guard in guards:
        if isinstance(guard, FreeLock):
            if not is_taken(step, guard.key, None):
                _set(step, guard.key, None, step.now + guard.timeout)
                taken.append(guard.key)
                continue
        elif not any(step.value("SELECT 1 FROM delayed WHERE raw = ?", blob(form)) for form in guard.forms):
            continue
        free(step, taken)
        return False
    return True


def hold(step: Step, wanted: Sequence[Lock], owner: int, lease_ends: float) -> int | None:
    """Let a claim hold locks, all or none; return which of them somebody else holds, or None."""
    for position, lock in enumerate(wanted):
        if is_taken(step, lock.key, owner):
            return position
    for lock in wanted:
        _set(step, lock.key, owner, min(step.now + lock.timeout, lease_ends))
    return None


def is_taken(step: Step, key: str, owner: int | None) -> bool:
    """Whether somebody else than *owner* holds a lock; None is anybody."""
    found = step.row("SELECT owner FROM lock WHERE key = ? AND until > ?", blob(key), step.now)
    return found is not None and (owner is None or found[0] != owner)


def release(step: Step, keys: Iterable[str], owner: int) -> None:
    """Free those of these locks that are the claim's own."""
    for key in keys:
        step.do("DELETE FROM lock WHERE key = ? AND owner = ?", blob(key), owner)


def free(step: Step, keys: Iterable[str]) -> None:
    """Free locks, whoever holds them."""
    for key in keys:
        step.do("DELETE FROM lock WHERE key = ?", blob(key))


def free_claims(step: Step, owner: int) -> None:
    """Free all that a claim holds: its job goes back to its queue."""
    step.do("DELETE FROM lock WHERE owner = ?", owner)


def sweep(step: Step) -> None:
    """Remove what has lapsed."""
    for table in ("lock", "attempts", "trace"):
        step.do(f"DELETE FROM {table} WHERE until <= ?", step.now)


def _set(step: Step, key: str, owner: int | None, until: float) -> None:
    step.do("INSERT OR REPLACE INTO lock VALUES (?, ?, ?)", blob(key), owner, until)
