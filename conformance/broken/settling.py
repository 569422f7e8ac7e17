"""Backends that fail to record how jobs ended."""

import asyncio
import math
from unittest.mock import patch

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.delayed_store import DelayedMeanings, DelayedStore
from taskhero.backends.memory.locks import ExpiringMap
from taskhero.backends.memory.queue_store import QueueStore
from taskhero.backends.memory.store import Store
from taskhero.backends.memory.wakeup_queue import WakeupQueue
from taskhero.backends.protocol import Failed, PostponedByPlugin, RefusedByPlugin, Released, Retried, Succeeded
from taskhero.conformance import Concurrency, PayloadBytes, Retrying, Settling
from taskhero.errors import Undecodable
from taskhero.wire.jobs import unmark
from taskhero.wire.json import decode, encode_any


class DeletesNothing(ExpiringMap):
    """Keep deleted values until they expire."""

    def delete(self, _name):
        return False


class ExpiresADayEarly(ExpiringMap):
    """Let values expire one day early."""

    def set(self, name, value, *, until, now):
        super().set(name, value, until=until - 86_400, now=now)


class Forging(MemoryBackend):
    """Base of backends that change a disposition."""

    def forge(self, disposition):
        return disposition

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        forged = [
            attrs.evolve(settlement, disposition=self.forge(settlement.disposition)) for settlement in settlements
        ]
        return await super().settle_and_claim(process, forged, free_slots, queues)


@found_by(Settling, "test_a_settlement_counts_once[succeeded]", "test_it_counts_once_in_one_call_too")
class SettlesTwice(MemoryBackend):
    """Count every settlement, even a repeated one."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        for _ in answer.gone:
            self.store.count("processed")
        return attrs.evolve(answer, gone=())


@found_by(Settling, "test_an_old_claim_does_not_settle_the_slots_next_job", "test_another_process_cannot_settle_it")
class SettlesBySlot(MemoryBackend):
    """Compare the slot, not the token."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        registered = self.claim_store.processes.get(process.name)
        held = registered.held if registered else {}
        corrected = [
            attrs.evolve(settlement, claim=held[settlement.claim.slot][0])
            if settlement.claim.slot in held
            else settlement
            for settlement in settlements
        ]
        return await super().settle_and_claim(process, corrected, free_slots, queues)


@found_by(Settling, "test_a_job_that_succeeded_is_counted")
class CountsNoWorkers(MemoryBackend):
    """Count only totals."""

    async def stats(self):
        return {name: count for name, count in (await super().stats()).items() if ":" not in name}


@found_by(Settling, "test_a_refused_job_is_gone")
class CountsRefusedJobs(Forging):
    """Count a refused job as processed."""

    def forge(self, disposition):
        return Succeeded() if isinstance(disposition, RefusedByPlugin) else disposition


@found_by(Settling, "test_a_failed_job_is_listed_and_counted", "test_a_batch_of_all_dispositions")
class ForgetsFailures(Forging):
    """Do not list a failed job."""

    def forge(self, disposition):
        return RefusedByPlugin() if isinstance(disposition, Failed) else disposition


@found_by(Settling, "test_a_job_is_released_to_the_front")
class ReleasesToTheEnd(MemoryBackend):
    """Release jobs to the end of their queue."""

    class queues_to_the_end(QueueStore):
        def release(self, queue, raw):
            self.put(queue, raw)

    def make_store(self):
        wakeups = WakeupQueue()
        return Store(wakeups=wakeups, queues=self.queues_to_the_end(wakeups))


@found_by(Settling, "test_a_job_is_postponed[0.3]", "test_a_job_is_postponed[1.2]")
class RoundsDown(Forging):
    """Round a delay down."""

    def forge(self, disposition):
        return (
            attrs.evolve(disposition, delay=math.floor(disposition.delay) - 0.25)
            if isinstance(disposition, PostponedByPlugin)
            else disposition
        )


@found_by(Settling, "test_another_payload_is_delayed_if_one_is_given", only=True)
class DelaysTheClaimedPayload(Forging):
    """Ignore the payload that names the queue."""

    def forge(self, disposition):
        return attrs.evolve(disposition, raw=None) if isinstance(disposition, PostponedByPlugin) else disposition


@found_by(Settling, "test_a_payload_is_found_by_its_meaning_while_it_is_delayed", only=True)
class IgnoresMeanings(Forging):
    """Ignore the meaning of a payload."""

    def forge(self, disposition):
        return (
            attrs.evolve(disposition, meaning=None)
            if isinstance(disposition, (PostponedByPlugin, Retried))
            else disposition
        )


@found_by(Settling, "test_a_payload_is_found_by_its_meaning_while_it_is_delayed", only=True)
class RemembersMeaningsForever(MemoryBackend):
    """Find a payload by its meaning after it was promoted."""

    class meanings(DelayedMeanings):
        def delayed(self, meaning):
            return set(self.jobs.get(meaning, ()))

    def make_store(self):
        schedule = DelayedStore()
        return Store(schedule=schedule, meanings=self.meanings(schedule))


@found_by(Settling, "test_equal_jobs_that_are_delayed_are_all_kept")
class MergesDelayed(MemoryBackend):
    """Keep one of several equal jobs that are postponed to one second."""

    class schedule_of_different_jobs(DelayedStore):
        def add(self, at, raw):
            return not self.holds(at, raw) and super().add(at, raw)

    def make_store(self):
        return Store(schedule=self.schedule_of_different_jobs())


