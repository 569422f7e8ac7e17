"""Looking at failures, trying them again, and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

import attrs

from taskhero.backends.protocol import Entry
from taskhero.backends.records.inspection import FAILED, FailedEntry, FailedRetry, RetryResult
from taskhero.engine.queue.base import QueueBase, position
from taskhero.engine.time.instants import duration_of
from taskhero.errors import CannotRetry, InvalidArguments, InvalidQueueName, NotInFailures, Undecodable, WrongType
from taskhero.hooks.contexts import EnqueueContext
from taskhero.models import FailedJob, Job, MendedJob
from taskhero.wire.failures import decode_failure, retry_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta
    from typing import Unpack

__all__ = ["FailedFilter", "FailedJobs", "FailedWhere"]

#: How many failures are read at once.
_PAGE: Final = 1000
#: How many are mended in one step.
_BATCH: Final = 50

_REFUSED: Final = "a plugin does not let it be stored, or its queue cannot take it"


class FailedWhere(TypedDict, total=False):
    """Which failures are meant, as keyword arguments; all that are given must hold. See `FailedFilter`."""

    queue: str | None
    task: str | None
    exception: str | None
    older_than: timedelta | float | None
    younger_than: timedelta | float | None
    source: str | None


@attrs.frozen(kw_only=True)
class FailedFilter:
    """Which failures are meant; all that is given must hold.

    Attributes:
        queue: The queue they came from.
        task: The task's name.
        exception: The exception's class, with or without what stands before its last dot or ``::``.
        older_than: They failed longer ago than this, in seconds or as a timedelta.
        younger_than: They failed less long ago.
        source: The list in which they stand; None for all lists.

    Raises:
        InvalidMoment: A duration is none.
    """

    queue: str | None = None
    task: str | None = None
    exception: str | None = None
    older_than: timedelta | float | None = None
    younger_than: timedelta | float | None = None
    source: str | None = None

    def __attrs_post_init__(self) -> None:
        for what in ("older_than", "younger_than"):
            if getattr(self, what) is not None:
                duration_of(getattr(self, what), what)

    def fits(self, failed: FailedJob, now: float) -> bool:
        """Whether *failed* is meant, at the unix second *now*; one without a date has no age."""
        if self.queue not in {None, failed.queue} or self.task not in {None, failed.job.name}:
            return False
        if self.exception not in {None, failed.exception, _last_part(failed.exception)}:
            return False
        if self.older_than is None and self.younger_than is None:
            return True
        if failed.failed_at is None:
            return False
        age = now - failed.failed_at.timestamp()
        if self.older_than is not None and age <= duration_of(self.older_than, "older_than"):
            return False
        return self.younger_than is None or age < duration_of(self.younger_than, "younger_than")


class FailedJobs(QueueBase):
    """The part of `Queue` that looks at failures and mends them.

    An entry is named by its exact text, whoever wrote it. Ruby Resque may keep lists of their own for the failures of
    single queues, ``<queue>_failed``: `FailedJob.source` tells in which list an entry stands.
    """

    async def failed_lists(self) -> list[str]:
        """The lists of failures: ``failed``, then those of Ruby's for single queues, sorted."""
        return await self.backend.failed_lists()

    async def failed_count(self, source: str = FAILED) -> int:
        """How many failures a list holds; 0 if what is there is no list, of which `failed` tells more."""
        try:
            return await self.backend.failed_count(_list(source))
        except WrongType:
            return 0

    async def failed(self, start: int = 0, stop: int = -1, source: str = FAILED) -> list[FailedJob]:
        """The failures of a list from position *start* to *stop*, the oldest first."""
        first, last = position(start, "start"), position(stop, "stop")
        try:
            raws = await self.backend.failed(first, last, _list(source))
        except WrongType as error:
            job = Job("", [], "", problem=str(error))
            return [FailedJob(job=job, queue="", source=source, problem=str(error))]
        return [decode_failure(raw, source) for raw in raws]

    async def remove_failed(self, failed: FailedJob) -> int:
        """Remove a failure: exactly this entry, of several with the same text the youngest.

        Returns:
            1, or 0 if it is not there (any more).
        """
        return int((await self.backend.remove_failed([_entry(failed)]))[0])

    async def retry_and_remove_failed(self, failed: FailedJob) -> bool:
        """Store a failed job at the end of its queue, and remove the failure, in one atomic step.

        The hooks around enqueueing run as for `Queue.enqueue`.

        Returns:
            True if it was stored; False if a plugin refused it, then the failure stays.

        Raises:
            NotInFailures: The failure is not there any more: somebody else retried or removed it. Nothing was stored.
            CannotRetry: It holds no job that could be stored; it stays.
        """
        (mended,) = await self._retry([failed], strict=True)
        if mended.outcome == "gone":
            raise NotInFailures(
                f"this failure of {failed.job.name!r} is not in {failed.source!r} any more: somebody else retried or "
                "removed it; look at the failures anew"
            )
        return mended.done

    async def each_failed(self, **where: Unpack[FailedWhere]) -> AsyncIterator[FailedJob]:
        """All failures that are meant: ``async for failed in app.queue.each_failed(task="add", older_than=3600)``.

        Args:
            where: What must hold of them, see `FailedFilter`; all failures of all lists if nothing is given.
        """
        async for _, page in self._pages(FailedFilter(**where)):
            for failed in page.values():
                yield failed

    async def retry_all_failed(self, **where: Unpack[FailedWhere]) -> AsyncIterator[MendedJob]:
        """Retry all failures that are meant, a few dozen in one step, and tell what became of each.

        Only those that are there at the start are looked at, so that what fails again is not retried again. ::

            async for mended in app.queue.retry_all_failed(exception="ConnectionError", younger_than=3600):
                print(f"{mended.looked} of {mended.total}: {mended.failed.job.name} {mended.outcome}")

        Args:
            where: Which are meant, see `FailedFilter`.
        """
        async for mended in self._apply(FailedFilter(**where), retry=True):
            yield mended

    async def remove_all_failed(self, **where: Unpack[FailedWhere]) -> AsyncIterator[MendedJob]:
        """Remove all failures that are meant; else as `retry_all_failed`."""
        async for mended in self._apply(FailedFilter(**where), retry=False):
            yield mended

    # how

    async def _apply(self, where: FailedFilter, *, retry: bool) -> AsyncIterator[MendedJob]:
        async for total, page in self._pages(where):
            places = list(page)
            for start in range(0, len(places), _BATCH):
                some = places[start : start + _BATCH]
                batch = [page[place] for place in some]
                mended = await self._retry(batch) if retry else await self._discard(batch)
                for place, each in zip(some, mended, strict=True):
                    yield attrs.evolve(each, looked=place, total=total)

    async def _pages(self, where: FailedFilter) -> AsyncIterator[tuple[int, dict[int, FailedJob]]]:
        """What is meant, page by page: how many are looked at in all, and those of the page, each with its number.

        The last page comes first: what is removed from it, or appended meanwhile, moves none of those before it.
        """
        backend, now = self.backend, self.context.clock.now()
        sources = await backend.failed_lists() if where.source is None else [_list(where.source)]
        counts = {source: await self.failed_count(source) for source in sources}
        looked, total = 0, sum(counts.values())
        for source, count in counts.items():
            for stop in range(count, 0, -_PAGE):
                start = max(stop - _PAGE, 0)
                entries = [decode_failure(raw, source) for raw in await backend.failed(start, stop - 1, source)]
                numbered = enumerate(entries, looked + 1)
                yield total, {place: failed for place, failed in numbered if where.fits(failed, now)}
                looked += stop - start

    async def _discard(self, batch: Sequence[FailedJob]) -> list[MendedJob]:
        removed = await self.backend.remove_failed([_entry(failed) for failed in batch])
        return [
            MendedJob(failed=failed, outcome="removed" if was_there else "gone")
            for failed, was_there in zip(batch, removed, strict=True)
        ]

    async def _retry(self, batch: Sequence[FailedJob], *, strict: bool = False) -> list[MendedJob]:
        """Retry failures in one step; if *strict*, what a plugin raises and what is no job is raised."""
        mended: list[MendedJob | None] = []
        ready: list[tuple[FailedRetry, Job, EnqueueContext]] = []
        for failed in batch:
            try:
                prepared = await self._prepare(failed)
            except CannotRetry as error:
                if strict:
                    raise
                mended.append(MendedJob(failed=failed, outcome="impossible", reason=str(error)))
                continue
            except Exception as error:
                if strict:
                    raise
                self.context.logger.exception("A plugin failed when a job was to be retried: %.200s", failed.job.raw)
                mended.append(MendedJob(failed=failed, outcome="refused", reason=f"{type(error).__name__}: {error}"))
                continue
            if prepared is None:
                mended.append(MendedJob(failed=failed, outcome="refused", reason=_REFUSED))
            else:
                mended.append(None)
                ready.append(prepared)
        answers = await self.backend.retry_failed([retry for retry, _, _ in ready]) if ready else ()
        became = iter(zip(ready, answers, strict=True))
        results: list[MendedJob] = []
        for failed, known in zip(batch, mended, strict=True):
            if known is not None:
                results.append(known)
                continue
            (_, job, context), answer = next(became)
            if answer == RetryResult.STORED:
                await self.context.tasks.scope_of(job.name).after_enqueue(job, context)
            results.append(_became(failed, answer))
        return results

    async def _prepare(self, failed: FailedJob) -> tuple[FailedRetry, Job, EnqueueContext] | None:
        """What stores a failed job again, or None if a plugin does not want it."""
        entry = _entry(failed)
        try:
            raw = retry_text(failed)
        except (Undecodable, InvalidArguments, InvalidQueueName) as error:
            raise CannotRetry(
                f"this failure holds no job that can be stored again: {error}; remove it, or enqueue the job anew"
            ) from error
        job = attrs.evolve(failed.job, queue=failed.queue, raw=raw)
        context = EnqueueContext(task_name=job.name, queue=job.queue, at=None, logger=self.context.logger)
        scope = self.context.tasks.scope_of(job.name)
        if scope.enqueues and not await scope.before_enqueue(job, context):
            return None
        guards = scope.guards(job) if scope.enqueues else ()
        return FailedRetry(entry, Entry(job.queue, raw, guards=guards)), job, context


def _became(failed: FailedJob, answer: str) -> MendedJob:
    if answer == RetryResult.STORED:
        return MendedJob(failed=failed, outcome="retried")
    if answer == RetryResult.NOT_STORED:
        return MendedJob(failed=failed, outcome="refused", reason=_REFUSED)
    return MendedJob(failed=failed, outcome="gone")


def _entry(failed: object) -> FailedEntry:
    if not isinstance(failed, FailedJob):
        raise TypeError(f"{failed!r} is no failure: pass what app.queue.failed() gave")
    return FailedEntry(failed.raw, _list(failed.source))


def _list(source: object) -> str:
    if not isinstance(source, str) or (source != FAILED and not source.endswith("_failed")):
        raise NotInFailures(f"source={source!r} is no list of failures: pass 'failed', or a name of failed_lists()")
    return source


def _last_part(exception: str) -> str:
    return exception.replace("::", ".").rpartition(".")[2]
