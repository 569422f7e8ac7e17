"""The verbs for inspection and repair; the rules of `taskhero.backends.protocol` apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from taskhero.backends.records.inspection import FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskhero.backends.records.entries import Removal
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

__all__ = ["Inspectable"]


class Inspectable(Protocol):
    """Verbs that list, count, remove and retry what a backend stores."""

    # totals

    async def overview(self) -> Overview:
        """Return queue lengths, failed list lengths, counter totals, leader and time, all of one instant.

        A value that cannot be read is None, or 0 for a counter.
        """
        ...

    # queues

    async def queues(self) -> list[str]:
        """Return the names of all known queues, sorted.

        An empty queue stays known.
        """
        ...

    async def length(self, queue: str) -> int:
        """Return the number of jobs in the queue, 0 if the queue is unknown."""
        ...

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[str]:
        """Return the payloads from position *start* to *stop*, both included.

        Positions count from 0, negative ones from the end.
        """
        ...

    async def remove(self, queue: str, removals: Sequence[Removal]) -> Sequence[int]:
        """Remove entries by their exact payloads.

        Each removal is one atomic step, together with the locks that it releases. These locks are released, whatever
        their owner, if an entry was removed and none with its payload is left.

        Returns:
            For each removal the number of entries that it removed.
        """
        ...

    async def delete_queue(self, queue: str, *, only_if_empty: bool = False) -> int:
        """Delete the queue and all its jobs, and return their number.

        With *only_if_empty*, a queue that holds jobs or cannot be read does not change, and the result is 0.
        """
        ...

    async def stats(self) -> dict[str, int]:
        """Return all counters: ``processed``, ``failed``, and each of them with ``:<worker>``.

        A counter that is not a number is omitted.
        """
        ...

    # delayed jobs

    async def due_times(self) -> Sequence[tuple[int, int]]:
        """Return the Unix seconds to which jobs are delayed, earliest first, each with its number of jobs.

        Due times that are not whole seconds are omitted, and so are seconds whose jobs cannot be read.
        """
        ...

    async def delayed(self, at: int, start: int = 0, stop: int = -1) -> list[str]:
        """Return the payloads that are delayed to the second *at*, in the order stored.

        Positions from *start* to *stop* are those of `queued`. The list is empty if nothing is delayed to that second.
        """
        ...

    async def search_delayed(
        self, containing: Sequence[str] = (), *, limit: int = 1000, after: tuple[int, int] | None = None
    ) -> DelayedPage:
        """Return a page of delayed jobs, by due time and then in the order stored.

        The step examines at most *limit* payloads, so a page may be empty without being the last. With *containing*,
        payloads that contain none of these strings are omitted. A due time that cannot be read is skipped.
        """
        ...

    async def remove_delayed(self, entries: Sequence[StoredDelayedJob]) -> Sequence[int]:
        """Remove all copies of these payloads from their seconds, and return for each the number of copies.

        Each entry is one atomic step. A second is no longer listed after its last job is removed.
        """
        ...

    # failed lists

    async def failed_lists(self) -> list[str]:
        """Return the names of the failed lists: ``failed``, then those of other programs, sorted."""
        ...

    async def failed_count(self, source: str = FAILED) -> int:
        """Return the number of entries in a failed list."""
        ...

    async def failed(self, start: int = 0, stop: int = -1, source: str = FAILED) -> list[str]:
        """Return the entries of a failed list, oldest first, from position *start* to *stop* as for `queued`."""
        ...

    async def remove_failed(self, entries: Sequence[FailedEntry]) -> Sequence[bool]:
        """Remove the newest copy of each of these entries, and return for each whether there was one.

        Each entry is one atomic step, in the order given.
        """
        ...

    async def retry_failed(self, retries: Sequence[FailedRetry]) -> Sequence[RetryResult]:
        """Store failed jobs again, remove their entries, and return a `RetryResult` for each.

        Each retry is one atomic step, in the order given. It removes the newest copy of the entry and stores the job as
        `push` does, or changes nothing. Of two calls that retry the same entry, one succeeds.
        """
        ...

    # locks

    async def locks(self) -> dict[str, str]:
        """Return the queue locks and job locks whose names begin with ``lock:`` or ``workerslock:``, with their values.

        A value that is not a string is described in words.
        """
        ...

    async def lifetimes(self, keys: Sequence[str]) -> Mapping[str, float | None]:
        """Return the seconds until each of these locks expires.

        The value is None for a lock that does not expire. A lock that does not exist is omitted.
        """
        ...

    async def delete_lock(self, key: str) -> bool:
        """Delete a lock, whatever its owner, and return False if it was free."""
        ...

    # workers

    async def workers(self, ids: Sequence[str] | None = None) -> Sequence[WorkerEntry]:
        """Return the stored data of all registered workers, sorted by id.

        With *ids*, return the data of these workers, registered or not. What taskhero stores under a worker's name
        begins as `taskhero.wire.workers.working_head` writes it. `problems` lists what cannot be read.
        """
        ...

    async def heartbeat_ages(self) -> Sequence[HeartbeatAge]:
        """Return the heartbeat age of each registered worker, in seconds, sorted by id.

        The age of a taskhero worker counts from the end of its process's lease, by the backend's clock. The age of
        another program's worker counts from the first call that saw its present data. That call may come from any
        process, and only the backend's clock counts. A taskhero worker whose process has no lease is omitted.
        `changed` is true from the first call that saw other data of another program's worker than an earlier call.
        """
        ...

    async def remove_worker(self, removal: WorkerRemoval) -> RemoveWorkerResult:
        """Remove a worker with all data under its name, and return a `RemoveWorkerResult`.

        The removal is one atomic step. If the worker held a job, that step lists and counts its failure. A job that the
        worker did not hold is not listed. Nothing changes if the worker holds something other than `seen`, or if its
        heartbeat age is below the given one. With `unchanged`, nothing changes either if another program's worker has
        other data than the first call of `heartbeat_ages` saw.
        """
        ...
