"""Backends that fail to register, renew, deregister and rescue processes."""

import asyncio

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.claim_store import ClaimStore
from taskhero.backends.memory.process_table import ProcessTable, RegisteredProcess
from taskhero.backends.protocol import HeartbeatReply, Lease, Leases, SettleAndClaimReply
from taskhero.conformance import Concurrency, LeaseKeeping, Registration, Rescuing
from taskhero.wire.jobs import mark_rescued


@found_by(Registration, "test_it_is_called_from_any_thread")
class NeedsALoopForHeartbeats(MemoryBackend):
    """Require an event loop for a heartbeat, which the heartbeat's thread does not have."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        asyncio.get_running_loop()
        return super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen)


@found_by(Registration, "test_a_heartbeat_renews_the_lease")
class IgnoresHeartbeats(MemoryBackend):
    """Answer a heartbeat and renew nothing."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return HeartbeatReply(alive=True)


@found_by(
    Registration,
    "test_a_dead_process_is_alive_again_after_a_heartbeat",
    "test_a_heartbeat_registers_a_process_that_is_unknown",
)
class HidesDeclaredDeaths(MemoryBackend):
    """Do not report to a process that it was declared dead."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return attrs.evolve(super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen), alive=True)


@found_by(Registration, "test_a_full_heartbeat_registers_again_what_was_removed")
class NeverMissesAWorker(MemoryBackend):
    """Do not check which workers were removed."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=False, locks=locks, seen=seen)


@found_by(Registration, "test_a_claim_that_is_gone_is_restored", "test_a_restored_claim_is_rescued")
class RestoresNothing(MemoryBackend):
    """Answer that the claim is restored, and do nothing."""

    async def restore(self, process, claims):
        return [claim.slot != 7 for claim in claims]


@found_by(Registration, "test_a_claim_is_not_restored_over_another")
class RestoresOverOthers(MemoryBackend):
    """Restore a claim over the slot's current job."""

    async def restore(self, process, claims):
        registered = self.claim_store.processes.get(process.name)
        for claim in claims if registered else ():
            if claim.slot in registered.slots:
                registered.release(claim.slot)
        return await super().restore(process, claims)


@found_by(Registration, "test_a_dead_process_restores_nothing")
class RestoresForTheDead(MemoryBackend):
    """Do not check that the process is alive."""

    async def restore(self, process, claims):
        registered = self.claim_store.processes.get(process.name)
        if registered is not None:
            registered.dead = False
        return await super().restore(process, claims)


@found_by(Registration, "test_a_deregistered_worker_releases_its_job")
class DeregistersWithTheJob(MemoryBackend):
    """Lose the job of a worker that is deregistered."""

    async def deregister_slots(self, process, slots):
        registered = self.claim_store.processes.get(process.name)
        for slot in slots:
            registered.release(slot)
        return await super().deregister_slots(process, slots)


@found_by(Registration, "test_a_leaving_process_releases_in_order", "test_several_workers_release_in_order")
class ReleasesInSlotOrder(MemoryBackend):
    """Release jobs in the order of their slots."""

    class processes(ProcessTable):
        def renew(self, process, lease, now):
            registered = super().renew(process, lease, now)
            registered.__class__ = BySlot
            return registered

    def make_claim_store(self, store):
        return ClaimStore(store, self.processes())


class BySlot(RegisteredProcess):
    """A registered process that sorts its claims by slot."""

    __slots__ = ()

    def latest_first(self, slots=None):
        return sorted(super().latest_first(slots), key=lambda claim: claim.slot)


@found_by(Registration, "test_a_leaving_process_releases_in_order")
class LeavingIsARescue(MemoryBackend):
    """Mark the released jobs of a deregistered process as rescued."""

    async def deregister(self, process):
        queues = self.store.queues.payloads
        before = {queue: list(held) for queue, held in queues.items()}
        reply = await super().deregister(process)
        for queue, held in queues.items():
            for number in range(len(held) - len(before.get(queue, ()))):
                held[number] = mark_rescued(held[number], running=True)
        return reply


@found_by(Registration, "test_a_leaving_process_forwards_its_wake_up", only=True)
class LeavesWithoutForwarding(MemoryBackend):
    """Do not forward the wake-up of a process that leaves."""

    async def deregister(self, process):
        return await super().deregister(attrs.evolve(process, queues=()))


