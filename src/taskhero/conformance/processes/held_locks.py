"""Locks that jobs hold: how they are renewed, lost and released, and what a settlement releases and forgets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero.backends.protocol import (
    Entry,
    HeartbeatReply,
    HeldLock,
    LockSpec,
    QueueLockGuard,
    RefusedByPlugin,
    Retried,
    Settlement,
    Succeeded,
)
from taskhero.conformance.processes.settling import DISPOSITIONS
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    LEASE,
    blocked_by,
    claim,
    claim_one,
    free_locks,
    hold,
    job,
    push,
    registered,
    rescue,
    send_heartbeat,
    settle,
    within,
    without_leases,
)
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Claim, Disposition, Process
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["HeldLocks"]

_RENEWED = "A lock in *locks* that its claim still owns is renewed for its timeout, even if the job has been"
_TAKEN_AGAIN = "A free lock is taken again for its timeout if the claim is still current."
_LOST = "A lock with another owner is `lost` and keeps that owner."
_END = "That step releases those locks of `Settlement.release` that the claim still owns, even if the claim is"
_FORGOTTEN = "It deletes the counters of `Settlement.forget`, but not if the claim is `gone`."
_each_disposition = pytest.mark.parametrize("disposition", DISPOSITIONS.values(), ids=DISPOSITIONS.keys())
_full = pytest.mark.parametrize("full", [False, True], ids=["short", "full"])

#: Seconds after which an expired lock is free. A backend may round to whole seconds.
_SLACK = 4
#: Timeout of a lock, in seconds, where a test waits until it expires.
_TIMEOUT = 60


async def _two_claims(backend: Backend) -> tuple[Process, Claim, Claim]:
    process = await registered(backend, slots=(1, 2))
    await push(backend, job(1), job(2))
    first, second = await claim(backend, process, (1, 2))
    return process, first, second


class HeldLocks(Suite):
    """Locks in `Backend.heartbeat`, and those of a settlement in `Backend.settle_and_claim`."""

    # renewing

    @_full
    @promise("heartbeat", _RENEWED)
    @needs("clock")
    async def test_a_heartbeat_renews_the_locks_that_it_names(
        self, backend: Backend, clock: ManualClock, *, full: bool
    ) -> None:
        """For their timeouts, each time from now, and several at once."""
        process, first, second = await _two_claims(backend)
        held = ((first, "a"), (first, "b"), (second, "c"))
        locks = [await hold(backend, process, claimed, key, timeout=_TIMEOUT) for claimed, key in held]
        for _ in range(3):
            clock.advance(_TIMEOUT - 1)
            answer = await send_heartbeat(backend, process, (1, 2), full=full, locks=locks)
            assert without_leases(answer) == HeartbeatReply(alive=True)
        clock.advance(_TIMEOUT - 1)
        assert await free_locks(backend, "a", "b", "c") == []
        clock.advance(1 + _SLACK)
        assert await free_locks(backend, "a", "b", "c") == ["a", "b", "c"]

    @promise("heartbeat", _RENEWED)
    @needs("clock")
    async def test_a_short_timeout_holds_no_longer_than_it_says(self, backend: Backend, clock: ManualClock) -> None:
        """A heartbeat renews it. It expires if the next one does not name it."""
        process, first, _ = await _two_claims(backend)
        held = await hold(backend, process, first, "a", timeout=20)
        clock.advance(15)
        await send_heartbeat(backend, process, locks=[held])
        clock.advance(19)
        assert await free_locks(backend, "a") == []
        clock.advance(1 + _SLACK)
        assert await free_locks(backend, "a") == ["a"]

    @promise("heartbeat", _RENEWED)
    @needs("clock")
    async def test_a_lock_that_a_settled_job_kept_is_renewed(self, backend: Backend, clock: ManualClock) -> None:
        """A thread of the job may continue after its timeout and need the lock."""
        process, first, _ = await _two_claims(backend)
        held = await hold(backend, process, first, "a", timeout=_TIMEOUT)
        await settle(backend, process, first)
        clock.advance(_TIMEOUT - 1)
        assert (await send_heartbeat(backend, process, locks=[held])).lost == ()
        clock.advance(_TIMEOUT - 1)
        assert await free_locks(backend, "a") == []

    @_full
    @promise("heartbeat", _TAKEN_AGAIN)
    @needs("clock")
    async def test_a_lock_that_expired_and_is_free_is_taken_again(
        self, backend: Backend, clock: ManualClock, *, full: bool
    ) -> None:
        """Of a process whose heartbeat was late."""
        process, first, _ = await _two_claims(backend)
        held = await hold(backend, process, first, "a", timeout=_TIMEOUT)
        clock.advance(_TIMEOUT + _SLACK)
        answer = await send_heartbeat(backend, process, (1, 2), full=full, locks=[held])
        assert (answer.alive, answer.lost) == (True, ())
        assert await free_locks(backend, "a") == []
        assert await blocked_by(backend, process, first, "a") is None, "it is the claim's own"

    @promise("heartbeat", _TAKEN_AGAIN)
    async def test_the_lock_of_a_job_that_ended_is_not_taken_again(self, backend: Backend) -> None:
        """A heartbeat may overlap the end of the job. The lock does not count as lost either."""
        process, first, second = await _two_claims(backend)
        held = await hold(backend, process, first, "a")
        await backend.settle_and_claim(process, [Settlement(first, Succeeded(), release=("a",))], (), ())
        forged = HeldLock(attrs.evolve(second, token=second.token + "0"), LockSpec("b", 3600))
        assert (await send_heartbeat(backend, process, locks=[held, forged])).lost == ()
        assert await free_locks(backend, "a", "b") == ["a", "b"]

    @promise("heartbeat", _RENEWED)
    async def test_locks_are_renewed_from_any_thread(self, backend: Backend) -> None:
        """While the event loop takes and releases others."""
        process, first, second = await _two_claims(backend)
        mine = [await hold(backend, process, first, f"mine:{number}") for number in range(20)]

        def heartbeats() -> list[HeartbeatReply]:
            return [
                without_leases(backend.heartbeat(process, (1, 2), LEASE, full=False, locks=mine)) for _ in range(50)
            ]

        client = asyncio.create_task(asyncio.to_thread(heartbeats))
        keys = tuple(f"other:{number}" for number in range(50))
        for number in range(20):
            guards = tuple(QueueLockGuard(f"queued:{number}:{key}", 3600) for key in keys)
            assert list(await backend.push([Entry("q", job(number), guards=guards)])) == [True]
            assert await blocked_by(backend, process, second, *keys) is None
            await backend.settle_and_claim(process, [Settlement(second, RefusedByPlugin(), release=keys)], (), ())
            second = await claim_one(backend, process, second.slot)
        assert await within(client) == [HeartbeatReply(alive=True)] * 50

    # losing

    @_full
    @promise("heartbeat", _LOST)
    @needs("clock")
    async def test_a_lock_that_another_claim_holds_is_lost(
        self, backend: Backend, clock: ManualClock, views: Views, *, full: bool
    ) -> None:
        """Only that lock, and it stays with its owner. The lease and the other locks are renewed."""
        process, first, second = await _two_claims(backend)
        short = await hold(backend, process, first, "a", timeout=10)
        long = await hold(backend, process, second, "b", timeout=_TIMEOUT)
        clock.advance(10 + _SLACK)
        view, other = await views(), await registered(backend, 2)
        await push(backend, job(3))
        theirs = await claim_one(view, other)
        await hold(view, other, theirs, "a", timeout=_TIMEOUT)
        answer = await send_heartbeat(backend, process, (1, 2), full=full, locks=[short, long])
        assert without_leases(answer) == HeartbeatReply(alive=True, lost=(short,))
        clock.advance(_TIMEOUT - _SLACK - 1)
        assert await free_locks(backend, "a", "b") == []
        clock.advance(1 + 2 * _SLACK)
        assert await free_locks(backend, "a", "b") == ["a", "b"], "neither was renewed longer"

    @promise("heartbeat", _LOST)
    async def test_a_queued_jobs_lock_is_lost(self, backend: Backend) -> None:
        """So is a lock of another claim of the same process, even after a settlement."""
        process, first, second = await _two_claims(backend)
        await backend.push([Entry("q", job(3), guards=(QueueLockGuard("a", 3600),))])
        await hold(backend, process, first, "b")
        wanted = [HeldLock(second, LockSpec("a", 3600)), HeldLock(second, LockSpec("b", 3600))]
        assert (await send_heartbeat(backend, process, locks=wanted)).lost == tuple(wanted)
        assert await blocked_by(backend, process, first, "b") is None
        await settle(backend, process, second)
        assert (await send_heartbeat(backend, process, locks=wanted)).lost == tuple(wanted)

    # releasing

    @_each_disposition
    @promise("settle_and_claim", _END)
    async def test_a_jobs_locks_are_released_with_its_settlement(
        self, backend: Backend, views: Views, disposition: Disposition
    ) -> None:
        """Whatever the disposition. Locks that are not named stay."""
        process, first, _ = await _two_claims(backend)
        assert await blocked_by(backend, process, first, "a", "b", "c") is None
        answer = await backend.settle_and_claim(process, [Settlement(first, disposition, release=("c", "a"))], (), ())
        assert (list(answer.gone), list(answer.unsettled)) == ([], [])
        assert await free_locks(await views(), "a", "b", "c") == ["a", "c"]

    @promise("settle_and_claim", _END)
    async def test_a_batch_releases_each_jobs_own_locks(self, backend: Backend) -> None:
        """With dispositions that carry data and ones that do not. The next jobs are claimed in that step."""
        slots = range(1, len(DISPOSITIONS) + 1)
        process = await registered(backend, slots=slots)
        await push(backend, *map(job, range(2 * len(slots))))
        claims = await claim(backend, process, slots)
        for number, claimed in enumerate(claims):
            await hold(backend, process, claimed, f"work:{number}")
        settled = [
            Settlement(claimed, disposition, release=(f"work:{number}",) if number % 2 else ())
            for number, (claimed, disposition) in enumerate(zip(claims, DISPOSITIONS.values(), strict=True))
        ]
        answer = await backend.settle_and_claim(process, settled, slots, ("q",))
        assert (list(answer.gone), list(answer.unsettled), len(answer.claims)) == ([], [], len(slots))
        keys = [f"work:{number}" for number in range(len(slots))]
        assert await free_locks(backend, *keys) == keys[1::2]
        assert await blocked_by(backend, process, answer.claims[0], *keys[1::2]) is None

    @promise("settle_and_claim", _END)
    async def test_another_owners_lock_is_not_released(self, backend: Backend) -> None:
        """Another claim's lock, even of the same process, or a queued job's, which has no owner."""
        process, first, second = await _two_claims(backend)
        await backend.push([Entry("q", job(3), guards=(QueueLockGuard("a", 3600),))])
        await hold(backend, process, second, "b")
        await backend.settle_and_claim(process, [Settlement(first, Succeeded(), release=("a", "b", "none"))], (), ())
        assert await free_locks(backend, "a", "b") == []

    @promise("settle_and_claim", _END)
    @needs("clock")
    async def test_a_lock_that_was_lost_is_not_released(self, backend: Backend, clock: ManualClock) -> None:
        """It expired during a long job, and the next job has it now."""
        process, first, second = await _two_claims(backend)
        await hold(backend, process, first, "a", timeout=10)
        clock.advance(10 + _SLACK)
        await hold(backend, process, second, "a")
        await backend.settle_and_claim(process, [Settlement(first, Succeeded(), release=("a",))], (), ())
        assert await free_locks(backend, "a") == []

    # forgetting

    @promise("settle_and_claim", _FORGOTTEN)
    async def test_counters_are_forgotten_with_the_settlement(self, backend: Backend) -> None:
        """A later equal job starts from one. Other counters stay, and so do those of a retried job."""
        process = await registered(backend)
        attempts = []
        for counter, forget in (("a", ()), ("b", ()), ("a", ()), ("c", ("a", "none")), ("a", ()), ("b", ())):
            await push(backend, job(1))
            claimed = await claim_one(backend, process)
            disposition = Retried("no", f"retry:{counter}", 9, (1000.0,))
            settlement = Settlement(claimed, disposition, forget=tuple(f"retry:{name}" for name in forget))
            ((_, attempt),) = (await backend.settle_and_claim(process, [settlement], (), ())).attempts
            attempts.append(attempt)
        assert attempts == [1, 1, 2, 1, 1, 2]

    @_each_disposition
    @promise("settle_and_claim", _END)
    async def test_the_own_lock_of_a_claim_that_is_gone_is_released(
        self, backend: Backend, disposition: Disposition
    ) -> None:
        """Otherwise it would block the job that was taken from it until its timeout."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        for taken in ("released", "rescued"):
            await push(backend, job(1))
            claimed = await claim_one(backend, process)
            held = await hold(backend, process, claimed, "a")
            if taken == "rescued":
                assert len(await rescue(backend, other)) == 1
            else:
                await backend.deregister_slots(process, (1,))
            await backend.register(process, (1,), LEASE)
            await send_heartbeat(backend, process, locks=[held])
            settlement = Settlement(claimed, disposition, release=("a",))
            assert list((await backend.settle_and_claim(process, [settlement], (), ())).gone) == [claimed]
            assert await free_locks(backend, "a") == ["a"]
            await backend.delete_queue("q")

    @_each_disposition
    @promise("settle_and_claim", _END, _FORGOTTEN)
    async def test_a_claim_that_is_gone_releases_and_forgets_nothing(
        self, backend: Backend, disposition: Disposition
    ) -> None:
        """A repeated settlement, as after a lost reply, releases no other owner's lock and forgets no counter."""
        process, first, second = await _two_claims(backend)
        settlement = Settlement(first, disposition, release=("a",), forget=("retry:b",))
        await backend.settle_and_claim(process, [settlement], (), ())
        await push(backend, job(3))
        await hold(backend, process, second, "a")
        again = await claim_one(backend, process, first.slot)
        await settle(backend, process, again, Retried("no", "retry:b", 9, (1000.0,)))
        assert list((await backend.settle_and_claim(process, [settlement], (), ())).gone) == [first]
        assert await free_locks(backend, "a") == []
        await push(backend, job(4))
        last = await claim_one(backend, process, first.slot)
        answer = await settle(backend, process, last, Retried("no", "retry:b", 9, (1000.0,)))
        assert list(answer.attempts) == [(last, 2)]
