"""Broken ways to come, to live and to die."""

import asyncio

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.process_table import RegisteredProcess
from taskhero.backends.protocol import HeartbeatReply, Lease, Leases, SettleAndClaimReply
from taskhero.conformance import Concurrency, LeaseKeeping, Registration, Rescuing
from taskhero.wire.jobs import mark_rescued


@found_by(Registration, "test_it_is_called_from_any_thread")
class BeatsInTheLoopOnly(MemoryBackend):
    """Its beat needs the event loop that the heart's thread has not."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        asyncio.get_running_loop()
        return super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen)


@found_by(Registration, "test_a_beat_renews_the_lease")
class BeatsInVain(MemoryBackend):
    """A beat answers, and renews nothing."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return HeartbeatReply(alive=True)


@found_by(Registration, "test_a_dead_process_lives_again", "test_a_beat_registers_a_process_that_is_unknown")
class NeverTellsTheDead(MemoryBackend):
    """A process is not told that it was dead, and works on what others run already."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return attrs.evolve(super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen), alive=True)


@found_by(Registration, "test_a_full_beat_registers_again_what_was_removed")
class NeverMissesAWorker(MemoryBackend):
    """It does not look who was removed."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=False, locks=locks, seen=seen)


@found_by(Registration, "test_a_claim_that_is_gone_is_restored", "test_a_restored_claim_is_rescued")
class RestoresNothing(MemoryBackend):
    """It answers as if the claim existed again."""

    async def restore(self, process, claims):
        return [claim.slot != 7 for claim in claims]


@found_by(Registration, "test_a_claim_is_not_restored_over_another")
class RestoresOverOthers(MemoryBackend):
    """It writes the claim, whatever the slot holds by now."""

    async def restore(self, process, claims):
        member = self._work._processes.get(process.name)
        for claim in claims if member else ():
            if claim.slot in member.slots:
                member.release(claim.slot)
        return await super().restore(process, claims)


@found_by(Registration, "test_a_dead_process_restores_nothing")
class RestoresForTheDead(MemoryBackend):
    """It does not look whether the process still lives."""

    async def restore(self, process, claims):
        member = self._work._processes.get(process.name)
        if member is not None:
            member.dead = False
        return await super().restore(process, claims)


@found_by(Registration, "test_a_retired_worker_gives_back_its_job")
class RetiresWithTheJob(MemoryBackend):
    """A worker that retires takes its job along."""

    async def deregister_slots(self, process, slots):
        member = self._work._processes.get(process.name)
        for slot in slots:
            member.release(slot)
        return await super().deregister_slots(process, slots)


@found_by(Registration, "test_a_leaving_process_gives_back_in_order", "test_several_workers_give_back_in_order")
class GivesBackInAnyOrder(MemoryBackend):
    """Jobs come back by slot."""

    def __init__(self, *, clock=None):
        super().__init__(clock=clock)
        renew = self._work._processes.renew

        def renew_by_slot(process, lease, now):
            member = renew(process, lease, now)
            member.__class__ = BySlot
            return member

        self._work._processes.renew = renew_by_slot


class BySlot(RegisteredProcess):
    """What it holds is sorted by slot."""

    __slots__ = ()

    def latest_first(self, slots=None):
        return sorted(super().latest_first(slots), key=lambda claim: claim.slot)


@found_by(Registration, "test_a_leaving_process_gives_back_in_order")
class LeavingIsARescue(MemoryBackend):
    """What a process gives back when it leaves is marked as if it had died."""

    async def deregister(self, process):
        texts = self._store.queues.payloads
        before = {queue: list(held) for queue, held in texts.items()}
        given_back = await super().deregister(process)
        for queue, held in texts.items():
            for number in range(len(held) - len(before.get(queue, ()))):
                held[number] = mark_rescued(held[number], running=True)
        return given_back


@found_by(Registration, "test_a_leaving_process_passes_its_wake_up_on", only=True)
class LeavesWithoutAWord(MemoryBackend):
    """A process that was woken and leaves tells nobody."""

    async def deregister(self, process):
        return await super().deregister(attrs.evolve(process, queues=()))


