"""Periodic tasks: what is known of them, and how they are kept going."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from taskhero.backends.protocol import EnsureResult, KnownPeriodicTask, PeriodicTasksReply, QueueLockGuard
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskhero.backends.memory.delayed_store import DelayedStore
    from taskhero.backends.memory.locks import LockStore
    from taskhero.backends.memory.queue_store import QueueStore
    from taskhero.backends.memory.wakeup_queue import WakeupQueue
    from taskhero.backends.protocol import NextRun, PeriodicTask

__all__ = ["STALE_LOCK_AGE", "PeriodicStore", "next_due_time"]

#: Seconds for which a lock of queued jobs is believed without a look into the queue.
STALE_LOCK_AGE = 60.0
#: So many of a queue's first texts are looked through.
_SCANNED_JOBS = 100


def next_due_time(now: float, frequency: float) -> int:
    """The moment of a run that comes *frequency* seconds after one that ended now, in whole seconds."""
    milliseconds = int(now * 1000)
    return max((milliseconds + int(frequency * 1000) + 500) // 1000, milliseconds // 1000 + 1)


class PeriodicStore:
    """What a store knows of periodic tasks.

    Args:
        queues: Where their jobs are queued.
        schedule: Where they are delayed.
        line: Is told of new jobs and moments.

    Attributes:
        stopped: Why a task is stopped, by its name.
        cron_cursors: Until when the slots of a task by cron are seen, by its name.
    """

    def __init__(self, queues: QueueStore, schedule: DelayedStore, line: WakeupQueue) -> None:
        self.stopped: dict[str, str] = {}
        self.cron_cursors: dict[str, int] = {}
        self._declared: dict[str, tuple[PeriodicTask, float]] = {}
        self._queues = queues
        self._schedule = schedule
        self._wakeups = line

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

    def delay_next_run(self, following: NextRun, now: float, *, failed: bool) -> int | None:
        """Delay the next run, or stop the task; return the moment, or None if there is none."""
        if following.name in self.stopped:
            return None
        if failed and following.stop_if_failed:
            self.stopped[following.name] = "failed"
            return None
        return self.delay(following.raw, following.equivalent_payloads, next_due_time(now, following.frequency))

    def delay(self, raw: str, forms: Iterable[str], at: int) -> int:
        """Let one copy be delayed, to this moment, and no other."""
        self.remove_delayed(forms)
        if self._schedule.add(at, raw):
            self._wakeups.signal_schedule()
        return at

    def remove_delayed(self, forms: Iterable[str]) -> int:
        """Remove all delayed copies; return how many there were."""
        removed = 0
        for form in forms:
            for at in self._schedule.due_times(form):
                while self._schedule.remove(at, form):
                    removed += 1
        return removed

    def remove_all(self, task: PeriodicTask, locks: LockStore) -> int:
        """Remove all copies, queued and delayed, and the locks of queued ones; return how many there were."""
        first = islice(self._queues.payloads.get(task.queue, ()), _SCANNED_JOBS)
        rescued = {text for text in first if unmark(text) in task.equivalent_payloads}
        removed = sum(self._queues.remove(task.queue, text, 0) for text in {*task.equivalent_payloads, *rescued})
        locks.free(guard.key for guard in task.guards if isinstance(guard, QueueLockGuard))
        return removed + self.remove_delayed(task.equivalent_payloads)

    def find(self, task: PeriodicTask, locks: LockStore, now: float, *, thoroughly: bool) -> str | None:
        """What there is of a task (as in `EnsureResult`), or None if there is nothing."""
        if task.name in self.stopped:
            return EnsureResult.STOPPED
        if any(locks.get(key, now) is not None for key in task.holds):
            return EnsureResult.RUNNING
        payloads = self._queues.payloads.get(task.queue, deque())
        if self._is_locked(task, payloads, locks, now, thoroughly=thoroughly):
            return EnsureResult.QUEUED
        due_times = [at for form in task.equivalent_payloads for at in self._schedule.due_times(form)]
        if due_times and min(due_times) > (latest := next_due_time(now, task.frequency or 0)):
            self.delay(task.raw, task.equivalent_payloads, latest)
        if due_times:
            return EnsureResult.DELAYED
        # A copy that was given back, or rescued, has no lock.
        return (
            EnsureResult.QUEUED
            if any(unmark(text) in task.equivalent_payloads for text in islice(payloads, _SCANNED_JOBS))
            else None
        )

    def _is_locked(
        self, task: PeriodicTask, payloads: Iterable[str], locks: LockStore, now: float, *, thoroughly: bool
    ) -> bool:
        """Whether a lock of the queued job is held that is to be believed."""
        held = {guard: locks.get(guard.key, now) for guard in task.guards if isinstance(guard, QueueLockGuard)}
        taken = [found[1] - 1 - guard.timeout for guard, found in held.items() if found is not None]
        if not taken:
            return False
        if any(guard.shared and found is not None for guard, found in held.items()):
            return True
        if not thoroughly or max(taken) > math.floor(now) - STALE_LOCK_AGE:
            return True
        return any(unmark(text) in task.equivalent_payloads for text in payloads)
