"""Storing jobs in queues."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero.backends.protocol import DelayedJobEntry, Entry, NotDelayed, PromotionTarget, QueueLockGuard
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import claim, job, now_of, payloads_of, push, registered, schedule
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Producing"]


class Producing(Suite):
    """`Backend.push`, and the guards of an entry."""

    @promise("push", "Store jobs in their queues, in the order given.")
    @promise("all", "A queue is first in, first out.", "A job that is put at the front comes next.")
    async def test_jobs_are_stored_in_the_order_given(self, backend: Backend) -> None:
        """In one call and over several, each in its own queue."""
        await backend.push([Entry("a", job(1)), Entry("b", job(2)), Entry("a", job(3))])
        await backend.push([Entry("a", job(4))])
        assert await backend.queued("a") == [job(1), job(3), job(4)]
        assert await backend.queued("b") == [job(2)]

    @promise("all", "A queue is first in, first out.", "A job that is put at the front comes next.")
    async def test_what_is_put_at_the_front_comes_next(self, backend: Backend) -> None:
        """In turn: of two entries in one call, the second is claimed first."""
        await push(backend, job(1))
        await backend.push([Entry("q", job(2), front=True), Entry("q", job(3), front=True), Entry("q", job(4))])
        assert await backend.queued("q") == [job(3), job(2), job(1), job(4)]

    @promise("push", "Store jobs in their queues, in the order given.")
    async def test_equal_jobs_are_all_kept(self, backend: Backend) -> None:
        """A queue is not a set."""
        await push(backend, job(1), job(1))
        await push(backend, job(1))
        assert await backend.queued("q") == [job(1)] * 3

    @promise("push", "Store jobs in their queues, in the order given.")
    async def test_nothing_can_be_pushed(self, backend: Backend) -> None:
        """An empty call stores nothing and makes no queue known."""
        assert list(await backend.push([])) == []
        assert await backend.queues() == []

    @promise("push", "Each entry is one atomic step.")
    @promise("push", "The whole call is one too, unless it is so large that the backend splits it.")
    async def test_many_jobs_are_stored_in_order(self, backend: Backend) -> None:
        """Even if a backend splits a large call."""
        payloads = [job(number) for number in range(2500)]
        await push(backend, *payloads)
        assert await backend.queued("q") == payloads

    @promise("push", "Each entry is one atomic step.")
    async def test_calls_at_once_do_not_mix(self, backend: Backend, views: Views) -> None:
        """The jobs of one call are stored together, even if other clients push at the same time."""
        other = await views()
        calls = [[job([call, number]) for number in range(5)] for call in range(10)]
        await asyncio.gather(
            *(push(view, *payloads) for view, payloads in zip([backend, other] * 5, calls, strict=True))
        )
        stored = await backend.queued("q")
        assert sorted(stored[start : start + 5] for start in range(0, 50, 5)) == sorted(calls)

    @promise("push", "From then on the name of the queue is known.")
    async def test_a_queue_is_known_from_its_first_job_on(self, backend: Backend, views: Views) -> None:
        """To other processes too."""
        await push(backend, job(1))
        assert await backend.queues() == ["q"]
        assert await (await views()).queues() == ["q"]

    # guards

    @promise("QueueLockGuard", "Store the job only if lock *key* is free, and take it.")
    @promise("push", "Return for each entry whether it was stored.")
    @promise("push", "An entry whose guards do not all hold is not stored and takes no lock.")
    async def test_a_lock_lets_one_job_in(self, backend: Backend, views: Views) -> None:
        """The second job is a duplicate, from another process too. Other locks are free."""
        guarded = Entry("q", job(1), guards=(QueueLockGuard("lock:a", 60),))
        assert list(await backend.push([guarded])) == [True]
        other = Entry("q", job(2), guards=(QueueLockGuard("lock:b", 60),))
        assert list(await (await views()).push([guarded, other, Entry("q", job(3))])) == [False, True, True]
        assert await backend.queued("q") == [job(1), job(2), job(3)]

    @promise("QueueLockGuard", "Store the job only if lock *key* is free, and take it.")
    @needs("clock")
    async def test_a_lock_expires_after_its_timeout(self, backend: Backend, clock: ManualClock) -> None:
        """Not before it, and at most a second or two later."""
        guarded = Entry("q", job(1), guards=(QueueLockGuard("lock:a", 100),))
        await backend.push([guarded])
        clock.advance(99)
        assert list(await backend.push([guarded])) == [False]
        clock.advance(4)
        assert list(await backend.push([guarded])) == [True]

    @promise("push", "Guards are checked in the order of the entries, so an entry sees the locks of earlier ones.")
    async def test_guards_are_checked_in_turn(self, backend: Backend) -> None:
        """Of two entries with one lock in one call, the first is stored."""
        entries = [Entry("q", job(number), guards=(QueueLockGuard("lock:a", 60),)) for number in (1, 2)]
        assert list(await backend.push(entries)) == [True, False]
        assert await backend.queued("q") == [job(1)]

    @promise("push", "Return for each entry whether it was stored.")
    @promise("push", "An entry whose guards do not all hold is not stored and takes no lock.")
    async def test_a_duplicate_takes_no_lock(self, backend: Backend) -> None:
        """Whichever of its guards does not hold, the other locks stay free."""
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:taken", 60),))])
        for guards in (
            (QueueLockGuard("lock:free", 60), QueueLockGuard("lock:taken", 60)),
            (QueueLockGuard("lock:taken", 60), QueueLockGuard("lock:free", 60)),
        ):
            assert list(await backend.push([Entry("q", job(2), guards=guards)])) == [False]
        assert list(await backend.push([Entry("q", job(3), guards=(QueueLockGuard("lock:free", 60),))])) == [True]
        assert await backend.queued("q") == [job(1), job(3)]

    @promise("push", "Return for each entry whether it was stored.")
    @promise("push", "An entry whose guards do not all hold is not stored and takes no lock.")
    async def test_a_duplicate_makes_no_queue_known(self, backend: Backend) -> None:
        """It leaves nothing in the store."""
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:a", 60),))])
        await backend.push([Entry("never", job(2), guards=(QueueLockGuard("lock:a", 60),))])
        assert await backend.queues() == ["q"]

    @promise("NotDelayed", "Store the job only if none of these payloads is delayed.")
    async def test_a_delayed_payload_keeps_equal_jobs_out(self, backend: Backend) -> None:
        """One of the equivalent payloads is enough. A payload that is only similar is not."""
        await schedule(backend, await now_of(backend) + 1000, job(1))
        refused = Entry("q", job(1), guards=(NotDelayed((job("other form"), job(1))),))
        allowed = Entry("q", job(2), guards=(NotDelayed((job(2), job(1) + " ")),))
        assert list(await backend.push([refused, allowed])) == [False, True]
        assert await backend.queued("q") == [job(2)]

    @promise("NotDelayed", "Store the job only if none of these payloads is delayed.")
    @needs("clock")
    async def test_a_payload_that_was_promoted_is_not_delayed(self, backend: Backend, clock: ManualClock) -> None:
        """It is as long as one copy is delayed."""
        now = await now_of(backend)
        await backend.schedule([DelayedJobEntry(now + 5, "q", job(1), unique=False)] * 2)
        clock.advance(5)
        guarded = [Entry("other", job(1), guards=(NotDelayed((job(1),)),))]
        for expected in (False, True):
            first, *_ = (await backend.due(10)).jobs
            await backend.promote([PromotionTarget(first, "q")])
            assert list(await backend.push(guarded)) == [expected]

    @promise("push", "Return for each entry whether it was stored.")
    @promise("push", "An entry whose guards do not all hold is not stored and takes no lock.")
    async def test_guards_of_both_kinds_hold_together(self, backend: Backend) -> None:
        """A payload that is delayed leaves the entry's lock free."""
        await schedule(backend, await now_of(backend) + 1000, job(1))
        both = Entry("q", job(1), guards=(QueueLockGuard("lock:a", 60), NotDelayed((job(1),))))
        assert list(await backend.push([both])) == [False]
        assert list(await backend.push([Entry("q", job(2), guards=(QueueLockGuard("lock:a", 60),))])) == [True]

    @promise("push", "Store jobs in their queues, in the order given.")
    async def test_a_guarded_job_may_be_put_at_the_front(self, backend: Backend) -> None:
        """It is then claimed first."""
        process = await registered(backend)
        await push(backend, job(1))
        await backend.push([Entry("q", job(2), front=True, guards=(QueueLockGuard("lock:a", 60),))])
        assert payloads_of(await claim(backend, process)) == [job(2)]
