"""Storing jobs until their due time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero.backends.protocol import (
    DelayedJobEntry,
    Entry,
    NotDelayed,
    PromoteResult,
    PromotionTarget,
    QueueLockGuard,
    ScheduleResult,
)
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import due, free_locks, job, moves_of, now_of, schedule
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Scheduling"]


class Scheduling(Suite):
    """`Backend.schedule`."""

    @promise("schedule", "Store jobs until their due times, in the order given, and return a `ScheduleResult` for")
    @promise("ScheduleResult", "DELAYED")
    async def test_a_job_waits_for_its_due_time(self, backend: Backend) -> None:
        """It is in no queue, and the earliest due time is known."""
        now = await now_of(backend)
        entries = [DelayedJobEntry(now + 2000, "q", job(1)), DelayedJobEntry(now + 1000, "q", job(2))]
        assert list(await backend.schedule(entries)) == [ScheduleResult.DELAYED] * 2
        assert await backend.length("q") == 0
        seen = await backend.due(10)
        assert list(seen.jobs) == []
        assert seen.next_at == now + 1000

    @promise("schedule", "An entry whose due time is not in the future, by the same clock, is pushed immediately.")
    @promise("ScheduleResult", "QUEUED")
    async def test_what_is_not_in_the_future_is_pushed_at_once(self, backend: Backend) -> None:
        """For the current second and any past one. It is stored at the end of its queue, whose name is then known."""
        now = await now_of(backend)
        entries = [
            DelayedJobEntry(now, "q", job(1)),
            DelayedJobEntry(now - 1000, "q", job(2)),
            DelayedJobEntry(0, "q", job(3)),
        ]
        assert list(await backend.schedule(entries)) == [ScheduleResult.QUEUED] * 3
        assert await backend.queued("q") == [job(1), job(2), job(3)]
        assert await backend.queues() == ["q"]
        assert (await backend.due(10)).next_at is None

    @promise("schedule", "For an entry with a delay, the due time is the backend's now within the step plus the delay.")
    @promise("schedule", "It is rounded up to a whole second, which is the one that `unique` compares.")
    @pytest.mark.parametrize(
        ("now", "delay", "due_in"),
        [(0.0, 3, 3), (0.0, 2.5, 3), (0.25, 2.5, 3), (0.5, 2.5, 3), (0.75, 2.5, 4), (0.999, 0.002, 2), (0.5, 0.001, 1)],
    )
    @needs("clock")
    async def test_a_delay_counts_from_the_step(
        self, backend: Backend, clock: ManualClock, now: float, delay: float, due_in: int
    ) -> None:
        """It is rounded up, so it is never early, and less than one second late."""
        start = await now_of(backend)
        clock.advance(now)
        assert list(await backend.schedule([DelayedJobEntry(None, "q", job(1), delay=delay)])) == [
            ScheduleResult.DELAYED
        ]
        assert (await backend.due(10)).next_at == start + due_in
        clock.advance(due_in - now - 0.01)
        assert await due(backend) == []
        clock.advance(0.02)
        assert [found.raw for found in await due(backend)] == [job(1)]

    @promise("schedule", "For an entry with a delay, the due time is the backend's now within the step plus the delay.")
    @promise("schedule", "An entry whose due time is not in the future, by the same clock, is pushed immediately.")
    @needs("clock")
    async def test_no_delay_at_all_is_now(self, backend: Backend, clock: ManualClock) -> None:
        """At any fraction of a second. The guards take their locks then."""
        clock.advance(0.5)
        entry = DelayedJobEntry(None, "q", job(1), guards=(QueueLockGuard("lock:a", 60),), delay=0)
        assert list(await backend.schedule([entry, entry])) == [ScheduleResult.QUEUED, ScheduleResult.DUPLICATE]
        assert await backend.queued("q") == [job(1)]

    @promise("ScheduleResult", "ALREADY_DELAYED")
    @promise("schedule", "It is rounded up to a whole second, which is the one that `unique` compares.")
    @needs("clock")
    async def test_equal_jobs_of_one_delay_are_one_in_a_second(self, backend: Backend, clock: ManualClock) -> None:
        """Whether the due time was given or computed. Guards hold as for any delayed job."""
        now = await now_of(backend)
        delayed = DelayedJobEntry(None, "q", job(1), delay=9.5, guards=(QueueLockGuard("lock:a", 60),))
        assert list(await backend.schedule([delayed, delayed])) == [
            ScheduleResult.DELAYED,
            ScheduleResult.ALREADY_DELAYED,
        ]
        assert list(await backend.schedule([DelayedJobEntry(now + 10, "q", job(1))])) == [
            ScheduleResult.ALREADY_DELAYED
        ]
        assert list(await backend.schedule([attrs.evolve(delayed, unique=False)])) == [ScheduleResult.DELAYED]
        clock.advance(0.75)
        assert list(await backend.schedule([delayed])) == [ScheduleResult.DELAYED]
        assert list(await backend.due_times()) == [(now + 10, 2), (now + 11, 1)]
        guarded = DelayedJobEntry(None, "q", job(2), guards=(NotDelayed((job(1),)),), delay=5)
        assert list(await backend.schedule([guarded])) == [ScheduleResult.DUPLICATE]
        assert await free_locks(backend, "lock:a") == ["lock:a"]

    @promise("schedule", "It is rounded up to a whole second, which is the one that `unique` compares.")
    @promise("schedule", "An entry whose due time is not in the future, by the same clock, is pushed immediately.")
    @needs("clock")
    async def test_a_due_time_is_compared_before_it_is_rounded(self, backend: Backend, clock: ManualClock) -> None:
        """A fraction of a second ago is now. A fraction of a second from now is the next second."""
        now = await now_of(backend)
        clock.advance(0.5)
        answers = await backend.schedule(
            [DelayedJobEntry(now + part, "q", job(part)) for part in (0.25, 0.5, 0.75, 7.25)]
        )
        assert list(answers) == [ScheduleResult.QUEUED] * 2 + [ScheduleResult.DELAYED] * 2
        assert list(await backend.due_times()) == [(now + 1, 1), (now + 8, 1)]

    @promise("schedule", "An entry whose due time is not in the future, by the same clock, is pushed immediately.")
    @needs("clock")
    async def test_the_next_second_is_the_future(self, backend: Backend, clock: ManualClock) -> None:
        """Until it begins."""
        now = await now_of(backend)
        clock.advance(0.99)
        assert list(await backend.schedule([DelayedJobEntry(now + 1, "q", job(1))])) == [ScheduleResult.DELAYED]
        clock.advance(0.01)
        assert list(await backend.schedule([DelayedJobEntry(now + 1, "q", job(2))])) == [ScheduleResult.QUEUED]

    @promise("schedule", "Of two entries of one second, the first stored is promoted first.")
    @needs("clock")
    async def test_jobs_of_one_second_keep_their_order(self, backend: Backend, clock: ManualClock) -> None:
        """Over several calls too. An earlier second comes before all of a later one."""
        now = await now_of(backend)
        await schedule(backend, now + 7, job(1), job(2))
        await schedule(backend, now + 6, job(3))
        await schedule(backend, now + 7, job(4))
        clock.advance(10)
        jobs = await due(backend)
        assert [(found.at - now, found.raw) for found in jobs] == [(6, job(3)), (7, job(1)), (7, job(2)), (7, job(4))]
        await backend.promote(moves_of(jobs))
        assert await backend.queued("q") == [job(3), job(1), job(2), job(4)]

    @promise("schedule", "The name of the queue becomes known when the job enters it.")
    @needs("clock")
    async def test_the_queue_is_known_once_the_job_is_in_it(self, backend: Backend, clock: ManualClock) -> None:
        """No worker claims from a queue that has only delayed jobs."""
        await schedule(backend, await now_of(backend) + 5, job(1))
        assert await backend.queues() == []
        clock.advance(5)
        await backend.promote(moves_of(await due(backend)))
        assert await backend.queues() == ["q"]

    @promise("ScheduleResult", "ALREADY_DELAYED")
    async def test_the_same_payload_is_delayed_once_to_a_second(self, backend: Backend) -> None:
        """It may be delayed to another second, and another payload may be delayed to this one."""
        at = await now_of(backend) + 1000
        await schedule(backend, at, job(1))
        entries = [
            DelayedJobEntry(at, "q", job(1)),
            DelayedJobEntry(at + 1, "q", job(1)),
            DelayedJobEntry(at, "q", job(2)),
        ]
        assert list(await backend.schedule(entries)) == [
            ScheduleResult.ALREADY_DELAYED,
            ScheduleResult.DELAYED,
            ScheduleResult.DELAYED,
        ]

    @promise("ScheduleResult", "ALREADY_DELAYED")
    @needs("clock")
    async def test_copies_are_kept_if_asked_for(self, backend: Backend, clock: ManualClock) -> None:
        """`unique=False` stores every copy of a payload."""
        at = await now_of(backend) + 5
        entry = DelayedJobEntry(at, "q", job(1), unique=False)
        assert list(await backend.schedule([entry, entry])) == [ScheduleResult.DELAYED] * 2
        assert list(await backend.schedule([entry])) == [ScheduleResult.DELAYED]
        clock.advance(5)
        assert [found.raw for found in await due(backend)] == [job(1)] * 3

    @promise("ScheduleResult", "ALREADY_DELAYED")
    @needs("clock")
    async def test_a_payload_may_be_delayed_again_once_it_was_promoted(
        self, backend: Backend, clock: ManualClock
    ) -> None:
        """It is not a duplicate of the earlier one."""
        now = await now_of(backend)
        await schedule(backend, now + 5, job(1))
        clock.advance(5)
        await backend.promote(moves_of(await due(backend)))
        clock.advance(-5)
        await schedule(backend, now + 5, job(1))

    @promise("ScheduleResult", "ALREADY_DELAYED")
    async def test_one_of_many_at_once_is_delayed(self, backend: Backend, views: Views) -> None:
        """The others are duplicates."""
        other = await views()
        entry = DelayedJobEntry(await now_of(backend) + 1000, "q", job(1))
        answers = await asyncio.gather(*(view.schedule([entry]) for view in [backend, other] * 10))
        assert sorted(answer for (answer,) in answers) == [ScheduleResult.ALREADY_DELAYED] * 19 + [
            ScheduleResult.DELAYED
        ]

    @promise("ScheduleResult", "DUPLICATE")
    async def test_a_guard_that_does_not_hold_makes_a_duplicate(self, backend: Backend) -> None:
        """Here the guard of one job names the payload of another, which is delayed."""
        at = await now_of(backend) + 1000
        await schedule(backend, at, job(2))
        guarded = [DelayedJobEntry(at, "q", job(number), guards=(NotDelayed((job(2), job(3))),)) for number in (4, 5)]
        assert list(await backend.schedule(guarded)) == [ScheduleResult.DUPLICATE, ScheduleResult.DUPLICATE]

    @promise("schedule", "A lock belongs to a queued job: a delayed job neither needs nor takes it before its")
    @needs("clock")
    async def test_a_queue_lock_does_not_concern_delayed_jobs(self, backend: Backend, clock: ManualClock) -> None:
        """A taken lock delays no job, a free one stays free, and the promotion takes it."""
        at = await now_of(backend) + 10
        guards = (QueueLockGuard("lock:a", 1000),)
        await backend.push([Entry("q", job(1), guards=guards)])
        assert list(await backend.schedule([DelayedJobEntry(at, "q", job(1), guards=guards)])) == [
            ScheduleResult.DELAYED
        ]
        other = (QueueLockGuard("lock:b", 1000),)
        assert list(await backend.schedule([DelayedJobEntry(at, "q", job(3), guards=other)])) == [
            ScheduleResult.DELAYED
        ]
        assert list(await backend.push([Entry("q", job(4), guards=other)])) == [True]
        clock.advance(10)
        blocked, free = (await backend.due(10)).jobs
        moves = [
            PromotionTarget(blocked, "q", guards=guards),
            PromotionTarget(free, "q", guards=(QueueLockGuard("lock:c", 1000),)),
        ]
        assert list(await backend.promote(moves)) == [PromoteResult.MERGED, PromoteResult.QUEUED]
        assert list(await backend.push([Entry("q", job(5), guards=(QueueLockGuard("lock:c", 1000),))])) == [False]

    @promise("ScheduleResult", "DUPLICATE")
    async def test_guards_hold_for_what_is_pushed_at_once_too(self, backend: Backend) -> None:
        """A due time in the past does not bypass them."""
        guarded = [DelayedJobEntry(0, "q", job(number), guards=(QueueLockGuard("lock:a", 60),)) for number in (1, 2)]
        assert list(await backend.schedule(guarded)) == [ScheduleResult.QUEUED, ScheduleResult.DUPLICATE]
        assert await backend.queued("q") == [job(1)]

    @promise("schedule", "Store jobs until their due times, in the order given, and return a `ScheduleResult` for")
    async def test_nothing_can_be_scheduled(self, backend: Backend) -> None:
        """An empty call stores nothing."""
        assert list(await backend.schedule([])) == []
        assert (await backend.due(1)).next_at is None
