"""Locks: those of queued jobs, which have no owner, and those that a claim holds while its job runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import QueueLockGuard
from taskhero_sqlite.steps import blob, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import DueJob, Guard, LockSpec
    from taskhero_sqlite.steps import Step

__all__ = [
    "delete_lock",
    "free",
    "free_claims",
    "free_of",
    "held_until",
    "hold",
    "is_taken",
    "lifetimes",
    "locks",
    "owner_of",
    "release",
    "renew",
    "sweep",
    "take",
    "take_over",
]

_KINDS = ("lock:", "workerslock:")


def owner_of(worker: str, token: object) -> str:
    """Who holds what a claim holds, as others see it."""
    return f"{worker}/{token}"


def take(step: Step, guards: Sequence[Guard], *, moving: DueJob | None = None, over: bool = False) -> Guard | None:
    """Take what guards ask for, all or nothing; return the one that does not hold.

    Args:
        step: The step under way.
        guards: The conditions.
        moving: A delayed job that is not in its own way.
        over: Take locks over that somebody has, but for shared ones.
    """
    for guard in guards:
        if isinstance(guard, QueueLockGuard):
            holds = (over and not guard.shared) or not is_taken(step, guard.key, None)
        else:
            holds = not any(_is_delayed(step, form, moving) for form in guard.equivalent_payloads)
            holds = holds and not _is_spelled(step, guard.meaning, moving)
        if not holds:
            return guard
    take_over(step, guards)
    return None


def take_over(step: Step, guards: Iterable[Guard]) -> None:
    """Take the locks that guards ask for, whoever holds them."""
    for guard in guards:
        if isinstance(guard, QueueLockGuard):
            _set(step, guard.key, None, step.now + guard.timeout)


def _is_delayed(step: Step, raw: str, moving: DueJob | None) -> bool:
    name = blob(raw)
    if moving is None or moving.raw != raw:
        return step.value("SELECT 1 FROM delayed WHERE raw = ?", name) is not None
    return step.value("SELECT 1 FROM delayed WHERE raw = ? AND at != ?", name, moving.at) is not None


def _is_spelled(step: Step, meaning: str | None, moving: DueJob | None) -> bool:
    """Whether a text of this meaning is delayed in a spelling of its own."""
    if meaning is None:
        return False
    at, raw = (-1, b"") if moving is None else (moving.at, blob(moving.raw))
    sql = "SELECT 1 FROM spelled JOIN delayed USING (at, raw) WHERE meaning = ? AND NOT (at = ? AND raw = ?)"
    return step.value(sql, meaning, at, raw) is not None


def hold(step: Step, wanted: Sequence[LockSpec], owner: str) -> int | None:
    """Let a claim hold locks, all or none; return which of them somebody else holds, or None."""
    for position, lock in enumerate(wanted):
        if is_taken(step, lock.key, owner):
            return position
    for lock in wanted:
        _set(step, lock.key, owner, step.now + lock.timeout)
    return None


def is_taken(step: Step, key: str, owner: str | None) -> bool:
    """Whether somebody else than *owner* holds a lock; None is anybody."""
    found = step.row("SELECT owner FROM lock WHERE key = ? AND until > ?", blob(key), step.now)
    return found is not None and (owner is None or found[0] != owner)


def held_until(step: Step, key: str) -> float | None:
    """Until when a lock is held, whoever holds it, or None if it is free."""
    until: float | None = step.value("SELECT until FROM lock WHERE key = ? AND until > ?", blob(key), step.now)
    return until


def lifetimes(step: Step, keys: Sequence[str]) -> dict[str, float | None]:
    """See `Backend.lifetimes`."""
    ends = {key: held_until(step, key) for key in keys}
    return {key: until - step.now for key, until in ends.items() if until is not None}


def renew(step: Step, lock: LockSpec, owner: str, *, ours: bool) -> bool:
    """Let a claim hold a lock longer if it has it, or if the claim is *ours* and it is free; False if it is lost."""
    if is_taken(step, lock.key, owner):
        return False
    if ours or is_taken(step, lock.key, None):
        _set(step, lock.key, owner, step.now + lock.timeout)
    return True


def release(step: Step, keys: Iterable[str], owner: str) -> None:
    """Free those of these locks that are the claim's own."""
    for key in keys:
        step.do("DELETE FROM lock WHERE key = ? AND owner = ?", blob(key), owner)


def free(step: Step, keys: Iterable[str]) -> None:
    """Free locks, whoever holds them."""
    for key in keys:
        step.do("DELETE FROM lock WHERE key = ?", blob(key))


def free_claims(step: Step, owner: str) -> None:
    """Free all that a claim holds: its job goes back to its queue."""
    step.do("DELETE FROM lock WHERE owner = ?", owner)


def free_of(step: Step, process: str) -> None:
    """Free all that jobs of a process hold: it is dead, or leaves."""
    step.do("DELETE FROM lock WHERE substr(owner, 1, ?) = ?", len(process) + 1, f"{process}+")


def sweep(step: Step) -> None:
    """Remove what has lapsed."""
    for table in ("lock", "attempts", "trace"):
        step.do(f"DELETE FROM {table} WHERE until <= ?", step.now)


def _set(step: Step, key: str, owner: str | None, until: float) -> None:
    step.do("INSERT OR REPLACE INTO lock VALUES (?, ?, ?)", blob(key), owner, until)


# --- looking


def locks(step: Step) -> dict[str, str]:
    """See `Backend.locks`: with each stands what would on the wire, the second after which it is over and the owner."""
    found = {}
    for key, owner, until in step.rows("SELECT key, owner, until FROM lock WHERE until > ? ORDER BY key", step.now):
        name, second = text(key), int(until) + 1
        if name.startswith(_KINDS):
            found[name] = str(second) if owner is None else f"{second}:{owner}"
    return found


def delete_lock(step: Step, key: str) -> bool:
    """See `Backend.delete_lock`."""
    held = is_taken(step, key, None)
    free(step, (key,))
    return held
