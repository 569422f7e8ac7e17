"""Verbs with several items: a damaged item affects no other, is not lost, and is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import (
    DelayedJobEntry,
    DeregisterReply,
    DueJob,
    Entry,
    NotDelayed,
    PromoteResult,
    PromotionTarget,
    QueueLockGuard,
    RescuedJob,
    Retried,
    ScheduleResult,
    Settlement,
    Subscription,
)
from taskhero.backends.records.inspection import FailedEntry, FailedRetry, RetryResult, StoredDelayedJob
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    claim,
    claim_one,
    due,
    free_locks,
    job,
    leases_except,
    now_of,
    payloads_of,
    push,
    registered,
    rescue,
    schedule,
    start_wait,
    within,
)
from taskhero.conformance.suite import Suite
from taskhero.errors import BackendError, BackendRefused, PartlyRefused
from taskhero.wire.jobs import unmark

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Claim, Process
    from taskhero.clock import ManualClock

__all__ = ["IsolatedItems", "claim_each"]

_ITEM = "Damaged data (a key of the wrong type, a counter that is not a number) affects only the item it belongs"
_RESCUE = "A job whose queue cannot take it stays claimed, and the reply says why."
_NO_OTHER = "It does not count for *limit* and does not prevent the rescue of other jobs."
_HOLDS = "A worker whose queue cannot take its job stays registered and keeps the job, and the reply names the"
_PARTLY = "If some entries cannot be stored, the backend stores the others and raises `PartlyRefused`, which names"


async def claim_each(backend: Backend, number: int, *queues: str) -> tuple[Process, list[Claim]]:
    """Register a process that holds one job of each of these queues, claimed in this order."""
    process = await registered(backend, number, slots=range(1, len(queues) + 1), queues=queues)
    claims = []
    for slot, queue in enumerate(queues, 1):
        await push(backend, job(f"{number}.{slot}", queue), queue=queue)
        claims.append(await claim_one(backend, process, slot, queue))
    return process, claims


class IsolatedItems(Suite):
    """Each item is independent: in rescues, in deregistrations, and for producers, schedulers and wake-ups."""

    # rescues

    @promise("rescue", _RESCUE)
    @promise("rescue", _NO_OTHER)
    @promise("all", _ITEM)
    @pytest.mark.parametrize("limit", [1, 100])
    @needs("wrong_types")
    async def test_a_rescue_passes_a_queue_that_cannot_take_its_job(self, backend: Backend, limit: int) -> None:
        """In the same process and in others, each time. Once the queue is repaired, the job is rescued too."""
        first, claims = await claim_each(backend, 1, "q", "bad", "bad", "r")
        _, others = await claim_each(backend, 2, "q", "bad")
        living = await registered(backend, 3)
        await self.break_queue(backend, "bad")
        found: list[RescuedJob] = []
        for _ in range(5):
            found += await rescue(backend, living, limit=limit)
        taken = [unmark(found_job.raw) for found_job in found if found_job.problem is None]
        assert sorted(taken) == sorted([claims[0].raw, claims[3].raw, others[0].raw])
        blocked = {(found_job.worker, found_job.queue, found_job.raw) for found_job in found if found_job.problem}
        assert blocked >= {(first.worker(held.slot), "bad", held.raw) for held in claims[1:3]}
        assert list((await backend.claims(first)).claims) == claims[1:3]
        assert len(await leases_except(backend, living)) == 2
        await backend.delete_queue("bad")
        again = [found_job for _ in range(5) for found_job in await rescue(backend, living, limit=limit)]
        assert [found_job.problem for found_job in again] == [None] * 3
        assert {unmark(raw) for raw in await backend.queued("bad")} == {claims[1].raw, claims[2].raw, others[1].raw}
        assert await leases_except(backend, living) == []

    @promise("rescue", _RESCUE)
    @needs("wrong_types")
    async def test_a_job_that_cannot_be_rescued_is_not_marked(self, backend: Backend) -> None:
        """Its rescue counts as one crash, whatever the number of attempts before."""
        process, (claimed,) = await claim_each(backend, 1, "bad")
        await backend.mark_exclusive(process, claimed)
        living = await registered(backend, 2)
        await self.break_queue(backend, "bad")
        for _ in range(3):
            (blocked,) = await rescue(backend, living)
            assert (blocked.raw, blocked.running) == (claimed.raw, True)
        await backend.delete_queue("bad")
        (rescued,) = await rescue(backend, living)
        assert rescued.raw == (await backend.queued("bad"))[0]
        assert rescued.raw.count("taskhero:rescues") == 1
        assert '"taskhero:rescues":1' in rescued.raw

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_rescue_passes_a_worker_that_cannot_be_read(self, backend: Backend) -> None:
        """The jobs of the other workers and processes are rescued."""
        first, claims = await claim_each(backend, 1, "q", "q")
        _, others = await claim_each(backend, 2, "q")
        living = await registered(backend, 3)
        await self.break_worker(backend, first.worker_id(1))
        assert {unmark(found_job.raw) for found_job in await rescue(backend, living)} == {claims[1].raw, others[0].raw}

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_what_is_claimed_is_read_beside_a_worker_that_cannot_be(self, backend: Backend) -> None:
        """A process finds its other claims, and the damaged worker gets a new job."""
        process, claims = await claim_each(backend, 1, "q", "q")
        await self.break_worker(backend, process.worker_id(1))
        assert list((await backend.claims(process)).claims) == claims[1:]
        await push(backend, job("new"))
        assert payloads_of(await claim(backend, process, (1, 2))) == [job("new")]

    # deregistrations

    @promise("deregister_slots", _HOLDS)
    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_worker_whose_job_cannot_be_released_stays_registered(self, backend: Backend) -> None:
        """The others are deregistered. It follows when its queue is repaired."""
        process, (good, bad, last) = await claim_each(backend, 1, "q", "bad", "q")
        await self.break_queue(backend, "bad")
        answer = await backend.deregister_slots(process, (1, 2, 3))
        assert [held for held, reason in answer.blocked if reason] == [bad]
        assert answer.released == 2
        assert await backend.queued("q") == [good.raw, last.raw]
        assert list((await backend.claims(process)).claims) == [bad]
        assert [entry.id for entry in await backend.workers()] == [process.worker_id(2)]
        await backend.delete_queue("bad")
        assert await backend.deregister_slots(process, (2,)) == DeregisterReply(released=1)
        assert await backend.queued("bad") == [bad.raw]

    @promise("deregister", _HOLDS)
    @promise("deregister", "In that case the process counts as dead immediately, so that other processes can rescue")
    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_process_keeps_the_jobs_that_cannot_be_released(self, backend: Backend) -> None:
        """Its other jobs are released, and it cannot claim any more."""
        process, (good, bad) = await claim_each(backend, 1, "q", "bad")
        other = await registered(backend, 2)
        await self.break_queue(backend, "bad")
        answer = await backend.deregister(process)
        assert (answer.released, [held for held, reason in answer.blocked if reason]) == (1, [bad])
        assert await backend.queued("q") == [good.raw]
        assert not (await backend.settle_and_claim(process, (), (1,), ("q",))).claims
        assert [lease.process for lease in await leases_except(backend, other)] == [process.name]
        assert [found_job.raw for found_job in await rescue(backend, other) if found_job.problem] == [bad.raw]
        await backend.delete_queue("bad")
        assert [unmark(found_job.raw) for found_job in await rescue(backend, other)] == [bad.raw]

    # producers

    @promise("push", _PARTLY)
    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_push_stores_what_it_can(self, backend: Backend) -> None:
        """The answer says for each entry: stored, a duplicate, or not storable, and why."""
        await self.break_queue(backend, "bad")
        lock, other = QueueLockGuard("lock:a", 60), QueueLockGuard("lock:b", 60)
        entries = [
            Entry("q", job(1)),
            Entry("bad", job(2)),
            Entry("bad", job(3), guards=(lock,)),
            Entry("q", job(4), guards=(lock,)),
            Entry("q", job(5), guards=(lock, other)),
        ]
        with pytest.raises(PartlyRefused) as refused:
            await backend.push(entries)
        assert refused.value.answers == (True, None, None, True, False)
        assert sorted(refused.value.problems) == [1, 2]
        assert all(refused.value.problems.values())
        assert await backend.queued("q") == [job(1), job(4)]
        assert await free_locks(backend, "lock:a", "lock:b") == ["lock:b"]

    @promise("schedule", _PARTLY)
    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_what_can_be_delayed_is_delayed(self, backend: Backend) -> None:
        """Beside a due time, and a queue of a due job, that cannot take a job."""
        now = await now_of(backend)
        await self.break_queue(backend, "bad")
        await schedule(backend, now + 60, job("lost"))
        await self.break_due_time(backend, now + 60)
        entries = [
            DelayedJobEntry(now + 60, "q", job(1)),
            DelayedJobEntry(now + 70, "q", job(2)),
            DelayedJobEntry(0, "bad", job(3), guards=(QueueLockGuard("lock:a", 60),)),
            DelayedJobEntry(0, "q", job(4)),
        ]
        with pytest.raises(PartlyRefused) as refused:
            await backend.schedule(entries)
        assert refused.value.answers == (None, ScheduleResult.DELAYED, None, ScheduleResult.QUEUED)
        assert sorted(refused.value.problems) == [0, 2]
        assert list(await backend.due_times()) == [(now + 70, 1)]
        assert await backend.queued("q") == [job(4)]
        assert await free_locks(backend, "lock:a") == ["lock:a"]
        with pytest.raises(BackendRefused):
            await backend.schedule(entries[:1])

    @promise("all", _ITEM)
    @needs("clock", "wrong_types")
    async def test_a_payload_whose_due_times_cannot_be_read_is_delayed(
        self, backend: Backend, clock: ManualClock
    ) -> None:
        """It is promoted too. Guards treat it as not delayed; other payloads are not affected."""
        now = await now_of(backend)
        await schedule(backend, now + 5, job(1))
        await self.break_due_times_of(backend, job(1))
        await schedule(backend, now + 6, job(1), job(2))
        guarded = [Entry("q", job(n), guards=(NotDelayed((job(n),)),)) for n in (1, 2)]
        assert (await backend.push(guarded))[1] is False
        clock.advance(6)
        jobs = await due(backend)
        assert [due_job.raw for due_job in jobs] == [job(1), job(1), job(2)]
        assert (
            list(await backend.promote([PromotionTarget(due_job, "r") for due_job in jobs]))
            == [PromoteResult.QUEUED] * 3
        )
        assert await due(backend) == []
        await schedule(backend, now + 60, job(1), job(2))
        entries = [StoredDelayedJob(now + 60, job(n)) for n in (1, 2)]
        assert list(await backend.remove_delayed(entries)) == [1, 1]

    # schedulers

    @promise("all", _ITEM)
    @needs("clock", "wrong_types")
    async def test_a_second_that_cannot_be_read_stops_no_promotion(self, backend: Backend, clock: ManualClock) -> None:
        """Later jobs are shown and promoted, and jobs of another due time can be removed."""
        now = await now_of(backend)
        for at, number in ((5, 1), (6, 2), (7, 3)):
            await schedule(backend, now + at, job(number))
        await self.break_due_time(backend, now + 5)
        clock.advance(6)
        found = await due(backend, 1) or await due(backend, 1)
        assert [due_job.raw for due_job in found] == [job(2)]
        moves = [PromotionTarget(DueJob(now + 5, job(1)), "q"), PromotionTarget(found[0], "q")]
        assert list(await backend.promote(moves)) == [PromoteResult.MISSED, PromoteResult.QUEUED]
        entries = [StoredDelayedJob(now + at, job(number)) for at, number in ((5, 1), (7, 3))]
        assert list(await backend.remove_delayed(entries)) == [0, 1]

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_failure_of_a_damaged_list_is_missing(self, backend: Backend) -> None:
        """The others are retried and removed."""
        process, claims = await claim_each(backend, 1, "q")
        await backend.settle_and_claim(process, [Settlement(claims[0], Retried("a", "retry:a", 1, (1.0,)))], (), ())
        await self.break_queue(backend, "bad")
        retries = [
            FailedRetry(FailedEntry("b", "bad_failed"), Entry("q", job(1))),
            FailedRetry(FailedEntry("a"), Entry("bad", job(2))),
            FailedRetry(FailedEntry("a"), Entry("q", job(3))),
        ]
        assert list(await backend.retry_failed(retries)) == [
            RetryResult.MISSING,
            RetryResult.NOT_STORED,
            RetryResult.STORED,
        ]
        assert await backend.queued("q") == [job(3)]

    # wake-ups

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_damaged_queue_keeps_no_process_from_waking(self, backend: Backend) -> None:
        """The wake-up is forwarded for the queues that hold jobs."""
        first, second = await registered(backend, 1), await registered(backend, 2)
        await self.break_queue(backend, "bad")
        wait = await start_wait(backend, first, Subscription(queues=("q",)))
        await push(backend, job(1))
        assert (await within(wait)).jobs
        wait = await start_wait(backend, second, Subscription(queues=("q",)))
        await backend.notify(["bad", "q"])
        assert (await within(wait)).jobs

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_listings_show_what_can_be_read(self, backend: Backend) -> None:
        """Only a request for the damaged queue itself fails."""
        await push(backend, job(1))
        await push(backend, job(1), queue="bad")
        await self.break_queue(backend, "bad")
        assert (await backend.overview()).lengths == {"bad": None, "q": 1}
        assert await backend.queues() == ["bad", "q"]
        assert await backend.queued("q") == [job(1)]
        with pytest.raises(BackendError):
            await backend.queued("bad")
