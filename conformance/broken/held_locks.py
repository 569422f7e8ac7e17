"""Backends that fail to renew and release locks, and to forget counters."""

import attrs

from broken.broken_backends import found_by
from broken.preparing import Locking
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.locks import LockStore
from taskhero.backends.protocol import Succeeded
from taskhero.conformance import HeldLocks


@found_by(HeldLocks, "test_a_heartbeat_renews_the_locks_that_it_names[short]")
class RenewsTheLeaseOnly(MemoryBackend):
    """Let locks expire during long jobs."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, seen=seen)


@found_by(HeldLocks, "test_a_heartbeat_renews_the_locks_that_it_names[short]")
class RenewsInFullOnly(MemoryBackend):
    """Renew no locks in a short heartbeat."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, locks=locks if full else (), seen=seen)


@found_by(HeldLocks, "test_a_heartbeat_renews_the_locks_that_it_names[short]")
class RenewsTheFirst(MemoryBackend):
    """Renew only the first lock."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return super().heartbeat(process, slots, lease, full=full, locks=locks[:1], seen=seen)


@found_by(HeldLocks, "test_a_heartbeat_renews_the_locks_that_it_names[full]")
class RenewsForTooLong(Locking):
    """Renew a lock for longer than its timeout."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            longer = attrs.evolve(held, lock=attrs.evolve(held.lock, timeout=held.lock.timeout + 30))
            return super().renew(longer, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_short_timeout_holds_no_longer_than_it_says")
class RenewsForAMinute(Locking):
    """Renew a lock for 60 seconds, whatever its timeout."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            forged = attrs.evolve(held, lock=attrs.evolve(held.lock, timeout=60))
            return super().renew(forged, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_lock_that_expired_and_is_free_is_taken_again[short]")
class GivesUpExpiredLocks(Locking):
    """Report an expired lock as lost, even if it is free."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            return self.get(held.lock.key, now) is not None and super().renew(held, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_lock_that_expired_and_is_free_is_taken_again[full]")
class RenewsExistingLocksOnly(Locking):
    """Neither report an expired lock as lost nor take it again."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            return self.get(held.lock.key, now) is None or super().renew(held, owner, now, ours=ours)


@found_by(HeldLocks, "test_the_lock_of_a_job_that_ended_is_not_taken_again")
class RenewsForEndedJobs(Locking):
    """Do not check that the claim is current."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            return super().renew(held, owner, now, ours=True)


@found_by(HeldLocks, "test_a_lock_that_a_settled_job_kept_is_renewed")
class DoesNotRenewAfterSettlement(Locking):
    """Renew no lock of a settled job."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            return super().renew(held, owner, now, ours=ours) if ours else True


@found_by(HeldLocks, "test_a_lock_that_another_claim_holds_is_lost[short]", "test_a_queued_jobs_lock_is_lost")
class TakesLostLocks(Locking):
    """Renew a lock without checking its owner."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            self.take(held.lock.key, owner, now + held.lock.timeout, now)
            return True


@found_by(HeldLocks, "test_a_lock_that_another_claim_holds_is_lost[short]")
class RenewsForOtherOwners(Locking):
    """Renew a lock for its owner, whichever claim asks."""

    class locks_in_the_store(LockStore):
        def renew(self, held, owner, now, *, ours):
            found = self.get(held.lock.key, now)
            if found is not None:
                self.take(held.lock.key, found[0], now + held.lock.timeout + 60, now)
            return super().renew(held, owner, now, ours=ours)


@found_by(HeldLocks, "test_a_lock_that_another_claim_holds_is_lost[full]", "test_a_queued_jobs_lock_is_lost")
class ReportsNoLostLock(MemoryBackend):
    """Do not report a lost lock."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        return attrs.evolve(super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen), lost=())


@found_by(HeldLocks, "test_a_lock_that_another_claim_holds_is_lost[full]")
class LosesAllAtOnce(MemoryBackend):
    """Report all locks as lost if one is."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        answer = super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen)
        return attrs.evolve(answer, lost=tuple(locks)) if answer.lost else answer


class Settling(MemoryBackend):
    """Base of backends that change the locks and counters of a settlement."""

    def change(self, settlement):
        return settlement

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        return await super().settle_and_claim(
            process, [self.change(settlement) for settlement in settlements], free_slots, queues
        )


@found_by(
    HeldLocks, "test_a_jobs_locks_are_released_with_its_settlement[failed]", "test_a_batch_releases_each_jobs_own_locks"
)
class ReleasesOnSuccessOnly(Settling):
    """Keep the locks of a failed job."""

    def change(self, settlement):
        return settlement if isinstance(settlement.disposition, Succeeded) else attrs.evolve(settlement, release=())


@found_by(HeldLocks, "test_a_jobs_locks_are_released_with_its_settlement[succeeded]")
class ReleasesAllThatItHolds(MemoryBackend):
    """Release all locks of a settled job, even those that are not named."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        held = self.store.locks.listing(self.clock.now())
        for settlement in settlements:
            self.store.locks.free(key for key, owner in held.items() if owner.endswith(f"/{settlement.claim.token}"))
        return answer


@found_by(HeldLocks, "test_another_owners_lock_is_not_released", "test_a_lock_that_was_lost_is_not_released")
class ReleasesWhatIsNotItsOwn(Locking):
    """Release a lock without checking its owner."""

    class locks_in_the_store(LockStore):
        def release(self, keys, _owner, _now):
            self.free(keys)


@found_by(HeldLocks, "test_a_claim_that_is_gone_releases_and_forgets_nothing[succeeded]")
class ReleasesForGoneClaims(MemoryBackend):
    """Release locks of other owners for a claim that is gone."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        for settlement in settlements:
            if settlement.claim in answer.gone:
                self.store.locks.free(settlement.release)
        return answer


@found_by(HeldLocks, "test_a_claim_that_is_gone_releases_and_forgets_nothing[retried]")
class ForgetsForGoneClaims(MemoryBackend):
    """Forget counters for a claim that is gone."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        for settlement in settlements:
            self.store.forget(settlement.forget)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(HeldLocks, "test_counters_are_forgotten_with_the_settlement")
class ForgetsNothing(Settling):
    """Keep counters until they expire."""

    def change(self, settlement):
        return attrs.evolve(settlement, forget=())


@found_by(HeldLocks, "test_counters_are_forgotten_with_the_settlement")
class ForgetsItsOwnCounter(Settling):
    """Restart the counter of a retried job each time."""

    def change(self, settlement):
        counter = getattr(settlement.disposition, "counter", None)
        return attrs.evolve(settlement, forget=(*settlement.forget, *([counter] if counter else [])))


@found_by(HeldLocks, "test_the_own_lock_of_a_claim_that_is_gone_is_released[succeeded]")
class KeepsLocksOfGoneClaims(MemoryBackend):
    """Keep the lock of a claim that is gone until its timeout."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        registered = self.claim_store.processes.get(process.name)
        allowed = [
            settlement
            if registered is not None and registered.holds(settlement.claim)
            else attrs.evolve(settlement, release=())
            for settlement in settlements
        ]
        return await super().settle_and_claim(process, allowed, free_slots, queues)
