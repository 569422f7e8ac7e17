"""The one wait of a process: for jobs on behalf of its processors, for earlier moments on behalf of its scheduler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import Pause, end_tasks
from taskhero.backends.protocol import Interest
from taskhero.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, Process, Wake
    from taskhero.runtime.backoff import Outage

__all__ = ["Waiter"]

#: So many wake-ups in a row for which no job was found are believed; then the next waits begin a little later.
BELIEVED = 3

#: Seconds for which the interest in the schedule alone must last before it is waited for: a full process is often
#: free again in no time, and to replace a wait costs more than this delay.
FULL_FOR = 0.05

_NAME = "waiting"


class Waiter:
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
        self._everything = False
        # Jobs were announced, and whoever asks for them has not told yet whether there are free processors left.
        self._asking = False
        # Whether there are processors here at all.
        self._works = False
        self._current = Interest()
        self._changed = Pause()
        self._resting = Pause()
        self._waiting: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._passing: set[asyncio.Task[None]] = set()

    # what the others call

    def start(self) -> None:
        """Begin to wait, as far as anybody wants to know something."""
        self._task = asyncio.create_task(self._run(), name=f"taskhero {self._process.name} waits")

    async def stop(self) -> None:
        """Wait no more; a second call changes nothing."""
        tasks = [task for task in (self._task, self._waiting, *self._passing) if task is not None]
        self._task = None
        await end_tasks(tasks)

    def listen(self, queues: Sequence[str], *, everything: bool, found: bool) -> None:
        """Wait for jobs in *queues* until the next wake-up.

        Args:
            queues: The queues to name to the backend.
            everything: Whether queues that are new count, too.
            found: Whether the last wake-up led to a job.
        """
        if found:
            self._fruitless = 0
            self._fruitless_backoff.reset()
        self._queues = tuple(queues)
        self._everything = everything
        self._works = True
        self._asking = False
        if self._waiting is None:
            self._changed.cut()
        elif self._current.queues != self._queues or self._current.everything != everything:
            # It waits for the schedule only, or for fewer queues than there are.
            self._waiting.cancel()

    def full(self) -> None:
        """No processor is free any more: what jobs are announced for are others, until `listen`."""
        if self._asking:
            self._asking = False
            self._changed.cut()

    def hush(self) -> None:
        """Wait for jobs no more, so that no wake-up ends here which another process should have."""
        self._queues = None
        self._asking = False
        if self._waiting is not None and (self._current.queues or self._current.everything):
            self._waiting.cancel()

    def pass_on(self, queues: Sequence[str]) -> None:
        """A wake-up for jobs came and nobody is free here: tell it to another process."""
        if self._passing:
            return
        task = asyncio.create_task(self._pass_on(queues), name=f"taskhero {self._process.name} passes a wake-up on")
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    # how it waits

    async def _pass_on(self, queues: Sequence[str]) -> None:
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
                await self._changed.sleep(FULL_FOR)
            interest = self._interest()
            if interest is None:
                await self._changed.sleep(self._timeout)
                continue
            if self._queues is not None and self._fruitless > BELIEVED:
                await self._resting.sleep(self._fruitless_backoff.next())
            try:
                await self._wait(interest)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, the process must go on waiting
                self._outage.failed(_NAME, error)
                await self._resting.sleep(self._backoff.next())

    def _interest(self) -> Interest | None:
        schedule = self.on_schedule is not None
        if self._queues is not None:
            return Interest(queues=self._queues, everything=self._everything, schedule=schedule)
        return Interest(schedule=True) if schedule else None

    async def _wait(self, interest: Interest) -> None:
        """Wait until something wakes it, its time is up, or `listen` or `hush` ends the wait."""
        self._current = interest
        self._waiting = waiting = asyncio.create_task(
            self._wait_once(interest), name=f"taskhero {self._process.name} wait"
        )
        waiting.add_done_callback(self._ended)
        try:
            await asyncio.wait({waiting})
        except asyncio.CancelledError:
            waiting.cancel()
            raise
        if not waiting.cancelled():
            waiting.result()

    async def _wait_once(self, interest: Interest) -> None:
        wake = await self._backend.wait(self._process, interest, self._timeout)
        # Told from here, a wake-up is turns of the event loop earlier than if who awaits this told it.
        self._waiting = None
        if self._task is not None:
            self._backoff.reset()
            self._tell(wake)

    def _ended(self, waiting: asyncio.Task[None]) -> None:
        self._waiting = None
        works = waiting.cancelled() or waiting.exception() is None
        if works and self._task is not None and self._outage.lasting:
            self._outage.worked(_NAME)

    def _tell(self, wake: Wake) -> None:
        if wake.jobs:
            self._fruitless += 1
            self._queues = None
            self._asking = True
            if self.on_jobs is not None:
                self.on_jobs()
        if wake.schedule and self.on_schedule is not None:
            self.on_schedule()
