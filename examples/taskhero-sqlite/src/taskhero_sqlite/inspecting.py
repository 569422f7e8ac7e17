"""The verbs of those who look and mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.records.inspection import FAILED
from taskhero_sqlite import failures, leading, locks, queues, schedule, workers
from taskhero_sqlite.base import Connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Removal
    from taskhero.backends.records.inspection import (
        DelayedPage,
        FailedEntry,
        FailedRetry,
        HeartbeatAge,
        Overview,
        RemoveWorkerResult,
        RetryResult,
        StoredDelayedJob,
        WorkerEntry,
        WorkerRemoval,
    )

__all__ = ["InspectionVerbs"]


class InspectionVerbs(Connected):
    """Looking at what is stored, and mending it."""

    async def overview(self) -> Overview:
        """See `Backend.overview`."""
        return await self._ask(leading.overview)

    # queues

    async def queues(self) -> list[str]:
        """See `Backend.queues`."""
        return await self._ask(queues.queues)

    async def length(self, queue: str) -> int:
        """See `Backend.length`."""
        return await self._ask(queues.length_of, queue)

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.queued`."""
        return await self._ask(queues.queued, queue, start, stop)

    async def remove(self, queue: str, removals: Sequence[Removal]) -> Sequence[int]:
        """See `Backend.remove`."""
        return await self._do(queues.remove, queue, removals)

    async def delete_queue(self, queue: str, *, only_if_empty: bool = False) -> int:
        """See `Backend.delete_queue`."""
        return await self._do(queues.delete_queue, queue, only_if_empty=only_if_empty)

    async def stats(self) -> dict[str, int]:
        """See `Backend.stats`."""
        return await self._ask(leading.stats)

    # what is delayed

    async def due_times(self) -> Sequence[tuple[int, int]]:
        """See `Backend.due_times`."""
        return await self._ask(schedule.due_times)

    async def delayed(self, at: int, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.delayed`."""
        return await self._ask(schedule.delayed, at, start, stop)

    async def search_delayed(
        self, containing: Sequence[str] = (), *, limit: int = 1000, after: tuple[int, int] | None = None
    ) -> DelayedPage:
        """See `Backend.search_delayed`."""
        return await self._ask(schedule.search_delayed, containing, limit=limit, after=after)

    async def remove_delayed(self, entries: Sequence[StoredDelayedJob]) -> Sequence[int]:
        """See `Backend.remove_delayed`."""
        return await self._do(schedule.remove_delayed, entries)

    # failures

    async def failed_lists(self) -> list[str]:
        """See `Backend.failed_lists`."""
        self._here()
        return [FAILED]

    async def failed_count(self, source: str = FAILED) -> int:
        """See `Backend.failed_count`."""
        return await self._ask(failures.failed_count, source)

    async def failed(self, start: int = 0, stop: int = -1, source: str = FAILED) -> list[str]:
        """See `Backend.failed`."""
        return await self._ask(failures.failed, start, stop, source)

    async def remove_failed(self, entries: Sequence[FailedEntry]) -> Sequence[bool]:
        """See `Backend.remove_failed`."""
        return await self._do(failures.remove_failed, entries)

    async def retry_failed(self, retries: Sequence[FailedRetry]) -> Sequence[RetryResult]:
        """See `Backend.retry_failed`."""
        return await self._do(failures.retry_failed, retries)

    # locks

    async def locks(self) -> dict[str, str]:
        """See `Backend.locks`."""
        return await self._ask(locks.locks)

    async def lifetimes(self, keys: Sequence[str]) -> dict[str, float | None]:
        """See `Backend.lifetimes`."""
        return await self._ask(locks.lifetimes, keys)

    async def delete_lock(self, key: str) -> bool:
        """See `Backend.delete_lock`."""
        return await self._do(locks.delete_lock, key)

    # workers

    async def workers(self, ids: Sequence[str] | None = None) -> Sequence[WorkerEntry]:
        """See `Backend.workers`."""
        return await self._ask(workers.workers, ids)

    async def heartbeat_ages(self) -> Sequence[HeartbeatAge]:
        """See `Backend.heartbeat_ages`."""
        return await self._ask(workers.heartbeat_ages)

    async def remove_worker(self, removal: WorkerRemoval) -> RemoveWorkerResult:
        """See `Backend.remove_worker`."""
        return await self._do(workers.remove_worker, removal)
