"""Inspect delayed jobs, and delete them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from taskhero.engine.queue.part import QueuePart, known_name
from taskhero.engine.time.instants import second_of, to_datetime
from taskhero.errors import WrongType
from taskhero.models import Job
from taskhero.wire.jobs import decode_job, payload_queue, same_meaning
from taskhero.wire.json import quote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from taskhero.backends.records.inspection import StoredDelayedJob

__all__ = ["DelayedJobs"]

#: Number of payloads that one request reads when all are listed.
_PAGE: Final = 1000
#: Number of payloads that the store examines in one search request.
_SEARCH: Final = 2000
#: The last Unix second that a datetime can represent. Later due times are shown as this.
_LATEST: Final = 253_402_300_799

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DelayedJobs(QueuePart):
    """The part of `Queue` that inspects and deletes delayed jobs. Due times are whole seconds, as datetimes in UTC."""

    async def timestamps(self) -> list[datetime]:
        """Return the due times of all delayed jobs, the earliest first."""
        due_times = [_to_datetime(at) for at, _ in await self.backend.due_times()]
        return list(dict.fromkeys(due_times))

    async def delayed_at(self, when: datetime | float) -> list[Job]:
        """Return the jobs with a due time, in the order in which they will be promoted.

        Args:
            when: An aware datetime, or Unix seconds. It is rounded up to a whole second, as when a job is delayed.

        Raises:
            InvalidMoment: *when* is invalid, such as a naive datetime.
        """
        backend, at = self.backend, _second(when)
        due_times = [at] if at < _LATEST else [due_at for due_at, _ in await backend.due_times() if due_at >= at]
        jobs: list[Job] = []
        for due_at in due_times:
            start = 0
            while True:
                try:
                    raws = await backend.delayed(due_at, start, start + _PAGE - 1)
                except WrongType as error:
                    return [Job("", [], "", problem=str(error))]
                jobs += map(_job, raws)
                start += _PAGE
                if len(raws) < _PAGE:
                    break
        return jobs

    async def all_delayed(self) -> dict[datetime, list[Job]]:
        """Return all delayed jobs by due time, the earliest first. They are read page by page."""
        jobs: dict[datetime, list[Job]] = {}
        async for entry in self._delayed(limit=_PAGE):
            jobs.setdefault(_to_datetime(entry.at), []).append(_job(entry.raw))
        return jobs

    async def scheduled_at(self, queue: str, name: str, args: object = ()) -> list[datetime]:
        """Return the due times of a delayed job, the earliest first. Equivalent payloads of other programs match too.

        The store searches all delayed jobs, as for `delete_delayed`.

        Args:
            queue: The job's queue.
            name: The task's name.
            args: The arguments, as for `Queue.enqueue`.
        """
        found = await self._find(queue, name, args)
        return [_to_datetime(at) for at in sorted({entry.at for entry in found})]

    async def delete_delayed(self, queue: str, name: str, args: object = ()) -> list[datetime]:
        """Delete a delayed job at all its due times. Equivalent payloads of other programs match too.

        The wire has no index of equivalent payloads. So the store searches all delayed jobs, in steps of 2000
        payloads, and returns only candidates.

        Args:
            queue: The job's queue.
            name: The task's name.
            args: The arguments, as for `Queue.enqueue`.

        Returns:
            The due times at which the job was deleted, the earliest first.
        """
        found = await self._find(queue, name, args)
        if not found:
            return []
        removed = await self.backend.remove_delayed(found)
        due_times = {entry.at for entry, count in zip(found, removed, strict=True) if count}
        return [_to_datetime(at) for at in sorted(due_times)]

    async def _find(self, queue: str, name: str, args: object) -> Sequence[StoredDelayedJob]:
        args_forms = self._args_forms(name, args)
        known_name(queue)
        # A payload contains the name as taskhero quotes it, or a JSON escape.
        substrings = (quote(name), "\\u", "\\/")
        found: dict[StoredDelayedJob, None] = {}
        async for entry in self._delayed(substrings, limit=_SEARCH):
            if payload_queue(entry.raw) in {queue, None} and any(
                same_meaning(entry.raw, name, form) for form in args_forms
            ):
                found[entry] = None
        return list(found)

    async def _delayed(self, containing: Sequence[str] = (), *, limit: int) -> AsyncIterator[StoredDelayedJob]:
        backend, after = self.backend, None
        while True:
            page = await backend.search_delayed(containing, limit=limit, after=after)
            for entry in page.entries:
                yield entry
            after = page.after
            if after is None:
                return


def _job(raw: str) -> Job:
    return decode_job(raw, payload_queue(raw) or "")


def _to_datetime(at: int) -> datetime:
    return to_datetime(min(at, _LATEST))


def _second(when: datetime | float) -> int:
    if isinstance(when, datetime) and when.utcoffset() is not None and when >= _EPOCH:
        # Other programs may use due times after the year 5000, which taskhero does not accept for enqueueing.
        return -((_EPOCH - when) // timedelta(seconds=1))
    return second_of(when)
