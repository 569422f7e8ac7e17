"""Broken ways to deal with what is broken already."""

from broken.registry import found_by
from taskhero.backends.protocol import Dropped, Retried, Settlement
from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.conformance import Damage
from taskhero.errors import BackendRefused


class Spoilt(FakeRedisBackend):
    """A store to which other programs write, too."""

    def __init__(self, *, clock=None):
        super().__init__("fakeredis://", clock=clock)

    async def spoil(self, key, command="SET"):
        """Put something of a wrong type under a key."""
        await self._link.call("DEL", f"resque:{key}")
        await self._link.call(command, f"resque:{key}", "spoilt")


@found_by(Damage, "test_a_queue_that_cannot_be_read_is_passed_over")
class OneBadQueueSpoilsAll(Spoilt):
    """It claims nothing if it cannot read all."""

    async def exchange(self, process, settled, free, queues):
        answer = await super().exchange(process, settled, free, queues)
        if answer.problems:
            raise BackendRefused("a queue cannot be read")
        return answer


@found_by(Damage, "test_a_failure_that_cannot_be_listed_stays_claimed")
class DropsWhatItCannotSettle(Spoilt):
    """What cannot be recorded is forgotten."""

    async def exchange(self, process, settled, free, queues):
        answer = await super().exchange(process, settled, free, queues)
        await super().exchange(process, [Settlement(claim, Dropped()) for claim, _ in answer.unsettled], (), ())
        return answer


@found_by(Damage, "test_a_lock_of_the_wrong_type_is_somebody_elses")
class TakesWhatItCannotRead(Spoilt):
    """A lock of the wrong type is none."""

    async def prepare(self, process, preparations):
        for key in {lock.key for wanted in preparations for lock in wanted.hold}:
            if await self._link.call("TYPE", f"resque:{key}") != b"string":
                await self._link.call("DEL", f"resque:{key}")
        return await super().prepare(process, preparations)


@found_by(Damage, "test_what_goes_with_an_end_that_cannot_be_recorded_stays")
class ReleasesWhatItCannotSettle(Spoilt):
    """Locks go before the end is recorded."""

    async def exchange(self, process, settled, free, queues):
        for settlement in settled:
            for key in settlement.release:
                await self._link.call("DEL", f"resque:{key}")
        return await super().exchange(process, settled, free, queues)


@found_by(Damage, "test_what_goes_with_an_end_that_cannot_be_recorded_stays[failed]")
class ForgetsWhatItCannotSettle(Spoilt):
    """Counters go before the end is recorded."""

    async def exchange(self, process, settled, free, queues):
        for settlement in settled:
            for name in settlement.forget:
                await self._link.call("DEL", f"resque:{name}")
        return await super().exchange(process, settled, free, queues)


@found_by(Damage, "test_what_goes_with_an_end_that_cannot_be_recorded_stays[last-attempt]")
class EndsTheCountFirst(Spoilt):
    """The counter goes with the last attempt, though its failure cannot be listed."""

    async def exchange(self, process, settled, free, queues):
        answer = await super().exchange(process, settled, free, queues)
        unsettled = [claim for claim, _ in answer.unsettled]
        for settlement in settled:
            if settlement.claim in unsettled and isinstance(settlement.ending, Retried):
                await self._link.call("DEL", f"resque:{settlement.ending.counter}")
        return answer


@found_by(Damage, "test_a_spoilt_queue_is_no_empty_one")
class DeletesWhatItCannotRead(Spoilt):
    """A queue that holds no jobs is empty."""

    async def delete_queue(self, queue, *, only_if_empty=False):
        return await super().delete_queue(queue)


@found_by(Damage, "test_a_counter_of_attempts_that_is_no_number_is_none")
class StumblesOverCounters(Spoilt):
    """It demands that a counter is a number."""

    async def prepare(self, process, preparations):
        for wanted in preparations:
            if wanted.counter is not None:
                int(await self._link.call("GET", f"resque:{wanted.counter}") or 0)
        return await super().prepare(process, preparations)
