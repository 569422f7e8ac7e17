"""Broken ways to come, to live and to die."""

import asyncio

import attrs

from broken.registry import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.members import Member
from taskhero.backends.protocol import Beat
from taskhero.conformance import Concurrency, Registration, Rescue
from taskhero.wire.jobs import mark_rescued


@found_by(Registration, "test_it_is_called_from_any_thread")
class BeatsInTheLoopOnly(MemoryBackend):
    """Its beat needs the event loop that the heart's thread has not."""

    def beat(self, process, slots, lease, *, full, locks=()):
        asyncio.get_running_loop()
        return super().beat(process, slots, lease, full=full, locks=locks)


@found_by(Registration, "test_a_beat_renews_the_lease")
class BeatsInVain(MemoryBackend):
    """A beat answers, and renews nothing."""

    def beat(self, process, slots, lease, *, full, locks=()):
        return Beat(alive=True, missing=(), dead=0)


@found_by(Registration, "test_a_dead_process_lives_again", "test_a_beat_registers_a_process_that_is_unknown")
class NeverTellsTheDead(MemoryBackend):
    """A process is not told that it was dead, and works on what others run already."""

    def beat(self, process, slots, lease, *, full, locks=()):
        return attrs.evolve(super().beat(process, slots, lease, full=full, locks=locks), alive=True)


@found_by(Registration, "test_a_full_beat_registers_again_what_was_removed")
class NeverMissesAWorker(MemoryBackend):
    """It does not look who was removed."""

    def beat(self, process, slots, lease, *, full, locks=()):
        return super().beat(process, slots, lease, full=False, locks=locks)


@found_by(Registration, "test_a_claim_that_is_gone_is_restored", "test_a_restored_claim_is_rescued")
class RestoresNothing(MemoryBackend):
    """It answers as if the claim existed again."""

    async def restore(self, process, claims):
        return [claim.slot != 7 for claim in claims]


@found_by(Registration, "test_a_claim_is_not_restored_over_another")
class RestoresOverOthers(MemoryBackend):
    """It writes the claim, whatever the slot holds by now."""

    async def restore(self, process, claims):
        member = self._work._members.get(process.name)
        for claim in claims if member else ():
            if claim.slot in member.slots:
                member.let_go(claim.slot)
        return await super().restore(process, claims)


@found_by(Registration, "test_a_dead_process_restores_nothing")
class RestoresForTheDead(MemoryBackend):
    """It does not look whether the process still lives."""

    async def restore(self, process, claims):
        return self._work.restore(process, claims, 0.0)


@found_by(Registration, "test_a_retired_worker_gives_back_its_job")
class RetiresWithTheJob(MemoryBackend):
    """A worker that retires takes its job along."""

    async def retire(self, process, slots):
        member = self._work._members.get(process.name)
        for slot in slots:
            member.let_go(slot)
        return await super().retire(process, slots)


@found_by(Registration, "test_a_leaving_process_gives_back_in_order", "test_several_workers_give_back_in_order")
class GivesBackInAnyOrder(MemoryBackend):
    """Jobs come back by slot."""

    def __init__(self, *, clock=None):
        super().__init__(clock=clock)
        renew = self._work._members.renew

        def renew_by_slot(process, lease_ends):
            member = renew(process, lease_ends)
            member.__class__ = BySlot
            return member

        self._work._members.renew = renew_by_slot


class BySlot(Member):
    """What it holds is sorted by slot."""

    __slots__ = ()

    def latest_first(self, slots=None):
        return sorted(super().latest_first(slots), key=lambda claim: claim.slot)


@found_by(Registration, "test_a_leaving_process_gives_back_in_order")
class LeavingIsARescue(MemoryBackend):
    """What a process gives back when it leaves is marked as if it had died."""

    async def deregister(self, process):
        texts = self._store.queues.texts
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


@found_by(Rescue, "test_the_living_are_not_touched")
class RescuesTheLiving(MemoryBackend):
    """Whoever did not beat for half its lease is dead."""

    async def rescue(self, limit):
        clock = self._clock
        clock.advance(30)
        try:
            return await super().rescue(limit)
        finally:
            clock.advance(-30)


