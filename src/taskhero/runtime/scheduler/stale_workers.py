"""Remove stale workers: workers of other programs that have stopped sending heartbeats. The leader does it."""

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

#: Maximum number of seconds between two checks.
MAX_INTERVAL = 30.0
#: Number of checks between two searches of the failed list for stuck jobs that other programs listed.
RETRY_ROUNDS = 20

_NAME = "removing stale workers"


class StaleWorkers:
    """Removes other programs' workers without a heartbeat for `Settings.stuck_worker_timeout`, while it leads.

    Their jobs are listed as failed, and retried if `Settings.retry_stuck_jobs` is set. The heartbeat age of another
    program's worker is known only from repeated checks. Workers of taskhero are not removed here: a rescuer returns
    their jobs to the queue.

    Args:
        queue: Removes the workers and retries their jobs.
        scheduler: Its `leader` says whether this process leads.
        settings: The heartbeat age in seconds, and whether to retry.
        emitter: Receives an event for each worker.
        name: The scheduler's name.
        outage: Records failures and recoveries of the backend.
        rest: Makes the delays after errors.
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
        """Return the number of seconds between two checks."""
        return min(self._age / 4, MAX_INTERVAL)

    def start(self) -> None:
        """Start the checks."""
        self._task = asyncio.create_task(self._run(), name=f"taskhero {self._name} removes stale workers")

    async def stop(self) -> None:
        """Stop the checks. A second call changes nothing."""
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait([task])

    async def remove_stale(self) -> None:
        """Remove stale workers, and retry their jobs if the settings say so.

        Raises:
            BackendError: The backend failed.
        """
        cleaned = await self._queue.sweep_workers(self._age, ours=False)
        # The failed list may also hold stuck jobs that other programs listed, or that an earlier retry left.
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
        backoff, delay, failing = self._rest(), self.every, False
        while True:
            await asyncio.sleep(delay)
            delay = self.every
            if not self._scheduler.leader:
                if failing:  # a follower makes no requests here, so it cannot notice the recovery
                    failing = False
                    self._outage.worked(_NAME)
                continue
            try:
                await self.remove_stale()
            except Exception as error:  # noqa: BLE001 - no error ends the scheduler
                self._outage.failed(_NAME, error)
                delay, failing = min(backoff.next(), delay), True
            else:
                failing = False
                self._outage.worked(_NAME)
                backoff.reset()
