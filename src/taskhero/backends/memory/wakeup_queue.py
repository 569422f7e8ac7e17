"""Let processes wait for jobs. Each wake-up goes to one process, the one that has waited longest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import Subscription, Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WaitingProcess", "WakeupQueue"]

_JOBS = Wakeup(jobs=True)
_SCHEDULE = Wakeup(schedule=True)


@attrs.define(eq=False)
class WaitingProcess:
    """A process that waits, and the queue for which it was woken."""

    subscription: Subscription
    woken: asyncio.Future[Wakeup]
    queue: str | None = None

    @property
    def open(self) -> bool:
        """Return whether it still waits. A wait that was just cancelled is still registered."""
        return not self.woken.done()

    def wants(self, queue: str) -> bool:
        """Return whether it waits for jobs of this queue."""
        return self.open and (self.subscription.all_queues or queue in self.subscription.queues)


class WakeupQueue:
    """The processes that wait, and the pending wake-ups: at most one for each queue and one for the schedule.

    Attributes:
        waiting: The processes that wait, by number. The one that has waited longest comes first.
        pending_queues: The queues with a pending wake-up.
        pending_schedule: Whether a wake-up for the schedule is pending.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, WaitingProcess] = {}
        self.pending_queues: dict[str, None] = {}
        self.pending_schedule = False
        self._next = 0

    def signal(self, queue: str) -> None:
        """Wake one process that waits for this queue. If there is none, keep the wake-up."""
        for number, waiter in self.waiting.items():
            if waiter.wants(queue):
                waiter.queue = queue
                self._wake(number, waiter, _JOBS)
                return
        self.pending_queues[queue] = None

    def signal_schedule(self) -> None:
        """Wake one process that waits for the schedule. If there is none, keep the wake-up."""
        for number, waiter in self.waiting.items():
            if waiter.open and waiter.subscription.schedule:
                self._wake(number, waiter, _SCHEDULE)
                return
        self.pending_schedule = True

    def clear(self, queue: str) -> None:
        """Remove the pending wake-up of a queue, since the queue is empty."""
        self.pending_queues.pop(queue, None)

    def close(self) -> None:
        """End all waits."""
        for number, waiter in list(self.waiting.items()):
            self._wake(number, waiter, Wakeup())

    async def wait(self, subscription: Subscription, timeout: float) -> Wakeup:
        """Wait for a wake-up that matches *subscription*, for *timeout* seconds at most."""
        wake = self._take_pending(subscription)
        if wake is not None:
            return wake
        loop = asyncio.get_running_loop()
        waiter = WaitingProcess(subscription, loop.create_future())
        number = self._next = self._next + 1
        self.waiting[number] = waiter
        timer = loop.call_later(max(timeout, 0.0), self._wake, number, waiter, Wakeup())
        try:
            return await waiter.woken
        except asyncio.CancelledError:
            self.forward(waiter)
            raise
        finally:
            timer.cancel()
            self.waiting.pop(number, None)

    def _wake(self, number: int, waiter: WaitingProcess, wake: Wakeup) -> None:
        self.waiting.pop(number, None)
        if waiter.open:
            waiter.woken.set_result(wake)

    def _take_pending(self, subscription: Subscription) -> Wakeup | None:
        pending = self.pending_queues
        jobs = schedule = False
        if pending:
            queues: Iterable[str] = pending if subscription.all_queues else subscription.queues
            queue = next((name for name in queues if name in pending), None)
            if queue is not None:
                del pending[queue]
                jobs = True
        if self.pending_schedule and subscription.schedule:
            self.pending_schedule = False
            schedule = True
        return Wakeup(jobs, schedule) if jobs or schedule else None

    def forward(self, waiter: WaitingProcess) -> None:
        """Forward the wake-up of a wait that was woken and cancelled at the same time."""
        if waiter.open or waiter.woken.cancelled():
            return
        if waiter.queue is not None:
            self.signal(waiter.queue)
        elif waiter.woken.result().schedule:
            self.signal_schedule()
