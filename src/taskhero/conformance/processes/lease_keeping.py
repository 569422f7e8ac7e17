"""Leases as other processes see them, and when the engine treats one as expired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import Lease, Leases
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    LEASE,
    claim_one,
    hold,
    job,
    leases_except,
    make_process,
    push,
    registered,
    rescue,
    send_heartbeat,
)
from taskhero.conformance.suite import Suite
from taskhero.runtime.worker.lease_watch import LeaseSnapshot, LeaseWatch

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Process
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["LeaseKeeping"]

_SEEN = "With *seen* of an earlier reply, leases that were renewed after that reply are omitted."
_RULE = (
    "The engine passes a lease only after it saw the same renewal for the longer of `Lease.length` and its",
    "It measures that with its own monotonic clock (`taskhero.runtime.worker.lease_watch`).",
    "Time without contact to the backend for longer than a heartbeat interval does not count.",
)
_DAY = 86_400.0


def _names(leases: Leases) -> list[str]:
    return [lease.process for lease in leases.leases]


async def _short(backend: Backend, number: int) -> Process:
    """Register a process with a short lease, or renew the lease."""
    process = make_process(number)
    await backend.register(process, (1,), 12.0)
    return process


class LeaseKeeping(Suite):
    """`Backend.leases` and the leases in `Backend.heartbeat`; the backend's clock ends none of them."""

    @promise("leases", "`Lease.renewal` is a different string after each renewal.")
    @promise("register", "Other processes read *lease*, in seconds, as `Lease.length`.")
    async def test_each_renewal_is_a_different_one(self, backend: Backend, views: Views) -> None:
        """Even of two in the same instant, by a registration and a heartbeat, and after a deregistration."""
        process, other, renewals = make_process(1), await registered(backend, 2), []
        for length in (12.5, 40.0, 0.25):
            await backend.register(process, (1,), length)
            (lease,) = await leases_except(await views(), other)
            assert (lease.process, lease.length) == (process.name, length)
            renewals.append(lease.renewal)
        for full in (False, True):
            await send_heartbeat(backend, process, full=full)
            renewals.append((await leases_except(backend, other))[0].renewal)
        await backend.deregister(process)
        assert await leases_except(backend, other) == []
        await backend.register(process, (1,), LEASE)
        renewals.append((await leases_except(backend, other))[0].renewal)
        assert len(set(renewals)) == len(renewals)

    @promise("leases", "`Lease.renewal` is a different string after each renewal.")
    async def test_a_lease_that_is_not_renewed_stays_the_same(self, backend: Backend) -> None:
        """Whatever else its process, or another one, does."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        before = await leases_except(backend, other)
        await push(backend, job(1))
        await claim_one(backend, process)
        await send_heartbeat(backend, other)
        assert await leases_except(backend, other) == before

    @promise("leases", "Return the leases of all processes, those with the oldest renewal first.")
    @promise("leases", _SEEN)
    async def test_what_was_renewed_since_is_left_out(self, backend: Backend, views: Views) -> None:
        """The rest is in the order of the last renewals."""
        first, second, third = [await registered(backend, number) for number in (1, 2, 3)]
        before = await backend.leases()
        assert _names(before) == [first.name, second.name, third.name]
        await send_heartbeat(backend, first)
        await registered(backend, 4)
        view = await views()
        assert _names(await view.leases(before.seen)) == [second.name, third.name]
        later = await view.leases()
        assert _names(later) == [second.name, third.name, first.name, make_process(4).name]
        await backend.deregister(make_process(4))
        await send_heartbeat(backend, third)
        assert _names(await backend.leases(later.seen)) == [second.name, first.name]
        assert _names(await backend.leases(before.seen)) == [second.name]

    @promise("heartbeat", "The reply contains the leases of other processes, as `leases` returns them.")
    async def test_a_heartbeat_shows_the_leases_of_others(self, backend: Backend, views: Views) -> None:
        """All of them at first, then those that were not renewed since the given reply."""
        process, first, second = [await registered(backend, number) for number in (1, 2, 3)]
        answer = await send_heartbeat(backend, process)
        assert _names(answer.leases) == [first.name, second.name]
        assert answer.leases.leases == tuple(await leases_except(await views(), process))
        await send_heartbeat(backend, first)
        answer = await send_heartbeat(backend, process, seen=answer.leases.seen)
        assert _names(answer.leases) == [second.name]
        await backend.register(process, (2,), LEASE)
        await send_heartbeat(backend, second)
        answer = await send_heartbeat(backend, process, seen=answer.leases.seen)
        assert _names(answer.leases) == [first.name]

    @promise("leases", "The reply contains at most 1000 leases.")
    async def test_a_thousand_leases_are_shown(self, backend: Backend) -> None:
        """Those with the oldest renewals first. The others follow once these are gone."""
        processes = [make_process(number) for number in range(1003)]
        for process in processes:
            await backend.register(process, (1,), LEASE)
        names = [process.name for process in processes]
        assert _names(await backend.leases()) == names[:1000]
        await send_heartbeat(backend, processes[0])
        answer = await send_heartbeat(backend, processes[1002])
        assert _names(answer.leases) == names[1:1001]

    @promise("leases", "With *lease*, a taskhero worker whose process is unknown gets a lease of that length, so that")
    @needs("lost_lease")
    async def test_a_process_that_is_unknown_gets_a_lease(self, backend: Backend) -> None:
        """It may be alive and have lost only its lease. If it does not renew this one, its jobs are rescued."""
        process, other = await registered(backend, 1), await registered(backend, 2)
        await push(backend, job(1), job(2))
        await claim_one(backend, process)
        await self.forget_lease(backend, process)
        assert await leases_except(backend, other) == []
        found = await backend.leases(lease=7.0)
        (lease,) = [lease for lease in found.leases if lease.process != other.name]
        assert (lease.process, lease.length) == (process.name, 7.0)
        assert await leases_except(backend, other) == [lease]
        await backend.leases(lease=9.0)
        assert await leases_except(backend, other) == [lease], "an existing lease is not renewed"
        assert len(await rescue(backend, other)) == 1

    # no clock ends a lease

    @promise("register", "The lease holds until `deregister` or `rescue` ends it.")
    @promise("register", "The backend's clock never ends it, even if that clock jumps.")
    @pytest.mark.parametrize("jump", [_DAY, -_DAY], ids=["forward", "back"])
    @needs("clock")
    async def test_a_jump_of_the_clock_ends_no_lease(self, backend: Backend, clock: ManualClock, jump: float) -> None:
        """The process may claim, has its share and its locks, and its heartbeat finds it alive."""
        process, other = await registered(backend, 1, slots=(1, 2)), await registered(backend, 2, slots=(1, 2))
        await push(backend, job(1), *map(job, range(4)))
        claimed = await claim_one(backend, process)
        held = await hold(backend, process, claimed, "work:a", timeout=int(10 * _DAY))
        before = await leases_except(backend)
        clock.advance(jump)
        assert await leases_except(backend) == before
        answer = await backend.settle_and_claim(process, (), (2,), ("q",))
        assert (answer.registered, len(answer.claims)) == (True, 1)
        assert len((await backend.settle_and_claim(other, (), (1, 2), ("q",))).claims) == 2
        assert await hold(backend, process, claimed, "work:a", timeout=int(10 * _DAY)) == held
        answer_of_beat = await send_heartbeat(backend, process, locks=[held])
        assert (answer_of_beat.alive, answer_of_beat.lost) == (True, ())

    @promise("rescue", *_RULE)
    @pytest.mark.parametrize("jump", [0.0, _DAY, -_DAY], ids=["steady", "forward", "back"])
    @needs("clock")
    async def test_an_outage_costs_no_process_its_jobs(self, backend: Backend, clock: ManualClock, jump: float) -> None:
        """The first process to return rescues only after the others had time to return too."""
        living, dead, rescuer = [await _short(backend, number) for number in (1, 2, 3)]
        await push(backend, job(1), job(2))
        held = await claim_one(backend, living)
        await claim_one(backend, dead)
        watch = _Watch(backend, rescuer)
        for _ in range(5):  # 12 seconds, in which one process renews its lease
            await watch.look()
            await _short(backend, 1)
            watch.pass_time(3.0, clock)
        watch.pass_time(100.0, clock)  # the outage
        clock.advance(jump)
        assert await watch.rescue() == []
        await watch.look()
        assert await watch.rescue() == [], "live processes must have time to renew their leases"
        watch.pass_time(3.0, clock)
        await _short(backend, 1)
        await watch.look()
        watch.pass_time(3.0, clock)
        assert await watch.rescue() == [dead.worker(1)]
        assert list((await backend.claims(living)).claims) == [held]

    @promise("rescue", *_RULE)
    @needs("clock")
    async def test_a_process_that_is_cut_off_is_rescued(self, backend: Backend, clock: ManualClock) -> None:
        """By a process that reached the backend all the time, and by one that has just started."""
        dead, rescuer = await _short(backend, 1), await _short(backend, 2)
        await push(backend, job(1))
        await claim_one(backend, dead)
        clock.advance(_DAY)
        watch = _Watch(backend, rescuer)
        for _ in range(4):
            await watch.look()
            assert await watch.rescue() == []
            watch.pass_time(3.0, clock)
        assert await watch.rescue() == [dead.worker(1)]

    @promise("leases", _SEEN)
    @promise("heartbeat", "The reply contains the leases of other processes, as `leases` returns them.")
    async def test_leases_are_shown_while_many_renew_theirs(self, backend: Backend, views: Views) -> None:
        """None is shown twice. One that is not renewed is always shown."""
        processes = [await registered(backend, number) for number in range(1, 6)]
        dead, opened = await registered(backend, 9), [await views() for _ in processes]

        async def renew(process: Process, view: Backend) -> None:
            seen = ""
            for _ in range(10):
                answer = await send_heartbeat(view, process, seen=seen)
                seen = answer.leases.seen
                names = _names(answer.leases)
                assert process.name not in names
                assert dead.name in names
                assert len(set(names)) == len(names)
                assert dead.name in _names(await view.leases(seen))

        await asyncio.gather(*map(renew, processes, opened))


class _Watch:
    """An engine with its own monotonic clock, a heartbeat interval of 3 seconds and a `rescue_after` of 12 seconds."""

    def __init__(self, backend: Backend, process: Process) -> None:
        self._backend, self._process = backend, process
        self._watch = LeaseWatch(heartbeat=3.0, rescue_after=12.0)
        self._now, self._last = 1000.0, LeaseSnapshot(0.0, Leases())

    def pass_time(self, seconds: float, clock: ManualClock) -> None:
        """Advance its own clock and the backend's."""
        self._now += seconds
        clock.advance(seconds)

    async def look(self) -> None:
        """Send a heartbeat, and watch the leases in its reply."""
        seen = self._last.leases.seen
        length = 12.0
        answer = await asyncio.to_thread(self._backend.heartbeat, self._process, (1,), length, full=False, seen=seen)
        self._last = LeaseSnapshot(self._now, answer.leases, self._last.at if seen else None)
        self._watch.update(self._last)

    async def rescue(self) -> list[str]:
        """Rescue from processes whose leases have expired. Return the workers whose jobs were taken."""
        expired: list[Lease] = self._watch.expired(self._now)
        return [rescued.worker for rescued in await self._backend.rescue(expired, 10)]
