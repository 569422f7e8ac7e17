"""Describe locks for operators: the owner, the expiry, and the event that releases a lock earlier."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taskhero.engine.time.instants import to_datetime
from taskhero.models import LockKind, LockState, SchedulerLock

if TYPE_CHECKING:
    from taskhero.backends.protocol import ForeignLeader

__all__ = ["lock_state", "scheduler_lock", "state_of_scheduler_lock"]

_VALUE = re.compile(r"\s*([+-]?\d{1,15})(?:\.\d*)?(?::(.*))?\s*", re.ASCII | re.DOTALL)
#: Prefix with which `Backend.locks` reports a value of the wrong type.
_WRONG_TYPE_PREFIX = "not text but "
#: Seconds for which a running job's lock without a lifetime counts after the second in its value.
_GRACE = 60

_QUEUED = "a worker claims its job, or the job is deleted"
_RUNNING = "its job or its process ends"
_FOREIGN = "its job ends in the program that holds it"
_NOTHING = "nothing ends it: delete it if no job needs it"
_FREE = "its value is not a Unix second, so it counts as free"


def lock_state(name: str, value: str, lifetime: float | None, now: float) -> LockState:
    """Return the state of a lock.

    Args:
        name: The lock's name.
        value: The stored value.
        lifetime: The seconds after which the store deletes the lock, or None.
        now: The store's time, in Unix seconds.
    """
    queued = name.startswith("lock:")
    found = _VALUE.fullmatch(value)
    second, owner = (None, None) if found is None else (int(found[1]), found[2])
    ends = [] if lifetime is None else [now + lifetime]
    if second is not None and (queued or lifetime is None):
        # A queued job's lock and taskhero's own lock, which has an owner, count up to that second.
        ends.append(second + (0 if queued or owner else _GRACE))
    free = queued and second is None and not value.startswith(_WRONG_TYPE_PREFIX)
    by = _FREE if free else _QUEUED if queued else _RUNNING if owner else _FOREIGN
    return LockState(
        name=name,
        kind=LockKind.QUEUED if queued else LockKind.RUNNING,
        value=value,
        owner=owner,
        expires_at=to_datetime(round(now if free else min(ends))) if free or ends else None,
        has_lifetime=lifetime is not None,
        ends=by if ends or free else _NOTHING,
    )


def scheduler_lock(lock: ForeignLeader | None) -> SchedulerLock | None:
    """Return the lock of another program's scheduler, as `Queue.details` shows it."""
    if lock is None:
        return None
    since = None if lock.since is None else to_datetime(lock.since)
    return SchedulerLock(key=lock.key, holder=lock.holder, since=since, expires_in=lock.expires_in, dead=lock.dead)


def state_of_scheduler_lock(lock: ForeignLeader, now: float) -> LockState:
    """Return the lock of another program's scheduler, as `Queue.lock_states` shows it."""
    if lock.dead:
        ends = "it counts as dead and stops nothing; delete it"
    elif lock.expires_in is None:
        ends = "its scheduler stops; it counts as dead after 10 minutes without a change"
    else:
        ends = "its scheduler stops"
    return LockState(
        name=lock.key,
        kind=LockKind.SCHEDULER,
        value=lock.holder,
        owner=lock.holder,
        expires_at=None if lock.expires_in is None else to_datetime(round(now + lock.expires_in)),
        has_lifetime=lock.expires_in is not None,
        ends=ends,
    )
