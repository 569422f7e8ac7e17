"""Listing delayed jobs, and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import Entry, NotDelayed
from taskhero.backends.records.inspection import StoredDelayedJob
from taskhero.conformance.jobs.queue_inspection import SLICES
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import due, job, now_of, push, schedule
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock

__all__ = ["DelayedJobListing"]

_slices = pytest.mark.parametrize(("positions", "expected"), SLICES, ids=[f"{a}..{b}" for (a, b), _ in SLICES])


async def _found(backend: Backend, *containing: str, limit: int = 1000) -> list[tuple[int, str]]:
    """Return all that a search finds, page by page."""
    entries: list[tuple[int, str]] = []
    after = None
    while True:
        page = await backend.search_delayed(containing, limit=limit, after=after)
        assert len(page.entries) <= limit
        entries += [(entry.at, entry.raw) for entry in page.entries]
        if page.after is None:
            return entries
        after = page.after


class DelayedJobListing(Suite):
    """`Backend.due_times`, `delayed`, `search_delayed` and `remove_delayed`."""

    @promise("due_times", "Return the Unix seconds to which jobs are delayed, earliest first, each with its number of")
    async def test_due_times_are_in_the_order_of_time(self, backend: Backend) -> None:
        """They are compared as numbers, not as text. There are none before anything is delayed."""
        assert list(await backend.due_times()) == []
        now = await now_of(backend)
        later = 10 ** len(str(now))
        await schedule(backend, later, job(1))
        await schedule(backend, now + 900, job(1), job(2))
        await schedule(backend, now + 80, job(1))
        assert list(await backend.due_times()) == [(now + 80, 1), (now + 900, 2), (later, 1)]

    @promise("due_times", "Due times that are not whole seconds are omitted, and so are seconds whose jobs cannot be")
    @promise("search_delayed", "A due time that cannot be read is skipped.")
    @needs("wrong_types")
    async def test_a_due_time_that_cannot_be_read_affects_no_other(self, backend: Backend) -> None:
        """Its jobs have the wrong type."""
        now = await now_of(backend)
        await schedule(backend, now + 60, job(1))
        await schedule(backend, now + 70, job(2))
        await self.break_due_time(backend, now + 60)
        assert list(await backend.due_times()) == [(now + 70, 1)]
        assert await _found(backend) == [(now + 70, job(2))]
        assert await _found(backend, limit=1) == [(now + 70, job(2))]
        assert list(await backend.remove_delayed([StoredDelayedJob(now + 60, job(1))])) == [0]

    @_slices
    @promise("delayed", "Return the payloads that are delayed to the second *at*, in the order stored.")
    @promise("delayed", "Positions from *start* to *stop* are those of `queued`.")
    async def test_a_part_of_a_due_time(
        self, backend: Backend, positions: tuple[int, int], expected: list[int]
    ) -> None:
        """Both ends are included."""
        at = await now_of(backend) + 60
        await schedule(backend, at, *map(job, range(5)))
        await schedule(backend, at + 1, job("other"))
        assert await backend.delayed(at, *positions) == [job(number) for number in expected]

    @promise("delayed", "The list is empty if nothing is delayed to that second.")
    async def test_a_due_time_without_jobs(self, backend: Backend) -> None:
        """Nothing was ever delayed to it."""
        assert await backend.delayed(await now_of(backend) + 60) == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 1000])
    @promise("search_delayed", "Return a page of delayed jobs, by due time and then in the order stored.")
    @promise("search_delayed", "The step examines at most *limit* payloads, so a page may be empty without being the")
    async def test_all_that_is_delayed_page_by_page(self, backend: Backend, limit: int) -> None:
        """Whatever the page size, each entry is shown once, in order."""
        assert await _found(backend, limit=limit) == []
        now = await now_of(backend)
        await schedule(backend, now + 90, job(4), job(3), job(5))
        await schedule(backend, now + 60, job(1), job(2))
        await schedule(backend, now + 80, job(1))
        expected = [(60, 1), (60, 2), (80, 1), (90, 4), (90, 3), (90, 5)]
        assert await _found(backend, limit=limit) == [(now + after, job(number)) for after, number in expected]
        assert len(await backend.delayed(now + 90)) == 3, "a search changes nothing"

    @pytest.mark.parametrize("limit", [1, 1000])
    @promise("search_delayed", "With *containing*, payloads that contain none of these strings are omitted.")
    async def test_a_search_by_what_a_payload_contains(self, backend: Backend, limit: int) -> None:
        """One of several strings is enough. Characters of patterns are ordinary characters."""
        at = await now_of(backend) + 60
        await schedule(backend, at, "a.c", "abc", "x%d", "é\\u00e9", "")
        assert await _found(backend, "a.c", limit=limit) == [(at, "a.c")]
        assert await _found(backend, "%d", "\\u", limit=limit) == [(at, "x%d"), (at, "é\\u00e9")]
        assert await _found(backend, "nothing", limit=limit) == []

    @promise("remove_delayed", "Remove all copies of these payloads from their seconds, and return for each the")
    async def test_delayed_payloads_are_removed(self, backend: Backend) -> None:
        """Only from these due times. The others keep their order, and a removed one can be delayed again."""
        now = await now_of(backend)
        await schedule(backend, now + 60, job(1), job(2), job(3))
        await schedule(backend, now + 70, job(2))
        entries = [
            StoredDelayedJob(now + 60, job(2)),
            StoredDelayedJob(now + 60, job(4)),
            StoredDelayedJob(now + 99, job(1)),
        ]
        assert list(await backend.remove_delayed(entries)) == [1, 0, 0]
        assert await backend.delayed(now + 60) == [job(1), job(3)]
        assert await backend.delayed(now + 70) == [job(2)]
        await schedule(backend, now + 60, job(2))
        assert await backend.delayed(now + 60) == [job(1), job(3), job(2)]

    @promise("remove_delayed", "Remove all copies of these payloads from their seconds, and return for each the")
    async def test_many_delayed_payloads_are_removed(self, backend: Backend) -> None:
        """Even if a backend splits a large call. An empty call removes nothing."""
        assert list(await backend.remove_delayed([])) == []
        at = await now_of(backend) + 60
        await schedule(backend, at, *map(job, range(300)))
        assert list(await backend.remove_delayed([StoredDelayedJob(at, job(n)) for n in range(299)])) == [1] * 299
        assert await backend.delayed(at) == [job(299)]

    @promise("remove_delayed", "Each entry is one atomic step.")
    @needs("clock")
    async def test_what_was_removed_is_neither_promoted_nor_known(self, backend: Backend, clock: ManualClock) -> None:
        """Neither `due` nor a guard finds it."""
        at = await now_of(backend) + 60
        await schedule(backend, at, job(1), job(2))
        assert list(await backend.remove_delayed([StoredDelayedJob(at, job(1))])) == [1]
        assert list(await backend.push([Entry("q", job(1), guards=(NotDelayed((job(1),)),))])) == [True]
        assert list(await backend.push([Entry("q", job(2), guards=(NotDelayed((job(2),)),))])) == [False]
        clock.advance(61)
        assert [due_job.raw for due_job in await due(backend)] == [job(2)]

    @promise("remove_delayed", "A second is no longer listed after its last job is removed.")
    async def test_a_due_time_is_forgotten_with_its_last_job(self, backend: Backend) -> None:
        """No scheduler wakes for it."""
        now = await now_of(backend)
        await schedule(backend, now + 60, job(1), job(2))
        await schedule(backend, now + 70, job(1))
        assert list(await backend.remove_delayed([StoredDelayedJob(now + 60, job(1))])) == [1]
        assert (await backend.due(1)).next_at == now + 60
        assert list(await backend.remove_delayed([StoredDelayedJob(now + 60, job(2))])) == [1]
        assert list(await backend.due_times()) == [(now + 70, 1)]
        assert (await backend.due(1)).next_at == now + 70
        await push(backend, job(3))
        assert await backend.queued("q") == [job(3)]
