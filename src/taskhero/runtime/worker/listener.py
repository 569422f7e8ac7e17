"""The one wait of a process: for jobs on behalf of its processors, for earlier moments on behalf of its scheduler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import InterruptibleSleep, cancel_and_wait
from taskhero.backends.protocol import Subscription
from taskhero.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, Process, Wakeup
    from taskhero.runtime.backoff import Outage

__all__ = ["WakeupListener"]

#: So many wake-ups in a row for which no job was found are believed; then the next waits begin a little later.
MAX_FRUITLESS_WAKEUPS = 3

#: Seconds for which the interest in the schedule alone must last before it is waited for: a full process is often
#: free again in no time, and to replace a wait costs more than this delay.
SCHEDULE_ONLY_DELAY = 0.05

_NAME = "waiting"


class WakeupListener:
    """Waits for something to do, one `Backend.wait` at a time, and calls whom it concerns.

    Jobs are waited for only between a call of `listen` and the wake-up that follows: a process asks for jobs after
    each wake-up, and listens again if it then still has processors without one.

    Args:
        backend: What to wait on.
        process: On whose behalf.
        timeout: Seconds that one wait takes at most.
        outage: Is told how the waits fare.
        rest: What bounds the delays after errors.

    Attributes:
        on_jobs: Called when there may be jobs.
        on_schedule: Called when a delayed job with an earlier moment may have come.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        process: Process,
        timeout: float,
        outage: Outage,
        rest: Callable[[], Backoff] = Backoff,
    ) -> None:
        self.on_jobs: Callable[[], None] | None = None
        self.on_schedule: Callable[[], None] | None = None
        self._backend = backend
        self._process = process
        self._timeout = timeout
        self._outage = outage
        self._backoff = rest()
        # Short, since the next wake-up may be a true one.
        self._fruitless_backoff = Backoff(first=0.005, limit=0.05)
        self._fruitless = 0
        self._queues: tuple[str, ...] | None = None
        self._all_queues = False
        # Jobs were announced, and whoever asks for them has not told yet whether there are free processors left.
        self._asking = False
        # Whether there are processors here at all.
        self._works = False
        self._current = Subscription()
        self._changed = InterruptibleSleep()
        self._resting = InterruptibleSleep()
        self._waiting: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._forwarding: set[asyncio.Task[None]] = set()

    # what the others call

    def start(self) -> None:
        """Begin to wait, as far as anybody wants to know something."""
        self._task = asyncio.create_task(self._run(), name=f"taskhero {self._process.name} waits")

    async def stop(self) -> None:
        """Wait no more; a second call changes nothing."""
        tasks = [task for task in (self._task, self._waiting, *self._forwarding) if task is not None]
        self._task = None
        await cancel_and_wait(tasks)

    def resume(self, queues: Sequence[str], *, all_queues: bool, found: bool) -> None:
        """Wait for jobs in *queues* until the next wake-up.

        Args:
            queues: The queues to name to the backend.
            all_queues: Whether queues that are new count, too.
            found: Whether the last wake-up led to a job.
        """
        if found:
            self._fruitless = 0
            self._fruitless_backoff.reset()
        self._queues = tuple(queues)
        self._all_queues = all_queues
        self._works = True
        self._asking = False
        if self._waiting is None:
            self._changed.wake()
        elif self._current.queues != self._queues or self._current.all_queues != all_queues:
            # It waits for the schedule only, or for fewer queues than there are.
            self._waiting.cancel()

    def suspend(self) -> None:
        """No processor is free any more: what jobs are announced for are others, until `listen`."""
        if self._asking:
            self._asking = False
            self._changed.wake()

    def stop_jobs(self) -> None:
        """Wait for jobs no more, so that no wake-up ends here which another process should have."""
        self._queues = None
        self._asking = False
        if self._waiting is not None and (self._current.queues or self._current.all_queues):
            self._waiting.cancel()

    def forward(self, queues: Sequence[str]) -> None:
        """A wake-up for jobs came and nobody is free here: tell it to another process."""
        if self._forwarding:
            return
        task = asyncio.create_task(self._forward(queues), name=f"taskhero {self._process.name} passes a wake-up on")
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    # how it waits

    async def _forward(self, queues: Sequence[str]) -> None:
        try:
            await self._backend.notify(queues)
        except Exception as error:  # noqa: BLE001 - a wake-up is worth no more than this: others look now and then
            self._outage.failed(_NAME, error)

    async def _run(self) -> None:
        while True:
            if self._asking:
                await self._changed.sleep(self._timeout)
                self._asking = False
            if self._queues is None and self._works:
                await self._changed.sleep(SCHEDULE_ONLY_DELAY)
            subscription = self._subscription()
            if subscription is None:
                await self._changed.sleep(self._timeout)
                continue
            if self._queues is not None and self._fruitless > MAX_FRUITLESS_WAKEUPS:
                await self._resting.sleep(self._fruitless_backoff.next())
            try:
                await self._wait(subscription)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, the process must go on waiting
                self._outage.failed(_NAME, error)
                await self._resting.sleep(self._backoff.next())

    def _subscription(self) -> Subscription | None:
        schedule = self.on_schedule is not None
        if self._queues is not None:
            return Subscription(queues=self._queues, all_queues=self._all_queues, schedule=schedule)
        return Subscription(schedule=True) if schedule else None

    async def _wait(self, subscription: Subscription) -> None:
        """Wait until something wakes it, its time is up, or `listen` or `hush` ends the wait."""
        self._current = subscription
        self._waiting = waiting = asyncio.create_task(
            self._wait_once(subscription), name=f"taskhero {self._process.name} wait"
        )
        waiting.add_done_callback(self._ended)
        try:
            await asyncio.wait({waiting})
        except asyncio.CancelledError:
            waiting.cancel()
            raise
        if not waiting.cancelled():
            waiting.result()

    async def _wait_once(self, subscription: Subscription) -> None:
        wake = await self._backend.wait(self._process, subscription, self._timeout)
        # Told from here, a wake-up is turns of the event loop earlier than if who awaits this told it.
        self._waiting = None
        if self._task is not None:
            self._backoff.reset()
            self._dispatch(wake)

    def _ended(self, waiting: asyncio.Task[None]) -> None:
        self._waiting = None
        works = waiting.cancelled() or waiting.exception() is None
        if works and self._task is not None and self._outage.lasting:
            self._outage.worked(_NAME)

    def _dispatch(self, wake: Wakeup) -> None:
        if wake.jobs:
            self._fruitless += 1
            self._queues = None
            self._asking = True
            if self.on_jobs is not None:
                self.on_jobs()
        if wake.schedule and self.on_schedule is not None:
            self.on_schedule()
