"""Promoting due jobs to their queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import (
    DelayedJobEntry,
    DueJob,
    Entry,
    NotDelayed,
    PromoteResult,
    PromotionTarget,
    QueueLockGuard,
    Removal,
    Subscription,
)
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    due,
    free_locks,
    job,
    make_process,
    moves_of,
    now_of,
    push,
    schedule,
    start_wait,
    within,
)
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Promoting"]


class Promoting(Suite):
    """`Backend.due` and `Backend.promote`."""

    # due

    @promise("due", "Return the first *limit* jobs that are due.")
    @promise("due", "The step changes only data that can never be promoted.")
    @needs("clock")
    async def test_due_jobs_are_shown_and_stay(self, backend: Backend, clock: ManualClock) -> None:
        """The first ones, by due time and then in the order stored. Each call shows the same."""
        now = await now_of(backend)
        await schedule(backend, now + 2, job(1), job(2))
        await schedule(backend, now + 1, job(3))
        await schedule(backend, now + 1000, job(4))
        clock.advance(5)
        for _ in range(2):
            assert [found.raw for found in await due(backend, 2)] == [job(3), job(1)]
            assert await due(backend) == [DueJob(now + 1, job(3)), DueJob(now + 2, job(1)), DueJob(now + 2, job(2))]
        assert await backend.queues() == []

    @promise("due", "A job is due when the floor of now is at least its due time, so no job is returned early.")
    @needs("clock")
    async def test_no_job_is_shown_early(self, backend: Backend, clock: ManualClock) -> None:
        """Not half a second, not a hundredth of a second."""
        clock.advance(0.25)
        now = await now_of(backend)
        await schedule(backend, now + 2, job(1))
        for step in (1.0, 0.5, 0.24):
            clock.advance(step)
            assert await due(backend) == []
        clock.advance(0.01)
        assert await due(backend) == [DueJob(now + 2, job(1))]

    @promise("due", "Return the first *limit* jobs that are due.")
    @promise("all", '"Now" is the time of the')
    @needs("clock")
    async def test_due_shows_the_time_and_the_next_due_time(self, backend: Backend, clock: ManualClock) -> None:
        """`now` is the backend's clock. `next_at` is the earliest due time, past or not, or None."""
        empty = await backend.due(10)
        assert abs(empty.now - clock.now()) < 0.01
        assert (empty.next_at, empty.yielded) == (None, False)
        now = await now_of(backend)
        await schedule(backend, now + 20, job(1))
        await schedule(backend, now + 10, job(2))
        assert (await backend.due(10)).next_at == now + 10
        clock.advance(15)
        assert (await backend.due(10)).next_at == now + 10

    @promise("due", "Due times without jobs are deleted.")
    @needs("clock")
    async def test_due_times_without_jobs_are_not_next(self, backend: Backend, clock: ManualClock) -> None:
        """A due time is forgotten when its last job is promoted."""
        now = await now_of(backend)
        await schedule(backend, now + 10, job(1))
        await schedule(backend, now + 20, job(2))
        clock.advance(10)
        await backend.promote(moves_of(await due(backend)))
        assert (await backend.due(10)).next_at == now + 20
        clock.advance(10)
        await backend.promote(moves_of(await due(backend)))
        seen = await backend.due(10)
        assert (list(seen.jobs), seen.next_at) == ([], None)

    @promise("due", "While another program's scheduler holds its lock, `yielded` is true and `jobs` is empty.")
    @promise("promote", "A job is also `MISSED` while another program's scheduler holds its lock.")
    @needs("clock", "foreign_scheduler")
    async def test_it_yields_to_another_programs_scheduler(self, backend: Backend, clock: ManualClock) -> None:
        """Neither shows nor promotes a job. Both continue once the other scheduler is gone."""
        now = await now_of(backend)
        await schedule(backend, now + 5, job(1))
        clock.advance(5)
        jobs = await due(backend)
        await self.set_foreign_scheduler(backend, leads=True)
        seen = await backend.due(10)
        assert (seen.yielded, list(seen.jobs)) == (True, [])
        assert list(await backend.promote(moves_of(jobs))) == [PromoteResult.MISSED]
        assert await backend.length("q") == 0
        await self.set_foreign_scheduler(backend, leads=False)
        assert not (await backend.due(10)).yielded
        assert list(await backend.promote(moves_of(await due(backend)))) == [PromoteResult.QUEUED]

    # promote

    @promise("promote", "Move due jobs to the ends of their queues, and return a `PromoteResult` for each.")
    @promise("PromoteResult", "QUEUED")
    @needs("clock")
    async def test_jobs_are_promoted_to_the_ends_of_their_queues(self, backend: Backend, clock: ManualClock) -> None:
        """Each to the queue given for it, after the jobs that are there."""
        now = await now_of(backend)
        await push(backend, job(0))
        await schedule(backend, now + 5, job(1), job(2), job(3))
        clock.advance(5)
        first, second, third = await due(backend)
        answers = await backend.promote(
            [PromotionTarget(first, "q"), PromotionTarget(second, "other"), PromotionTarget(third, "q")]
        )
        assert list(answers) == [PromoteResult.QUEUED] * 3
        assert await backend.queued("q") == [job(0), job(1), job(3)]
        assert await backend.queued("other") == [job(2)]
        assert await due(backend) == []

    @promise("promote", "A job that is no longer where `due` found it, or is not due, is `MISSED`.")
    @promise("PromoteResult", "MISSED")
    @needs("clock")
    async def test_what_is_not_due_is_missed(self, backend: Backend, clock: ManualClock) -> None:
        """The same holds for a job that was never delayed, or to another second. Nothing changes."""
        now = await now_of(backend)
        await schedule(backend, now + 5, job(1))
        moves = moves_of([DueJob(now + 5, job(1)), DueJob(now, job(1)), DueJob(now, job(2))])
        assert list(await backend.promote(moves)) == [PromoteResult.MISSED] * 3
        clock.advance(4.9)
        assert list(await backend.promote(moves)) == [PromoteResult.MISSED] * 3
        assert await backend.queues() == []
        clock.advance(0.1)
        assert await due(backend) == [DueJob(now + 5, job(1))]

    @promise("promote", "Of two calls with the same target, one moves the job.")
    @promise("PromoteResult", "MISSED")
    @needs("clock")
    async def test_of_two_equal_promotions_one_promotes_it(
        self, backend: Backend, clock: ManualClock, views: Views
    ) -> None:
        """In one call or by two processes. Copies of one second are promoted one by one."""
        now = await now_of(backend)
        entry = DelayedJobEntry(now + 5, "q", job(1), unique=False)
        await backend.schedule([entry, entry])
        clock.advance(5)
        move = PromotionTarget(DueJob(now + 5, job(1)), "q")
        assert list(await backend.promote([move])) == [PromoteResult.QUEUED]
        assert await due(backend) == [move.job]
        assert list(await backend.promote([move, move])) == [PromoteResult.QUEUED, PromoteResult.MISSED]
        assert list(await (await views()).promote([move])) == [PromoteResult.MISSED]
        assert await backend.queued("q") == [job(1), job(1)]

    @promise("PromoteResult", "MERGED")
    @needs("clock")
    async def test_a_job_is_merged_with_an_equal_one_that_waits(self, backend: Backend, clock: ManualClock) -> None:
        """If a guard does not hold, the delayed entry is removed. Nothing is stored, and no lock is taken."""
        now = await now_of(backend)
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:a", 60),))])
        await schedule(backend, now + 5, job(1), job(2))
        clock.advance(5)
        first, second = await due(backend)
        answers = await backend.promote(
            [
                PromotionTarget(first, "q", guards=(QueueLockGuard("lock:b", 60), QueueLockGuard("lock:a", 60))),
                PromotionTarget(second, "q", guards=(QueueLockGuard("lock:b", 60),)),
            ]
        )
        assert list(answers) == [PromoteResult.MERGED, PromoteResult.QUEUED]
        assert await backend.queued("q") == [job(1), job(2)]
        assert (await backend.due(10)).next_at is None

    @promise("PromoteResult", "MERGED")
    @needs("clock")
    async def test_an_equal_job_may_be_written_otherwise(self, backend: Backend, clock: ManualClock) -> None:
        """It is found by its equivalent payloads."""
        guards = (QueueLockGuard("lock:a", 600),)
        await backend.push([Entry("q", job("other"), guards=guards)])
        await schedule(backend, await now_of(backend) + 5, job(1))
        clock.advance(5)
        (due_job,) = await due(backend)
        move = PromotionTarget(due_job, "q", guards=guards, equivalent_payloads=(job("no"), job("other")))
        assert list(await backend.promote([move])) == [PromoteResult.MERGED]
        assert await backend.queued("q") == [job("other")]

    @promise("PromoteResult", "QUEUED")
    @needs("clock")
    async def test_a_lock_that_was_left_behind_stops_no_delayed_job(self, backend: Backend, clock: ManualClock) -> None:
        """No equal job is queued, so the promotion takes the lock over and holds it."""
        guards = (QueueLockGuard("lock:b", 600), QueueLockGuard("lock:a", 600))
        await backend.push([Entry("q", job(1), guards=guards[1:])])
        await backend.remove("q", [Removal(job(1))])
        await schedule(backend, await now_of(backend) + 5, job(1), job(2))
        clock.advance(5)
        first, second = await due(backend)
        moves = [
            PromotionTarget(first, "q", guards=guards),
            PromotionTarget(second, "q", guards=guards[:1], equivalent_payloads=(job(1),)),
        ]
        assert list(await backend.promote(moves)) == [PromoteResult.QUEUED, PromoteResult.MERGED]
        assert await backend.queued("q") == [job(1)]
        assert list(await backend.push([Entry("q", job(3), guards=guards[1:])])) == [False]

    @promise("PromoteResult", "HELD")
    @needs("clock")
    async def test_a_shared_lock_keeps_other_jobs_delayed(self, backend: Backend, clock: ManualClock) -> None:
        """Unequal jobs are not merged. When the lock is free, they are promoted in order. None takes half its locks."""
        shared = QueueLockGuard("lock:a", 600, shared=True)
        await backend.push([Entry("q", job(0), guards=(shared,))])
        await schedule(backend, await now_of(backend) + 5, job(1), job(2), job(0))
        clock.advance(5)
        jobs = await due(backend)
        moves = [PromotionTarget(due_job, "q", guards=(QueueLockGuard("lock:b", 600), shared)) for due_job in jobs]
        assert list(await backend.promote(moves)) == [PromoteResult.HELD, PromoteResult.HELD, PromoteResult.MERGED]
        assert await due(backend) == jobs[:2]
        assert await free_locks(backend, "lock:b") == ["lock:b"]
        await backend.remove("q", [Removal(job(0), release=("lock:a", "lock:b"))])
        assert list(await backend.promote(moves[:2])) == [PromoteResult.QUEUED, PromoteResult.HELD]
        assert await backend.queued("q") == [job(1)]
        assert await due(backend) == jobs[1:2]

    @promise("PromoteResult", "MERGED")
    @promise("NotDelayed", "Store the job only if none of these payloads is delayed.")
    @needs("clock")
    async def test_a_job_does_not_block_its_own_promotion(self, backend: Backend, clock: ManualClock) -> None:
        """A job does not count as delayed while it is promoted. A copy with a later due time does."""
        now = await now_of(backend)
        guards = (NotDelayed((job(1),)),)
        await schedule(backend, now + 5, job(1))
        await schedule(backend, now + 50, job(1))
        clock.advance(5)
        (first,) = await due(backend)
        assert list(await backend.promote([PromotionTarget(first, "q", guards=guards)])) == [PromoteResult.MERGED]
        clock.advance(45)
        (second,) = await due(backend)
        assert list(await backend.promote([PromotionTarget(second, "q", guards=guards)])) == [PromoteResult.QUEUED]
        assert await backend.queued("q") == [job(1)]

    @promise("PromoteResult", "FAILED")
    @needs("clock")
    async def test_what_cannot_be_queued_is_listed_as_failed(self, backend: Backend, clock: ManualClock) -> None:
        """With the text given. It is then neither delayed nor queued."""
        await schedule(backend, await now_of(backend) + 5, "garbage", job(1))
        clock.advance(5)
        garbage, fine = await due(backend)
        moves = [PromotionTarget(garbage, None, failure="no queue in it"), PromotionTarget(fine, "q")]
        assert list(await backend.promote(moves)) == [PromoteResult.FAILED, PromoteResult.QUEUED]
        assert await backend.failed() == ["no queue in it"]
        assert await backend.queues() == ["q"]
        assert await due(backend) == []
        assert list(await backend.promote(moves)) == [PromoteResult.MISSED] * 2
        assert await backend.failed_count() == 1

    @promise("promote", "Move due jobs to the ends of their queues, and return a `PromoteResult` for each.")
    async def test_nothing_can_be_promoted(self, backend: Backend) -> None:
        """An empty call does nothing."""
        assert list(await backend.promote([])) == []

    @promise("promote", "Waiting processes wake up as after `push`.")
    @needs("clock")
    async def test_a_promotion_wakes_a_process_that_waits_for_the_queue(
        self, backend: Backend, clock: ManualClock
    ) -> None:
        """Being due is not enough: a scheduler has to promote the job."""
        await schedule(backend, await now_of(backend) + 5, job(1))
        clock.advance(5)
        jobs = await due(backend)
        wait = await start_wait(backend, make_process(), Subscription(queues=("q",)))
        await backend.promote(moves_of(jobs))
        assert (await within(wait)).jobs
