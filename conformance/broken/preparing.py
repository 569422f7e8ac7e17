"""Backends that fail to prepare jobs before they run."""

import asyncio

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend, claim_store
from taskhero.backends.memory.locks import LockStore, owner_of
from taskhero.backends.memory.store import Store
from taskhero.backends.protocol import Prepared
from taskhero.conformance import Preparing


class Locking(MemoryBackend):
    """Base of backends with another lock store."""

    locks_in_the_store = LockStore

    def make_store(self):
        return Store(locks=self.locks_in_the_store())


@found_by(Preparing, "test_a_job_takes_all_its_locks_or_none")
class TakesWhatItCan(Locking):
    """Take locks one by one, and keep them if a later one is not free."""

    class locks_in_the_store(LockStore):
        def hold(self, locks, owner, now):
            for position, lock in enumerate(locks):
                if super().hold((lock,), owner, now) is not None:
                    return position
            return None


@found_by(Preparing, "test_a_claim_that_asks_again_holds_it_already")
class ReleasesWhatItHeld(Locking):
    """Release all locks if one is not free, even those that the claim held before."""

    class locks_in_the_store(LockStore):
        def hold(self, locks, owner, now):
            blocked_by = super().hold(locks, owner, now)
            if blocked_by is not None:
                self.release([lock.key for lock in locks], owner, now)
            return blocked_by


@found_by(Preparing, "test_a_claim_that_asks_again_holds_it_already")
class BlocksItself(Locking):
    """Treat a claim's own lock as another owner's."""

    class locks_in_the_store(LockStore):
        def is_taken(self, key, _owner, now):
            return self.get(key, now) is not None


class Owning(MemoryBackend):
    """Base of backends with another owner of locks."""

    def mark(self, process, claim):
        raise NotImplementedError

    async def prepare(self, process, preparations):
        before, claim_store.owner_of = claim_store.owner_of, self.mark
        try:
            return await super().prepare(process, preparations)
        finally:
            claim_store.owner_of = before


@found_by(Preparing, "test_a_lock_is_the_claims_own", "test_a_job_takes_all_its_locks_or_none")
class OwnedByTheProcess(Owning):
    """Share locks among all jobs of a process."""

    def mark(self, process, claim):
        return (process.name, "")


@found_by(Preparing, "test_a_lock_is_the_claims_own")
class OwnedByTheSlot(Owning):
    """Share locks among all jobs of a slot."""

    def mark(self, process, claim):
        return (process.worker(claim.slot), "")


@found_by(Preparing, "test_locks_of_queued_and_of_running_jobs_are_of_one_kind")
class TwoKindsOfLocks(MemoryBackend):
    """Separate the locks of queued jobs from those of running jobs."""

    async def push(self, entries):
        return await super().push([apart(entry) for entry in entries])

    async def prepare(self, process, preparations):
        return await super().prepare(
            process,
            [attrs.evolve(wanted, release=tuple(f"queued:{key}" for key in wanted.release)) for wanted in preparations],
        )


def apart(entry):
    """Return an entry with separate names for the locks of queued jobs."""
    return attrs.evolve(entry, guards=tuple(attrs.evolve(lock, key=f"queued:{lock.key}") for lock in entry.guards))


@found_by(Preparing, "test_of_many_claims_at_once_one_gets_the_lock")
class LooksThenTakes(MemoryBackend):
    """Check that locks are free, yield to other callers, and then take them."""

    async def prepare(self, process, preparations):
        keys = [lock.key for wanted in preparations for lock in wanted.hold]
        free = [key for key in keys if self.store.locks.get(key, self.clock.now()) is None]
        await asyncio.sleep(0)
        self.store.locks.free(free)
        return await super().prepare(process, preparations)


class Changing(MemoryBackend):
    """Base of backends that change a preparation."""

    def change(self, wanted):
        return wanted

    async def prepare(self, process, preparations):
        return await super().prepare(process, [self.change(wanted) for wanted in preparations])


@found_by(Preparing, "test_an_equal_job_can_be_queued_while_the_first_one_runs")
class KeepsTheQueuedLock(Changing):
    """Keep the queue lock of a job that runs."""

    def change(self, wanted):
        return attrs.evolve(wanted, release=())


