"""Looking at what is stored, and deleting from it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.backends.protocol import QueueLockGuard, Removal
from taskhero.engine.task.signature import is_nothing, wire_args
from taskhero.errors import InvalidQueueName, WrongType
from taskhero.models import Job
from taskhero.wire.jobs import check_queue_name, decode_job, equivalent_payloads, same_meaning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from taskhero.backends.protocol import Backend
    from taskhero.clock import Clock
    from taskhero.engine.task.task_registry import TaskRegistry
    from taskhero.hooks.scope import HookScope
    from taskhero.settings import Settings

__all__ = ["QueueBase", "QueueContext", "known_name", "position"]

#: How many entries are read at once when a queue is searched.
_PAGE = 1000


#: Farther than any list is long.
_FARTHEST = 2**53

_LOGGER = logging.getLogger("taskhero.queue")


def _nothing() -> None:
    """The check of a queue that belongs to no app."""


def _no_locks(_raw: str, _queue: str) -> tuple[str, ...]:
    return ()


@attrs.frozen(kw_only=True)
class QueueContext:
    """What a `Queue` works with.

    Attributes:
        backend: The store of jobs.
        tasks: The app's tasks.
        scope: The app-wide hooks, for jobs of tasks that the app does not declare.
        settings: The app's settings.
        clock: What tells the time that `enqueue_in` counts from.
        check: Called before each use of the backend; raises `NotConnected` if that cannot be.
        logger: Where to log.
    """

    backend: Backend
    tasks: TaskRegistry
    scope: HookScope
    settings: Settings
    clock: Clock
    check: Callable[[], None] = _nothing
    logger: logging.Logger = _LOGGER


class QueueBase:
    """The part of `Queue` that looks at what is stored, and deletes.

    Listings count from 0 and include both ends; negative positions count from the end. An entry that cannot be read
    comes back as a model with a `problem` and its raw text.
    """

    def __init__(self, context: QueueContext) -> None:
        self.context = context

    @property
    def backend(self) -> Backend:
        """The store of jobs.

        Raises:
            NotConnected: The app is not connected.
        """
        self.context.check()
        return self.context.backend

    async def queues(self) -> list[str]:
        """The names of all queues, sorted."""
        try:
            return await self.backend.queues()
        except WrongType:
            return []

    async def length(self, queue: str) -> int:
        """How many jobs the queue holds; 0 if what is there is no queue, of which `queued` tells more."""
        try:
            return await self.backend.length(known_name(queue))
        except WrongType:
            return 0

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[Job]:
        """The queue's jobs from position *start* to *stop*, the next one first."""
        first, last = position(start, "start"), position(stop, "stop")
        try:
            raws = await self.backend.queued(known_name(queue), first, last)
        except WrongType as error:
            return [Job("", [], queue, problem=str(error))]
        return [decode_job(raw, queue) for raw in raws]

    async def stats(self) -> dict[str, int]:
        """The counters: ``processed`` and ``failed``, and each with ``:<worker>``."""
        return await self.backend.stats()

    async def delete_queue(self, queue: str) -> int:
        """Forget a queue with all its jobs, and release the locks that they held (`QueueLock`).

        Jobs that are enqueued meanwhile may stay.

        Returns:
            How many jobs it held.
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
        """Delete jobs that mean the same, whoever wrote them and in whatever spelling.

        Args:
            queue: The queue.
            name: The task's name.
            args: The arguments, as for `Queue.enqueue`.
            count: 0 for all, n for the first n, -n for the last n.

        Returns:
            How many were deleted. The locks that they held (`QueueLock`) are released.
        """
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"count={count!r} is no whole number: pass 0 for all, n for the first n, -n for the last n")
        meanings = self._equivalent_payloads(name, args)
        deleted = 0
        if count == 0:
            # The usual spellings need no search.
            equivalents = (form for meant in meanings for form in _forms(name, meant, queue))
            deleted = await self._remove(known_name(queue), dict.fromkeys(equivalents, 0))
        picks: Counter[str] = Counter()
        async for raw in self._payloads(known_name(queue), from_end=count <= 0):
            if any(same_meaning(raw, name, meant) for meant in meanings):
                picks[raw] += 1
                if count and picks.total() == abs(count):
                    break
        sign = (count > 0) - (count < 0)
        return deleted + await self._remove(queue, {raw: sign * times for raw, times in picks.items()})

    async def delete_by_name(self, queue: str, name: str) -> int:
        """Delete all jobs of a task from a queue, whatever their arguments and whoever wrote them.

        Returns:
            How many were deleted. The locks that they held (`QueueLock`) are released.
        """
        picks: dict[str, int] = {}
        async for raw in self._payloads(known_name(queue), from_end=True):
            job = decode_job(raw, queue)
            if job.problem is None and job.name == name:
                picks[raw] = 0
        return await self._remove(queue, picks)

    async def _remove(self, queue: str, counts: Mapping[str, int]) -> int:
        """Remove entries by their texts, each as often as told, as `Backend.remove` counts."""
        if not counts:
            return 0
        locks_of = self._locks_of if self.context.tasks.may_hold_locks else _no_locks
        removals = [Removal(raw, count, locks_of(raw, queue)) for raw, count in counts.items()]
        return sum(await self.backend.remove(queue, removals))

    def _locks_of(self, raw: str, queue: str) -> tuple[str, ...]:
        """The locks that an entry holds because it is queued."""
        job = decode_job(raw, queue)
        if job.problem is not None:
            return ()
        try:
            guards = self.context.tasks.scope_of(job.name).guards(job)
        except Exception:
            # What cannot even tell its lock must not be impossible to delete.
            self.context.logger.exception("A plugin cannot tell the lock of a job that is deleted: %.200s", raw)
            return ()
        return tuple(guard.key for guard in guards if isinstance(guard, QueueLockGuard))

    def _equivalent_payloads(self, name: str, args: object) -> list[list[Any]]:
        """The args that mean the same: several if the task needs none."""
        meant = wire_args(args)
        task = self.context.tasks.get(name)
        if task is not None and task.signature.takes_nothing and is_nothing(meant):
            return [[], [None], [{}]]
        return [meant]

    async def _payloads(self, queue: str, *, from_end: bool) -> AsyncIterator[str]:
        """The texts of a queue, page by page.

        Others take jobs from the front meanwhile and add them at the end. Pages that are counted from the end may show
        an entry twice, but miss none.
        """
        backend = self.backend
        at = 0
        while True:
            if from_end:
                page = (await backend.queued(queue, -at - _PAGE, -at - 1))[::-1]
            else:
                page = await backend.queued(queue, at, at + _PAGE - 1)
            for raw in page:
                yield raw
            if len(page) < _PAGE:
                return
            at += _PAGE


def known_name(queue: str) -> str:
    """Return *queue* if it is a str: other programs' queues may have names that ours cannot.

    Raises:
        InvalidQueueName: It is none.
    """
    given: object = queue
    return queue if isinstance(given, str) else check_queue_name(queue)


def _forms(name: str, args: list[Any], queue: str) -> tuple[str, ...]:
    """The usual spellings of a job, if we could write it."""
    try:
        check_queue_name(queue)
    except InvalidQueueName:
        return ()
    return equivalent_payloads(name, args, queue)


def position(given: object, what: str) -> int:
    """A place in a list; beyond what any list can hold, it is the place beyond."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{what}={given!r} is no position: pass a whole number; 0 is the first, -1 the last")
    return max(-_FARTHEST, min(given, _FARTHEST))
