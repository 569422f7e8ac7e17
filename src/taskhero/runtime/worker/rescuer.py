"""Taking jobs from dead processes."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import InterruptibleSleep, cancel_and_wait
from taskhero.errors import BackendError
from taskhero.events import WorkerCleaningWorker, WorkerError, WorkerRescue
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.worker.lease_watch import LeaseWatch, Look
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, Lease, RescuedJob
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage

__all__ = ["Rescuer"]

#: So many jobs are rescued in one step of the backend.
BATCH = 100
#: Heartbeats do not show processes whose leases were lost: those are looked for every 5 times `rescue_after`.
FULL_ROUNDS = 5

_NAME = "rescuing"


class Rescuer:
    """Puts jobs of processes whose lease is expired back into their queues, at the instant in which it expires.

    `LeaseWatch` says which leases those are.

    Args:
        backend: Where the leases of processes are.
        name: The process that rescues, for names of tasks.
        emitter: Gets an event for each job and each worker.
        outage: Is told how the backend fares.
        heartbeat: Seconds between two looks at the leases.
        rescue_after: Seconds after which a lease that is not renewed is expired, at least.
        looks: Whether it looks at the leases every *heartbeat*; without that, `see` is called with each look.
        rest: What bounds the delays after errors.
        clock: Tells seconds that only ever grow.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        name: str,
        emitter: Emitter,
        outage: Outage,
        heartbeat: float,
        rescue_after: float,
        looks: bool,
        rest: Callable[[], Backoff] = Backoff,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._name = name
        self._emitter = emitter
        self._outage = outage
        self._rescue_after = rescue_after
        self._clock = clock
        self._watch = LeaseWatch(heartbeat=heartbeat, rescue_after=rescue_after)
        # Those that could not be rescued completely wait for the next look.
        self._tried: set[Lease] = set()
        self._every = heartbeat if looks else math.inf
        self._look_at = math.inf
        self._full_look_at = -math.inf
        self._looked: Look | None = None
        self._backoff = rest()
        self._asked = asyncio.Event()
        self._resting = InterruptibleSleep()
        # Jobs that could not be rescued in the last look, and why: each is told once.
        self._blocked: set[RescuedJob] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with a look at once."""
        self._asked.set()
        self._task = asyncio.create_task(self._run(), name=f"taskhero {self._name} rescues")

    def see(self, look: Look) -> None:
        """Take in what a look at the leases saw."""
        self._watch.look(look)
        self._tried.clear()
        self._asked.set()

    def look(self) -> None:
        """Look now, and also for processes whose leases were lost."""
        self._full_look_at = -math.inf
        self._asked.set()

    async def stop(self) -> None:
        """Rescue no more; a second call changes nothing."""
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait([task])

    async def rescue(self) -> int:
        """Rescue all jobs of processes whose lease is expired; return how many there were."""
        count = 0
        expired = [lease for lease in self._watch.expired(self._clock()) if lease not in self._tried]
        blocked: set[RescuedJob] = set()
        while expired:
            batch = await self._backend.rescue(expired, BATCH)
            taken = [rescued for rescued in batch if rescued.problem is None]
            blocked.update(rescued for rescued in batch if rescued.problem is not None)
            self._complain(blocked)
            if not taken:
                self._blocked = blocked
                break
            count += len(taken)
            self._emit(taken)
            # A backend in memory never lets go of the event loop.
            await asyncio.sleep(0)
        self._tried.update(expired)
        return count

    async def _run(self) -> None:
        while True:
            await self._wait()
            try:
                await self._look_if_due()
                await self.rescue()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                self._outage.failed(_NAME, error)
                await self._resting.sleep(self._backoff.next())
                self._asked.set()
            else:
                self._outage.worked(_NAME)
                self._backoff.reset()

    async def _wait(self) -> None:
        """Wait for a look, until the next one is due, or until the next lease expires."""
        now = self._clock()
        expires_at = self._watch.next_at(now)
        until = min(self._look_at, self._full_look_at, math.inf if expires_at is None else expires_at)
        try:
            async with asyncio.timeout(max(0.0, until - now)):
                await self._asked.wait()
        except TimeoutError:
            pass
        self._asked.clear()

    async def _look_if_due(self) -> None:
        now, looked = self._clock(), self._looked
        if now >= self._full_look_at:
            leases, since = await self._backend.leases(lease=self._rescue_after), None
            self._full_look_at = now + FULL_ROUNDS * self._rescue_after
        elif now >= self._look_at and looked is not None:
            leases, since = await self._backend.leases(looked.leases.seen), looked.at
        else:
            return
        self._look_at = now + self._every
        self._looked = Look(self._clock(), leases, since)
        self.see(self._looked)

    def _complain(self, blocked: set[RescuedJob]) -> None:
        for job in sorted(blocked - self._blocked, key=lambda job: job.worker):
            text = (
                f"a job of the dead worker {job.worker} cannot be rescued yet, since queue {job.queue!r} cannot take "
                f"it: {job.problem}; repair or delete the queue's key, and the job is rescued then"
            )
            self._emitter.emit(WorkerError(self._name, BackendError(text), job.queue, decode_job(job.raw, job.queue)))
        self._blocked |= blocked

    def _emit(self, batch: Sequence[RescuedJob]) -> None:
        for worker in dict.fromkeys(rescued.worker for rescued in batch):
            self._emitter.emit(WorkerCleaningWorker(worker))
        for rescued in batch:
            job = decode_job(rescued.raw, rescued.queue)
            self._emitter.emit(WorkerRescue(rescued.worker, rescued.queue, job, rescued.running))