@found_by(
    Rescuing, "test_who_renewed_the_lease_is_not_touched[beat]", "test_who_renewed_the_lease_is_not_touched[register]"
)
class RescuesTheLiving(MemoryBackend):
    """It takes jobs from a process that renewed its lease a moment ago."""

    async def rescue(self, expired, limit):
        names = {lease.process for lease in expired}
        now = [lease for lease in (await self.leases()).leases if lease.process in names]
        return await super().rescue(now, limit)


@found_by(Rescuing, "test_a_process_is_declared_dead_with_its_first_job[beat]")
class DeclaresNobodyDead(MemoryBackend):
    """A process may claim while it is rescued."""

    async def rescue(self, expired, limit):
        rescued = await super().rescue(expired, limit)
        for member in self._work._processes:
            member.dead = False
        return rescued


@found_by(Rescuing, "test_a_process_is_declared_dead_with_its_first_job[register]")
class DeadForEver(MemoryBackend):
    """Only a beat lets a dead process live again."""

    async def register(self, process, slots, lease):
        member = self._work._processes.get(process.name)
        dead = member is not None and member.dead
        await super().register(process, slots, lease)
        self._work._processes.get(process.name).dead = dead


class Showing(MemoryBackend):
    """It shows leases in another way."""

    def show(self, leases, seen):
        raise NotImplementedError

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        answer = super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen)
        return attrs.evolve(answer, leases=self.show(answer.leases, seen))

    async def leases(self, seen="", *, lease=None):
        return self.show(await super().leases(seen), seen)


@found_by(LeaseKeeping, "test_each_renewal_is_a_different_one")
class RenewsByTheClock(MemoryBackend):
    """A renewal is known by the end of its lease: two in one instant are the same one."""

    async def leases(self, seen="", *, lease=None):
        found = await super().leases(seen)
        ends = {member.process.name: str(member.lease_ends) for member in self._work._processes}
        return attrs.evolve(
            found, leases=tuple(attrs.evolve(lease, renewal=ends[lease.process]) for lease in found.leases)
        )


@found_by(LeaseKeeping, "test_a_lease_that_is_not_renewed_stays_the_same")
class RenewsWithEachStep(MemoryBackend):
    """A step by which a process claims renews its lease, as if its heartbeat had done so."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        if self._work._processes.get(process.name) is not None:
            await self.register(process, (), 60.0)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(LeaseKeeping, "test_what_was_renewed_since_is_left_out", "test_a_beat_shows_the_leases_of_others")
class ShowsAllLeases(MemoryBackend):
    """It shows a lease again and again, though it was renewed."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, locks=locks)

    async def leases(self, seen="", *, lease=None):
        return await super().leases()


@found_by(LeaseKeeping, "test_what_was_renewed_since_is_left_out", only=True)
class ShowsLeasesByName(Showing):
    """Those that are shown first are not those that are overdue."""

    def show(self, leases, _seen):
        return attrs.evolve(leases, leases=tuple(sorted(leases.leases, key=lambda lease: lease.process)))


@found_by(LeaseKeeping, "test_a_beat_shows_the_leases_of_others")
class ShowsNoLeases(MemoryBackend):
    """A beat does not tell what other processes do."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return attrs.evolve(super().heartbeat(process, slots, lease, full=full, locks=locks), leases=Leases())


@found_by(LeaseKeeping, "test_a_thousand_leases_are_shown", only=True)
class ShowsTheYoungestLeases(Showing):
    """Where there are too many leases, those that are overdue are left out."""

    def show(self, leases, seen):
        found = self._work._processes._by_name.values()
        young = [member for member in found if not seen or member.renewal <= int(seen)][-1000:]
        shown = (Lease(member.process.name, str(member.renewal), member.length) for member in young)
        return attrs.evolve(leases, leases=tuple(shown)) if len(leases.leases) == 1000 else leases


@found_by(LeaseKeeping, "test_a_jump_of_the_clock_ends_no_lease[forward]", only=True)
class BelievesItsClock(MemoryBackend):
    """A process whose lease is over by the clock may not claim."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        member = self._work._processes.get(process.name)
        if member is not None and member.lease_ends <= self._clock.now():
            return SettleAndClaimReply(registered=False)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(LeaseKeeping, "test_an_outage_costs_nobody_its_jobs[steady]")
