"""Inspect queues, and delete jobs from them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from taskhero.backends.protocol import QueueLockGuard, Removal
from taskhero.engine.queue.part import QueuePart, known_name, position
from taskhero.errors import InvalidQueueName, WrongType
from taskhero.models import Job
from taskhero.wire.jobs import check_queue_name, decode_job, equivalent_payloads, same_meaning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["QueuedJobs"]

#: Number of entries that one request reads when a queue is searched.
_PAGE = 1000


def _no_locks(_raw: str, _queue: str) -> tuple[str, ...]:
    return ()


class QueuedJobs(QueuePart):
    """The part of `Queue` that inspects queues and deletes jobs from them."""

    async def queues(self) -> list[str]:
        """Return the names of all queues, sorted."""
        try:
            return await self.backend.queues()
        except WrongType:
            return []

    async def length(self, queue: str) -> int:
        """Return the number of jobs in the queue, or 0 if its key is not a list. `queued` reports that error."""
        try:
            return await self.backend.length(known_name(queue))
        except WrongType:
            return 0

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[Job]:
        """Return the queue's jobs from position *start* to *stop*, the next one first."""
        first, last = position(start, "start"), position(stop, "stop")
        try:
            raws = await self.backend.queued(known_name(queue), first, last)
        except WrongType as error:
            return [Job("", [], queue, problem=str(error))]
        return [decode_job(raw, queue) for raw in raws]

    async def stats(self) -> dict[str, int]:
        """Return the counters ``processed`` and ``failed``, in total and for each worker (``processed:<worker>``)."""
        return await self.backend.stats()

    async def delete_queue(self, queue: str) -> int:
        """Delete a queue with all its jobs, and release the locks that they held (`QueueLock`).

        Jobs that are enqueued during the call may stay.

        Returns:
            The number of jobs that were deleted.
        """
        backend = self.backend
        if not self.context.tasks.may_hold_locks:
            return await backend.delete_queue(known_name(queue))
        deleted, left = 0, await backend.length(known_name(queue))
        while left > 0 and (raws := await backend.queued(queue, 0, _PAGE - 1)):
            left -= len(raws)
            deleted += await self._remove(queue, Counter(raws))
        return deleted + await backend.delete_queue(queue, only_if_empty=True)

    async def delete(self, queue: str, name: str, args: object = (), count: int = 0) -> int:
        """Delete jobs of a task with equal arguments. Payloads of other programs match if they are equivalent.

        Args:
            queue: The queue.
            name: The task's name.
            args: The arguments, as for `Queue.enqueue`.
            count: 0 for all, n for the first n, -n for the last n.

        Returns:
            The number of deleted jobs. The locks that they held (`QueueLock`) are released.
        """
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"count={count!r} is not an int: pass 0 for all, n for the first n, -n for the last n")
        args_forms = self._args_forms(name, args)
        deleted = 0
        if count == 0:
            # The usual payloads can be removed without a search.
            payloads = (payload for form in args_forms for payload in _usual_payloads(name, form, queue))
            deleted = await self._remove(known_name(queue), dict.fromkeys(payloads, 0))
        matches: Counter[str] = Counter()
        async for raw in self._payloads(known_name(queue), from_end=count <= 0):
            if any(same_meaning(raw, name, form) for form in args_forms):
                matches[raw] += 1
                if count and matches.total() == abs(count):
                    break
        sign = (count > 0) - (count < 0)
        return deleted + await self._remove(queue, {raw: sign * times for raw, times in matches.items()})

    async def delete_by_name(self, queue: str, name: str) -> int:
        """Delete all jobs of a task from a queue, with any arguments and from any program.

        Returns:
            The number of deleted jobs. The locks that they held (`QueueLock`) are released.
        """
        matches: dict[str, int] = {}
        async for raw in self._payloads(known_name(queue), from_end=True):
            job = decode_job(raw, queue)
            if job.problem is None and job.name == name:
                matches[raw] = 0
        return await self._remove(queue, matches)

    async def _remove(self, queue: str, counts: Mapping[str, int]) -> int:
        """Remove entries by payload; the counts have the meaning of `Backend.remove`."""
        if not counts:
            return 0
        locks_of = self._locks_of if self.context.tasks.may_hold_locks else _no_locks
        removals = [Removal(raw, count, locks_of(raw, queue)) for raw, count in counts.items()]
        return sum(await self.backend.remove(queue, removals))

    def _locks_of(self, raw: str, queue: str) -> tuple[str, ...]:
        """Return the locks that an entry holds while it is queued."""
        job = decode_job(raw, queue)
        if job.problem is not None:
            return ()
        try:
            guards = self.context.tasks.scope_of(job.name).guards(job)
        except Exception:
            # A failing plugin must not make its jobs impossible to delete.
            self.context.logger.exception(
                "A plugin failed to return the locks of a deleted job of %r in queue %r: they stay until they expire",
                job.name,
                queue,
            )
            return ()
        return tuple(guard.key for guard in guards if isinstance(guard, QueueLockGuard))

    async def _payloads(self, queue: str, *, from_end: bool) -> AsyncIterator[str]:
        """Yield the payloads of a queue, read page by page.

        Other processes take jobs from the front and append jobs at the end during the call. Pages that are counted
        from the end may yield an entry twice, but miss none.
        """
        backend = self.backend
        offset = 0
        while True:
            if from_end:
                page = (await backend.queued(queue, -offset - _PAGE, -offset - 1))[::-1]
            else:
                page = await backend.queued(queue, offset, offset + _PAGE - 1)
            for raw in page:
                yield raw
            if len(page) < _PAGE:
                return
            offset += _PAGE


def _usual_payloads(name: str, args: list[Any], queue: str) -> tuple[str, ...]:
    """Return the usual payloads of a job, or none if taskhero cannot write to this queue."""
    try:
        check_queue_name(queue)
    except InvalidQueueName:
        return ()
    return equivalent_payloads(name, args, queue)
