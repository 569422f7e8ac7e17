"""Waiting for news, which any process may leave in the file.

Each queue that has news stands in the table `news` once; who takes it from there is the one process that is woken.
Within this backend that is at once; what other processes leave is found by looking every few milliseconds, and only
while somebody waits.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import Subscription, Wakeup
from taskhero.errors import BackendError
from taskhero_sqlite.steps import SCHEDULE, blob, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskhero_sqlite.database import Database
    from taskhero_sqlite.steps import Step

__all__ = ["WakeupQueue"]

_logger = logging.getLogger("taskhero.sqlite")


@attrs.define(eq=False)
class _WaitingProcess:
    """One that waits, and the news that it got."""

    interest: Subscription
    woken: asyncio.Future[Wakeup]
    news: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        return not self.woken.done()


class WakeupQueue:
    """Those who wait, in the order in which they came.

    Args:
        database: Where the news is.
        poll: Seconds between two looks.
    """

    def __init__(self, database: Database, poll: float) -> None:
        self._database = database
        self._poll = poll
        self._places: dict[int, _WaitingProcess] = {}
        self._next = 0
        self._look = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._returning: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """There is news: do not wait for the next look."""
        self._look.set()

    async def wait(self, subscription: Subscription, timeout: float) -> Wakeup:
        """Wait for news that *subscription* names, *timeout* seconds at most."""
        loop = asyncio.get_running_loop()
        place = _WaitingProcess(subscription, loop.create_future())
        number = self._next = self._next + 1
        self._places[number] = place
        self.look()
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="taskhero-sqlite watches")
        timer = loop.call_later(max(timeout, 0.0), _end, place)
        try:
            return await place.woken
        except asyncio.CancelledError:
            # It may have been woken in the same instant: then the next in line is to know.
            self._give_back(place.news)
            raise
        finally:
            timer.cancel()
            self._places.pop(number, None)

    async def end(self) -> None:
        """End all waits."""
        places, self._places = list(self._places.values()), {}
        for place in places:
            _end(place)
        self.look()
        if self._watching is not None:
            await asyncio.wait({self._watching})
        while self._returning:
            await asyncio.wait(self._returning)

    async def _watch(self) -> None:
        """Look for news as long as anybody waits."""
        while self._places:
            self._look.clear()
            try:
                await self._take()
            except BackendError as error:
                _logger.debug("No look for news: %s", error)
            try:
                async with asyncio.timeout(self._poll):
                    await self._look.wait()
            except TimeoutError:
                pass

    async def _take(self) -> None:
        """Take the news that somebody here waits for, and hand it out."""
        wanted = {number: place.interest for number, place in self._places.items() if place.open}
        there, _ = await self._database.step(_news, reads=True)
        if not _hand_out(there, wanted):
            return
        taken, _ = await self._database.step(lambda step: _take_news(step, wanted))
        for number, news in taken.items():
            place = self._places.get(number)
            if place is not None and place.open:
                place.news = news
                place.woken.set_result(Wakeup(any(name != SCHEDULE for name in news), SCHEDULE in news))
            else:
                self._give_back(news)

    def _give_back(self, news: Sequence[str]) -> None:
        if news:
            task = asyncio.create_task(self._return(news), name="taskhero-sqlite passes news on")
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

    async def _return(self, news: Sequence[str]) -> None:
        try:
            await self._database.step(lambda step: _leave(step, news))
        except BackendError as error:
            _logger.debug("News was not passed on: %s", error)
        self.look()


def _end(place: _WaitingProcess) -> None:
    if place.open:
        place.woken.set_result(Wakeup())


def _leave(step: Step, news: Sequence[str]) -> None:
    for name in news:
        step.ring(name)


def _news(step: Step) -> list[str]:
    return [text(queue) for (queue,) in step.rows("SELECT queue FROM news")]


def _take_news(step: Step, wanted: Mapping[int, Subscription]) -> dict[int, tuple[str, ...]]:
    taken = _hand_out(_news(step), wanted)
    for news in taken.values():
        for name in news:
            step.do("DELETE FROM news WHERE queue = ?", blob(name))
    return taken


def _hand_out(there: Sequence[str], wanted: Mapping[int, Subscription]) -> dict[int, tuple[str, ...]]:
    """Who gets which news: those who came first, of one queue at most, and of the schedule."""
    left = set(there)
    given: dict[int, tuple[str, ...]] = {}
    for number, subscription in wanted.items():
        if not left:
            break
        names = sorted(left - {SCHEDULE}) if subscription.all_queues else subscription.queues
        mine = [name for name in names if name in left][:1]
        if subscription.schedule and SCHEDULE in left:
            mine.append(SCHEDULE)
        if mine:
            given[number] = tuple(mine)
            left.difference_update(mine)
    return given
