"""Maintain periodic tasks, and fire cron tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from taskhero.backends.memory.periodic_store import next_due_time
from taskhero.backends.protocol import EnsureResult, FireResult, QueueLockGuard, StopReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.memory.claim_store import ClaimStore
    from taskhero.backends.memory.store import Store
    from taskhero.backends.protocol import PeriodicTask, PeriodicTasksReply
    from taskhero.clock import Clock

__all__ = ["PeriodicVerbs"]


class PeriodicVerbs:
    """The verbs that maintain periodic tasks."""

    clock: Clock
    claim_store: ClaimStore

    @abstractmethod
    def _use(self) -> Store:
        """Return the store. Raise `NotConnected` outside of its event loop."""

    async def declare_periodic(
        self, declared: Sequence[PeriodicTask] = (), lifetime: float = 0.0
    ) -> PeriodicTasksReply:
        """See `Backend.declare_periodic`."""
        return self._use().periodic.declare(declared, lifetime, self.clock.now())

    async def ensure_periodic(
        self, tasks: Sequence[PeriodicTask], *, full_scan: bool = False
    ) -> Sequence[EnsureResult]:
        """See `Backend.ensure_periodic`."""
        store, now = self._use(), self.clock.now()
        return [self._ensure(store, task, now, full_scan=full_scan) for task in tasks]

    def _ensure(self, store: Store, task: PeriodicTask, now: float, *, full_scan: bool) -> EnsureResult:
        with store.guard:
            found = store.periodic.find(task, store.locks, now, full_scan=full_scan)
            if found is None and self.claim_store.has_recently_expired_lease(now):
                found = EnsureResult.UNSURE
        if found is not None:
            return found
        # `find` has checked everything else that keeps the task from being queued.
        store.acquire([guard for guard in task.guards if isinstance(guard, QueueLockGuard)], now, force=True)
        store.queues.put(task.queue, task.raw)
        store.wakeups.signal(task.queue)
        return EnsureResult.ENQUEUED

    async def restart_periodic(self, task: PeriodicTask) -> int | None:
        """See `Backend.restart_periodic`."""
        store, now = self._use(), self.clock.now()
        periodic = store.periodic
        periodic.stopped.pop(task.name, None)
        with store.guard:
            periodic.remove_all(task, store.locks)
        if task.frequency is None:
            periodic.cron_cursors[task.name] = int(now)
            return None
        return periodic.delay(task.raw, task.equivalent_payloads, next_due_time(now, task.frequency))

    async def stop_periodic(self, task: PeriodicTask) -> int:
        """See `Backend.stop_periodic`."""
        store = self._use()
        store.periodic.stopped[task.name] = StopReason.ASKED
        with store.guard:
            return store.periodic.remove_all(task, store.locks)

    async def resume_periodic(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume_periodic`."""
        stopped = self._use().periodic.stopped
        wanted = {StopReason.FAILED} if failed else set(StopReason)
        return sum(stopped.pop(name, None) is not None for name in names if stopped.get(name) in wanted)

    async def fire_cron(
        self, task: PeriodicTask, expected_cursor: int | None, new_cursor: int, count: int
    ) -> FireResult:
        """See `Backend.fire_cron`."""
        store, now = self._use(), self.clock.now()
        periodic = store.periodic
        if periodic.cron_cursors.get(task.name) != expected_cursor:
            return FireResult.MISSED
        periodic.cron_cursors[task.name] = new_cursor
        if task.name in periodic.stopped:
            return FireResult.STOPPED
        for _ in range(count):
            if store.acquire(task.guards, now) is None:
                store.queues.put(task.queue, task.raw)
                store.wakeups.signal(task.queue)
        return FireResult.STORED