@found_by(
    Rescuing,
    "test_a_process_that_renewed_its_lease_is_not_touched[heartbeat]",
    "test_a_process_that_renewed_its_lease_is_not_touched[register]",
)
class RescuesLiveProcesses(MemoryBackend):
    """Take jobs from a process that has just renewed its lease."""

    async def rescue(self, expired, limit):
        names = {lease.process for lease in expired}
        now = [lease for lease in (await self.leases()).leases if lease.process in names]
        return await super().rescue(now, limit)


@found_by(Rescuing, "test_a_process_is_declared_dead_with_its_first_job[heartbeat]")
class NeverDeclaresDead(MemoryBackend):
    """Let a process claim while it is rescued."""

    async def rescue(self, expired, limit):
        rescued = await super().rescue(expired, limit)
        for registered in self.claim_store.processes:
            registered.dead = False
        return rescued


@found_by(Rescuing, "test_a_process_is_declared_dead_with_its_first_job[register]")
class DeadForever(MemoryBackend):
    """Keep a process dead that registers again."""

    async def register(self, process, slots, lease):
        registered = self.claim_store.processes.get(process.name)
        dead = registered is not None and registered.dead
        await super().register(process, slots, lease)
        self.claim_store.processes.get(process.name).dead = dead


class Showing(MemoryBackend):
    """Base of backends that change the leases that they show."""

    def show(self, leases, seen):
        raise NotImplementedError

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        answer = super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen)
        return attrs.evolve(answer, leases=self.show(answer.leases, seen))

    async def leases(self, seen="", *, lease=None):
        return self.show(await super().leases(seen), seen)


@found_by(LeaseKeeping, "test_each_renewal_is_a_different_one")
class RenewsByTheClock(MemoryBackend):
    """Name a renewal by the end of its lease, so that two in one instant are equal."""

    async def leases(self, seen="", *, lease=None):
        found = await super().leases(seen)
        ends = {registered.process.name: str(registered.lease_ends) for registered in self.claim_store.processes}
        return attrs.evolve(
            found, leases=tuple(attrs.evolve(lease, renewal=ends[lease.process]) for lease in found.leases)
        )


@found_by(LeaseKeeping, "test_a_lease_that_is_not_renewed_stays_the_same")
class RenewsWithEachStep(MemoryBackend):
    """Renew the lease of a process that claims."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        if self.claim_store.processes.get(process.name) is not None:
            await self.register(process, (), 60.0)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(LeaseKeeping, "test_what_was_renewed_since_is_left_out", "test_a_heartbeat_shows_the_leases_of_others")
class ShowsAllLeases(MemoryBackend):
    """Show leases that were renewed since the given reply."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, locks=locks)

    async def leases(self, seen="", *, lease=None):
        return await super().leases()


@found_by(LeaseKeeping, "test_what_was_renewed_since_is_left_out", only=True)
class ShowsLeasesByName(Showing):
    """Sort leases by name, not by their last renewal."""

    def show(self, leases, _seen):
        return attrs.evolve(leases, leases=tuple(sorted(leases.leases, key=lambda lease: lease.process)))


@found_by(LeaseKeeping, "test_a_heartbeat_shows_the_leases_of_others")
class ShowsNoLeases(MemoryBackend):
    """Show no leases in a heartbeat's reply."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return attrs.evolve(super().heartbeat(process, slots, lease, full=full, locks=locks), leases=Leases())


@found_by(LeaseKeeping, "test_a_thousand_leases_are_shown", only=True)
class ShowsTheYoungestLeases(Showing):
    """Leave out the oldest leases if there are too many."""

    def show(self, leases, seen):
        found = self.claim_store.processes
        young = [registered for registered in found if not seen or registered.renewal <= int(seen)][-1000:]
        shown = (Lease(registered.process.name, str(registered.renewal), registered.length) for registered in young)
        return attrs.evolve(leases, leases=tuple(shown)) if len(leases.leases) == 1000 else leases


@found_by(LeaseKeeping, "test_a_jump_of_the_clock_ends_no_lease[forward]", only=True)
class TrustsItsClock(MemoryBackend):
    """Refuse claims of a process whose lease is over by the clock."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        registered = self.claim_store.processes.get(process.name)
        if registered is not None and registered.lease_ends <= self.clock.now():
            return SettleAndClaimReply(registered=False)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(LeaseKeeping, "test_an_outage_costs_no_process_its_jobs[steady]")
class RescuesByItsClock(MemoryBackend):
    """Decide by the backend's clock which processes are dead."""

    async def rescue(self, expired, limit):
        now = self.clock.now()
        dead = {registered.process.name for registered in self.claim_store.processes if registered.lease_ends <= now}
        late = [lease for lease in (await super().leases()).leases if lease.process in dead]
        return await super().rescue(late, limit)


