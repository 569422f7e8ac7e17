"""Waiting in line: who waited longest is woken first, one process for each piece of news."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import Interest, Wake

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Line"]

_JOBS = Wake(jobs=True)
_SCHEDULE = Wake(schedule=True)


@attrs.define(eq=False)
class _Place:
    """A process in the line, and the queue it was woken for."""

    interest: Interest
    woken: asyncio.Future[Wake]
    queue: str | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits: one that was cancelled in this instant has not left the line yet."""
        return not self.woken.done()

    def wants(self, queue: str) -> bool:
        return self.open and (self.interest.everything or queue in self.interest.queues)


class Line:
    """The processes that wait, and the wake-ups for which nobody waited: one at most for each queue."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}
        self._next = 0
        self._left: dict[str, None] = {}
        self._left_schedule = False

    def ring(self, queue: str) -> None:
        """Wake one process that waits for this queue, or leave the wake-up for the next one that does."""
        for number, place in self._places.items():
            if place.wants(queue):
                place.queue = queue
                self._wake(number, place, _JOBS)
                return
        self._left[queue] = None

    def ring_schedule(self) -> None:
        """Wake one process that waits for the schedule, or leave the wake-up for the next one that does."""
        for number, place in self._places.items():
            if place.open and place.interest.schedule:
                self._wake(number, place, _SCHEDULE)
                return
        self._left_schedule = True

    def hush(self, queue: str) -> None:
        """Take back the wake-up that was left for a queue, since it is empty."""
        self._left.pop(queue, None)

    def end(self) -> None:
        """End all waits."""
        for number, place in list(self._places.items()):
            self._wake(number, place, Wake())

    async def wait(self, interest: Interest, timeout: float) -> Wake:
        """Wait for news that *interest* names, *timeout* seconds at most."""
        wake = self._take_left(interest)
        if wake is not None:
            return wake
        loop = asyncio.get_running_loop()
        place = _Place(interest, loop.create_future())
        number = self._next = self._next + 1
        self._places[number] = place
        timer = loop.call_later(max(timeout, 0.0), self._wake, number, place, Wake())
        try:
            return await place.woken
        except asyncio.CancelledError:
            self._pass_on(place)
            raise
        finally:
            timer.cancel()
            self._places.pop(number, None)

    def _wake(self, number: int, place: _Place, wake: Wake) -> None:
        self._places.pop(number, None)
        if place.open:
            place.woken.set_result(wake)

    def _take_left(self, interest: Interest) -> Wake | None:
        left = self._left
        jobs = schedule = False
        if left:
            queues: Iterable[str] = left if interest.everything else interest.queues
            queue = next((name for name in queues if name in left), None)
            if queue is not None:
                del left[queue]
                jobs = True
        if self._left_schedule and interest.schedule:
            self._left_schedule = False
            schedule = True
        return Wake(jobs, schedule) if jobs or schedule else None

    def _pass_on(self, place: _Place) -> None:
        """A wait was cancelled: if it had been woken in the same instant, the next in line is to know."""
        if place.open or place.woken.cancelled():
            return
        if place.queue is not None:
            self.ring(place.queue)
        elif place.woken.result().schedule:
            self.ring_schedule()
