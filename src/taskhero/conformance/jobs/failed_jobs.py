"""Listing failed jobs, removing them, and retrying them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import Entry, Failed, QueueLockGuard, Settlement, Subscription
from taskhero.backends.records.inspection import FAILED, FailedEntry, FailedRetry, RetryResult
from taskhero.conformance.jobs.queue_inspection import SLICES
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import claim, free_locks, job, payloads_of, push, registered, start_wait, within
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.conformance.suite import Views

__all__ = ["FailedJobListing"]

_slices = pytest.mark.parametrize(("positions", "expected"), SLICES, ids=[f"{a}..{b}" for (a, b), _ in SLICES])


async def _fail(backend: Backend, *entries: str) -> None:
    """Append these entries to the failed list."""
    process = await registered(backend, 77, slots=range(1, len(entries) + 1), queues=("failing",))
    await push(backend, *map(job, range(len(entries))), queue="failing")
    claims = await claim(backend, process, range(1, len(entries) + 1), ("failing",))
    settled = [Settlement(claimed, Failed(entry)) for claimed, entry in zip(claims, entries, strict=True)]
    await backend.settle_and_claim(process, settled, (), ())
    await backend.deregister(process)
    await backend.delete_queue("failing")


def _retry(
    entry: str, raw: str = job(1), queue: str = "q", *guards: QueueLockGuard, source: str = FAILED
) -> FailedRetry:
    """Return a retry of a failed job."""
    return FailedRetry(FailedEntry(entry, source), Entry(queue, raw, guards=guards))


class FailedJobListing(Suite):
    """`Backend.failed`, `failed_count`, `failed_lists`, `remove_failed` and `retry_failed`."""

    @_slices
    @promise("failed", "Return the entries of a failed list, oldest first, from position *start* to *stop* as for")
    @promise("failed_count", "Return the number of entries in a failed list.")
    async def test_a_part_of_the_failures(
        self, backend: Backend, positions: tuple[int, int], expected: list[int]
    ) -> None:
        """The oldest entry is the first."""
        await _fail(backend, *(f"failure {number}" for number in range(5)))
        assert await backend.failed(*positions) == [f"failure {number}" for number in expected]
        assert await backend.failed_count() == 5

    @promise("failed_count", "Return the number of entries in a failed list.")
    @promise("failed_lists", "Return the names of the failed lists: ``failed``, then those of other programs, sorted.")
    async def test_no_failures(self, backend: Backend) -> None:
        """An empty store has one list, which is empty. So is an unknown one."""
        assert (await backend.failed_count(), await backend.failed()) == (0, [])
        assert await backend.failed_lists() == [FAILED]
        assert (await backend.failed_count("q_failed"), await backend.failed(0, -1, "q_failed")) == (0, [])

    @promise("failed_lists", "Return the names of the failed lists: ``failed``, then those of other programs, sorted.")
    @promise("failed", "Return the entries of a failed list, oldest first, from position *start* to *stop* as for")
    @promise("remove_failed", "Remove the newest copy of each of these entries, and return for each whether there was")
    @needs("foreign_failures")
    async def test_other_programs_lists_of_failures(self, backend: Backend) -> None:
        """They are read, removed from and retried like the common one."""
        await _fail(backend, "ours")
        for source, text in (("b_failed", "one"), ("b_failed", "two"), ("a_failed", "three")):
            await self.add_failure(backend, source, text)
        assert await backend.failed_lists() == [FAILED, "a_failed", "b_failed"]
        assert await backend.failed(0, -1, "b_failed") == ["one", "two"]
        assert (await backend.failed_count("b_failed"), await backend.failed_count()) == (2, 1)
        assert list(await backend.retry_failed([_retry("one"), _retry("one", source="b_failed")])) == [
            RetryResult.MISSING,
            RetryResult.STORED,
        ]
        removed = await backend.remove_failed([FailedEntry("three"), FailedEntry("three", "a_failed")])
        assert list(removed) == [False, True]
        assert [await backend.failed(0, -1, source) for source in (FAILED, "a_failed", "b_failed")] == [
            ["ours"],
            [],
            ["two"],
        ]
        assert await backend.queued("q") == [job(1)]

    @promise("remove_failed", "Remove the newest copy of each of these entries, and return for each whether there was")
    @promise("remove_failed", "Each entry is one atomic step, in the order given.")
    async def test_failures_are_removed(self, backend: Backend) -> None:
        """By their exact text, one for each entry given. The others keep their order."""
        assert list(await backend.remove_failed([])) == []
        await _fail(backend, *"abcab")
        entries = [FailedEntry("a"), FailedEntry("x"), FailedEntry("b "), FailedEntry("b")]
        assert list(await backend.remove_failed(entries)) == [True, False, False, True]
        assert await backend.failed() == ["a", "b", "c"]
        assert list(await backend.remove_failed([FailedEntry("a"), FailedEntry("a")])) == [True, False]
        assert await backend.stats() == {"failed": 5}, "a removal does not change the counter"

    @promise("retry_failed", "Store failed jobs again, remove their entries, and return a `RetryResult` for each.")
    @promise("retry_failed", "Each retry is one atomic step, in the order given.")
    @promise("retry_failed", "It removes the newest copy of the entry and stores the job as `push` does, or changes")
    @promise("RetryResult", "STORED", "MISSING")
    async def test_failures_are_retried(self, backend: Backend, views: Views) -> None:
        """Each is stored at the end of its queue, with the payload given. A missing one is not."""
        assert list(await backend.retry_failed([])) == []
        await push(backend, job("first"))
        await _fail(backend, *"abcab")
        retries = [_retry("a", job(1)), _retry("x", job(2)), _retry("b", job(3), "other"), _retry("a", job(4))]
        answers = [RetryResult.STORED, RetryResult.MISSING, RetryResult.STORED, RetryResult.STORED]
        assert list(await backend.retry_failed(retries)) == answers
        assert await backend.failed() == ["b", "c"]
        other = await views()
        assert await other.queues() == ["other", "q"]
        assert await other.queued("q") == [job("first"), job(1), job(4)]
        assert await other.queued("other") == [job(3)]

    @promise("retry_failed", "Of two calls that retry the same entry, one succeeds.")
    async def test_of_two_that_retry_the_same_failure_one_does(self, backend: Backend, views: Views) -> None:
        """Two people can retry it at the same time."""
        other = await views()
        await _fail(backend, *map(str, range(20)))
        retries = [_retry(str(number), job(number)) for number in range(20)]
        answers = await asyncio.gather(
            *(view.retry_failed([retry]) for retry in retries for view in (backend, other)),
        )
        assert sorted(answer for (answer,) in answers) == [RetryResult.MISSING] * 20 + [RetryResult.STORED] * 20
        assert sorted(await backend.queued("q")) == sorted(map(job, range(20)))
        assert await backend.failed() == []

    @promise("retry_failed", "Each retry is one atomic step, in the order given.")
    @promise("retry_failed", "It removes the newest copy of the entry and stores the job as `push` does, or changes")
    @promise("RetryResult", "NOT_STORED")
    async def test_a_failure_whose_guard_does_not_hold_stays(self, backend: Backend) -> None:
        """Nothing is stored, and no lock is taken. The others are retried."""
        await _fail(backend, *"abc")
        taken, free = QueueLockGuard("lock:taken", 3600), QueueLockGuard("lock:free", 3600)
        await backend.push([Entry("q", job(0), guards=(taken,))])
        retries = [_retry("a", job(1), "q", free, taken), _retry("b", job(2)), _retry("c", job(3), "q", free)]
        assert list(await backend.retry_failed(retries)) == [
            RetryResult.NOT_STORED,
            RetryResult.STORED,
            RetryResult.STORED,
        ]
        assert await backend.failed() == ["a"]
        assert await backend.queued("q") == [job(0), job(2), job(3)]
        assert await free_locks(backend, "lock:free", "lock:taken") == []

    @promise("retry_failed", "Each retry is one atomic step, in the order given.")
    @promise("retry_failed", "It removes the newest copy of the entry and stores the job as `push` does, or changes")
    async def test_a_retried_failure_wakes_a_waiting_process(self, backend: Backend) -> None:
        """Like any job that is pushed. The process can claim it."""
        process = await registered(backend)
        await _fail(backend, "a")
        waiting = await start_wait(backend, process, Subscription(queues=("q",), all_queues=True))
        await backend.retry_failed([_retry("a")])
        assert (await within(waiting)).jobs
        assert payloads_of(await claim(backend, process)) == [job(1)]

    @promise("RetryResult", "NOT_STORED")
    @needs("wrong_types")
    async def test_a_failure_whose_queue_is_damaged_stays(self, backend: Backend) -> None:
        """It takes no lock. A failed list that cannot be read has no entries."""
        await _fail(backend, "a", "b")
        await self.break_queue(backend, "bad")
        lock = QueueLockGuard("lock:a", 3600)
        assert list(await backend.retry_failed([_retry("a", job(1), "bad", lock), _retry("b")])) == [
            RetryResult.NOT_STORED,
            RetryResult.STORED,
        ]
        assert await backend.failed() == ["a"]
        assert await free_locks(backend, "lock:a") == ["lock:a"]
        await self.break_failures(backend)
        assert list(await backend.retry_failed([_retry("a")])) == [RetryResult.MISSING]
        assert list(await backend.remove_failed([FailedEntry("a")])) == [False]
