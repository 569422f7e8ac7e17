"""Backends that fail if one of several items is damaged."""

import attrs

from broken.broken_backends import found_by
from broken.damaged_data import DamageableBackend
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import DeregisterReply, EnsureResult, PromoteResult
from taskhero.conformance import BlockedDestinations, IsolatedItems, Scheduling
from taskhero.errors import BackendRefused, PartlyRefused, WrongType


@found_by(IsolatedItems, "test_a_rescue_passes_a_queue_that_cannot_take_its_job")
class OneQueueStopsAllRescues(DamageableBackend):
    """Raise at the first queue that cannot take a job."""

    async def rescue(self, expired, limit):
        rescued = await super().rescue(expired, limit)
        if any(found.problem for found in rescued):
            raise BackendRefused("a queue cannot take its job")
        return rescued


@found_by(IsolatedItems, "test_a_rescue_passes_a_queue_that_cannot_take_its_job[1]")
class BlockedJobsFillTheLimit(DamageableBackend):
    """Count blocked jobs for the limit."""

    async def rescue(self, expired, limit):
        return sorted(await super().rescue(expired, 100), key=lambda found: found.problem is None)[:limit]


@found_by(IsolatedItems, "test_a_rescue_passes_a_queue_that_cannot_take_its_job")
class HidesBlockedJobs(DamageableBackend):
    """Do not report a job that cannot be rescued."""

    async def rescue(self, expired, limit):
        return [found for found in await super().rescue(expired, limit) if found.problem is None]


@found_by(IsolatedItems, "test_a_job_that_cannot_be_rescued_is_not_marked")
class MarksWhatItCannotRescue(DamageableBackend):
    """Mark a job at each failed attempt of a rescue."""

    async def rescue(self, expired, limit):
        rescued = await super().rescue(expired, limit)
        mark = ',"taskhero:rescues":1}'
        return [attrs.evolve(found, raw=found.raw[:-1] + mark) if found.problem else found for found in rescued]


@found_by(IsolatedItems, "test_a_rescue_passes_a_worker_that_cannot_be_read")
class DemandsReadableWorkers(DamageableBackend):
    """Rescue nothing while a worker cannot be read."""

    async def rescue(self, expired, limit):
        if any("working" in entry.problems for entry in await self.workers()):
            raise WrongType("a worker cannot be read")
        return await super().rescue(expired, limit)


@found_by(IsolatedItems, "test_what_is_claimed_is_read_beside_a_worker_that_cannot_be")
class DemandsReadableClaims(DamageableBackend):
    """Read all claims or none."""

    async def claims(self, process):
        if any("working" in entry.problems for entry in await self.workers() if entry.id.startswith(process.name)):
            raise WrongType("a worker cannot be read")
        return await super().claims(process)


@found_by(IsolatedItems, "test_a_worker_whose_job_cannot_be_released_stays_registered")
class DeregistersBlockedWorkers(DamageableBackend):
    """Deregister a worker together with its job."""

    async def deregister_slots(self, process, slots):
        answer = await super().deregister_slots(process, slots)
        for claim, _ in answer.blocked:
            await self.command("DEL", self.keys.worker(process.worker_id(claim.slot)))
        return answer


@found_by(IsolatedItems, "test_a_process_keeps_the_jobs_that_cannot_be_released")
class LeavesWithItsLease(DamageableBackend):
    """Keep the lease of a process that leaves jobs, so that their rescue is late."""

    async def deregister(self, process):
        answer = await super().deregister(process)
        if answer.blocked:
            await self.command("ZADD", self.keys.processes, int(self.clock.now() * 1000) + 60_000, process.name)
        return answer


@found_by(IsolatedItems, "test_a_process_keeps_the_jobs_that_cannot_be_released")
class HidesJobsThatItKeeps(DamageableBackend):
    """Do not report the jobs that could not be released."""

    async def deregister(self, process):
        return DeregisterReply(released=(await super().deregister(process)).released)


@found_by(IsolatedItems, "test_a_push_stores_what_it_can")
class PushesAllOrNothing(DamageableBackend):
    """Refuse all entries if one queue cannot take a job."""

    async def push(self, entries):
        try:
            return await super().push(entries)
        except PartlyRefused as error:
            raise BackendRefused(str(error)) from error


@found_by(IsolatedItems, "test_what_can_be_delayed_is_delayed")
class SchedulesAllOrNothing(DamageableBackend):
    """Refuse all entries if one due time cannot take a job."""

    async def schedule(self, entries):
        try:
            return await super().schedule(entries)
        except PartlyRefused as error:
            raise BackendRefused(str(error)) from error


@found_by(IsolatedItems, "test_a_payload_whose_due_times_cannot_be_read_is_delayed")
class NeedsTheIndex(DamageableBackend):
    """Promote no job whose due times cannot be read."""

    async def promote(self, moves):
        kinds = [await self.command("TYPE", self.keys.timestamps(move.job.raw)) for move in moves]
        if b"string" in kinds:
            return [PromoteResult.MISSED for _ in moves]
        return await super().promote(moves)


@found_by(IsolatedItems, "test_a_second_that_cannot_be_read_stops_no_promotion")
class StopsAtADamagedDueTime(DamageableBackend):
    """Show no job after a due time that could not be read."""

    stopped = False

    async def due(self, limit):
        for member in await self.command("ZRANGE", self.keys.schedule, 0, -1):
            if await self.command("TYPE", self.keys.delayed(int(member))) not in {b"list", b"none"}:
                self.stopped = True
        seen = await super().due(limit)
        return attrs.evolve(seen, jobs=()) if self.stopped else seen


