"""Start the rounds of the dispatcher: on request, at each poll, and after an error with a delay."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import InterruptibleSleep, cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from taskhero.backends.protocol import Wakeup
    from taskhero.runtime.backoff import Backoff, Outage

__all__ = ["Rounds"]

_NAME = "dispatcher"


class Rounds:
    """Says when the dispatcher runs a round, and what the round is for.

    The parts of a process request rounds here. The dispatcher reads the requests and clears those that it has met.

    Args:
        outage: Records errors and successes of the backend.
        timeout: Seconds between two polls of the queues if there is no wake-up.
        new_backoff: Makes the delays after errors.

    Attributes:
        claim_requested: Whether to claim although no job has ended: after a wake-up, a poll, or a slot that became
            idle without a settlement.
        names_requested: Whether to read the names of the queues again.
        woken: Whether there was a wake-up since the last claim.
        polled: Whether the poll interval has passed since the dispatcher last cleared this.
        delayed: Whether there was a delay since the backend last did the step of a round.
        finishing: Whether the rounds end as soon as there is nothing left to settle.
    """

    def __init__(self, *, outage: Outage, timeout: float, new_backoff: Callable[[], Backoff]) -> None:
        self.claim_requested = True
        self.names_requested = True
        self.woken = False
        self.polled = False
        self.delayed = False
        self.finishing = False
        self._outage = outage
        self._timeout = timeout
        self._backoff = new_backoff()
        self._delay = InterruptibleSleep()
        self._requested = True
        self._request: asyncio.Future[None] | None = None
        self._poll_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # requests

    def request(self) -> None:
        """Start a round as soon as possible."""
        self._requested = True
        request = self._request
        if request is not None and not request.done():
            request.set_result(None)

    def request_claim(self) -> None:
        """Start a round that claims jobs, reads new queue names, and deregisters retired slots."""
        self.claim_requested = self.names_requested = True
        self.request()

    def wake(self, wakeup: Wakeup | None = None) -> None:
        """Claim jobs as soon as possible, after a wake-up. Read new queue names, unless *wakeup* excludes any."""
        self.woken = self.claim_requested = True
        if wakeup is None or not wakeup.only_named:
            self.names_requested = True
        self.request()

    async def next(self) -> None:
        """Wait until a round is requested."""
        if not self._requested:
            self._request = asyncio.get_running_loop().create_future()
            await self._request
            self._request = None
        self._requested = False

    # errors

    def recovered(self) -> None:
        """Record that the backend did the step of a round, after a delay."""
        self.delayed = False
        self._outage.worked(_NAME)
        self._backoff.reset()

    async def failed(self, error: Exception, *, limit: float = math.inf) -> None:
        """Record that the backend failed, and wait before the next round, *limit* seconds at most."""
        self._outage.failed(_NAME, error)
        await self.delay(limit)

    async def delay(self, limit: float = math.inf) -> None:
        """Wait before the step is repeated: longer each time until it succeeds, *limit* seconds at most."""
        self.delayed = True
        await self._delay.sleep(min(self._backoff.next(), limit))

    # start and stop

    @property
    def running(self) -> bool:
        """Whether `start` was called, and `stop` was not."""
        return self._task is not None

    def start(self, loop: Coroutine[None, None, None], name: str) -> None:
        """Run the dispatcher's *loop* in an asyncio task with this name, and poll."""
        self._plan_poll()
        self._task = asyncio.create_task(loop, name=name)

    async def finish(self, limit: float) -> bool:
        """End the loop when there is nothing left to settle. Return whether it ended within *limit* seconds."""
        if self._task is None:
            return True
        self.finishing = True
        self.skip_delay()
        self.request()
        await asyncio.wait({self._task}, timeout=limit)
        return self._task.done()

    def skip_delay(self) -> None:
        """End the current or next delay after an error at once."""
        self._delay.wake()

    async def stop(self) -> None:
        """End the loop and the polls at once. A second call changes nothing."""
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait([task])

    def _plan_poll(self) -> None:
        self._poll_timer = asyncio.get_running_loop().call_later(self._timeout, self._poll)

    def _poll(self) -> None:
        self._plan_poll()
        self.polled = True
        self.request_claim()
