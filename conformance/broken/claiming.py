"""Broken ways to claim jobs."""

import asyncio

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend, claim_store
from taskhero.backends.protocol import Claim, Claims
from taskhero.conformance import Concurrency, Exchanging, Fairness


@found_by(Concurrency, "test_each_job_is_claimed_once")
class ClaimsInTwoSteps(MemoryBackend):
    """It looks what is there, and then takes it; in between, others look."""

    async def exchange(self, process, settled, free, queues):
        texts = {queue: list(self._store.queues.texts.get(queue, ())) for queue in queues}
        await asyncio.sleep(0)
        for queue, seen in texts.items():
            if queue in self._store.queues.texts:
                self._store.queues.texts[queue].clear()
                self._store.queues.texts[queue].extend(seen)
        return await super().exchange(process, settled, free, queues)


@found_by(Exchanging, "test_a_claim_stands_under_its_worker")
class ClaimsWithoutARecord(MemoryBackend):
    """What it hands out stands nowhere: when the process dies, it is lost."""

    async def claims(self, _process):
        return Claims()


@found_by(Concurrency, "test_a_job_is_in_the_queue_or_claimed")
class RecordsTooLate(MemoryBackend):
    """For an instant, a job that it hands out is neither in the queue nor claimed."""

    async def exchange(self, process, settled, free, queues):
        answer = await super().exchange(process, settled, free, queues)
        member = self._work._members.get(process.name)
        held, member.held = member.held, {}
        await asyncio.sleep(0)
        member.held = held | member.held
        return answer


@found_by(Exchanging, "test_each_claim_has_a_new_token")
class UsesTokensAgain(MemoryBackend):
    """Every claim has the same token."""

    async def exchange(self, process, settled, free, queues):
        self._work._batches = iter([1])
        return await super().exchange(process, settled, free, queues)


@found_by(Exchanging, "test_a_busy_slot_gets_no_other_job")
class TwoJobsASlot(MemoryBackend):
    """It gives a slot whatever it asks for, and forgets what it had."""

    async def exchange(self, process, settled, free, queues):
        answer = await super().exchange(process, settled, (), queues)
        if not answer.registered:
            return answer
        member = self._work._members.get(process.name)
        for slot in free:
            member.held.pop(slot, None)
        claims = (await super().exchange(process, (), free, queues)).claims
        return attrs.evolve(answer, claims=claims)


@found_by(Exchanging, "test_a_slot_that_is_named_twice_gets_one_job")
class LosesOneOfTwo(MemoryBackend):
    """A slot that is named twice gets two jobs, of which one is remembered."""

    async def exchange(self, process, settled, free, queues):
        answer = await super().exchange(process, settled, free, queues)
        again = [slot for number, slot in enumerate(free) if slot in list(free)[:number]]
        lost = [Claim(slot, "lost", "q", self._store.queues.texts["q"].popleft()) for slot in again]
        return attrs.evolve(answer, claims=[*answer.claims, *lost])


@found_by(Exchanging, "test_queues_are_emptied_in_the_order_given")
@found_by(Fairness, "test_a_share_leaves_later_queues_alone")
class SortsItsQueues(MemoryBackend):
    """It takes queues by name, whatever was asked for."""

    async def exchange(self, process, settled, free, queues):
        return await super().exchange(process, settled, free, sorted(queues, reverse=True))


@found_by(Fairness, "test_each_process_takes_its_share")
class TakesAll(MemoryBackend):
    """Who comes first takes what it can."""

    def __init__(self, *, clock=None):
        super().__init__(clock=clock)
        self._work._members.living = lambda: 1


@found_by(Fairness, "test_the_dead_have_no_share")
class LeavesSharesToTheDead(MemoryBackend):
    """Who died is still counted."""

    def __init__(self, *, clock=None):
        super().__init__(clock=clock)
        members = self._work._members
        members.living = lambda: len(members._members)


@found_by(Exchanging, "test_nothing_is_claimed_while_paused")
class IgnoresThePause(MemoryBackend):
    """It goes on claiming."""

    async def pause_all_workers(self, paused=True):
        """Nobody listens."""


@found_by(Exchanging, "test_a_process_that_is_not_registered_claims_nothing")
class ServesStrangers(MemoryBackend):
    """It registers whoever asks."""

    async def exchange(self, process, settled, free, queues):
        self._work.renew(process, free, 60.0, self._clock.now())
        return await super().exchange(process, settled, free, queues)


@found_by(Exchanging, "test_a_batch_is_bounded_in_bytes")
class UnboundedBatches(MemoryBackend):
    """It hands out any number of bytes at once."""

    async def exchange(self, process, settled, free, queues):
        bound, claim_store.MAX_BATCH = claim_store.MAX_BATCH, 10**12
        try:
            return await super().exchange(process, settled, free, queues)
        finally:
            claim_store.MAX_BATCH = bound


@found_by(Exchanging, "test_a_job_of_any_size_is_claimed")
class RefusesLargeJobs(MemoryBackend):
    """A job that is larger than a batch is never claimed."""

    async def exchange(self, process, settled, free, queues):
        first = next(iter(self._store.queues.texts.get("q", ())), "")
        return await super().exchange(process, settled, free if len(first) <= claim_store.MAX_BATCH else (), queues)


@found_by(Exchanging, "test_it_tells_whether_jobs_wait")
class NeverTellsWhatWaits(MemoryBackend):
    """It says that nothing waits."""

    async def exchange(self, process, settled, free, queues):
        return attrs.evolve(await super().exchange(process, settled, free, queues), waiting=False)