@found_by(IsolatedItems, "test_a_failure_of_a_damaged_list_is_missing")
class RetriesAllOrNothing(DamageableBackend):
    """Raise if one failed job cannot be retried."""

    async def retry_failed(self, retries):
        for retry in retries:
            if await self.command("TYPE", self.keys.queue(retry.entry.queue)) == b"string":
                raise WrongType("a queue cannot take its job")
        return await super().retry_failed(retries)


@found_by(BlockedDestinations, "test_a_job_whose_due_time_is_damaged_stays_claimed")
class OneSettlementStopsAll(DamageableBackend):
    """Record all settlements or none."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        if answer.unsettled:
            raise BackendRefused("an ending cannot be recorded")
        return answer


@found_by(BlockedDestinations, "test_a_next_run_that_cannot_be_stored_changes_nothing")
class LosesTheNextRun(DamageableBackend):
    """Record the settlement even if the next run cannot be delayed."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        stuck = {claim for claim, _ in answer.unsettled}
        bare = [
            attrs.evolve(settlement, next_run=None)
            for settlement in settlements
            if settlement.next_run and settlement.claim in stuck
        ]
        return await super().settle_and_claim(process, bare, (), ()) if bare else answer


@found_by(BlockedDestinations, "test_a_copy_that_cannot_be_delayed_for_less_stays")
class LosesCopiesItCannotMove(DamageableBackend):
    """Remove the late copy before checking that another one can be stored."""

    async def ensure_periodic(self, tasks, *, full_scan=False):
        found = await super().ensure_periodic(tasks, full_scan=full_scan)
        for kept in found:
            if kept == EnsureResult.WRONG_TYPE:
                await self.command("DEL", *(self.keys.delayed(at) for at, _ in await self.due_times()))
        return found


@found_by(BlockedDestinations, "test_a_task_that_cannot_be_restarted_stays_as_it_is")
class RestartsInTwoSteps(DamageableBackend):
    """Remove the copies of a task before checking that the next one can be stored."""

    async def restart_periodic(self, task):
        try:
            return await super().restart_periodic(task)
        except BackendRefused:
            await super().stop_periodic(task)
            raise


@found_by(BlockedDestinations, "test_a_task_is_stopped_though_its_queue_is_damaged")
class DoesNotStopDamagedTasks(DamageableBackend):
    """Do not stop a task whose queue cannot be read."""

    async def stop_periodic(self, task):
        await self.length(task.queue)
        return await super().stop_periodic(task)


@found_by(BlockedDestinations, "test_fire_times_whose_jobs_cannot_be_stored_are_not_skipped")
class SkipsWhatItCannotFire(DamageableBackend):
    """Move the cursor even if the jobs could not be stored."""

    async def fire_cron(self, task, expected_cursor, new_cursor, count):
        try:
            return await super().fire_cron(task, expected_cursor, new_cursor, count)
        except BackendRefused:
            await super().fire_cron(task, expected_cursor, new_cursor, 0)
            raise


@found_by(IsolatedItems, "test_a_damaged_queue_keeps_no_process_from_waking")
class NotifiesAllOrNone(DamageableBackend):
    """Wake no process if one queue cannot be read."""

    async def notify(self, queues):
        if b"string" not in [await self.command("TYPE", self.keys.queue(queue)) for queue in queues]:
            await super().notify(queues)


@found_by(IsolatedItems, "test_listings_show_what_can_be_read")
class HidesWhatItCannotRead(DamageableBackend):
    """Leave out a queue that cannot be read."""

    async def overview(self):
        seen = await super().overview()
        return attrs.evolve(seen, lengths={name: length for name, length in seen.lengths.items() if length is not None})


@found_by(Scheduling, "test_a_delay_counts_from_the_step")
class CountsFromTheFloor(MemoryBackend):
    """Count a delay from the start of the current second."""

    async def schedule(self, entries):
        now = int(self.clock.now())
        dated = [
            entry if entry.delay is None else attrs.evolve(entry, at=now + entry.delay, delay=None) for entry in entries
        ]
        return await super().schedule(dated)


@found_by(Scheduling, "test_no_delay_at_all_is_now")
class DelaysByNothing(MemoryBackend):
    """Delay a job without a delay to the next second."""

    async def schedule(self, entries):
        delayed = [attrs.evolve(entry, delay=entry.delay or 0.001) if entry.at is None else entry for entry in entries]
        return await super().schedule(delayed)


@found_by(Scheduling, "test_equal_jobs_of_one_delay_are_one_in_a_second")
class KeepsEqualDelays(MemoryBackend):
    """Check for equal jobs only if a due time was dated."""

    async def schedule(self, entries):
        return await super().schedule(
            [attrs.evolve(entry, unique=entry.unique and entry.delay is None) for entry in entries]
        )


@found_by(Scheduling, "test_a_due_time_is_compared_before_it_is_rounded")
class RoundsBeforeItCompares(MemoryBackend):
    """Round a due time of less than a second ago up to the next second."""

    async def schedule(self, entries):
        rounded = [entry if entry.at is None else attrs.evolve(entry, at=-(-entry.at // 1)) for entry in entries]
        return await super().schedule(rounded)
