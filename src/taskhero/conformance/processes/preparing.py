"""What jobs need before they run: locks to release, locks to hold, and their counters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero.backends.protocol import Entry, LockSpec, Preparation, Prepared, QueueLockGuard, Retried, Settlement
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    LEASE,
    blocked_by,
    claim,
    claim_one,
    due,
    free_locks,
    hold,
    job,
    make_process,
    moves_of,
    push,
    registered,
    rescue,
    send_heartbeat,
    settle,
)
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Preparing"]

_ORDER = "Prepare claimed jobs for their runs, and return a `Prepared` for each, in the order given."
_QUEUED = "The locks of the queued job are released."
_HELD = (
    "Of the locks to hold, all are taken or none.",
    "A lock is free if it does not exist.",
    "Its owner is the claim, so a claim that asks again already holds it.",
)
_LAPSES = "A lock expires after its timeout, unless `heartbeat` renews it."
_DIES = "A lock is also free once its process has no lease or was declared dead."
_MINE = (
    "Each claim is one atomic step.",
    "Nothing changes for a claim that the process no longer owns.",
    "Nothing changes for any claim if the process is not registered or was declared dead.",
)
_COUNTER = "The counter of attempts is read, whether the locks were taken or not."

#: Seconds after which an expired lock is free. A backend may round to whole seconds.
_SLACK = 4


def _wants(*keys: str, timeout: int = 3600) -> tuple[LockSpec, ...]:
    return tuple(LockSpec(key, timeout) for key in keys)


class Preparing(Suite):
    """`Backend.prepare`."""

    @promise("prepare", _ORDER, *_MINE)
    async def test_each_job_gets_its_answer_in_the_order_given(self, backend: Backend) -> None:
        """Later ones find the locks of earlier ones taken. A claim that is gone affects no other."""
        process = await registered(backend, slots=(1, 2, 3, 4))
        await push(backend, *map(job, range(4)))
        first, second, third, fourth = await claim(backend, process, (1, 2, 3, 4))
        gone = attrs.evolve(fourth, token=fourth.token + "0")
        answers = await backend.prepare(
            process,
            [
                Preparation(third, hold=_wants("work:a")),
                Preparation(gone, hold=_wants("work:b")),
                Preparation(first, hold=_wants("work:c", "work:b", "work:a")),
                Preparation(second),
                Preparation(fourth, hold=_wants("work:b")),
            ],
        )
        assert list(answers) == [Prepared(), Prepared(is_current=False), Prepared(blocked_by=2), Prepared(), Prepared()]

    @promise("prepare", _ORDER)
    async def test_nothing_can_be_prepared(self, backend: Backend) -> None:
        """No jobs, or a job without needs."""
        process = await registered(backend)
        assert list(await backend.prepare(process, [])) == []
        await push(backend, job(1))
        assert list(await backend.prepare(process, [Preparation(await claim_one(backend, process))])) == [Prepared()]

    # the queued job's locks

    @promise("prepare", _QUEUED)
    async def test_an_equal_job_can_be_queued_while_the_first_one_runs(self, backend: Backend, views: Views) -> None:
        """The lock that the job had in the queue is free, and the next job takes it."""
        process = await registered(backend)
        guarded = Entry("q", job(1), guards=(QueueLockGuard("lock:a", 60),))
        assert list(await backend.push([guarded])) == [True]
        assert list(await backend.push([guarded])) == [False]
        claimed = await claim_one(backend, process)
        await backend.prepare(process, [Preparation(claimed, release=("lock:a", "lock:none"))])
        assert list(await (await views()).push([guarded, guarded])) == [True, False]

    @promise("prepare", _QUEUED)
    async def test_the_queue_lock_is_released_though_the_job_may_not_run(self, backend: Backend) -> None:
        """A blocked job is not in its queue any more."""
        process = await registered(backend, slots=(1, 2))
        await backend.push([Entry("q", job(1)), Entry("q", job(2), guards=(QueueLockGuard("lock:a", 60),))])
        first, second = await claim(backend, process, (1, 2))
        await hold(backend, process, first, "work:a")
        (answer,) = await backend.prepare(process, [Preparation(second, release=("lock:a",), hold=_wants("work:a"))])
        assert answer == Prepared(blocked_by=0)
        assert await free_locks(backend, "lock:a", "work:a") == ["lock:a"]

    # the running job's locks

    @promise("prepare", *_HELD)
    async def test_a_job_takes_all_its_locks_or_none(self, backend: Backend) -> None:
        """Whatever the position of the lock that another owner holds. The answer gives that position."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        first, second = await claim(backend, process, (1, 2))
        await hold(backend, process, first, "work:b")
        for position, keys in enumerate((("work:b", "work:a"), ("work:a", "work:b"), ("work:a", "work:c", "work:b"))):
            assert await blocked_by(backend, process, second, *keys) == position
            assert await free_locks(backend, *sorted(keys)) == sorted({*keys} - {"work:b"})
        assert await blocked_by(backend, process, second, "work:a", "work:c") is None
        assert await free_locks(backend, "work:a", "work:b", "work:c", "work:d") == ["work:d"]

    @promise("prepare", *_HELD)
    async def test_a_claim_that_asks_again_holds_it_already(self, backend: Backend) -> None:
        """As after a lost reply. It keeps its locks even if a further one is not free."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        first, second = await claim(backend, process, (1, 2))
        await hold(backend, process, second, "work:taken")
        for _ in range(3):
            assert await blocked_by(backend, process, first, "work:a", "work:a") is None
        assert await blocked_by(backend, process, first, "work:a", "work:b") is None
        assert await blocked_by(backend, process, first, "work:a", "work:c", "work:taken") == 2
        assert await free_locks(backend, "work:a", "work:b", "work:c") == ["work:c"]

    @promise("prepare", *_HELD)
    async def test_a_lock_is_the_claims_own(self, backend: Backend, views: Views) -> None:
        """Neither an equal job of this process, nor the slot's next job, nor another process may have it."""
        process, other = await registered(backend, 1, slots=(1, 2)), await registered(backend, 2)
        await push(backend, *[job(1)] * 4)
        first, second = await claim(backend, process, (1, 2))
        await hold(backend, process, first, "work:a")
        assert await blocked_by(backend, process, second, "work:a") == 0
        await settle(backend, process, first)
        next_one = await claim_one(backend, process, first.slot)
        assert await blocked_by(backend, process, next_one, "work:a") == 0
        view = await views()
        assert await blocked_by(view, other, await claim_one(view, other), "work:a") == 0

    @promise("prepare", *_HELD)
    async def test_locks_of_queued_and_of_running_jobs_are_of_one_kind(self, backend: Backend) -> None:
        """The first owner keeps the other out."""
        process = await registered(backend)
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("a", 60),))])
        claimed = await claim_one(backend, process)
        assert await blocked_by(backend, process, claimed, "a") == 0
        await hold(backend, process, claimed, "b")
        assert list(await backend.push([Entry("q", job(2), guards=(QueueLockGuard("b", 60),))])) == [False]

    @promise("prepare", *_HELD)
    async def test_of_many_claims_at_once_one_gets_the_lock(self, backend: Backend, views: Views) -> None:
        """In one process and in several."""
        processes = [await registered(backend, number) for number in range(1, 6)]
        opened = [await views() for _ in processes]
        await push(backend, *map(job, range(5)))
        claims = [await claim_one(view, process) for view, process in zip(opened, processes, strict=True)]
        answers = await asyncio.gather(
            *(
                blocked_by(view, process, claimed, "work:a")
                for view, process, claimed in zip(opened, processes, claims, strict=True)
            )
        )
        assert sorted(answers, key=str) == [0, 0, 0, 0, None]

    # timeouts and leases

    @promise("prepare", _LAPSES)
    @needs("clock")
    async def test_a_held_lock_expires_after_its_timeout(self, backend: Backend, clock: ManualClock) -> None:
        """Even if its process is alive and its claim is current."""
        process = await registered(backend)
        await push(backend, job(1))
        await hold(backend, process, await claim_one(backend, process), "work:a", timeout=20)
        clock.advance(19)
        assert await free_locks(backend, "work:a") == []
        clock.advance(1 + _SLACK)
        assert await free_locks(backend, "work:a") == ["work:a"]

    @promise("prepare", _DIES)
    @needs("clock")
    async def test_a_held_lock_outlives_an_outage(self, backend: Backend, clock: ManualClock) -> None:
        """Processes could not renew their leases, and the job may still run."""
        process = await registered(backend)
        await push(backend, job(1))
        await hold(backend, process, await claim_one(backend, process), "work:a", timeout=3600)
        clock.advance(20 * LEASE)
        assert await free_locks(backend, "work:a") == []

    @pytest.mark.parametrize("end", ["deregistered", "dead"])
    @promise("prepare", _DIES)
    async def test_a_held_lock_ends_with_the_lease(self, backend: Backend, end: str) -> None:
        """Another process's lock stays held."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1), job(2))
        await hold(backend, process, await claim_one(backend, process), "work:a")
        await hold(backend, other, await claim_one(backend, other), "work:b")
        if end == "deregistered":
            await backend.deregister(process)
        else:
            await rescue(backend, other)
        assert await free_locks(backend, "work:a", "work:b") == ["work:a"]

    @promise("prepare", _DIES)
    async def test_a_rescued_job_is_not_kept_out_by_its_own_lock(self, backend: Backend) -> None:
        """Even if the dead process still holds other jobs. The lock is free for guards too."""
        process = await registered(backend, 1, slots=(1, 2))
        await push(backend, job(1), job(2))
        first, second = await claim(backend, process, (1, 2))
        await hold(backend, process, first, "work:a")
        await hold(backend, process, second, "work:b")
        other = await registered(backend, 2)
        assert len(await rescue(backend, other, limit=1)) == 1
        assert len((await backend.claims(process)).claims) == 1
        assert await blocked_by(backend, other, await claim_one(backend, other), "work:b", "work:a") is None
        assert (await backend.deregister(other)).released == 1
        guards = (QueueLockGuard("work:a", 60), QueueLockGuard("work:b", 60))
        assert list(await backend.push([Entry("q", job(3), guards=guards)])) == [True]

    @promise("prepare", _LAPSES)
    @needs("clock")
    async def test_a_lock_that_is_not_renewed_expires(self, backend: Backend, clock: ManualClock) -> None:
        """A heartbeat that does not name it renews only the lease."""
        process = await registered(backend)
        await push(backend, job(1))
        await hold(backend, process, await claim_one(backend, process), "work:a", timeout=60)
        clock.advance(59)
        await send_heartbeat(backend, process)
        clock.advance(1 + _SLACK)
        assert await free_locks(backend, "work:a") == ["work:a"]

    # claims that are gone

    @promise("prepare", *_MINE)
    async def test_for_what_is_gone_nothing_is_changed(self, backend: Backend) -> None:
        """A claim that was settled, was forged, or is another process's under the same slot."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await backend.push([Entry("q", job(1)), Entry("q", job(2), guards=(QueueLockGuard("lock:a", 60),))])
        settled = await claim_one(backend, process)
        await settle(backend, process, settled, Retried("no", "retry:a", 9, (1000.0,)))
        claimed = await claim_one(backend, process)
        forged = attrs.evolve(claimed, token=claimed.token + "0")
        for who, gone in ((process, settled), (process, forged), (other, claimed), (make_process(3), claimed)):
            wanted = Preparation(gone, release=("lock:a",), hold=_wants("work:a"), counter="retry:a")
            assert list(await backend.prepare(who, [wanted])) == [Prepared(is_current=False)]
        assert await free_locks(backend, "lock:a", "work:a") == ["work:a"]

    @promise("prepare", *_MINE)
    async def test_for_a_dead_process_nothing_is_changed(self, backend: Backend) -> None:
        """Others may take its jobs at any time. What is left is its own again once it is alive."""
        process = await registered(backend, 1, slots=(1, 2))
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:a", 3600),)), Entry("q", job(2))])
        first, _ = await claim(backend, process, (1, 2))
        other = await registered(backend, 2)
        wanted = Preparation(first, release=("lock:a",), hold=_wants("work:a"))
        assert len(await rescue(backend, other, limit=1)) == 1
        assert list((await backend.claims(process)).claims) == [first]
        assert list(await backend.prepare(process, [wanted])) == [Prepared(is_current=False)]
        assert await free_locks(backend, "lock:a", "work:a") == ["work:a"]
        await send_heartbeat(backend, process)
        assert list(await backend.prepare(process, [wanted])) == [Prepared()]
        assert await free_locks(backend, "lock:a", "work:a") == ["lock:a"]

    # the counter

    @promise("prepare", _COUNTER)
    @needs("clock")
    async def test_the_counter_of_attempts_is_read(self, backend: Backend, clock: ManualClock) -> None:
        """As on the wire: None before the first failure, 0 after it. Reading does not change it."""
        process = await registered(backend)
        await push(backend, job(1))
        counts = []
        for _ in range(3):
            claimed = await claim_one(backend, process)
            for counter in ("retry:a", "retry:a", "retry:b", None):
                (answer,) = await backend.prepare(process, [Preparation(claimed, counter=counter)])
                counts.append(answer.count)
            await settle(backend, process, claimed, Retried("no", "retry:a", 9, (1.0,)))
            clock.advance(2)
            await backend.promote(moves_of(await due(backend)))
        assert counts == [None, None, None, None, 0, 0, None, None, 1, 1, None, None]

    @promise("prepare", _COUNTER)
    async def test_the_counter_is_read_though_the_job_may_not_run(self, backend: Backend) -> None:
        """With a queue lock to release, and a lock that another claim holds."""
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, job(1), job(2), job(3))
        first, second, third = await claim(backend, process, (1, 2, 3))
        await hold(backend, process, first, "work:a")
        await backend.settle_and_claim(process, [Settlement(third, Retried("no", "retry:a", 9, (1000.0,)))], (), ())
        wanted = Preparation(second, release=("lock:a",), hold=_wants("work:b", "work:a"), counter="retry:a")
        assert list(await backend.prepare(process, [wanted])) == [Prepared(blocked_by=1, count=0)]