@found_by(Preparing, "test_the_queue_lock_is_released_though_the_job_may_not_run")
class ReleasesOnlyWhatRuns(MemoryBackend):
    """Keep the queue lock of a job that is blocked."""

    async def prepare(self, process, preparations):
        answers = []
        for wanted in preparations:
            (answer,) = await super().prepare(process, [attrs.evolve(wanted, release=())])
            if answer.blocked_by is None:
                (answer,) = await super().prepare(process, [wanted])
            answers.append(answer)
        return answers


@found_by(Preparing, "test_a_held_lock_expires_after_its_timeout")
class HoldsAsLongAsItLives(Changing):
    """Ignore the timeout of a lock."""

    def change(self, wanted):
        return attrs.evolve(wanted, hold=tuple(attrs.evolve(lock, timeout=10**6) for lock in wanted.hold))


@found_by(Preparing, "test_a_held_lock_ends_with_the_lease[deregistered]", "test_a_held_lock_ends_with_the_lease[dead]")
class OutlivesTheLease(Locking):
    """Keep the lock of a dead process until its timeout."""

    class locks_in_the_store(LockStore):
        def free_of(self, process):
            pass


@found_by(Preparing, "test_a_held_lock_outlives_an_outage", only=True)
class ExpiresInAnOutage(Locking):
    """Let a lock expire after 90 seconds without a heartbeat, even if its job may run."""

    class locks_in_the_store(LockStore):
        def hold(self, locks, owner, now):
            return super().hold([attrs.evolve(lock, timeout=min(lock.timeout, 90)) for lock in locks], owner, now)


@found_by(Preparing, "test_a_lock_that_is_not_renewed_expires", only=True)
class RenewsAllLocks(MemoryBackend):
    """Renew locks that the heartbeat does not name."""

    def heartbeat(self, process, slots, lease, *, full, locks=(), seen=""):
        now, held = self.clock.now(), self.store.locks
        for key in held.listing(now):
            owner, _ = held.get(key, now)
            if owner is not None and owner[0].startswith(process.name):
                held.take(key, owner, now + 60, now)
        return super().heartbeat(process, slots, lease, full=full, locks=locks, seen=seen)


@found_by(Preparing, "test_for_what_is_gone_nothing_is_changed", "test_for_a_dead_process_nothing_is_changed")
class ReleasesForAnybody(MemoryBackend):
    """Release a queue lock before checking the claim."""

    async def prepare(self, process, preparations):
        for wanted in preparations:
            self.store.locks.free(wanted.release)
        return await super().prepare(process, preparations)


@found_by(Preparing, "test_for_what_is_gone_nothing_is_changed")
class LocksForAnybody(MemoryBackend):
    """Take locks before checking the claim."""

    async def prepare(self, process, preparations):
        now = self.clock.now()
        for wanted in preparations:
            self.store.locks.hold(wanted.hold, owner_of(process, wanted.claim), now)
        return await super().prepare(process, preparations)


@found_by(Preparing, "test_for_a_dead_process_nothing_is_changed", only=True)
class PreparesDeadProcesses(MemoryBackend):
    """Prepare the claim of a dead process."""

    async def prepare(self, process, preparations):
        registered = self.claim_store.processes.get(process.name)
        if registered is None:
            return await super().prepare(process, preparations)
        dead, registered.dead = registered.dead, False
        try:
            return await super().prepare(process, preparations)
        finally:
            registered.dead = dead


@found_by(Preparing, "test_each_job_gets_its_answer_in_the_order_given")
class AnswersBySlot(MemoryBackend):
    """Prepare jobs in the order of their slots."""

    async def prepare(self, process, preparations):
        return await super().prepare(process, sorted(preparations, key=lambda wanted: wanted.claim.slot))


@found_by(Preparing, "test_the_counter_of_attempts_is_read")
class CountsWhereItReads(MemoryBackend):
    """Count an attempt when a job starts."""

    async def prepare(self, process, preparations):
        now = self.clock.now()
        for wanted in preparations:
            if wanted.counter is not None:
                count = self.store.attempts.get(wanted.counter, now)
                self.store.attempts.set(wanted.counter, 0 if count is None else count + 1, until=now + 10**6, now=now)
        return await super().prepare(process, preparations)


@found_by(Preparing, "test_the_counter_is_read_though_the_job_may_not_run")
class ReadsForWhatRunsOnly(MemoryBackend):
    """Do not read the counter of a job that is blocked."""

    async def prepare(self, process, preparations):
        answers = await super().prepare(process, preparations)
        return [answer if answer.blocked_by is None else Prepared(blocked_by=answer.blocked_by) for answer in answers]
