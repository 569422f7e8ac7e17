"""Rescue the jobs of dead processes."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from taskhero.errors import BackendError
from taskhero.events import WorkerCleaningWorker, WorkerError, WorkerRescue
from taskhero.runtime.background_loop import BackgroundLoop
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.worker.lease_watch import LeaseSnapshot, LeaseWatch
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, Lease, RescuedJob
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage

__all__ = ["Rescuer"]

#: Number of jobs that one step of the backend rescues at most.
BATCH = 100
#: Heartbeats do not show processes whose leases are lost: a full read finds these, every 5 times `rescue_after`.
FULL_READ_FACTOR = 5


class Rescuer(BackgroundLoop):
    """Returns the jobs of processes with an expired lease to their queues, as soon as the lease expires.

    `LeaseWatch` decides which leases have expired. The first step reads the leases.

    Args:
        backend: The store of the leases.
        name: The name of this process.
        emitter: Receives an event for each job and each worker.
        outage: Records errors and successes of the backend.
        heartbeat: Seconds between two snapshots of the leases.
        rescue_after: Seconds without a renewal after which a lease expires, at least.
        reads_leases: Whether it reads the leases every *heartbeat* seconds. If not, call `on_leases` with each
            snapshot.
        new_backoff: Makes the delays after errors.
        clock: Returns monotonic seconds.
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
        reads_leases: bool,
        new_backoff: Callable[[], Backoff] = Backoff,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(self._read_and_rescue, name="rescuer", owner=name, outage=outage, backoff=new_backoff())
        self._backend = backend
        self._name = name
        self._emitter = emitter
        self._rescue_after = rescue_after
        self._clock = clock
        self._watch = LeaseWatch(heartbeat=heartbeat, rescue_after=rescue_after)
        # Leases with jobs that could not be rescued wait for the next snapshot.
        self._attempted: set[Lease] = set()
        self._interval = heartbeat if reads_leases else math.inf
        self._read_at = math.inf
        self._full_read_at = -math.inf
        self._snapshot: LeaseSnapshot | None = None
        # Jobs that the last attempt could not rescue: each is reported once.
        self._blocked: set[RescuedJob] = set()

    def on_leases(self, snapshot: LeaseSnapshot) -> None:
        """Process a snapshot of the leases."""
        self._update(snapshot)
        self.wake()

    def request_full_read(self) -> None:
        """Read the leases now, and also find processes whose leases are lost."""
        self._full_read_at = -math.inf
        self.wake()

    async def rescue(self) -> int:
        """Rescue all jobs of processes with an expired lease. Return their number."""
        count = 0
        expired = [lease for lease in self._watch.expired(self._clock()) if lease not in self._attempted]
        blocked: set[RescuedJob] = set()
        while expired:
            batch = await self._backend.rescue(expired, BATCH)
            done = [rescued for rescued in batch if rescued.problem is None]
            blocked.update(rescued for rescued in batch if rescued.problem is not None)
            self._report_blocked(blocked)
            if not done:
                self._blocked = blocked
                break
            count += len(done)
            self._emit(done)
            # A backend in memory never yields to the event loop.
            await asyncio.sleep(0)
        self._attempted.update(expired)
        return count

    async def _read_and_rescue(self) -> float:
        """Return the seconds until the next read is due or the next lease expires."""
        await self._read_if_due()
        # From before the rescue, so that a lease that expires during it is not missed.
        expires_at = self._watch.next_expiry(self._clock())
        await self.rescue()
        due = min(self._read_at, self._full_read_at, math.inf if expires_at is None else expires_at)
        return max(0.0, due - self._clock())

    async def _read_if_due(self) -> None:
        now, snapshot = self._clock(), self._snapshot
        if now >= self._full_read_at:
            leases, since = await self._backend.leases(lease=self._rescue_after), None
            self._full_read_at = now + FULL_READ_FACTOR * self._rescue_after
        elif now >= self._read_at and snapshot is not None:
            leases, since = await self._backend.leases(snapshot.leases.seen), snapshot.at
        else:
            return
        self._read_at = now + self._interval
        self._snapshot = LeaseSnapshot(self._clock(), leases, since)
        self._update(self._snapshot)

    def _update(self, snapshot: LeaseSnapshot) -> None:
        self._watch.update(snapshot)
        self._attempted.clear()

    def _report_blocked(self, blocked: set[RescuedJob]) -> None:
        for job in sorted(blocked - self._blocked, key=lambda job: job.worker):
            text = (
                f"a job of the dead worker {job.worker} cannot be rescued yet, since queue {job.queue!r} does not "
                f"accept it: {job.problem}. Repair or delete the queue's key; the job is rescued after that"
            )
            self._emitter.emit(WorkerError(self._name, BackendError(text), job.queue, decode_job(job.raw, job.queue)))
        self._blocked |= blocked

    def _emit(self, batch: Sequence[RescuedJob]) -> None:
        for worker in dict.fromkeys(rescued.worker for rescued in batch):
            self._emitter.emit(WorkerCleaningWorker(worker))
        for rescued in batch:
            job = decode_job(rescued.raw, rescued.queue)
            self._emitter.emit(WorkerRescue(rescued.worker, rescued.queue, job, rescued.running))
