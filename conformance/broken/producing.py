"""Backends that fail to store jobs."""

import json

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.locks import LockStore
from taskhero.backends.memory.store import Store
from taskhero.backends.memory.wakeup_queue import WakeupQueue
from taskhero.backends.protocol import ScheduleResult
from taskhero.conformance import Lifecycle, PayloadBytes, Producing, Scheduling


@found_by(Producing, "test_jobs_are_stored_in_the_order_given", "test_what_is_put_at_the_front_comes_next")
class LastInFirstOut(MemoryBackend):
    """Swap the front and the end of a queue."""

    async def push(self, entries):
        return await super().push([attrs.evolve(entry, front=not entry.front) for entry in entries])


@found_by(Producing, "test_a_lock_lets_one_job_in", "test_guards_are_checked_in_turn")
class StoresDuplicates(MemoryBackend):
    """Answer that a guard does not hold, and store the job."""

    async def push(self, entries):
        stored = await super().push(entries)
        await super().push(
            [attrs.evolve(entry, guards=()) for entry, was in zip(entries, stored, strict=True) if not was]
        )
        return stored


@found_by(Producing, "test_a_duplicate_takes_no_lock", "test_guards_of_both_kinds_hold_together")
class LeaksLocks(MemoryBackend):
    """Keep the locks that an entry took before a guard that does not hold."""

    class store_of_leaked_locks(Store):
        def acquire(self, guards, now, **more):
            for guard in guards:
                refused = super().acquire([guard], now, **more)
                if refused is not None:
                    return refused
            return None

    def make_store(self):
        return self.store_of_leaked_locks()


@found_by(Producing, "test_a_lock_expires_after_its_timeout")
class LocksForever(MemoryBackend):
    """Never let a queue lock expire."""

    class locks_without_end(LockStore):
        def get(self, key, _now):
            return super().get(key, 0)

    def make_store(self):
        return Store(locks=self.locks_without_end())


@found_by(Producing, "test_a_queue_is_known_from_its_first_job_on")
class ForgetsNames(MemoryBackend):
    """Show a queue only after its second job."""

    async def queues(self):
        return [queue for queue in await super().queues() if await self.length(queue) > 1]


@found_by(Producing, "test_many_jobs_are_stored_in_order")
class CutsInPieces(MemoryBackend):
    """Split a large call, and store the last piece first."""

    async def push(self, entries):
        if len(entries) <= 1000:
            return await super().push(entries)
        return [*await super().push(entries[1000:]), *await super().push(entries[:1000])]


@found_by(PayloadBytes, "test_a_payload_is_queued_and_claimed_exactly[not-json]")
class LooksInside(MemoryBackend):
    """Encode the JSON of each job again."""

    async def push(self, entries):
        return await super().push([attrs.evolve(entry, raw=_encoded_again(entry.raw)) for entry in entries])


def _encoded_again(raw):
    try:
        return json.dumps(json.loads(raw))
    except ValueError:
        return "{}"


@found_by(Scheduling, "test_the_same_payload_is_delayed_once_to_a_second", "test_one_of_many_at_once_is_delayed")
class KeepsDuplicates(MemoryBackend):
    """Delay the same payload to the same second more than once."""

    async def schedule(self, entries):
        return await super().schedule([attrs.evolve(entry, unique=False) for entry in entries])


@found_by(Scheduling, "test_what_is_not_in_the_future_is_pushed_at_once", "test_the_next_second_is_the_future")
class DelaysThePast(MemoryBackend):
    """Delay past due times to the next second."""

    async def schedule(self, entries):
        soon = int(self.clock.now()) + 1
        later = [entry if entry.at is None else attrs.evolve(entry, at=max(entry.at, soon)) for entry in entries]
        return await super().schedule(later)


@found_by(Scheduling, "test_a_queue_lock_does_not_concern_delayed_jobs")
class LocksWhatIsDelayed(MemoryBackend):
    """Take the queue lock of a delayed job at once, so that its own lock blocks its promotion."""

    async def schedule(self, entries):
        answers = []
        for entry in entries:
            if (
                entry.guards
                and entry.at
                and entry.at > self.clock.now()
                and not self.store.acquire(entry.guards, self.clock.now())
            ):
                answers.append(ScheduleResult.DUPLICATE)
            else:
                answers += await super().schedule([entry])
        return answers


@found_by(Lifecycle, "test_what_is_stored_outlives_the_connection", "test_closing_twice_changes_nothing")
class ForgetsOnClose(MemoryBackend):
    """Lose all data when the backend is closed."""

    async def close(self):
        clock = self.clock
        await super().close()
        self.__init__(clock=clock)


@found_by(Lifecycle, "test_closing_ends_all_waits", only=True)
class LeavesWaitsHanging(MemoryBackend):
    """Do not end waits when the backend is closed."""

    class wakeups_after_the_end(WakeupQueue):
        def close(self):
            pass

    def make_store(self):
        return Store(wakeups=self.wakeups_after_the_end())
