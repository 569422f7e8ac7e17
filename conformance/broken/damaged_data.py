"""Backends that fail if the data in the store is damaged."""

import attrs
from redis_view import keys_of, run_command

from broken.broken_backends import found_by
from taskhero.backends.protocol import RefusedByPlugin, Retried, Settlement
from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.conformance import DamagedData, ForeignLeftovers
from taskhero.errors import BackendRefused


class DamageableBackend(FakeRedisBackend):
    """A backend whose store other programs can damage."""

    def __init__(self, *, clock=None, **options):
        super().__init__("fakeredis://", clock=clock, **options)
        self.clock = clock
        self.keys = keys_of(self)

    async def command(self, *command):
        """Send one command, as another program would."""
        return await run_command(self, *command)

    async def damage(self, key, command="SET"):
        """Store a value of a wrong type under a key."""
        await self.command("DEL", f"resque:{key}")
        await self.command(command, f"resque:{key}", "damaged")


@found_by(DamagedData, "test_a_queue_that_cannot_be_read_is_passed_over")
class OneDamagedQueueStopsAll(DamageableBackend):
    """Claim nothing if one queue cannot be read."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        if answer.problems:
            raise BackendRefused("a queue cannot be read")
        return answer


@found_by(DamagedData, "test_a_failure_that_cannot_be_listed_stays_claimed")
class DropsWhatItCannotSettle(DamageableBackend):
    """Forget a settlement that cannot be recorded."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        await super().settle_and_claim(
            process, [Settlement(claim, RefusedByPlugin()) for claim, _ in answer.unsettled], (), ()
        )
        return answer


@found_by(DamagedData, "test_a_lock_of_the_wrong_type_counts_as_held")
class TakesWhatItCannotRead(DamageableBackend):
    """Treat a lock of the wrong type as free."""

    async def prepare(self, process, preparations):
        for key in {lock.key for wanted in preparations for lock in wanted.hold}:
            if await self.command("TYPE", f"resque:{key}") != b"string":
                await self.command("DEL", f"resque:{key}")
        return await super().prepare(process, preparations)


@found_by(DamagedData, "test_locks_and_counters_of_an_unrecorded_settlement_stay")
class ReleasesWhatItCannotSettle(DamageableBackend):
    """Release locks before the settlement is recorded."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        for settlement in settlements:
            for key in settlement.release:
                await self.command("DEL", f"resque:{key}")
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(DamagedData, "test_locks_and_counters_of_an_unrecorded_settlement_stay[failed]")
class ForgetsWhatItCannotSettle(DamageableBackend):
    """Delete counters before the settlement is recorded."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        for settlement in settlements:
            for name in settlement.forget:
                await self.command("DEL", f"resque:{name}")
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(DamagedData, "test_locks_and_counters_of_an_unrecorded_settlement_stay[last-attempt]")
class EndsTheCountFirst(DamageableBackend):
    """Delete the counter with the last attempt, even if the failed list cannot take the job."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        unsettled = [claim for claim, _ in answer.unsettled]
        for settlement in settlements:
            if settlement.claim in unsettled and isinstance(settlement.disposition, Retried):
                await self.command("DEL", f"resque:{settlement.disposition.counter}")
        return answer


@found_by(DamagedData, "test_a_damaged_queue_is_not_an_empty_one")
class DeletesWhatItCannotRead(DamageableBackend):
    """Treat a queue that cannot be read as empty."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        return await super().delete_queue(queue)


@found_by(DamagedData, "test_a_counter_of_attempts_that_is_not_a_number_is_none")
class RaisesOnDamagedCounters(DamageableBackend):
    """Raise if a counter is not a number."""

    async def prepare(self, process, preparations):
        for wanted in preparations:
            if wanted.counter is not None:
                int(await self.command("GET", f"resque:{wanted.counter}") or 0)
        return await super().prepare(process, preparations)


@found_by(
    ForeignLeftovers, "test_jobs_without_their_due_times_are_adopted", "test_a_job_without_a_whole_second_is_adopted"
)
class AdoptsNothing(DamageableBackend):
    """Adopt no delayed job."""

    async def adopt(self):
        return 0


@found_by(ForeignLeftovers, "test_what_is_in_order_is_not_adopted")
class CountsAllAsAdopted(DamageableBackend):
    """Count delayed jobs that needed no adoption."""

    async def adopt(self):
        return await super().adopt() or sum(count for _, count in await self.due_times())


@found_by(ForeignLeftovers, "test_a_lock_without_a_lifetime_ends")
class TrustsEveryLock(DamageableBackend):
    """Treat a lock without a lifetime as held as long as it exists."""

    async def prepare(self, process, preparations):
        for key in {lock.key for wanted in preparations for lock in wanted.hold}:
            if await self.command("PTTL", f"resque:{key}") == -1:
                await self.command("EXPIRE", f"resque:{key}", 1000)
        return await super().prepare(process, preparations)


@found_by(ForeignLeftovers, "test_a_lock_without_end_has_no_lifetime")
class EveryLockEnds(DamageableBackend):
    """Report 0 for a lock without a lifetime."""

    async def lifetimes(self, keys):
        return {key: life or 0.0 for key, life in (await super().lifetimes(keys)).items()}


@found_by(ForeignLeftovers, "test_lifetimes_of_locks")
class ListsMissingLocks(DamageableBackend):
    """Report a lifetime of 0 for a lock that does not exist."""

    async def lifetimes(self, keys):
        return dict.fromkeys(keys, 0.0) | await super().lifetimes(keys)


@found_by(ForeignLeftovers, "test_due_names_the_scheduler_that_stops_the_promotion")
class HidesTheForeignScheduler(DamageableBackend):
    """Do not say to which scheduler it yields."""

    async def due(self, limit):
        return attrs.evolve(await super().due(limit), foreign=None)


@found_by(ForeignLeftovers, "test_a_lock_that_never_changes_is_dead")
class YieldsToDeadLocks(DamageableBackend):
    """Yield to any master lock, even one that never changes."""

    def __init__(self, *, clock=None):
        super().__init__(clock=clock, ignore_dead_master_lock=False)


@found_by(ForeignLeftovers, "test_an_unwatched_lock_is_not_dead")
class TreatsUnwatchedLocksAsDead(DamageableBackend):
    """Treat a lock as dead after two readings, whatever the time between them."""

    async def due(self, limit):
        note = await self.command("GET", "resque:taskhero:master-lock")
        if note is not None:
            since, still, _, rest = note.decode().split(" ", 3)
            now = int(self.clock.now() * 1000)
            await self.command("SET", "resque:taskhero:master-lock", f"{since} {still} {now} {rest}")
        return await super().due(limit)
