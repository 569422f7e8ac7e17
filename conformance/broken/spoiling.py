"""Broken ways to deal with what is broken already."""

from broken.registry import found_by
from taskhero.backends.protocol import Dropped, Settlement
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
