"""List and repair what is stored."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from taskhero.backends.memory.queue_store import slice_of
from taskhero.backends.records.inspection import (
    FAILED,
    DelayedPage,
    HeartbeatAge,
    Overview,
    RetryResult,
    StoredDelayedJob,
    WorkerEntry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskhero.backends.memory.claim_store import ClaimStore
    from taskhero.backends.memory.store import Store
    from taskhero.backends.records.inspection import FailedEntry, FailedRetry, RemoveWorkerResult, WorkerRemoval
    from taskhero.clock import Clock

__all__ = ["InspectionVerbs"]

_LOCKS = ("lock:", "workerslock:")


class InspectionVerbs:
    """The verbs that list and repair jobs, locks and workers."""

    clock: Clock
    claim_store: ClaimStore

    @abstractmethod
    def _use(self) -> Store:
        """Return the store. Raise `NotConnected` outside of its event loop."""

    @abstractmethod
    def _current_leader(self) -> str | None:
        """Return the holder of the leader lease, or None."""

    async def overview(self) -> Overview:
        """See `Backend.overview`."""
        store = self._use()
        return Overview(
            now=self.clock.now(),
            lengths={name: len(payloads) for name, payloads in sorted(store.queues.payloads.items())},
            failures={FAILED: len(store.failures)},
            processed=store.counters.get("processed", 0),
            failed=store.counters.get("failed", 0),
            leader=self._current_leader(),
            paused=self.claim_store.paused,
        )

    # delayed jobs

    async def due_times(self) -> Sequence[tuple[int, int]]:
        """See `Backend.due_times`."""
        return [(at, len(payloads)) for at, payloads in sorted(self._use().schedule.payloads.items())]

    async def delayed(self, at: int, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.delayed`."""
        return slice_of(self._use().schedule.payloads.get(at, ()), start, stop)

    async def search_delayed(
        self, containing: Sequence[str] = (), *, limit: int = 1000, after: tuple[int, int] | None = None
    ) -> DelayedPage:
        """See `Backend.search_delayed`."""
        store = self._use()
        found: list[StoredDelayedJob] = []
        for seen, (at, position, raw) in enumerate(_delayed_from(store, after or (0, 0))):
            if seen == limit:
                return DelayedPage(found, (at, position))
            if not containing or any(part in raw for part in containing):
                found.append(StoredDelayedJob(at, raw))
        return DelayedPage(found)

    async def remove_delayed(self, entries: Sequence[StoredDelayedJob]) -> Sequence[int]:
        """See `Backend.remove_delayed`."""
        schedule = self._use().schedule
        return [schedule.remove_all(entry.at, entry.raw) for entry in entries]

    # failures

    async def failed_lists(self) -> list[str]:
        """See `Backend.failed_lists`."""
        self._use()
        return [FAILED]

    async def failed_count(self, source: str = FAILED) -> int:
        """See `Backend.failed_count`."""
        return len(_failures(self._use(), source))

    async def failed(self, start: int = 0, stop: int = -1, source: str = FAILED) -> list[str]:
        """See `Backend.failed`."""
        return slice_of(_failures(self._use(), source), start, stop)

    async def remove_failed(self, entries: Sequence[FailedEntry]) -> Sequence[bool]:
        """See `Backend.remove_failed`."""
        store = self._use()
        return [store.remove_failed(entry.raw) if entry.source == FAILED else False for entry in entries]

    async def retry_failed(self, retries: Sequence[FailedRetry]) -> Sequence[RetryResult]:
        """See `Backend.retry_failed`."""
        store, now = self._use(), self.clock.now()
        return [_retry(store, retry, now) for retry in retries]

    # locks

    async def locks(self) -> dict[str, str]:
        """See `Backend.locks`."""
        store, now = self._use(), self.clock.now()
        with store.guard:
            return {key: value for key, value in store.locks.listing(now).items() if key.startswith(_LOCKS)}

    async def lifetimes(self, keys: Sequence[str]) -> dict[str, float | None]:
        """See `Backend.lifetimes`."""
        store, now = self._use(), self.clock.now()
        with store.guard:
            lifetimes = {key: store.locks.lifetime(key, now) for key in keys}
        return {key: lifetime for key, lifetime in lifetimes.items() if lifetime is not None}

    async def delete_lock(self, key: str) -> bool:
        """See `Backend.delete_lock`."""
        store, now = self._use(), self.clock.now()
        with store.guard:
            held = store.locks.get(key, now) is not None
            store.locks.free([key])
        return held

    # workers

    async def workers(self, ids: Sequence[str] | None = None) -> Sequence[WorkerEntry]:
        """See `Backend.workers`."""
        self._use()
        entries = self.claim_store.entries(self.clock.now())
        if ids is None:
            return entries
        found = {entry.id: entry for entry in entries}
        return [found.get(worker_id) or WorkerEntry(id=worker_id) for worker_id in sorted(set(ids))]

    async def heartbeat_ages(self) -> Sequence[HeartbeatAge]:
        """See `Backend.heartbeat_ages`."""
        return [HeartbeatAge(entry.id, max(0.0, -(entry.alive_for or 0.0))) for entry in await self.workers()]

    async def remove_worker(self, removal: WorkerRemoval) -> RemoveWorkerResult:
        """See `Backend.remove_worker`."""
        self._use()
        return self.claim_store.remove_worker(removal, self.clock.now())


def _delayed_from(store: Store, start: tuple[int, int]) -> Iterator[tuple[int, int, str]]:
    """Yield the delayed jobs from a due time and position on: due time, position and payload of each."""
    first, skip = start
    for at, payloads in sorted(store.schedule.payloads.items()):
        if at < first:
            continue
        for position, raw in enumerate(payloads):
            if at > first or position >= skip:
                yield at, position, raw


def _failures(store: Store, source: str) -> Sequence[str]:
    return store.failures if source == FAILED else ()


def _retry(store: Store, retry: FailedRetry, now: float) -> RetryResult:
    failed, entry = retry.failed, retry.entry
    if failed.source != FAILED or failed.raw not in store.failures:
        return RetryResult.MISSING
    if store.acquire(entry.guards, now) is not None:
        return RetryResult.NOT_STORED
    store.queues.put(entry.queue, entry.raw, front=entry.front)
    store.wakeups.signal(entry.queue)
    store.remove_failed(failed.raw)
    return RetryResult.STORED
