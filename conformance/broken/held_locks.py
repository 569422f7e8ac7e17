"""Broken ways to renew, to lose and to release locks, and to forget."""

import attrs

from broken.broken_backends import found_by
from broken.preparing import Locking
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.locks import LockStore
from taskhero.backends.protocol import Succeeded
from taskhero.conformance import HeldLocks


@found_by(HeldLocks, "test_a_beat_renews_the_locks_that_it_names[short]")
class RenewsTheLeaseOnly(MemoryBackend):
    """Locks lapse under long jobs."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, seen=seen)


@found_by(HeldLocks, "test_a_beat_renews_the_locks_that_it_names[short]")
class RenewsInFullOnly(MemoryBackend):
    """A short beat renews no locks."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, locks=locks if full else (), seen=seen)


@found_by(HeldLocks, "test_a_beat_renews_the_locks_that_it_names[short]")
class RenewsTheFirst(MemoryBackend):
    """It knows of one lock."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, locks=locks[:1], seen=seen)


@found_by(HeldLocks, "test_a_beat_renews_the_locks_that_it_names[full]")
class RenewsForTooLong(Locking):
    """A renewed lock lives longer than its timeout."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            longer = attrs.evolve(held, lock=attrs.evolve(held.lock, timeout=held.lock.timeout + 30))
            return super().renew(longer, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_short_timeout_holds_no_longer_than_it_says")
class RenewsForAMinute(Locking):
    """A renewed lock lives for a minute, whatever its timeout."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            forged = attrs.evolve(held, lock=attrs.evolve(held.lock, timeout=60))
            return super().renew(forged, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_lock_that_lapsed_and_is_free_is_taken_again[short]")
class GivesUpWhatLapsed(Locking):
    """A lock that lapsed is lost, though nobody else wants it."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            return self.get(held.lock.key, now) is not None and super().renew(held, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_lock_that_lapsed_and_is_free_is_taken_again[full]")
class RenewsWhatStandsOnly(Locking):
    """A lock that lapsed is neither lost nor taken again."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            return self.get(held.lock.key, now) is None or super().renew(held, owner, now, ours=ours)


@found_by(HeldLocks, "test_the_lock_of_a_job_that_ended_is_not_taken_again")
class RenewsForTheEnded(Locking):
    """It does not look whether the claim still stands."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            return super().renew(held, owner, now, ours=True)


@found_by(HeldLocks, "test_a_lock_that_a_settled_job_kept_is_renewed")
class ForgetsWhatTheSettledKept(Locking):
    """It renews locks of claims that stand, and no others."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            return super().renew(held, owner, now, ours=ours) if ours else True


@found_by(HeldLocks, "test_a_lock_that_somebody_else_holds_is_lost[short]", "test_a_queued_jobs_lock_is_somebody_elses")
class TakesWhatIsLost(Locking):
    """It renews a lock without looking whose it is."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            self.take(held.lock.key, owner, now + held.lock.timeout, now)
            return True


@found_by(HeldLocks, "test_a_lock_that_somebody_else_holds_is_lost[short]")
class RenewsForSomebodyElse(Locking):
    """A lock is renewed, whoever holds it."""

    class locks(LockStore):
        def renew(self, held, owner, now, *, ours):
            found = self.get(held.lock.key, now)
            if found is not None:
                self.take(held.lock.key, found[0], now + held.lock.timeout + 60, now)
            return super().renew(held, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_lock_that_somebody_else_holds_is_lost[full]", "test_a_queued_jobs_lock_is_somebody_elses")
class TellsNoLoss(MemoryBackend):
    """A process is not told that its lock is somebody else's."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return attrs.evolve(super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen), lost=())


@found_by(HeldLocks, "test_a_lock_that_somebody_else_holds_is_lost[full]")
class LosesAllAtOnce(MemoryBackend):
    """Where one lock is lost, all are."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        answer = super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen)
        return attrs.evolve(answer, lost=tuple(locks)) if answer.lost else answer


class Settling(MemoryBackend):
    """It changes what goes with an end."""

    def change(self, settlement):
        return settlement

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        return await super().settle_and_claim(
            process, [self.change(settlement) for settlement in settlements], free_slots, queues
        )


@found_by(HeldLocks, "test_a_jobs_locks_go_with_its_end[failed]", "test_a_batch_releases_each_jobs_own_locks")
class ReleasesOnSuccessOnly(Settling):
    """A job that failed keeps its locks."""

    def change(self, settlement):
        return settlement if isinstance(settlement.disposition, Succeeded) else attrs.evolve(settlement, release=())


@found_by(HeldLocks, "test_a_jobs_locks_go_with_its_end[done]")
class ReleasesAllThatItHolds(MemoryBackend):
    """With a job go all of its locks, named or not."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        values = self._store.locks._held._values
        for settlement in settlements:
            for key in [key for key, ((owner, _), _) in values.items() if owner and owner[1] == settlement.claim.token]:
                self._store.locks.free([key])
        return answer


@found_by(HeldLocks, "test_somebody_elses_lock_is_not_released", "test_a_lock_that_was_lost_is_not_released")
class ReleasesWhatIsNotItsOwn(Locking):
    """It deletes a lock without looking whose it is."""

    class locks(LockStore):
        def release(self, keys, _owner, _now):
            self.free(keys)


@found_by(HeldLocks, "test_what_goes_with_a_claim_that_is_gone_stays[done]")
class ReleasesForTheGone(MemoryBackend):
    """Locks go, though the claim is gone."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        for settlement in settlements:
            if settlement.claim in answer.gone:
                self._store.locks.free(settlement.release)
        return answer


@found_by(HeldLocks, "test_what_goes_with_a_claim_that_is_gone_stays[retried]")
class ForgetsForTheGone(MemoryBackend):
    """Counters are forgotten, though the claim is gone."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        for settlement in settlements:
            self._store.forget(settlement.forget)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(HeldLocks, "test_counters_are_forgotten_with_the_end")
class ForgetsNothing(Settling):
    """Counters stay until they lapse."""

    def change(self, settlement):
        return attrs.evolve(settlement, forget=())


@found_by(HeldLocks, "test_counters_are_forgotten_with_the_end")
class ForgetsItsOwnCounter(Settling):
    """A job that is retried starts anew each time."""

    def change(self, settlement):
        counter = getattr(settlement.disposition, "counter", None)
        return attrs.evolve(settlement, forget=(*settlement.forget, *([counter] if counter else [])))


@found_by(HeldLocks, "test_the_own_lock_of_a_claim_that_is_gone_is_released[done]")
class KeepsLocksOfTheGone(MemoryBackend):
    """What a claim that is gone held stays locked, for as long as its timeout."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        member = self._work._processes.get(process.name)
        told = [
            one if member is not None and member.holds(one.claim) else attrs.evolve(one, release=())
            for one in settlements
        ]
        return await super().settle_and_claim(process, told, free_slots, queues)
