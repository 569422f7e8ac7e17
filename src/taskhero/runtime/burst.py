"""Noticing that the queues are empty and nothing runs any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from taskhero.errors import BackendError, BackendRefused
from taskhero.runtime.events import WorkerJob, WorkerPause
from taskhero.runtime.queue_names import STAR

if TYPE_CHECKING:
    from taskhero.runtime.service import Service

__all__ = ["Burst"]

#: Seconds between two looks, should a multi-worker of somebody else's not say that it has nothing to do.
LOOK = 1.0


class Burst:
    """Tells when an app's process has emptied its queues. It is made before the app starts.

    Args:
        app: The app.
    """

    def __init__(self, app: Service) -> None:
        self._app = app
        self._begun = 0
        self._paused = asyncio.Event()
        app.on(WorkerJob, self._on_job)
        app.on(WorkerPause, self._on_pause)

    def _on_job(self, _event: WorkerJob) -> None:
        self._begun += 1

    def _on_pause(self, _event: WorkerPause) -> None:
        self._paused.set()

    async def emptied(self) -> None:
        """Wait until all queues that are worked here are empty and no job of this process runs.

        Delayed jobs are not waited for, nor are those that run in other processes. A process that is paused waits until
        it is resumed.
        """
        multi_worker = self._app.multi_worker
        while multi_worker is not None and not await self._is_empty(multi_worker):
            self._paused.clear()
            try:
                async with asyncio.timeout(LOOK):
                    await self._paused.wait()
            except TimeoutError:
                continue

    async def _is_empty(self, multi_worker: Any) -> bool:
        begun = self._begun
        if self._works(multi_worker) or multi_worker.paused:
            return False
        try:
            if await self._waiting(multi_worker.process.queues):
                return False
            # What was claimed meanwhile stands under this process's name, even if it does not know yet.
            held = (await self._app.backend.claims(multi_worker.process)).claims
        except BackendError:
            return False
        return not held and begun == self._begun and not self._works(multi_worker)

    def _works(self, multi_worker: Any) -> bool:
        return any(worker.claim is not None for worker in multi_worker.workers)

    async def _waiting(self, queues: tuple[str, ...]) -> bool:
        backend = self._app.backend
        for name in await backend.queues() if STAR in queues else queues:
            try:
                if await backend.length(name):
                    return True
            except BackendRefused:
                # It is no queue at all, so nothing of it will ever be worked.
                continue
        return False
