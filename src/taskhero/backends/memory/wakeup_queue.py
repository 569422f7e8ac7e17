"""Waiting in line: who waited longest is woken first, one process for each piece of news."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import Subscription, Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WakeupQueue"]

_JOBS = Wakeup(jobs=True)
_SCHEDULE = Wakeup(schedule=True)


@attrs.define(eq=False)
class _WaitingProcess:
    """A process in the line, and the queue it was woken for."""

    interest: Subscription
    woken: asyncio.Future[Wakeup]
    queue: str | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits: one that was cancelled in this instant has not left the line yet."""
        return not self.woken.done()

    def wants(self, queue: str) -> bool:
        return self.open and (self.interest.all_queues or queue in self.interest.queues)


class WakeupQueue:
    """The processes that wait, and the wake-ups for which nobody waited: one at most for each queue."""

    def __init__(self) -> None:
        self._waiting: dict[int, _WaitingProcess] = {}
        self._next = 0
        self._pending_queues: dict[str, None] = {}
        self._pending_schedule = False

    def signal(self, queue: str) -> None:
        """Wake one process that waits for this queue, or leave the wake-up for the next one that does."""
        for number, place in self._waiting.items():
            if place.wants(queue):
                place.queue = queue
                self._wake(number, place, _JOBS)
                return
        self._pending_queues[queue] = None

    def signal_schedule(self) -> None:
        """Wake one process that waits for the schedule, or leave the wake-up for the next one that does."""
        for number, place in self._waiting.items():
            if place.open and place.interest.schedule:
                self._wake(number, place, _SCHEDULE)
                return
        self._pending_schedule = True

    def clear(self, queue: str) -> None:
        """Take back the wake-up that was left for a queue, since it is empty."""
        self._pending_queues.pop(queue, None)

    def close(self) -> None:
        """End all waits."""
        for number, place in list(self._waiting.items()):
            self._wake(number, place, Wakeup())

    async def wait(self, subscription: Subscription, timeout: float) -> Wakeup:
        """Wait for news that *subscription* names, *timeout* seconds at most."""
        wake = self._take_pending(subscription)
        if wake is not None:
            return wake
        loop = asyncio.get_running_loop()
        place = _WaitingProcess(subscription, loop.create_future())
        number = self._next = self._next + 1
        self._waiting[number] = place
        timer = loop.call_later(max(timeout, 0.0), self._wake, number, place, Wakeup())
        try:
            return await place.woken
        except asyncio.CancelledError:
            self._forward(place)
            raise
        finally:
            timer.cancel()
            self._waiting.pop(number, None)

    def _wake(self, number: int, place: _WaitingProcess, wake: Wakeup) -> None:
        self._waiting.pop(number, None)
        if place.open:
            place.woken.set_result(wake)

    def _take_pending(self, subscription: Subscription) -> Wakeup | None:
        left = self._pending_queues
        jobs = schedule = False
        if left:
            queues: Iterable[str] = left if subscription.all_queues else subscription.queues
            queue = next((name for name in queues if name in left), None)
            if queue is not None:
                del left[queue]
                jobs = True
        if self._pending_schedule and subscription.schedule:
            self._pending_schedule = False
            schedule = True
        return Wakeup(jobs, schedule) if jobs or schedule else None

    def _forward(self, place: _WaitingProcess) -> None:
        """A wait was cancelled: if it had been woken in the same instant, the next in line is to know."""
        if place.open or place.woken.cancelled():
            return
        if place.queue is not None:
            self.signal(place.queue)
        elif place.woken.result().schedule:
            self.signal_schedule()