@found_by(Settling, "test_settlements_are_recorded_in_the_order_given")
class SettlesBackwards(MemoryBackend):
    """Record the last settlement first."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        return await super().settle_and_claim(process, settlements[::-1], free_slots, queues)


@found_by(Concurrency, "test_a_job_is_claimed_or_at_its_destination[failures]")
class EndsTheClaimFirst(MemoryBackend):
    """For an instant, have a failed job neither claimed nor listed."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        for settlement in settlements:
            registered = self.claim_store.processes.get(process.name)
            held = registered.held.pop(settlement.claim.slot)
            await asyncio.sleep(0)
            registered.held[settlement.claim.slot] = held
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(Concurrency, "test_a_job_is_claimed_or_at_its_destination[queue]")
class EndsTheClaimLast(MemoryBackend):
    """For an instant, have a released job both claimed and in its queue."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        for settlement in settlements:
            claim = settlement.claim
            if isinstance(settlement.disposition, Released):
                self.store.queues.put(claim.queue, claim.raw, front=True)
                await asyncio.sleep(0)
                self.store.queues.remove(claim.queue, claim.raw, 1)
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(Retrying, "test_a_job_is_tried_up_to_its_limit", "test_a_limit_of_one_allows_no_retry")
class RetriesForever(Forging):
    """Ignore the limit of a retry."""

    def forge(self, disposition):
        return attrs.evolve(disposition, limit=10**9) if isinstance(disposition, Retried) else disposition


@found_by(Retrying, "test_a_job_is_tried_up_to_its_limit")
class RetriesOnceMore(Forging):
    """Use the limit as the number of retries."""

    def forge(self, disposition):
        return (
            attrs.evolve(disposition, limit=disposition.limit + 1) if isinstance(disposition, Retried) else disposition
        )


@found_by(Retrying, "test_the_next_attempt_is_not_marked_as_rescued", only=True)
class RetriesAsRescued(MemoryBackend):
    """Delay the payload with its mark of a rescue."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        with patch("taskhero.backends.memory.store.unmark", str):
            return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(Retrying, "test_another_payload_is_retried_if_one_is_given", only=True)
class RetriesTheClaimedPayload(Forging):
    """Ignore the payload that names the queue."""

    def forge(self, disposition):
        return attrs.evolve(disposition, raw=None) if isinstance(disposition, Retried) else disposition


@found_by(
    PayloadBytes,
    "test_a_payload_is_retried_and_rescued_exactly[ruby]",
    "test_a_payload_is_retried_and_rescued_exactly[spaces]",
)
class EncodesRetriedPayloads(MemoryBackend):
    """Encode the payload of the next attempt again, as JavaScript would."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        return await super().settle_and_claim(
            process, [self._encoded_again(settlement) for settlement in settlements], free_slots, queues
        )

    def _encoded_again(self, settlement):
        try:
            text = encode_any(decode(unmark(settlement.claim.raw)))
        except Undecodable:
            return settlement
        if not isinstance(settlement.disposition, Retried):
            return settlement
        return attrs.evolve(settlement, disposition=attrs.evolve(settlement.disposition, raw=text))


@found_by(Retrying, "test_the_last_delay_holds_for_all_that_follow")
class WaitsAlwaysTheSame(Forging):
    """Use the first delay for all attempts."""

    def forge(self, disposition):
        return (
            attrs.evolve(disposition, delays=disposition.delays[:1])
            if isinstance(disposition, Retried)
            else disposition
        )


@found_by(Retrying, "test_the_counter_is_deleted_with_the_last_attempt")
class KeepsCounters(MemoryBackend):
    """Keep the counter after the last attempt."""

    def make_store(self):
        return Store(attempts=DeletesNothing())


@found_by(Retrying, "test_jobs_with_one_counter_share_it")
class CountsByTheJob(Forging):
    """Use another counter for each attempt."""

    number = 0

    def forge(self, disposition):
        self.number += 1
        return attrs.evolve(disposition, counter=str(self.number)) if isinstance(disposition, Retried) else disposition


@found_by(Retrying, "test_the_counter_outlives_the_wait")
class CountsWhileItWaits(MemoryBackend):
    """Let the counter expire when the next attempt is due, even if it is queued for long."""

    def make_store(self):
        return Store(attempts=ExpiresADayEarly())


@found_by(Retrying, "test_the_last_error_lives_as_long_as_the_counter")
class TracesWhileItWaits(MemoryBackend):
    """Let the last error expire when the next attempt is due."""

    def make_store(self):
        return Store(last_errors=ExpiresADayEarly())


@found_by(
    Retrying, "test_the_last_error_lives_as_long_as_the_counter", "test_a_last_error_is_forgotten_with_its_counter"
)
class KeepsTraces(MemoryBackend):
    """Keep the last error, whatever the disposition."""

    def make_store(self):
        return Store(last_errors=DeletesNothing())


@found_by(Retrying, "test_a_last_error_is_forgotten_with_its_counter")
class TracesGoneClaims(MemoryBackend):
    """Store the last error of a claim that is gone."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        now = self.clock.now()
        for settlement in settlements:
            last_error = getattr(settlement.disposition, "last_error", None)
            if last_error is not None:
                self.store.last_errors.set(*last_error, until=now + 10**6, now=now)
        return answer
