"""Backends that fail to claim jobs."""

import asyncio

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend, claim_store
from taskhero.backends.memory.claim_store import ClaimStore
from taskhero.backends.memory.process_table import ProcessTable
from taskhero.backends.protocol import Claim, ClaimsReply
from taskhero.conformance import Claiming, Concurrency, FairShares


@found_by(Concurrency, "test_each_job_is_claimed_once")
class ClaimsInTwoSteps(MemoryBackend):
    """Read the queues, yield to other claims, and then claim what was read."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        payloads = {queue: list(self.store.queues.payloads.get(queue, ())) for queue in queues}
        await asyncio.sleep(0)
        for queue, seen in payloads.items():
            if queue in self.store.queues.payloads:
                self.store.queues.payloads[queue].clear()
                self.store.queues.payloads[queue].extend(seen)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(Claiming, "test_a_claim_is_recorded_under_its_worker")
class ClaimsWithoutARecord(MemoryBackend):
    """Record no claim, so that the jobs of a dead process are lost."""

    async def claims(self, _process):
        return ClaimsReply()


@found_by(Concurrency, "test_a_job_is_in_the_queue_or_claimed")
class RecordsTooLate(MemoryBackend):
    """For an instant, have a job neither in the queue nor claimed."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        registered = self.claim_store.processes.get(process.name)
        held, registered.held = registered.held, {}
        await asyncio.sleep(0)
        registered.held = held | registered.held
        return answer


@found_by(Claiming, "test_each_claim_has_a_new_token")
class ReusesTokens(MemoryBackend):
    """Give every claim the same token."""

    class claims_with_one_token(ClaimStore):
        def next_token(self):
            return "1"

    def make_claim_store(self, store):
        return self.claims_with_one_token(store)


@found_by(Claiming, "test_a_busy_slot_gets_no_other_job")
class TwoJobsASlot(MemoryBackend):
    """Give a busy slot another job, and drop the one that it holds."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, (), queues)
        if not answer.registered:
            return answer
        registered = self.claim_store.processes.get(process.name)
        for slot in free_slots:
            registered.held.pop(slot, None)
        claims = (await super().settle_and_claim(process, (), free_slots, queues)).claims
        return attrs.evolve(answer, claims=claims)


@found_by(Claiming, "test_a_slot_that_is_named_twice_gets_one_job")
class LosesOneOfTwo(MemoryBackend):
    """Give a slot that is named twice two jobs, and record one."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        again = [slot for number, slot in enumerate(free_slots) if slot in list(free_slots)[:number]]
        lost = [Claim(slot, "lost", "q", self.store.queues.payloads["q"].popleft()) for slot in again]
        return attrs.evolve(answer, claims=[*answer.claims, *lost])


@found_by(Claiming, "test_queues_are_emptied_in_the_order_given")
@found_by(FairShares, "test_a_share_takes_nothing_from_later_queues")
class SortsItsQueues(MemoryBackend):
    """Claim from queues in the order of their names."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        return await super().settle_and_claim(process, settlements, free_slots, sorted(queues, reverse=True))


@found_by(FairShares, "test_each_process_takes_its_share")
class TakesAll(MemoryBackend):
    """Ignore fair shares."""

    class processes(ProcessTable):
        def alive(self):
            return 1

    def make_claim_store(self, store):
        return ClaimStore(store, self.processes())


@found_by(FairShares, "test_dead_processes_have_no_share")
class CountsDeadProcesses(MemoryBackend):
    """Count dead processes in fair shares."""

    class processes(ProcessTable):
        def alive(self):
            return sum(1 for _ in self)

    def make_claim_store(self, store):
        return ClaimStore(store, self.processes())


@found_by(Claiming, "test_nothing_is_claimed_while_paused")
class IgnoresThePause(MemoryBackend):
    """Continue to claim while workers are paused."""

    async def pause_all_workers(self, paused=True):
        """Do nothing."""


@found_by(Claiming, "test_a_process_that_is_not_registered_claims_nothing")
class ServesUnregisteredProcesses(MemoryBackend):
    """Register every process that claims."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        self.claim_store.renew(process, free_slots, 60.0, self.clock.now())
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(Claiming, "test_a_batch_is_bounded_in_bytes")
class UnboundedBatches(MemoryBackend):
    """Do not bound a batch in bytes."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        bound, claim_store.MAX_BATCH = claim_store.MAX_BATCH, 10**12
        try:
            return await super().settle_and_claim(process, settlements, free_slots, queues)
        finally:
            claim_store.MAX_BATCH = bound


@found_by(Claiming, "test_a_job_of_any_size_is_claimed")
class RefusesLargeJobs(MemoryBackend):
    """Never claim a job that is larger than a batch."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        first = next(iter(self.store.queues.payloads.get("q", ())), "")
        return await super().settle_and_claim(
            process, settlements, free_slots if len(first) <= claim_store.MAX_BATCH else (), queues
        )


@found_by(Claiming, "test_the_reply_says_whether_jobs_remain")
class HidesRemainingJobs(MemoryBackend):
    """Report that no jobs remain."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        return attrs.evolve(await super().settle_and_claim(process, settlements, free_slots, queues), jobs_left=False)
