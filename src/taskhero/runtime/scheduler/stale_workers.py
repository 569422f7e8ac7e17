"""Looking after workers that gave no sign of life for long: what the leader does beside promoting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.events import SchedulerCleanStuckWorker, WorkerCleaningWorker
from taskhero.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.engine.queue.queue import Queue
    from taskhero.events import Emitter
    from taskhero.models import CleanedWorker
    from taskhero.runtime.backoff import Outage
    from taskhero.settings import Settings

__all__ = ["StaleWorkers"]

#: Seconds between two looks at most.
MAX_INTERVAL = 30.0
#: So many looks come before the failures are looked through for stuck jobs that others listed.
RETRY_ROUNDS = 20

_NAME = "looking after stuck workers"


class StaleWorkers:
    """Takes other programs' workers from view that were silent for `Settings.stuck_worker_timeout`, while it leads.

    Those of taskhero are rescued, which is better than to fail their jobs.

    Their jobs are listed as failed, and tried again if `Settings.retry_stuck_jobs` says so. To know how long another
    program's worker was silent, the leader looks again and again.

    Args:
        queue: What cleans and retries.
        scheduler: Says whether it leads.
        settings: After how long, and whether to retry.
        emitter: Is told of each worker.
        name: The scheduler's name.
        outage: Is told how the backend fares.
        rest: What bounds the delays after errors.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        scheduler: Any,
        settings: Settings,
        emitter: Emitter,
        name: str,
        outage: Outage,
        rest: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._age = settings.stuck_worker_timeout
        self._retries = settings.retry_stuck_jobs
        self._emitter = emitter
        self._name = name
        self._outage = outage
        self._rest = rest
        self._rounds = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def every(self) -> float:
        """Seconds between two looks."""
        return min(self._age / 4, MAX_INTERVAL)

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"taskhero {self._name} looks after stuck workers")

    async def stop(self) -> None:
        """Look no more; a second call changes nothing."""
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait([task])

    async def remove_stale(self) -> None:
        """Clean those that were silent for long, and retry their jobs if that is wanted.

        Raises:
            BackendError: The backend could not do it.
        """
        cleaned = await self._queue.sweep_workers(self._age, ours=False)
        # Jobs that other programs listed, or that could not be retried then, are looked for now and then.
        due = self._rounds % RETRY_ROUNDS == 0
        self._rounds += 1
        try:
            if self._retries and (due or any(worker.failed for worker in cleaned)):
                await self._queue.retry_stuck_jobs()
        finally:
            for worker in cleaned:
                self._emit(worker)

    def _emit(self, worker: CleanedWorker) -> None:
        failed = worker.failed
        self._emitter.emit(WorkerCleaningWorker(worker.name))
        self._emitter.emit(
            SchedulerCleanStuckWorker(
                self._name,
                worker.name,
                "" if failed is None else failed.queue,
                None if failed is None else failed.job,
                worker.silent_for,
            )
        )

    async def _run(self) -> None:
        backoff, delay, troubled = self._rest(), self.every, False
        while True:
            await asyncio.sleep(delay)
            delay = self.every
            if not self._scheduler.leader:
                if troubled:  # nothing is tried here any more that could tell that the outage is over
                    troubled = False
                    self._outage.worked(_NAME)
                continue
            try:
                await self.remove_stale()
            except Exception as error:  # noqa: BLE001 - no error ends the scheduler
                self._outage.failed(_NAME, error)
                delay, troubled = min(backoff.next(), delay), True
            else:
                troubled = False
                self._outage.worked(_NAME)
                backoff.reset()
