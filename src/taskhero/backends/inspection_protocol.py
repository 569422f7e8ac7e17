"""The part of the contract that serves those who look and mend; the rules are those of `taskhero.backends.protocol`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from taskhero.backends.records.inspection import FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskhero.backends.records.inspection import (
        DelayedEntry,
        DelayedPage,
        FailedEntry,
        FailedRetry,
        HeartbeatAge,
        Overview,
        WorkerEntry,
        WorkerRemoval,
    )

__all__ = ["Inspectable"]


class Inspectable(Protocol):
    """A store into which people look."""

    # all at once

    async def overview(self) -> Overview:
        """Lengths of queues and of failures, totals of the counters, the leader and the time, all of one instant.

        What cannot be read is None, or 0 for a counter.
        """
        ...

    # what is delayed

    async def due_times(self) -> Sequence[tuple[int, int]]:
        """The unix seconds to which jobs are delayed, the earliest first, each with how many.

        What is no whole second is left out, and so is a second whose jobs cannot be read.
        """
        ...

    async def delayed(self, at: int, start: int = 0, stop: int = -1) -> list[str]:
        """The texts that are delayed to a second, in the order stored, from position *start* to *stop* as for `queued`.

        There are none for a second to which nothing is delayed.
        """
        ...

    async def search_delayed(
        self, containing: Sequence[str] = (), *, limit: int = 1000, after: tuple[int, int] | None = None
    ) -> DelayedPage:
        """A page of what is delayed, by moment and then in the order stored.

        At most *limit* texts are looked at, so a page may be empty and yet not be the last. With *containing*, those
        that hold none of these strings are left out. A moment that cannot be read is passed over.
        """
        ...

    async def remove_delayed(self, entries: Sequence[DelayedEntry]) -> Sequence[int]:
        """Remove all copies of these texts from their seconds; the answer says for each how many there were.

        Each is one atomic step. A second from which the last job went is known no more.
        """
        ...

    # failures

    async def failed_lists(self) -> list[str]:
        """Names of the lists of failures: ``failed``, then those that other programs keep besides, sorted."""
        ...

    async def failed_count(self, source: str = FAILED) -> int:
        """How many entries a list of failures holds."""
        ...

    async def failed(self, start: int = 0, stop: int = -1, source: str = FAILED) -> list[str]:
        """The texts of a list of failures, oldest first, from position *start* to *stop* as for `queued`."""
        ...

    async def remove_failed(self, entries: Sequence[FailedEntry]) -> Sequence[bool]:
        """Remove one entry of each of these texts, the youngest; the answer says for each whether there was one.

        Each is one atomic step, in the order given.
        """
        ...

    async def retry_failed(self, retries: Sequence[FailedRetry]) -> Sequence[str]:
        """Store jobs that failed, and take them from the failures; the answer is a `RetryResult` for each.

        Each is one atomic step, in the order given: the youngest entry of the failure's text goes and the job is
        stored as by `push`, or nothing is done. So of two that try the same again, one does.
        """
        ...

    # locks

    async def locks(self) -> dict[str, str]:
        """The locks of queued and of running jobs whose names begin with ``lock:`` or ``workerslock:``, with values.

        A value that is no text is told in words.
        """
        ...

    async def lifetimes(self, keys: Sequence[str]) -> Mapping[str, float | None]:
        """For how many seconds these locks exist, unless they are renewed or released; None for one without end.

        A lock that does not exist is left out.
        """
        ...

    async def delete_lock(self, key: str) -> bool:
        """Free a lock, whoever holds it; False if it was free."""
        ...

    # workers

    async def workers(self, ids: Sequence[str] | None = None) -> Sequence[WorkerEntry]:
        """What stands in the store of all workers in view, sorted by id, or of those with these ids, in view or not.

        The text under a worker's name begins as `taskhero.wire.workers.working_head` writes it, if it is taskhero's.
        What cannot be read is told in `problems`.
        """
        ...

    async def heartbeat_ages(self) -> Sequence[HeartbeatAge]:
        """For how long each worker in view has given no sign of life, sorted by id.

        A worker of taskhero's is silent from the end of its process's lease on, by the backend's clock. Another
        program's is silent from the first call on that saw all that stands of it now, in whatever process that call was
        made: no clock but the backend's own counts. Of a worker whose process has no lease nothing is said.
        """
        ...

    async def remove_worker(self, removal: WorkerRemoval) -> str:
        """Take a worker from view with all that stands under its name; the answer is a `RemoveWorkerResult`.

        It is one atomic step. If it held a job, the failure is listed and counted in it; what it did not hold is not.
        Nothing is done if it holds something else than was seen, or if it was not silent for as long as asked.
        """
        ...
