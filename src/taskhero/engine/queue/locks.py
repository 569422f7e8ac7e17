"""Inspect locks, and delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskhero.engine.queue.lock_states import lock_state, state_of_scheduler_lock
from taskhero.engine.queue.part import QueuePart
from taskhero.errors import InvalidLockName

if TYPE_CHECKING:
    from taskhero.models import LockState

__all__ = ["Locks"]

_LOCKS: Final = ("lock:", "workerslock:")


class Locks(QueuePart):
    """The part of `Queue` that inspects and deletes locks."""

    async def locks(self) -> dict[str, str]:
        """Return the locks of queued jobs (``lock:...``) and of running jobs (``workerslock:...``) with their values.

        A value of node-resque or taskhero is the Unix second at which the lock expires; after a colon, the owner. A
        lock with a custom ``key`` without these prefixes is not listed. There is no index of locks, so it scans all
        keys.
        """
        return await self.backend.locks()

    async def lock_states(self) -> list[LockState]:
        """Return the state of each lock that `locks` lists, sorted by name.

        The lock of another program's scheduler is last, if there is one. Like `locks`, it scans all keys.
        """
        backend = self.backend
        values = await backend.locks()
        lifetimes, overview = await backend.lifetimes(list(values)), await backend.overview()
        # A lock that was released between the two requests has no lifetime.
        states = [
            lock_state(name, values[name], lifetimes[name], overview.now)
            for name in sorted(values)
            if name in lifetimes
        ]
        return (
            states if overview.foreign is None else [*states, state_of_scheduler_lock(overview.foreign, overview.now)]
        )

    async def delete_lock(self, name: str) -> int:
        """Delete a lock by its name as `locks` shows it, even if a job holds it.

        Returns:
            1, or 0 if there is no such lock.

        Raises:
            InvalidLockName: A lock cannot have this name.
        """
        if not str(name).startswith(_LOCKS):
            raise InvalidLockName(
                f"{name!r} is not the name of a lock: pass one that locks() shows, such as 'lock:add:math:[1,2]'"
            )
        return int(await self.backend.delete_lock(name))