class RescuesByItsClock(MemoryBackend):
    """It knows better than the engine who is dead, by its own clock."""

    async def rescue(self, expired, limit):
        now = self._clock.now()
        dead = {member.process.name for member in self._work._processes if member.lease_ends <= now}
        late = [lease for lease in (await super().leases()).leases if lease.process in dead]
        return await super().rescue(late, limit)


@found_by(Rescuing, "test_jobs_of_a_dead_process_come_next", "test_it_takes_no_more_than_the_limit")
class RescuesBackwards(MemoryBackend):
    """The job that was claimed first comes last."""

    async def rescue(self, expired, limit):
        for member in self._work._processes.expired(expired):
            member.held = dict(reversed(member.held.items()))
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_a_mere_claim_is_marked_but_not_counted", "test_the_mark_of_one_job_is_not_its_neighbours")
class ConvictsTheInnocent(MemoryBackend):
    """Whatever a dead process held counts as what killed it."""

    async def rescue(self, expired, limit):
        for member in self._work._processes.expired(expired):
            member.running.update(member.held)
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_a_job_that_was_begun_alone_is_counted")
class ConvictsNobody(MemoryBackend):
    """A job may kill any number of processes."""

    async def mark_exclusive(self, process, claim, *, exclusive=True):
        return claim in (await self.claims(process)).claims


@found_by(Rescuing, "test_a_claim_that_is_gone_is_not_begun")
class BeginsAnything(MemoryBackend):
    """It lets a process run what others run already."""

    async def mark_exclusive(self, process, claim, *, exclusive=True):
        await super().mark_exclusive(process, claim, exclusive=exclusive)
        return True


@found_by(Rescuing, "test_the_mark_is_taken_back", only=True)
class NeverForgivesASuspect(MemoryBackend):
    """What has been begun alone is to blame for ever, whoever runs beside it."""

    async def mark_exclusive(self, process, claim, *, exclusive=True):
        return await super().mark_exclusive(process, claim)


@found_by(Rescuing, "test_a_late_death_is_counted_as_such", only=True)
class ForgetsLateDeaths(MemoryBackend):
    """Who kills its process only after a while may do so for ever."""

    async def rescue(self, expired, limit):
        for member in self._work._processes.expired(expired):
            member.late.clear()
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_a_death_with_somebody_to_blame_is_no_late_one", only=True)
class SuspectsAllTheSame(MemoryBackend):
    """A job that ran alone once is kept alone ever longer, though another one is to blame."""

    async def rescue(self, expired, limit):
        for member in self._work._processes.expired(expired):
            for slot in member.late if member.running else ():
                claim, since = member.held[slot]
                marked = mark_rescued(claim.raw, running=False, late=True)
                member.held[slot] = (attrs.evolve(claim, raw=marked), since)
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_a_death_with_somebody_to_blame_is_no_late_one", only=True)
class BlamesTheSameOne(MemoryBackend):
    """A job that is begun beside one that kills late is to blame each time, until it is convicted."""

    async def rescue(self, expired, limit):
        for member in self._work._processes.expired(expired):
            if member.running:
                member.late.clear()
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_it_takes_no_more_than_the_limit")
class RescuesWithoutALimit(MemoryBackend):
    """It takes all at once."""

    async def rescue(self, expired, _limit):
        return await super().rescue(expired, 10**6)


@found_by(Rescuing, "test_a_dead_process_goes_from_view")
class KeepsTheDead(MemoryBackend):
    """A dead process stays in view for ever."""

    def __init__(self, *, clock=None):
        super().__init__(clock=clock)
        self._work._processes.remove = lambda _name: None


@found_by(Concurrency, "test_a_job_is_claimed_or_rescued")
class RescuesInTwoSteps(MemoryBackend):
    """For an instant, a job that it rescues is nowhere."""

    async def rescue(self, expired, limit):
        dead = [(member, dict(member.held)) for member in self._work._processes.expired(expired)]
        for member, _ in dead:
            member.held.clear()
        await asyncio.sleep(0)
        for member, held in dead:
            member.held.update(held)
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_each_job_is_taken_by_one_rescuer")
class RescuedByAll(MemoryBackend):
    """Each rescuer takes a job that it has seen, though another one took it meanwhile."""

    async def rescue(self, expired, limit):
        dead = [(member, dict(member.held)) for member in self._work._processes.expired(expired)]
        await asyncio.sleep(0)
        for member, held in dead:
            member.held = held
        return await super().rescue(expired, limit)
