"""Hold the declared periodic tasks, and maintain their jobs."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from taskhero.backends.protocol import EnsureResult, KnownPeriodicTask, PeriodicTasksReply, QueueLockGuard, StopReason
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskhero.backends.memory.delayed_store import DelayedStore
    from taskhero.backends.memory.locks import LockStore
    from taskhero.backends.memory.queue_store import QueueStore
    from taskhero.backends.memory.wakeup_queue import WakeupQueue
    from taskhero.backends.protocol import NextRun, PeriodicTask

__all__ = ["STALE_LOCK_AGE", "PeriodicStore", "next_due_time"]

#: Seconds after which a queue lock counts only if the queue holds the job.
STALE_LOCK_AGE = 60.0
#: The number of jobs at the front of a queue that are searched.
_SCANNED_JOBS = 100


def next_due_time(now: float, frequency: float) -> int:
    """Return the due time of the next run, *frequency* seconds after a run that ended now, in whole seconds."""
    milliseconds = int(now * 1000)
    return max((milliseconds + int(frequency * 1000) + 500) // 1000, milliseconds // 1000 + 1)


class PeriodicStore:
    """The declared periodic tasks of a store.

    Args:
        queues: The queues of their jobs.
        schedule: Their delayed jobs.
        wakeups: Receives a signal for each earlier due time.

    Attributes:
        stopped: Why a task is stopped, by its name.
        cron_cursors: The cron cursor of each cron task, by its name, in unix seconds.
    """

    def __init__(self, queues: QueueStore, schedule: DelayedStore, wakeups: WakeupQueue) -> None:
        self.stopped: dict[str, StopReason] = {}
        self.cron_cursors: dict[str, int] = {}
        self._declared: dict[str, tuple[PeriodicTask, float]] = {}
        self._queues = queues
        self._schedule = schedule
        self._wakeups = wakeups

    def declare(self, tasks: Iterable[PeriodicTask], lifetime: float, now: float) -> PeriodicTasksReply:
        """See `Backend.declare_periodic`."""
        for task in tasks:
            self._declared[task.name] = (task, now + lifetime)
            if task.cron is not None:
                self.cron_cursors.setdefault(task.name, int(now))
        self._declared = {name: known for name, known in self._declared.items() if known[1] > now}
        found = sorted(self._declared.items())
        return PeriodicTasksReply(
            now=now,
            tasks=[
                KnownPeriodicTask(task=task, stopped=self.stopped.get(name), cron_cursor=self._cron_cursor_of(task))
                for name, (task, _) in found
            ],
            stopped=dict(self.stopped),
        )

    def _cron_cursor_of(self, task: PeriodicTask) -> int | None:
        return None if task.cron is None else self.cron_cursors.get(task.name)

    def delay_next_run(self, next_run: NextRun, now: float, *, failed: bool) -> int | None:
        """Delay the next run, or stop the task. Return the due time, or None without a next run."""
        if next_run.name in self.stopped:
            return None
        if failed and next_run.stop_if_failed:
            self.stopped[next_run.name] = StopReason.FAILED
            return None
        return self.delay(next_run.raw, next_run.equivalent_payloads, next_due_time(now, next_run.frequency))

    def delay(self, raw: str, equivalent_payloads: Iterable[str], at: int) -> int:
        """Delay one copy until *at*, and remove all other delayed copies. Return *at*."""
        self.remove_delayed(equivalent_payloads)
        if self._schedule.add(at, raw):
            self._wakeups.signal_schedule()
        return at

    def remove_delayed(self, equivalent_payloads: Iterable[str]) -> int:
        """Remove all delayed copies, and return their number."""
        removed = 0
        for payload in equivalent_payloads:
            for at in self._schedule.due_times(payload):
                while self._schedule.remove(at, payload):
                    removed += 1
        return removed

    def remove_all(self, task: PeriodicTask, locks: LockStore) -> int:
        """Remove all copies, queued and delayed, and the queue locks. Return the number of copies."""
        first = islice(self._queues.payloads.get(task.queue, ()), _SCANNED_JOBS)
        rescued = {payload for payload in first if unmark(payload) in task.equivalent_payloads}
        removed = sum(self._queues.remove(task.queue, payload, 0) for payload in {*task.equivalent_payloads, *rescued})
        locks.free(guard.key for guard in task.guards if isinstance(guard, QueueLockGuard))
        return removed + self.remove_delayed(task.equivalent_payloads)

    def find(self, task: PeriodicTask, locks: LockStore, now: float, *, full_scan: bool) -> EnsureResult | None:
        """Return where a copy of the task is, or None if there is none."""
        if task.name in self.stopped:
            return EnsureResult.STOPPED
        if any(locks.get(key, now) is not None for key in task.holds):
            return EnsureResult.RUNNING
        payloads = self._queues.payloads.get(task.queue, deque())
        if self._is_locked(task, payloads, locks, now, full_scan=full_scan):
            return EnsureResult.QUEUED
        due_times = [at for payload in task.equivalent_payloads for at in self._schedule.due_times(payload)]
        if due_times and min(due_times) > (latest := next_due_time(now, task.frequency or 0)):
            self.delay(task.raw, task.equivalent_payloads, latest)
        if due_times:
            return EnsureResult.DELAYED
        # A copy that was released or rescued has no lock.
        return (
            EnsureResult.QUEUED
            if any(unmark(payload) in task.equivalent_payloads for payload in islice(payloads, _SCANNED_JOBS))
            else None
        )

    def _is_locked(
        self, task: PeriodicTask, payloads: Iterable[str], locks: LockStore, now: float, *, full_scan: bool
    ) -> bool:
        """Return whether a queue lock of the task is held and not stale."""
        held = {guard: locks.get(guard.key, now) for guard in task.guards if isinstance(guard, QueueLockGuard)}
        taken = [found[1] - 1 - guard.timeout for guard, found in held.items() if found is not None]
        if not taken:
            return False
        if any(guard.shared and found is not None for guard, found in held.items()):
            return True
        if not full_scan or max(taken) > math.floor(now) - STALE_LOCK_AGE:
            return True
        return any(unmark(payload) in task.equivalent_payloads for payload in payloads)
