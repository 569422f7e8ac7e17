"""The verbs about periodic tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from taskhero.backends.memory.periodic_store import next_moment
from taskhero.backends.protocol import Fired, FreeLock, Kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.memory.claim_store import Work
    from taskhero.backends.memory.store import Store
    from taskhero.backends.protocol import Periodic, Periodics
    from taskhero.clock import Clock

__all__ = ["PeriodicVerbs"]


class PeriodicVerbs:
    """The part of the memory driver that keeps periodic tasks going."""

    _clock: Clock
    _work: Work

    @abstractmethod
    def _use(self) -> Store:
        """The store, if it may be used here."""

    async def periodic(self, declared: Sequence[Periodic] = (), lifetime: float = 0.0) -> Periodics:
        """See `Backend.periodic`."""
        return self._use().recurring.declare(declared, lifetime, self._clock.now())

    async def ensure(self, tasks: Sequence[Periodic], *, thoroughly: bool = False) -> Sequence[str]:
        """See `Backend.ensure`."""
        store, now = self._use(), self._clock.now()
        return [self._ensure(store, task, now, thoroughly=thoroughly) for task in tasks]

    def _ensure(self, store: Store, task: Periodic, now: float, *, thoroughly: bool) -> str:
        with store.guard:
            found = store.recurring.find(task, store.locks, now, thoroughly=thoroughly)
            if found is None and self._work.may_hold_jobs_of_the_dead(now):
                found = Kept.UNSURE
        if found is not None:
            return found
        # All that keeps it from being queued was looked at already.
        store.take([guard for guard in task.guards if isinstance(guard, FreeLock)], now, over=True)
        store.queues.put(task.queue, task.raw)
        store.line.ring(task.queue)
        return Kept.ENQUEUED

    async def restart(self, task: Periodic) -> int | None:
        """See `Backend.restart`."""
        store, now = self._use(), self._clock.now()
        recurring = store.recurring
        recurring.stopped.pop(task.name, None)
        with store.guard:
            recurring.remove_all(task, store.locks)
        if task.frequency is None:
            recurring.seen[task.name] = int(now)
            return None
        return recurring.delay(task.raw, task.forms, next_moment(now, task.frequency))

    async def stop_periodic(self, task: Periodic) -> int:
        """See `Backend.stop_periodic`."""
        store = self._use()
        store.recurring.stopped[task.name] = "asked"
        with store.guard:
            return store.recurring.remove_all(task, store.locks)

    async def resume(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume`."""
        stopped = self._use().recurring.stopped
        wanted = ("failed",) if failed else ("failed", "asked")
        return sum(stopped.pop(name, None) is not None for name in names if stopped.get(name) in wanted)

    async def fire(self, task: Periodic, since: int | None, until: int, times: int) -> str:
        """See `Backend.fire`."""
        store, now = self._use(), self._clock.now()
        recurring = store.recurring
        if recurring.seen.get(task.name) != since:
            return Fired.MISSED
        recurring.seen[task.name] = until
        if task.name in recurring.stopped:
            return Fired.STOPPED
        for _ in range(times):
            if store.take(task.guards, now) is None:
                store.queues.put(task.queue, task.raw)
                store.line.ring(task.queue)
        return Fired.STORED
