"""Inspect failed jobs, retry and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

import attrs

from taskhero._internal.suggestions import suggestion
from taskhero.backends.protocol import Entry
from taskhero.backends.records.inspection import FAILED, FailedEntry, FailedRetry, RetryResult
from taskhero.engine.queue.part import QueuePart, position, storing
from taskhero.engine.time.instants import duration_of
from taskhero.errors import CannotRetry, InvalidArguments, InvalidQueueName, NotInFailures, Undecodable, WrongType
from taskhero.models import FailedJob, FailedJobOutcome, FailedJobResult, Job
from taskhero.wire.failures import STUCK_MARK, decode_failure, retry_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta
    from typing import Unpack

    from taskhero.engine.queue.admission import Admitted

__all__ = ["FailedFilter", "FailedJobs", "FailedWhere"]

#: Number of failed jobs that one request reads.
_PAGE: Final = 1000
#: Number of failed jobs that one step retries or removes.
_BATCH: Final = 50

_NOT_STORED: Final = "a plugin refuses it, a guard does not hold, or the key of its queue is not a list"


class FailedWhere(TypedDict, total=False):
    """Conditions on failed jobs, the only definition of them. All given conditions must hold. None is no condition.

    Attributes:
        queue: The queue of the job.
        task: The task's name.
        exception: The exception's class, with or without its prefix up to the last dot or ``::``.
        older_than: Minimum time since the failure, in seconds or as a timedelta.
        younger_than: Maximum time since the failure, in seconds or as a timedelta.
        source: The list that holds the entry. Without it, all lists are read.
    """

    queue: str | None
    task: str | None
    exception: str | None
    older_than: timedelta | float | None
    younger_than: timedelta | float | None
    source: str | None


class FailedFilter:
    """Selects failed jobs.

    Args:
        where: The conditions.

    Attributes:
        source: The list to read, or None for all lists.

    Raises:
        TypeError: There is no such condition.
        InvalidMoment: A duration is invalid.
    """

    def __init__(self, **where: Unpack[FailedWhere]) -> None:
        known = list(FailedWhere.__annotations__)
        for name in where:
            if name not in known:
                hint = suggestion(name, known)
                raise TypeError(f"failed jobs have no condition {name!r}{hint} (known: {', '.join(known)})")
        self.source = where.get("source")
        self._queue = where.get("queue")
        self._task = where.get("task")
        self._exception = where.get("exception")
        self._older_than = _seconds(where.get("older_than"), "older_than")
        self._younger_than = _seconds(where.get("younger_than"), "younger_than")

    def fits(self, failed: FailedJob, now: float) -> bool:
        """Return whether *failed* is selected at the Unix second *now*. An entry without a date has no age."""
        if self._queue not in {None, failed.queue} or self._task not in {None, failed.job.name}:
            return False
        if self._exception not in {None, failed.exception, _last_part(failed.exception)}:
            return False
        if self._older_than is None and self._younger_than is None:
            return True
        if failed.failed_at is None:
            return False
        age = now - failed.failed_at.timestamp()
        if self._older_than is not None and age <= self._older_than:
            return False
        return self._younger_than is None or age < self._younger_than


class FailedJobs(QueuePart):
    """The part of `Queue` that inspects, retries and removes failed jobs.

    An entry is identified by its exact bytes. Ruby Resque may keep a failed list for each queue, ``<queue>_failed``.
    `FailedJob.source` is the list that holds an entry.
    """

    async def failed_lists(self) -> list[str]:
        """Return the names of the failed lists: ``failed``, then Ruby's lists of single queues, sorted."""
        return await self.backend.failed_lists()

    async def failed_count(self, source: str = FAILED) -> int:
        """Return the length of a failed list, or 0 if its key is not a list. `failed` reports that error."""
        try:
            return await self.backend.failed_count(_check_source(source))
        except WrongType:
            return 0

    async def failed(self, start: int = 0, stop: int = -1, source: str = FAILED) -> list[FailedJob]:
        """Return the failed jobs of a list from position *start* to *stop*, the oldest first."""
        first, last = position(start, "start"), position(stop, "stop")
        try:
            raws = await self.backend.failed(first, last, _check_source(source))
        except WrongType as error:
            job = Job("", [], "", problem=str(error))
            return [FailedJob(job=job, queue="", source=source, problem=str(error))]
        return [decode_failure(raw, source) for raw in raws]

    async def remove_failed(self, failed: FailedJob) -> int:
        """Remove exactly this entry from its failed list. Of several with the same bytes, it removes the youngest.

        Returns:
            1, or 0 if the list does not hold it.
        """
        return int((await self.backend.remove_failed([_entry(failed)]))[0])

    @storing
    async def retry_and_remove_failed(self, failed: FailedJob) -> bool:
        """Store a failed job at the end of its queue, and remove it from the failed list, in one atomic step.

        The enqueue hooks run as for `Queue.enqueue`.

        Returns:
            True if it was stored. False if a plugin refused it, and the entry stays.

        Raises:
            NotInFailures: The entry is not in the list any more, because it was retried or removed. Nothing was stored.
            CannotRetry: The entry does not hold a job that can be stored. It stays.
        """
        (result,) = await self._retry([failed], strict=True)
        if result.outcome == FailedJobOutcome.GONE:
            raise NotInFailures(
                f"this failed job {failed.job.name!r} is not in {failed.source!r} any more, because it was retried or "
                "removed; read the failed list again"
            )
        return result.done

    async def each_failed(self, **where: Unpack[FailedWhere]) -> AsyncIterator[FailedJob]:
        """Yield selected failed jobs: ``async for failed in app.queue.each_failed(task="add", older_than=3600)``.

        Args:
            where: The conditions, see `FailedWhere`. Without any, it yields all entries of all lists.
        """
        async for _, page in self._pages(FailedFilter(**where)):
            for failed in page.values():
                yield failed

    async def retry_all_failed(self, **where: Unpack[FailedWhere]) -> AsyncIterator[FailedJobResult]:
        """Retry the selected failed jobs, 50 in one step, and yield the result of each.

        It reads only the entries that exist at the start, so a job that fails again is not retried again. ::

            async for result in app.queue.retry_all_failed(exception="ConnectionError", younger_than=3600):
                print(f"{result.looked} of {result.total}: {result.failed.job.name} {result.outcome}")

        Args:
            where: The conditions, see `FailedWhere`.
        """
        async for result in self._apply(FailedFilter(**where), retry=True):
            yield result

    async def remove_all_failed(self, **where: Unpack[FailedWhere]) -> AsyncIterator[FailedJobResult]:
        """Remove the selected failed jobs, and yield the result of each, as `retry_all_failed` does."""
        async for result in self._apply(FailedFilter(**where), retry=False):
            yield result

    @storing
    async def retry_stuck_jobs(self, limit: int | None = None) -> int:
        """Retry jobs that failed because their worker was stuck and taskhero or node-resque removed it.

        Args:
            limit: The maximum number of jobs; None for all.

        Returns:
            The number of jobs that were stored again.
        """
        retried = 0
        async for page in self._stuck():
            batch = page if limit is None else page[: max(limit - retried, 0)]
            retried += sum(result.done for result in (await self._retry(batch) if batch else ()))
            if limit is not None and retried >= limit:
                break
        return retried

    # helpers

    async def _stuck(self) -> AsyncIterator[list[FailedJob]]:
        async for _, page in self._pages(FailedFilter()):
            yield [failed for failed in page.values() if failed.backtrace[1:2] == [STUCK_MARK]]

    async def _apply(self, where: FailedFilter, *, retry: bool) -> AsyncIterator[FailedJobResult]:
        async for total, page in self._pages(where):
            numbers = list(page)
            for start in range(0, len(numbers), _BATCH):
                batch_numbers = numbers[start : start + _BATCH]
                batch = [page[number] for number in batch_numbers]
                results = await self._retry(batch) if retry else await self._remove_batch(batch)
                for number, result in zip(batch_numbers, results, strict=True):
                    yield attrs.evolve(result, looked=number, total=total)

    async def _pages(self, where: FailedFilter) -> AsyncIterator[tuple[int, dict[int, FailedJob]]]:
        """Yield pages of selected failed jobs: the total number of entries, and the jobs by their number.

        The last page comes first, because removing or appending entries there does not move the entries before it.
        """
        backend, now = self.backend, self.context.clock.now()
        sources = await backend.failed_lists() if where.source is None else [_check_source(where.source)]
        counts = {source: await self.failed_count(source) for source in sources}
        looked, total = 0, sum(counts.values())
        for source, count in counts.items():
            for stop in range(count, 0, -_PAGE):
                start = max(stop - _PAGE, 0)
                entries = [decode_failure(raw, source) for raw in await backend.failed(start, stop - 1, source)]
                numbered = enumerate(entries, looked + 1)
                yield total, {number: failed for number, failed in numbered if where.fits(failed, now)}
                looked += stop - start

    async def _remove_batch(self, batch: Sequence[FailedJob]) -> list[FailedJobResult]:
        replies = await self.backend.remove_failed([_entry(failed) for failed in batch])
        return [
            FailedJobResult(failed=failed, outcome=FailedJobOutcome.REMOVED if removed else FailedJobOutcome.GONE)
            for failed, removed in zip(batch, replies, strict=True)
        ]

    async def _retry(self, batch: Sequence[FailedJob], *, strict: bool = False) -> list[FailedJobResult]:
        """Retry failed jobs in one step; if *strict*, raise a plugin's error and `CannotRetry`."""
        prepared = [await self._admit(failed, strict=strict) for failed in batch]
        ready = [item for item in prepared if not isinstance(item, FailedJobResult)]
        # A retry is not an enqueue by a program, so a stopped periodic task stays stopped.
        verb = self.backend.retry_failed
        replies = iter(await self._admission.store(verb, ready, resume=False) if ready else ())
        return [
            item if isinstance(item, FailedJobResult) else _result_of(failed, next(replies))
            for failed, item in zip(batch, prepared, strict=True)
        ]

    async def _admit(self, failed: FailedJob, *, strict: bool) -> tuple[Admitted, FailedRetry] | FailedJobResult:
        """Return the retry of a failed job, or the reason why it stays listed."""
        try:
            entry, job = _entry(failed), _job_of(failed)
            admitted = await self._admission.admit(job)
        except CannotRetry as error:
            if strict:
                raise
            return FailedJobResult(failed=failed, outcome=FailedJobOutcome.IMPOSSIBLE, reason=str(error))
        except Exception as error:
            if strict:
                raise
            self.context.logger.exception(
                "A plugin failed before the retry of a job of task %r, which stays in the failed list", failed.job.name
            )
            reason = f"{type(error).__name__}: {error}"
            return FailedJobResult(failed=failed, outcome=FailedJobOutcome.REFUSED, reason=reason)
        if admitted is None:
            return FailedJobResult(failed=failed, outcome=FailedJobOutcome.REFUSED, reason=_NOT_STORED)
        return admitted, FailedRetry(entry, Entry(job.queue, job.raw, guards=admitted.guards))


