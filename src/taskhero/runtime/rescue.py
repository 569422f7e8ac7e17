"""Taking jobs from dead processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero.ending import end_tasks
from taskhero.errors import BackendError
from taskhero.runtime.backoff import Backoff, Pause
from taskhero.runtime.events import WorkerCleaningWorker, WorkerError, WorkerRescue
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, Rescued
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.events import Emitter

__all__ = ["Rescuer"]

#: So many jobs are rescued in one step of the backend.
BATCH = 100

_NAME = "rescuing"


class Rescuer:
    """Puts jobs whose process outlived its lease back into their queues: at the start, when asked, and now and then.

    Args:
        backend: Where the processes' leases lie.
        name: The process that rescues, for names of tasks.
        emitter: Is told of each job and each worker.
        outage: Is told how the backend fares.
        every: Seconds between two looks at most; None if it looks only when asked.
        rest: What bounds the delays after errors.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        name: str,
        emitter: Emitter,
        outage: Outage,
        every: float | None,
        rest: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._backend = backend
        self._name = name
        self._emitter = emitter
        self._outage = outage
        self._every = every
        self._backoff = rest()
        self._asked = asyncio.Event()
        self._resting = Pause()
        # Jobs that could not be rescued in the last look, and why: each is told once.
        self._blocked: set[Rescued] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with a look at once."""
        self._asked.set()
        self._task = asyncio.create_task(self._run(), name=f"taskhero {self._name} rescues")

    def wake(self) -> None:
        """Look now."""
        self._asked.set()

    async def stop(self) -> None:
        """Rescue no more; a second call changes nothing."""
        task, self._task = self._task, None
        if task is not None:
            await end_tasks([task])

    async def rescue(self) -> int:
        """Rescue all that there is to rescue; return how many jobs."""
        count = 0
        blocked: set[Rescued] = set()
        while True:
            batch = await self._backend.rescue(BATCH)
            taken = [rescued for rescued in batch if rescued.problem is None]
            blocked.update(rescued for rescued in batch if rescued.problem is not None)
            self._complain(blocked)
            if not taken:
                break
            count += len(taken)
            self._tell(taken)
            # A backend in memory never lets go of the event loop.
            await asyncio.sleep(0)
        self._blocked = blocked
        return count

    async def _run(self) -> None:
        while True:
            await self._wait()
            try:
                await self.rescue()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                self._outage.failed(_NAME, error)
                await self._resting.sleep(self._backoff.next())
                self._asked.set()
            else:
                self._outage.worked(_NAME)
                self._backoff.reset()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._asked.wait()
        except TimeoutError:
            pass
        self._asked.clear()

    def _complain(self, blocked: set[Rescued]) -> None:
        for job in sorted(blocked - self._blocked, key=lambda job: job.worker):
            text = (
                f"a job of the dead worker {job.worker} cannot be rescued yet, since queue {job.queue!r} cannot take "
                f"it: {job.problem}; repair or delete the queue's key, and the job is rescued then"
            )
            self._emitter.emit(WorkerError(self._name, BackendError(text), job.queue, decode_job(job.raw, job.queue)))
        self._blocked |= blocked

    def _tell(self, batch: Sequence[Rescued]) -> None:
        for worker in dict.fromkeys(rescued.worker for rescued in batch):
            self._emitter.emit(WorkerCleaningWorker(worker))
        for rescued in batch:
            job = decode_job(rescued.raw, rescued.queue)
            self._emitter.emit(WorkerRescue(rescued.worker, rescued.queue, job, rescued.running))
