"""One damaged item affects nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import (
    DelayedJobEntry,
    Entry,
    Failed,
    HeldLock,
    LockSpec,
    PostponedByPlugin,
    Preparation,
    Prepared,
    PromoteResult,
    PromotionTarget,
    QueueLockGuard,
    Released,
    Removal,
    Retried,
    Settlement,
    Succeeded,
)
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    blocked_by,
    claim,
    claim_one,
    due,
    free_locks,
    job,
    now_of,
    payloads_of,
    push,
    registered,
    schedule,
    send_heartbeat,
    settle,
)
from taskhero.conformance.suite import Suite
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock

__all__ = ["DamagedData"]

_ITEM = "Damaged data (a key of the wrong type, a counter that is not a number) affects only the item it belongs"
_REFUSED = "`BackendRefused` means that the backend changed nothing."
_UNSETTLED = (
    "If a settlement cannot be recorded, the claim stays as it was and `unsettled` lists it.",
    "All other settlements are recorded.",
)


class DamagedData(Suite):
    """Data of a wrong type, since other programs write to the store too."""

    @promise("all", _ITEM)
    @promise("settle_and_claim", "Jobs are claimed queue by queue in the order given, each queue from its front.")
    @promise("settle_and_claim", "A later queue is used only if the earlier ones hold no more jobs or cannot be read.")
    @needs("wrong_types")
    async def test_a_queue_that_cannot_be_read_is_passed_over(self, backend: Backend) -> None:
        """`problems` names it, and the next queue's jobs are claimed."""
        process = await registered(backend, slots=(1, 2), queues=("bad", "q"))
        await self.break_queue(backend, "bad")
        await push(backend, job(1))
        answer = await backend.settle_and_claim(process, (), (1, 2), ("bad", "q"))
        assert payloads_of(answer.claims) == [job(1)]
        assert list(answer.problems) == ["bad"]
        assert answer.problems["bad"]

    @promise("all", _REFUSED)
    @needs("wrong_types")
    async def test_a_push_that_is_refused_changes_nothing(self, backend: Backend) -> None:
        """It raises, and the lock that it took is free again."""
        await self.break_queue(backend, "bad")
        with pytest.raises(BackendRefused):
            await backend.push([Entry("bad", job(1))])
        with pytest.raises(BackendRefused):
            await backend.push([Entry("bad", job(1), guards=(QueueLockGuard("lock:a", 60),))])
        with pytest.raises(BackendRefused):
            await backend.schedule([DelayedJobEntry(0, "bad", job(1), guards=(QueueLockGuard("lock:a", 60),))])
        assert list(await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:a", 60),))])) == [True]

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_other_callers_pushes_are_not_affected(self, backend: Backend) -> None:
        """They may share a round trip."""
        await self.break_queue(backend, "bad")
        queues = ("a", "bad", "b", "bad", "c")
        answers = await asyncio.gather(
            *(backend.push([Entry(queue, job(1))]) for queue in queues), return_exceptions=True
        )
        assert [isinstance(answer, BackendRefused) for answer in answers] == [queue == "bad" for queue in queues]
        assert [await backend.length(queue) for queue in ("a", "b", "c")] == [1, 1, 1]

    @promise("settle_and_claim", *_UNSETTLED)
    @needs("wrong_types")
    async def test_a_failure_that_cannot_be_listed_stays_claimed(self, backend: Backend) -> None:
        """The reply gives the reason. The rest of the batch is recorded, and the next jobs are claimed."""
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, *map(job, range(4)))
        first, second, third = await claim(backend, process, (1, 2, 3))
        await self.break_failures(backend)
        settled = [
            Settlement(first, Succeeded()),
            Settlement(second, Failed("no")),
            Settlement(third, PostponedByPlugin(100)),
        ]
        answer = await backend.settle_and_claim(process, settled, (1, 2, 3), ("q",))
        ((unsettled, reason),) = answer.unsettled
        assert unsettled == second
        assert reason
        assert list(answer.gone) == []
        assert (await backend.stats()) == {"processed": 1, f"processed:{process.worker(first.slot)}": 1}
        assert sorted(payloads_of((await backend.claims(process)).claims)) == [job(1), job(3)]
        assert list((await settle(backend, process, second, Succeeded())).gone) == []

    @promise("settle_and_claim", *_UNSETTLED)
    @needs("wrong_types")
    async def test_a_job_whose_queue_is_damaged_stays_claimed(self, backend: Backend) -> None:
        """It cannot be released, and it is not lost either."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await self.break_queue(backend, "q")
        answer = await settle(backend, process, claimed, Released())
        assert [held for held, _ in answer.unsettled] == [claimed]
        assert list((await backend.claims(process)).claims) == [claimed]

    @promise("all", _ITEM)
    @promise("stats", "Return all counters: ``processed``, ``failed``, and each of them with ``:<worker>``.")
    @promise("stats", "A counter that is not a number is omitted.")
    @pytest.mark.parametrize("counter", ["processed", "failed"])
    @needs("wrong_types")
    async def test_a_counter_that_is_not_a_number_is_left_out(self, backend: Backend, counter: str) -> None:
        """Settlements are recorded all the same, and the other counters count."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        await self.break_counter(backend, counter)
        done, failed = await claim(backend, process, (1, 2))
        answer = await backend.settle_and_claim(
            process, [Settlement(done, Succeeded()), Settlement(failed, Failed("no"))], (), ()
        )
        assert (list(answer.gone), list(answer.unsettled)) == ([], [])
        assert list((await backend.claims(process)).claims) == []
        assert await backend.failed() == ["no"]
        expected = {
            "processed": 1,
            "failed": 1,
            f"processed:{process.worker(done.slot)}": 1,
            f"failed:{process.worker(failed.slot)}": 1,
        }
        del expected[counter]
        assert await backend.stats() == expected

    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_damaged_counter_of_a_worker_affects_nothing_else(self, backend: Backend) -> None:
        """Neither the settlement nor the total."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        await self.break_counter(backend, f"processed:{process.worker(1)}")
        claims = await claim(backend, process, (1, 2))
        answer = await backend.settle_and_claim(
            process, [Settlement(claimed, Succeeded()) for claimed in claims], (), ()
        )
        assert (list(answer.gone), list(answer.unsettled)) == ([], [])
        assert await backend.stats() == {"processed": 2, f"processed:{process.worker(2)}": 1}

    @promise("PromoteResult", "WRONG_TYPE")
    @promise("all", _ITEM)
    @needs("clock", "wrong_types")
    async def test_a_job_is_not_promoted_to_a_damaged_queue(self, backend: Backend, clock: ManualClock) -> None:
        """The job stays delayed and takes no lock. The other promotions are made."""
        now = await now_of(backend)
        await schedule(backend, now + 5, job(1), job(2))
        clock.advance(5)
        await self.break_queue(backend, "bad")
        first, second = await due(backend)
        moves = [PromotionTarget(first, "bad", guards=(QueueLockGuard("lock:a", 60),)), PromotionTarget(second, "q")]
        assert list(await backend.promote(moves)) == [PromoteResult.WRONG_TYPE, PromoteResult.QUEUED]
        assert await due(backend) == [first]
        assert list(await backend.promote([PromotionTarget(first, "q", guards=(QueueLockGuard("lock:a", 60),))])) == [
            PromoteResult.QUEUED
        ]
        assert await backend.queued("q") == [job(2), job(1)]

    @promise("PromoteResult", "WRONG_TYPE")
    @needs("clock", "wrong_types")
    async def test_a_failure_that_cannot_be_listed_stays_delayed(self, backend: Backend, clock: ManualClock) -> None:
        """The job is not lost because the failed list cannot take it."""
        await schedule(backend, await now_of(backend) + 5, "garbage")
        clock.advance(5)
        await self.break_failures(backend)
        (garbage,) = await due(backend)
        assert list(await backend.promote([PromotionTarget(garbage, None, failure="no")])) == [PromoteResult.WRONG_TYPE]
        assert await due(backend) == [garbage]

    # locks and attempts

    @promise("prepare", "A lock of the wrong type counts as held by another owner.")
    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_lock_of_the_wrong_type_counts_as_held(self, backend: Backend) -> None:
        """The job that needs it is blocked and takes none. The lock is neither renewed nor released."""
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, job(1), job(2), job(3))
        first, second, third = await claim(backend, process, (1, 2, 3))
        await self.break_lock(backend, "bad")
        bad, good, other = LockSpec("bad", 60), LockSpec("good", 60), LockSpec("other", 60)
        wanted = [
            Preparation(first, hold=(good, bad)),
            Preparation(second, hold=(good,)),
            Preparation(third, hold=(other,)),
        ]
        assert list(await backend.prepare(process, wanted)) == [Prepared(blocked_by=1), Prepared(), Prepared()]
        lost = HeldLock(second, bad)
        assert (await send_heartbeat(backend, process, locks=[lost, HeldLock(second, good)])).lost == (lost,)
        settled = [Settlement(second, Succeeded(), release=("bad", "good")), Settlement(third, Succeeded())]
        answer = await backend.settle_and_claim(process, settled, (), ())
        assert (list(answer.gone), list(answer.unsettled)) == ([], [])
        assert await free_locks(backend, "bad", "good", "other") == ["good"]

    @promise("prepare", "The locks of the queued job are released.")
    @promise("settle_and_claim", "It deletes the counters of `Settlement.forget`, but not if the claim is `gone`.")
    @needs("wrong_types")
    async def test_what_has_no_owner_is_deleted_whatever_its_type(self, backend: Backend) -> None:
        """A queued job's lock, and a counter of attempts."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        claimed = await claim_one(backend, process)
        await self.break_lock(backend, "lock:a")
        await self.break_attempts(backend, "retry:a")
        (answer,) = await backend.prepare(process, [Preparation(claimed, release=("lock:a",), counter="retry:a")])
        assert answer == Prepared()
        assert await free_locks(backend, "lock:a") == ["lock:a"]
        await backend.settle_and_claim(process, [Settlement(claimed, Succeeded(), forget=("retry:a",))], (), ())
        failed = await claim_one(backend, process)
        answers = await settle(backend, process, failed, Retried("no", "retry:a", 9, (1000.0,)))
        assert list(answers.attempts) == [(failed, 1)]

    @promise("prepare", "The counter of attempts is read, whether the locks were taken or not.")
    @promise("all", _ITEM)
    @needs("wrong_types")
    async def test_a_counter_of_attempts_that_is_not_a_number_is_none(self, backend: Backend) -> None:
        """The job runs all the same, and its attempts count from one again."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        await self.break_attempts(backend, "retry:a")
        wanted = Preparation(claimed, hold=(LockSpec("work:a", 60),), counter="retry:a")
        assert list(await backend.prepare(process, [wanted])) == [Prepared()]
        answer = await settle(backend, process, claimed, Retried("no", "retry:a", 9, (1000.0,)))
        assert list(answer.attempts) == [(claimed, 1)]

    @pytest.mark.parametrize("last", [False, True], ids=["failed", "last-attempt"])
    @promise("settle_and_claim", "If the settlement cannot be recorded, its locks and counters stay.")
    @promise("settle_and_claim", *_UNSETTLED)
    @needs("wrong_types")
    async def test_locks_and_counters_of_an_unrecorded_settlement_stay(self, backend: Backend, *, last: bool) -> None:
        """The claim still owns the lock, and the counter keeps its value."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2), job(3))
        before, claimed = await claim(backend, process, (1, 2))
        await settle(backend, process, before, Retried("no", "retry:a", 9, (1000.0,)))
        assert await blocked_by(backend, process, claimed, "work:a") is None
        await self.break_failures(backend)
        disposition = Retried("no", "retry:a", 2, (1000.0,)) if last else Failed("no")
        settlement = Settlement(claimed, disposition, release=("work:a",), forget=("retry:a",))
        answer = await backend.settle_and_claim(process, [settlement], (), ())
        assert [held for held, _ in answer.unsettled] == [claimed]
        assert await free_locks(backend, "work:a") == []
        assert await blocked_by(backend, process, claimed, "work:a") is None
        (prepared,) = await backend.prepare(process, [Preparation(claimed, counter="retry:a")])
        assert prepared.count == 0

    @promise("remove", "These locks are released, whatever their owner, if an entry was removed and none with its")
    @promise("delete_queue", "With *only_if_empty*, a queue that holds jobs or cannot be read does not change, and")
    @needs("wrong_types")
    async def test_a_damaged_queue_is_not_an_empty_one(self, backend: Backend) -> None:
        """Nothing is removed, no lock is released, and only an unconditional delete deletes it."""
        process = await registered(backend, queues=("bad",))
        await backend.push([Entry("bad", job(1), guards=(QueueLockGuard("lock:a", 60),))])
        await self.break_queue(backend, "bad")
        with pytest.raises(BackendRefused):
            await backend.remove("bad", [Removal(job(1), 0, ("lock:a",)), Removal(job(2))])
        assert await free_locks(backend, "lock:a") == []
        assert await backend.delete_queue("bad", only_if_empty=True) == 0
        assert await backend.queues() == ["bad"]
        assert list((await backend.settle_and_claim(process, (), (1,), ("bad",))).problems) == ["bad"]
        assert await backend.delete_queue("bad") == 0
        assert await backend.queues() == []
        assert list((await backend.settle_and_claim(process, (), (1,), ("bad",))).problems) == []
