"""Locks: those of queued jobs, which have no owner, and those that a claim holds while its job runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import FreeLock
from taskhero_sqlite.steps import blob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import DueJob, Guard, Lock
    from taskhero_sqlite.steps import Step

__all__ = ["free", "free_claims", "hold", "is_taken", "release", "renew", "sweep", "take"]


def take(step: Step, guards: Sequence[Guard], *, moving: DueJob | None = None, over: bool = False) -> Guard | None:
    """Take what guards ask for, all or nothing; return the one that does not hold.

    Args:
        step: The step under way.
        guards: The conditions.
        moving: A delayed job that is not in its own way.
        over: Take locks over that somebody has, but for shared ones.
    """
    for guard in guards:
        if isinstance(guard, FreeLock):
            holds = (over and not guard.shared) or not is_taken(step, guard.key, None)
        else:
            holds = not any(_is_delayed(step, form, moving) for form in guard.forms)
        if not holds:
            return guard
    for guard in guards:
        if isinstance(guard, FreeLock):
            _set(step, guard.key, None, step.now + guard.timeout)
    return None


def _is_delayed(step: Step, raw: str, moving: DueJob | None) -> bool:
    name = blob(raw)
    if moving is None or moving.raw != raw:
        return step.value("SELECT 1 FROM delayed WHERE raw = ?", name) is not None
    return step.value("SELECT 1 FROM delayed WHERE raw = ? AND at != ?", name, moving.at) is not None


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


def renew(step: Step, lock: Lock, owner: int, lease_ends: float, *, ours: bool) -> bool:
    """Let a claim hold a lock longer if it has it, or if the claim is *ours* and it is free; False if it is lost."""
    if is_taken(step, lock.key, owner):
        return False
    if ours or is_taken(step, lock.key, None):
        _set(step, lock.key, owner, min(step.now + lock.timeout, lease_ends))
    return True


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