@found_by(Rescue, "test_jobs_of_a_dead_process_come_next", "test_it_takes_no_more_than_the_limit")
class RescuesBackwards(MemoryBackend):
    """The job that was claimed first comes last."""

    async def rescue(self, limit):
        for member in self._work._members.dead(self._clock.now()):
            member.held = dict(reversed(member.held.items()))
        return await super().rescue(limit)


@found_by(Rescue, "test_a_mere_claim_is_marked_but_not_counted", "test_the_mark_of_one_job_is_not_its_neighbours")
class ConvictsTheInnocent(MemoryBackend):
    """Whatever a dead process held counts as what killed it."""

    async def rescue(self, limit):
        for member in self._work._members.dead(self._clock.now()):
            member.running.update(member.held)
        return await super().rescue(limit)


@found_by(Rescue, "test_a_job_that_was_begun_alone_is_counted")
class ConvictsNobody(MemoryBackend):
    """A job may kill any number of processes."""

    async def begin(self, process, claim, *, alone=True):
        return claim in (await self.claims(process)).claims


@found_by(Rescue, "test_a_claim_that_is_gone_is_not_begun")
class BeginsAnything(MemoryBackend):
    """It lets a process run what others run already."""

    async def begin(self, process, claim, *, alone=True):
        await super().begin(process, claim, alone=alone)
        return True


@found_by(Rescue, "test_the_mark_is_taken_back", only=True)
class NeverForgivesASuspect(MemoryBackend):
    """What has been begun alone is to blame for ever, whoever runs beside it."""

    async def begin(self, process, claim, *, alone=True):
        return await super().begin(process, claim)


@found_by(Rescue, "test_a_late_death_is_counted_as_such", only=True)
class ForgetsLateDeaths(MemoryBackend):
    """Who kills its process only after a while may do so for ever."""

    async def rescue(self, limit):
        for member in self._work._members.dead(self._clock.now()):
            member.late.clear()
        return await super().rescue(limit)


@found_by(Rescue, "test_a_death_with_somebody_to_blame_is_no_late_one", only=True)
class SuspectsAllTheSame(MemoryBackend):
    """A job that ran alone once is kept alone ever longer, though another one is to blame."""

    async def rescue(self, limit):
        for member in self._work._members.dead(self._clock.now()):
            for slot in member.late if member.running else ():
                claim, since = member.held[slot]
                marked = mark_rescued(claim.raw, running=False, late=True)
                member.held[slot] = (attrs.evolve(claim, raw=marked), since)
        return await super().rescue(limit)


@found_by(Rescue, "test_a_death_with_somebody_to_blame_is_no_late_one", only=True)
class BlamesTheSameOne(MemoryBackend):
    """A job that is begun beside one that kills late is to blame each time, until it is convicted."""

    async def rescue(self, limit):
        for member in self._work._members.dead(self._clock.now()):
            if member.running:
                member.late.clear()
        return await super().rescue(limit)


@found_by(Rescue, "test_it_takes_no_more_than_the_limit")
class RescuesWithoutALimit(MemoryBackend):
    """It takes all at once."""

    async def rescue(self, _limit):
        return await super().rescue(10**6)


@found_by(Rescue, "test_a_dead_process_goes_from_view")
class KeepsTheDead(MemoryBackend):
    """A dead process stays in view for ever."""

    def __init__(self, *, clock=None):
        super().__init__(clock=clock)
        self._work._members.remove = lambda _name: None


@found_by(Concurrency, "test_a_job_is_claimed_or_rescued")
class RescuesInTwoSteps(MemoryBackend):
    """For an instant, a job that it rescues is nowhere."""

    async def rescue(self, limit):
        dead = [(member, dict(member.held)) for member in self._work._members.dead(self._clock.now())]
        for member, _ in dead:
            member.held.clear()
        await asyncio.sleep(0)
        for member, held in dead:
            member.held.update(held)
        return await super().rescue(limit)


@found_by(Rescue, "test_each_job_is_taken_by_one_rescuer")
class RescuedByAll(MemoryBackend):
    """Each rescuer takes a job that it has seen, though another one took it meanwhile."""

    async def rescue(self, limit):
        dead = [(member, dict(member.held)) for member in self._work._members.dead(self._clock.now())]
        await asyncio.sleep(0)
        for member, held in dead:
            member.held = held
        return await super().rescue(limit)
