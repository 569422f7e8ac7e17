"""Wait for wake-ups of a process: jobs for its dispatcher, earlier due times for its scheduler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.protocol import Subscription
from taskhero.runtime.background_loop import STOP_LIMIT, BackgroundLoop
from taskhero.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, Process, Wakeup
    from taskhero.runtime.backoff import Outage

__all__ = ["WakeupListener"]

#: Wake-ups in a row that led to no job, after which the next waits start with a delay.
MAX_FRUITLESS_WAKEUPS = 3

#: Seconds before a wait for the schedule only: slots of a busy process are often free again sooner, and replacing a
#: wait costs more than this delay.
SCHEDULE_ONLY_DELAY = 0.05

_NAME = "listener"


class WakeupListener(BackgroundLoop):
    """Runs one `Backend.wait` at a time, and calls the parts that a wake-up concerns.

    It waits for jobs only from a call of `resume` to the next wake-up. The process claims jobs after each wake-up, and
    calls `resume` if slots are still free.

    Args:
        backend: The store to wait for.
        process: The process that waits.
        timeout: Longest time of one wait, in seconds.
        outage: Records errors and successes of the waits.
        new_backoff: Makes the delays after errors.

    Attributes:
        on_jobs: Called when there may be jobs.
        on_schedule: Called when there may be a delayed job with an earlier due time.
        fruitless: Wake-ups in a row after which no slot found a job.
        fruitless_backoff: The delays before the next wait after too many of them.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        process: Process,
        timeout: float,
        outage: Outage,
        new_backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(self._wait_for_wakeup, name=_NAME, owner=process.name, outage=outage, backoff=new_backoff())
        self.on_jobs: Callable[[Wakeup], None] | None = None
        self.on_schedule: Callable[[], None] | None = None
        self._backend = backend
        self._process = process
        self._timeout = timeout
        # Short, since the next wake-up may lead to a job.
        self.fruitless_backoff = Backoff(first=0.005, limit=0.05)
        self.fruitless = 0
        self._queues: tuple[str, ...] | None = None
        self._all_queues = False
        # After a wake-up for jobs, until the dispatcher has said whether slots are free.
        self._claiming = False
        # Whether this process has slots.
        self._has_slots = False
        self._current = Subscription()
        self._waiting: asyncio.Task[None] | None = None
        self._forwarding: set[asyncio.Task[None]] = set()

    # called by other parts

    async def stop(self, limit: float = STOP_LIMIT) -> None:
        """Stop waiting. A second call changes nothing."""
        tasks = [task for task in (self._waiting, *self._forwarding) if task is not None]
        await super().stop(limit)
        await cancel_and_wait(tasks, limit=limit)

    def resume(self, queues: Sequence[str], *, all_queues: bool, found: bool) -> None:
        """Wait for jobs in *queues* until the next wake-up.

        Args:
            queues: The queues to name to the backend.
            all_queues: Whether new queues count, too.
            found: Whether the last wake-up led to a job.
        """
        if found:
            self._end_fruitless_wakeups()
        self._queues = tuple(queues)
        self._all_queues = all_queues
        self._has_slots = True
        self._claiming = False
        if self._waiting is None:
            self.wake()
        elif self._current.queues != self._queues or self._current.all_queues != all_queues:
            # It waits for the schedule only, or for other queues.
            self._waiting.cancel()

    def suspend(self) -> None:
        """Wait for no jobs until `resume`, since no slot is free."""
        # A process with few slots is full after each job, and its next claim finds none.
        self._end_fruitless_wakeups()
        if self._claiming:
            self._claiming = False
            self.wake()

    def _end_fruitless_wakeups(self) -> None:
        self.fruitless = 0
        self.fruitless_backoff.reset()

    def stop_jobs(self) -> None:
        """End the wait for jobs at once, so that no wake-up is lost to a process that claims none."""
        self._queues = None
        self.suspend()
        if self._waiting is not None and (self._current.queues or self._current.all_queues):
            self._waiting.cancel()

    def forward(self, queues: Sequence[str]) -> None:
        """Forward a wake-up for jobs to another process, since no slot is free."""
        if self._forwarding:
            return
        task = asyncio.create_task(self._forward(queues), name=f"taskhero {self._process.name} forward")
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    # the wait

    async def _forward(self, queues: Sequence[str]) -> None:
        try:
            await self._backend.notify(queues)
        except Exception as error:  # noqa: BLE001 - other processes poll, so a lost wake-up only delays
            self._outage.failed(_NAME, error)

    async def _wait_for_wakeup(self) -> float:
        """Wait once. Return the seconds to wait for the dispatcher's answer to a wake-up for jobs, 0 without one."""
        self._claiming = False
        if self._queues is None and self._has_slots:
            await self.sleep(SCHEDULE_ONLY_DELAY)
        if self._queues is not None and self.fruitless > MAX_FRUITLESS_WAKEUPS:
            await asyncio.sleep(self.fruitless_backoff.next())
        subscription = self._subscription()
        if subscription is None:
            return self._timeout
        await self._wait(subscription)
        return self._timeout if self._claiming else 0.0

    def _subscription(self) -> Subscription | None:
        schedule = self.on_schedule is not None
        if self._queues is not None:
            return Subscription(queues=self._queues, all_queues=self._all_queues, schedule=schedule)
        return Subscription(schedule=True) if schedule else None

    async def _wait(self, subscription: Subscription) -> None:
        """Wait until a wake-up, the timeout, or a call of `resume` or `stop_jobs` ends the wait."""
        self._current = subscription
        self._waiting = waiting = asyncio.create_task(
            self._wait_once(subscription), name=f"taskhero {self._process.name} backend wait"
        )
        try:
            await asyncio.wait({waiting})
        finally:
            waiting.cancel()
            self._waiting = None
        if not waiting.cancelled():
            waiting.result()

    async def _wait_once(self, subscription: Subscription) -> None:
        wakeup = await self._backend.wait(self._process, subscription, self._timeout)
        # Dispatched here, a wake-up arrives some cycles of the event loop earlier than after the await in `_wait`.
        self._waiting = None
        if self.running:
            self._dispatch(wakeup)

    def _dispatch(self, wakeup: Wakeup) -> None:
        if wakeup.jobs:
            self.fruitless += 1
            self._queues = None
            self._claiming = True
            if self.on_jobs is not None:
                self.on_jobs(wakeup)
        if wakeup.schedule and self.on_schedule is not None:
            self.on_schedule()
