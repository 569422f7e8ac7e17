"""What other programs leave when they die between two commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import DueJob, Entry, PromoteResult, QueueLockGuard
from taskhero.backends.records.inspection import StoredDelayedJob
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    blocked_by,
    claim_one,
    due,
    hold,
    job,
    moves_of,
    now_of,
    push,
    registered,
    schedule,
)
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["ForeignLeftovers"]

_DEAD = (
    "If that lock has no lifetime, it counts as dead after 10 minutes without a change.",
    "The 10 minutes count only if `due` saw the lock at least once a minute.",
)


class ForeignLeftovers(Suite):
    """`Backend.adopt`, `lifetimes`, and how `due` and `prepare` treat locks without an end."""

    # delayed jobs without their due times

    @promise("adopt", "Register delayed jobs that another program stored without their due times, and return their")
    @promise("adopt", "From then on they are promoted, listed and removed like all others.")
    @needs("clock", "leftovers")
    async def test_jobs_without_their_due_times_are_adopted(self, backend: Backend, clock: ManualClock) -> None:
        """Once, whether they are due or not."""
        now = await now_of(backend)
        for number in (1, 2):
            await self.add_orphan(backend, str(now - 60), job(number))
        await self.add_orphan(backend, str(now + 60), job(3))
        assert list(await backend.due_times()) == []
        assert await backend.adopt() == 3
        assert await backend.adopt() == 0
        assert list(await backend.due_times()) == [(now - 60, 2), (now + 60, 1)]
        shown = await backend.search_delayed()
        assert [entry.raw for entry in shown.entries] == [job(1), job(2), job(3)]
        assert list(await backend.remove_delayed([StoredDelayedJob(now - 60, job(2))])) == [1]
        assert list(await backend.promote(moves_of(await due(backend)))) == [PromoteResult.QUEUED]
        clock.advance(60)
        assert list(await backend.promote(moves_of(await due(backend)))) == [PromoteResult.QUEUED]
        assert await backend.queued("q") == [job(1), job(3)]
        assert list(await backend.due_times()) == []

    @promise("adopt", "A job whose due time is not a whole second is delayed to the next whole second.")
    @needs("leftovers")
    async def test_a_job_without_a_whole_second_is_adopted(self, backend: Backend) -> None:
        """It never runs early. A job that is already due in that second stays before it."""
        at = await now_of(backend) + 1000
        await schedule(backend, at, job(1))
        await self.add_orphan(backend, f"{at - 1}.25", job(2))
        assert await backend.adopt() == 1
        assert await backend.delayed(at) == [job(1), job(2)]
        assert list(await backend.due_times()) == [(at, 2)]
        assert await backend.adopt() == 0

    @promise("adopt", "Intact data does not change.")
    async def test_what_is_in_order_is_not_adopted(self, backend: Backend) -> None:
        """It is neither counted nor moved."""
        at = await now_of(backend) + 1000
        await schedule(backend, at, job(1), job(2))
        await push(backend, job(3))
        assert await backend.adopt() == 0
        assert await backend.delayed(at) == [job(1), job(2)]
        assert await backend.queued("q") == [job(3)]

    # locks

    @promise("prepare", "A lock that another program left without a lifetime is free 60 seconds after the second that")
    @needs("clock", "leftovers")
    async def test_a_lock_without_a_lifetime_ends(self, backend: Backend, clock: ManualClock) -> None:
        """Not a second early. A lock whose text names no second stays held."""
        now = await now_of(backend)
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await self.add_lock(backend, "workerslock:a", str(now - 30))
        await self.add_lock(backend, "workerslock:b", "true")
        assert await blocked_by(backend, process, claimed, "workerslock:a") == 0
        clock.advance(29)
        assert await blocked_by(backend, process, claimed, "workerslock:a") == 0
        clock.advance(1)
        assert await blocked_by(backend, process, claimed, "workerslock:a") is None
        assert await blocked_by(backend, process, claimed, "workerslock:b") == 0

    @promise("lifetimes", "Return the seconds until each of these locks expires.")
    @promise("lifetimes", "The value is None for a lock that does not expire.")
    @promise("lifetimes", "A lock that does not exist is omitted.")
    async def test_lifetimes_of_locks(self, backend: Backend, views: Views) -> None:
        """Of queued and of running jobs."""
        process = await registered(backend)
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:a", 1000),))])
        claimed = await claim_one(backend, process)
        await hold(backend, process, claimed, "workerslock:a", 30)
        found = await (await views()).lifetimes(["lock:a", "workerslock:a", "lock:none"])
        assert list(found) == ["lock:a", "workerslock:a"]
        for key, seconds in (("lock:a", 1000), ("workerslock:a", 30)):
            lifetime = found[key]
            assert lifetime is not None
            assert seconds - self.patience < lifetime <= seconds + 1
        assert await backend.lifetimes([]) == {}

    @promise("lifetimes", "Return the seconds until each of these locks expires.")
    @promise("lifetimes", "The value is None for a lock that does not expire.")
    @needs("leftovers")
    async def test_a_lock_without_end_has_no_lifetime(self, backend: Backend) -> None:
        """Another program stored it without one."""
        await self.add_lock(backend, "lock:a", "1")
        assert await backend.lifetimes(["lock:a"]) == {"lock:a": None}

    # the lock of another program's scheduler

    @promise("due", "`foreign` says who holds that lock and since when `due` has seen it.")
    @needs("clock", "foreign_scheduler")
    async def test_due_names_the_scheduler_that_stops_the_promotion(
        self, backend: Backend, views: Views, clock: ManualClock
    ) -> None:
        """The time counts from the first call of `due` in any process. The overview shows the same."""
        assert (await backend.due(1)).foreign is None
        assert (await backend.overview()).foreign is None
        await self.set_foreign_scheduler(backend, leads=True)
        unseen = (await backend.overview()).foreign
        assert unseen is not None
        assert unseen.since is None
        now = clock.now()
        first = (await (await views()).due(1)).foreign
        clock.advance(30)
        again, shown = (await backend.due(1)).foreign, (await backend.overview()).foreign
        assert first is not None
        assert first == again == shown
        assert first.since is not None
        assert abs(first.since - now) < 0.01
        assert (first.dead, bool(first.key), bool(first.holder)) == (False, True, True)
        await self.set_foreign_scheduler(backend, leads=False)
        assert (await backend.due(1)).foreign is None

    @promise("due", *_DEAD)
    @needs("clock", "foreign_scheduler")
    async def test_a_lock_that_never_changes_is_dead(self, backend: Backend, clock: ManualClock) -> None:
        """Not before. Then jobs are shown and promoted again, and `foreign` says why."""
        at = await now_of(backend) + 5
        await schedule(backend, at, job(1))
        await self.set_foreign_scheduler(backend, leads=True)
        for _ in range(12):
            assert (await backend.due(1)).yielded
            clock.advance(50)
        seen = await backend.due(1)
        assert (seen.yielded, list(seen.jobs)) == (False, [DueJob(at, job(1))])
        assert seen.foreign is not None
        assert seen.foreign.dead
        assert list(await backend.promote(moves_of(seen.jobs))) == [PromoteResult.QUEUED]

    @promise("due", *_DEAD)
    @needs("clock", "foreign_scheduler")
    async def test_an_unwatched_lock_is_not_dead(self, backend: Backend, clock: ManualClock) -> None:
        """Its owner may have renewed it. The 10 minutes start again, as after a release."""
        await self.set_foreign_scheduler(backend, leads=True)
        for _ in range(3):
            assert (await backend.due(1)).yielded
            clock.advance(61)
        for _ in range(11):
            assert (await backend.due(1)).yielded
            clock.advance(50)
        await self.set_foreign_scheduler(backend, leads=False)
        assert not (await backend.due(1)).yielded
        await self.set_foreign_scheduler(backend, leads=True)
        clock.advance(50)
        assert (await backend.due(1)).yielded
