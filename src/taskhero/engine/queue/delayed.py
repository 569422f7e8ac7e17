"""Looking at what is delayed, and deleting from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from taskhero.engine.queue.base import QueueBase, known_name
from taskhero.engine.time.instants import second_of, to_datetime
from taskhero.errors import WrongType
from taskhero.models import Job
from taskhero.wire.jobs import decode_job, payload_queue, same_meaning
from taskhero.wire.json import quote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from taskhero.backends.records.inspection import DelayedEntry

__all__ = ["DelayedJobs"]

#: How many texts are read at once where all are shown.
_PAGE: Final = 1000
#: How many texts the store looks through at once where few are wanted.
_SEARCH: Final = 2000
#: What lies beyond all that a datetime can say is shown as this.
_FARTHEST: Final = 253_402_300_799

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DelayedJobs(QueueBase):
    """The part of `Queue` that looks at delayed jobs. All moments are whole seconds, as datetimes in UTC."""

    async def timestamps(self) -> list[datetime]:
        """The moments to which jobs are delayed, the earliest first."""
        due_times = [_shown(at) for at, _ in await self.backend.due_times()]
        return list(dict.fromkeys(due_times))

    async def delayed_at(self, when: datetime | float) -> list[Job]:
        """The jobs that are delayed to a moment, in the order in which they will be queued.

        Args:
            when: An aware datetime, or unix seconds; rounded up to a whole second, as when a job is delayed.

        Raises:
            InvalidMoment: *when* can only be a mistake.
        """
        backend, at = self.backend, _second(when)
        ats = [at] if at < _FARTHEST else [moment for moment, _ in await backend.due_times() if moment >= at]
        jobs: list[Job] = []
        for moment in ats:
            start = 0
            while True:
                try:
                    raws = await backend.delayed(moment, start, start + _PAGE - 1)
                except WrongType as error:
                    return [Job("", [], "", problem=str(error))]
                jobs += map(_job, raws)
                start += _PAGE
                if len(raws) < _PAGE:
                    break
        return jobs

    async def all_delayed(self) -> dict[datetime, list[Job]]:
        """All delayed jobs by their moments, the earliest first; it is read page by page."""
        jobs: dict[datetime, list[Job]] = {}
        async for entry in self._delayed(limit=_PAGE):
            jobs.setdefault(_shown(entry.at), []).append(_job(entry.raw))
        return jobs

    async def scheduled_at(self, queue: str, name: str, args: object = ()) -> list[datetime]:
        """The moments to which a job is delayed, the earliest first; whoever delayed it, and in whatever spelling.

        All that is delayed is looked through, in the store; see `delete_delayed`.

        Args:
            queue: The job's queue.
            name: The task's name.
            args: The arguments, as for `Queue.enqueue`.
        """
        found = await self._find(queue, name, args)
        return [_shown(at) for at in sorted({entry.at for entry in found})]

    async def delete_delayed(self, queue: str, name: str, args: object = ()) -> list[datetime]:
        """Delete a delayed job from all its moments; whoever delayed it, and in whatever spelling.

        Nothing on this wire knows where equal jobs of other spellings are, so the store looks through all that is
        delayed, in steps of some thousand texts, and hands out only those that may be meant.

        Args:
            queue: The job's queue.
            name: The task's name.
            args: The arguments, as for `Queue.enqueue`.

        Returns:
            The moments from which it was deleted, the earliest first.
        """
        found = await self._find(queue, name, args)
        if not found:
            return []
        removed = await self.backend.remove_delayed(found)
        ats = {entry.at for entry, count in zip(found, removed, strict=True) if count}
        return [_shown(at) for at in sorted(ats)]

    async def _find(self, queue: str, name: str, args: object) -> Sequence[DelayedEntry]:
        meanings = self._equivalent_payloads(name, args)
        known_name(queue)
        # A name that is spelled otherwise holds an escape.
        payloads = (quote(name), "\\u", "\\/")
        found: dict[DelayedEntry, None] = {}
        async for entry in self._delayed(payloads, limit=_SEARCH):
            if payload_queue(entry.raw) in {queue, None} and any(
                same_meaning(entry.raw, name, meant) for meant in meanings
            ):
                found[entry] = None
        return list(found)

    async def _delayed(self, containing: Sequence[str] = (), *, limit: int) -> AsyncIterator[DelayedEntry]:
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


def _shown(at: int) -> datetime:
    return to_datetime(min(at, _FARTHEST))


def _second(when: datetime | float) -> int:
    if isinstance(when, datetime) and when.utcoffset() is not None and when >= _EPOCH:
        # What other programs delayed may be beyond what we would delay to.
        return -((_EPOCH - when) // timedelta(seconds=1))
    return second_of(when)
