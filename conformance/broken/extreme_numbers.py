"""Backends that fail at the bounds of numbers."""

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.locks import ExpiringMap, LockStore
from taskhero.backends.memory.store import Store
from taskhero.backends.protocol import PostponedByPlugin
from taskhero.conformance import ExtremeNumbers
from taskhero.errors import BackendRefused

CENTURY = 36525 * 24 * 3600


@found_by(ExtremeNumbers, "test_a_job_that_ended_is_delayed_by_any_time[postponed-longest]")
class DelaysTwice(MemoryBackend):
    """Record a long delay, and then fail to end the claim."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        long = [
            settlement
            for settlement in settlements
            if isinstance(settlement.disposition, PostponedByPlugin) and settlement.disposition.delay > CENTURY
        ]
        for settlement in long:
            self.store.delay(int(self.clock.now() + settlement.disposition.delay), settlement.claim.raw)
        if long:
            raise BackendRefused("value is not an integer or out of range")
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(ExtremeNumbers, "test_a_job_that_ended_is_delayed_by_any_time[retried-longest]")
class ForgetsLongRetries(MemoryBackend):
    """Let the counter of a long wait expire at once."""

    class attempts_of_a_century(ExpiringMap):
        def set(self, name, value, *, until, now):
            super().set(name, value, until=until if until < now + CENTURY else now, now=now)

    def make_store(self):
        return Store(attempts=self.attempts_of_a_century())


@found_by(ExtremeNumbers, "test_a_lock_of_a_queued_job_is_held_for_any_time[longest]")
class NeedsShortLocks(MemoryBackend):
    """Do not take a lock with a long timeout."""

    class locks_of_a_century(LockStore):
        def take(self, key, owner, until, now):
            if until < now + CENTURY:
                super().take(key, owner, until, now)

    def make_store(self):
        return Store(locks=self.locks_of_a_century())


@found_by(ExtremeNumbers, "test_a_new_job_is_delayed_by_any_time[tiny]")
class CutsOffTinyDelays(MemoryBackend):
    """Treat a delay of less than one millisecond as none."""

    async def schedule(self, entries):
        cut = [
            entry if entry.delay is None else attrs.evolve(entry, delay=int(entry.delay * 1000) / 1000)
            for entry in entries
        ]
        return await super().schedule(cut)


@found_by(ExtremeNumbers, "test_any_number_is_asked_for[most]")
class RemovesFewAtOnce(MemoryBackend):
    """Refuse to remove more than 1,000 entries in one call."""

    async def remove(self, queue, removals):
        if any(abs(removal.count) > 1000 for removal in removals):
            raise BackendRefused("value is out of range")
        return await super().remove(queue, removals)