@found_by(Rescuing, "test_jobs_of_a_dead_process_come_next", "test_it_takes_no_more_than_the_limit")
class RescuesBackwards(MemoryBackend):
    """Rescue the job that was claimed first last."""

    async def rescue(self, expired, limit):
        for registered in self.claim_store.processes.expired(expired):
            registered.held = dict(reversed(registered.held.items()))
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_a_mere_claim_is_marked_but_not_counted", "test_the_mark_of_one_job_is_not_its_neighbours")
class CountsCrashesOfAllJobs(MemoryBackend):
    """Count a crash for every job of a dead process."""

    async def rescue(self, expired, limit):
        for registered in self.claim_store.processes.expired(expired):
            registered.running.update(registered.held)
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_an_exclusive_run_is_counted")
class NeverCountsCrashes(MemoryBackend):
    """Never count a crash."""

    async def mark_exclusive(self, process, claim, *, exclusive=True):
        return claim in (await self.claims(process)).claims


@found_by(Rescuing, "test_a_claim_that_is_gone_is_not_marked_exclusive")
class MarksGoneClaims(MemoryBackend):
    """Answer that a claim that is gone is marked."""

    async def mark_exclusive(self, process, claim, *, exclusive=True):
        await super().mark_exclusive(process, claim, exclusive=exclusive)
        return True


@found_by(Rescuing, "test_the_mark_is_taken_back", only=True)
class NeverTakesMarksBack(MemoryBackend):
    """Never take the exclusive mark back."""

    async def mark_exclusive(self, process, claim, *, exclusive=True):
        return await super().mark_exclusive(process, claim)


@found_by(Rescuing, "test_a_late_crash_is_counted_as_such", only=True)
class ForgetsLateCrashes(MemoryBackend):
    """Do not count late crashes."""

    async def rescue(self, expired, limit):
        for registered in self.claim_store.processes.expired(expired):
            registered.late.clear()
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_a_crash_attributed_to_another_job_is_not_a_late_one", only=True)
class CountsAttributedCrashesAsLate(MemoryBackend):
    """Count a late crash even if the crash is attributed to another job."""

    async def rescue(self, expired, limit):
        for registered in self.claim_store.processes.expired(expired):
            for slot in registered.late if registered.running else ():
                claim, since = registered.held[slot]
                marked = mark_rescued(claim.raw, running=False, late=True)
                registered.held[slot] = (attrs.evolve(claim, raw=marked), since)
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_a_crash_attributed_to_another_job_is_not_a_late_one", only=True)
class AttributesToTheSameJob(MemoryBackend):
    """Attribute a crash to the same exclusive job again and again, until it is listed as failed."""

    async def rescue(self, expired, limit):
        for registered in self.claim_store.processes.expired(expired):
            if registered.running:
                registered.late.clear()
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_it_takes_no_more_than_the_limit")
class RescuesWithoutALimit(MemoryBackend):
    """Ignore the limit of a rescue."""

    async def rescue(self, expired, _limit):
        return await super().rescue(expired, 10**6)


@found_by(Rescuing, "test_a_dead_process_is_deregistered")
class KeepsDeadProcesses(MemoryBackend):
    """Keep a dead process registered."""

    class processes(ProcessTable):
        def remove(self, _name):
            return None

    def make_claim_store(self, store):
        return ClaimStore(store, self.processes())


@found_by(Concurrency, "test_a_job_is_claimed_or_rescued")
class RescuesInTwoSteps(MemoryBackend):
    """For an instant, have a job neither claimed nor in its queue."""

    async def rescue(self, expired, limit):
        dead = [(registered, dict(registered.held)) for registered in self.claim_store.processes.expired(expired)]
        for registered, _ in dead:
            registered.held.clear()
        await asyncio.sleep(0)
        for registered, held in dead:
            registered.held.update(held)
        return await super().rescue(expired, limit)


@found_by(Rescuing, "test_each_job_is_taken_by_one_rescuer")
class RescuedByAll(MemoryBackend):
    """Take a job that another rescuer took meanwhile."""

    async def rescue(self, expired, limit):
        dead = [(registered, dict(registered.held)) for registered in self.claim_store.processes.expired(expired)]
        await asyncio.sleep(0)
        for registered, held in dead:
            registered.held = held
        return await super().rescue(expired, limit)
