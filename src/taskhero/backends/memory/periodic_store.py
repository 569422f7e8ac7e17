"""Periodic tasks: what is known of them, and how they are kept going."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from taskhero.backends.protocol import FreeLock, Kept, KnownPeriodic, Periodics
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskhero.backends.memory.delayed_store import Schedule
    from taskhero.backends.memory.locks import Locks
    from taskhero.backends.memory.queue_store import Queues
    from taskhero.backends.memory.wakeup_queue import Line
    from taskhero.backends.protocol import Next, Periodic

__all__ = ["PATIENCE", "Recurring", "next_moment"]

#: Seconds for which a lock of queued jobs is believed without a look into the queue.
PATIENCE = 60.0
#: So many of a queue's first texts are looked through.
_FIRST = 100


def next_moment(now: float, frequency: float) -> int:
    """The moment of a run that comes *frequency* seconds after one that ended now, in whole seconds."""
    milliseconds = int(now * 1000)
    return max((milliseconds + int(frequency * 1000) + 500) // 1000, milliseconds // 1000 + 1)


class Recurring:
    """What a store knows of periodic tasks.

    Args:
        queues: Where their jobs are queued.
        schedule: Where they are delayed.
        line: Is told of new jobs and moments.

    Attributes:
        stopped: Why a task is stopped, by its name.
        seen: Until when the slots of a task by cron are seen, by its name.
    """

    def __init__(self, queues: Queues, schedule: Schedule, line: Line) -> None:
        self.stopped: dict[str, str] = {}
        self.seen: dict[str, int] = {}
        self._declared: dict[str, tuple[Periodic, float]] = {}
        self._queues = queues
        self._schedule = schedule
        self._line = line

    def declare(self, tasks: Iterable[Periodic], lifetime: float, now: float) -> Periodics:
        """See `Backend.periodic`."""
        for task in tasks:
            self._declared[task.name] = (task, now + lifetime)
            if task.cron is not None:
                self.seen.setdefault(task.name, int(now))
        self._declared = {name: known for name, known in self._declared.items() if known[1] > now}
        found = sorted(self._declared.items())
        return Periodics(
            now=now,
            tasks=[
                KnownPeriodic(task=task, stopped=self.stopped.get(name), seen=self._seen_of(task))
                for name, (task, _) in found
            ],
            stopped=dict(self.stopped),
        )

    def _seen_of(self, task: Periodic) -> int | None:
        return None if task.cron is None else self.seen.get(task.name)

    def go_on(self, following: Next, now: float, *, failed: bool) -> int | None:
        """Delay the next run, or stop the task; return the moment, or None if there is none."""
        if following.name in self.stopped:
            return None
        if failed and following.stop_if_failed:
            self.stopped[following.name] = "failed"
            return None
        return self.delay(following.raw, following.forms, next_moment(now, following.frequency))

    def delay(self, raw: str, forms: Iterable[str], at: int) -> int:
        """Let one copy be delayed, to this moment, and no other."""
        self.remove_delayed(forms)
        if self._schedule.add(at, raw):
            self._line.ring_schedule()
        return at

    def remove_delayed(self, forms: Iterable[str]) -> int:
        """Remove all delayed copies; return how many there were."""
        removed = 0
        for form in forms:
            for at in self._schedule.moments(form):
                while self._schedule.remove(at, form):
                    removed += 1
        return removed

    def remove_all(self, task: Periodic, locks: Locks) -> int:
        """Remove all copies, queued and delayed, and the locks of queued ones; return how many there were."""
        first = islice(self._queues.texts.get(task.queue, ()), _FIRST)
        rescued = {text for text in first if unmark(text) in task.forms}
        removed = sum(self._queues.remove(task.queue, text, 0) for text in {*task.forms, *rescued})
        locks.free(guard.key for guard in task.guards if isinstance(guard, FreeLock))
        return removed + self.remove_delayed(task.forms)

    def find(self, task: Periodic, locks: Locks, now: float, *, thoroughly: bool) -> str | None:
        """What there is of a task (as in `Kept`), or None if there is nothing."""
        if task.name in self.stopped:
            return Kept.STOPPED
        if any(locks.get(key, now) is not None for key in task.holds):
            return Kept.RUNNING
        texts = self._queues.texts.get(task.queue, deque())
        if self._is_locked(task, texts, locks, now, thoroughly=thoroughly):
            return Kept.QUEUED
        moments = [at for form in task.forms for at in self._schedule.moments(form)]
        if moments and min(moments) > (latest := next_moment(now, task.frequency or 0)):
            self.delay(task.raw, task.forms, latest)
        if moments:
            return Kept.DELAYED
        # A copy that was given back, or rescued, has no lock.
        return Kept.QUEUED if any(unmark(text) in task.forms for text in islice(texts, _FIRST)) else None

    def _is_locked(self, task: Periodic, texts: Iterable[str], locks: Locks, now: float, *, thoroughly: bool) -> bool:
        """Whether a lock of the queued job is held that is to be believed."""
        held = {guard: locks.get(guard.key, now) for guard in task.guards if isinstance(guard, FreeLock)}
        taken = [found[1] - 1 - guard.timeout for guard, found in held.items() if found is not None]
        if not taken:
            return False
        if any(guard.shared and found is not None for guard, found in held.items()):
            return True
        if not thoroughly or max(taken) > math.floor(now) - PATIENCE:
            return True
        return any(unmark(text) in task.forms for text in texts)
