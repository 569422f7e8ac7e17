"""Remove stale workers: workers of other programs that have stopped sending heartbeats. The leader does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.events import SchedulerCleanStuckWorker, WorkerCleaningWorker
from taskhero.runtime.background_loop import BackgroundLoop
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


class StaleWorkers(BackgroundLoop):
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
        new_backoff: Makes the delays after errors.
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
        new_backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._age = settings.stuck_worker_timeout
        self._interval = min(self._age / 4, MAX_INTERVAL)
        super().__init__(
            self._check,
            name="removing stale workers",
            owner=name,
            outage=outage,
            backoff=new_backoff(),
            first_delay=self._interval,
            max_retry_delay=self._interval,
        )
        self._queue = queue
        self._scheduler = scheduler
        self._retries = settings.retry_stuck_jobs
        self._emitter = emitter
        self._name = name
        self._rounds = 0

    async def remove_stale(self) -> None:
        """Remove stale workers, and retry their jobs if the settings say so.

        Raises:
            BackendError: The backend failed.
        """
        cleaned = await self._queue.sweep_workers(self._age, ours=False, watched_only=True)
        # The failed list may also hold stuck jobs that other programs listed, or that an earlier retry left.
        due = self._rounds % RETRY_ROUNDS == 0
        self._rounds += 1
        try:
            if self._retries and (due or any(worker.failed for worker in cleaned)):
                await self._queue.retry_stuck_jobs()
        finally:
            for worker in cleaned:
                self._emit(worker)

    async def _check(self) -> float:
        if self._scheduler.leader:
            await self.remove_stale()
        return self._interval

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