def _job_of(failed: FailedJob) -> Job:
    """Return the job that a retry stores.

    Raises:
        CannotRetry: The entry does not hold a job that can be stored.
    """
    try:
        raw = retry_text(failed)
    except (Undecodable, InvalidArguments, InvalidQueueName) as error:
        raise CannotRetry(
            f"this failed entry holds a job that cannot be stored: {error}; remove it, or enqueue the job again"
        ) from error
    return attrs.evolve(failed.job, queue=failed.queue, raw=raw)


def _result_of(failed: FailedJob, reply: RetryResult) -> FailedJobResult:
    if reply == RetryResult.STORED:
        return FailedJobResult(failed=failed, outcome=FailedJobOutcome.RETRIED)
    if reply == RetryResult.NOT_STORED:
        return FailedJobResult(failed=failed, outcome=FailedJobOutcome.REFUSED, reason=_NOT_STORED)
    return FailedJobResult(failed=failed, outcome=FailedJobOutcome.GONE)


def _entry(failed: object) -> FailedEntry:
    if not isinstance(failed, FailedJob):
        raise TypeError(f"{failed!r} is not a FailedJob: pass an item of app.queue.failed()")
    return FailedEntry(failed.raw, _check_source(failed.source))


def _check_source(source: object) -> str:
    if not isinstance(source, str) or (source != FAILED and not source.endswith("_failed")):
        raise NotInFailures(f"source={source!r} is not a failed list: pass 'failed', or an item of failed_lists()")
    return source


def _seconds(given: timedelta | float | None, what: str) -> float | None:
    return None if given is None else duration_of(given, what)


def _last_part(exception: str) -> str:
    return exception.replace("::", ".").rpartition(".")[2]
