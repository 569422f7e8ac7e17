"""Broken ways to deal with several items of which one is damaged."""

import attrs

from broken.broken_backends import found_by
from broken.damaged_data import Spoilt
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.protocol import Dismissed, EnsureResult, PromoteResult
from taskhero.conformance import DamagedKeys, IsolatedItems, Scheduling
from taskhero.errors import BackendRefused, PartlyRefused, WrongType


@found_by(IsolatedItems, "test_a_rescue_passes_a_queue_that_cannot_take_its_job")
class OneQueueStopsAllRescues(Spoilt):
    """It raises at the first queue that cannot take a job."""

    async def rescue(self, expired, limit):
        rescued = await super().rescue(expired, limit)
        if any(one.problem for one in rescued):
            raise BackendRefused("a queue cannot take its job")
        return rescued


@found_by(IsolatedItems, "test_a_rescue_passes_a_queue_that_cannot_take_its_job[1]")
class BlockedJobsFillTheLimit(Spoilt):
    """It tries as many jobs as it may rescue, whatever becomes of them."""

    async def rescue(self, expired, limit):
        return sorted(await super().rescue(expired, 100), key=lambda one: one.problem is None)[:limit]


@found_by(IsolatedItems, "test_a_rescue_passes_a_queue_that_cannot_take_its_job")
class NeverTellsWhatIsBlocked(Spoilt):
    """A job that cannot be rescued is passed over without a word."""

    async def rescue(self, expired, limit):
        return [one for one in await super().rescue(expired, limit) if one.problem is None]


@found_by(IsolatedItems, "test_a_job_that_cannot_be_rescued_is_not_marked")
class MarksWhatItCannotRescue(Spoilt):
    """Each attempt leaves a mark on the job."""

    async def rescue(self, expired, limit):
        rescued = await super().rescue(expired, limit)
        mark = ',"taskhero:rescues":1}'
        return [attrs.evolve(one, raw=one.raw[:-1] + mark) if one.problem else one for one in rescued]


@found_by(IsolatedItems, "test_a_rescue_passes_a_worker_that_cannot_be_read")
class DemandsReadableWorkers(Spoilt):
    """It rescues nothing while a worker cannot be read."""

    async def rescue(self, expired, limit):
        if any("working" in entry.problems for entry in await self.workers()):
            raise WrongType("a worker cannot be read")
        return await super().rescue(expired, limit)


@found_by(IsolatedItems, "test_what_is_claimed_is_read_beside_a_worker_that_cannot_be")
class DemandsReadableClaims(Spoilt):
    """It reads all claims or none."""

    async def claims(self, process):
        for slot in self._slots[process.name]:
            if await self._connections.call("TYPE", self._keys.worker(process.worker_id(slot))) == b"list":
                raise WrongType("a worker cannot be read")
        return await super().claims(process)


@found_by(IsolatedItems, "test_a_worker_whose_job_has_no_place_does_not_retire")
class RetiresAtAnyPrice(Spoilt):
    """A worker goes, and its job with it."""

    async def deregister_slots(self, process, slots):
        answer = await super().deregister_slots(process, slots)
        for claim, _ in answer.blocked:
            await self._connections.call("DEL", self._keys.worker(process.worker_id(claim.slot)))
        return answer


@found_by(IsolatedItems, "test_a_process_leaves_behind_what_has_no_place")
class LeavesWithItsLease(Spoilt):
    """What a process leaves behind is rescued when its lease ends, not before."""

    async def deregister(self, process):
        answer = await super().deregister(process)
        if answer.blocked:
            await self._connections.call(
                "ZADD", self._keys.processes, int(self._clock.now() * 1000) + 60_000, process.name
            )
        return answer


@found_by(IsolatedItems, "test_a_process_leaves_behind_what_has_no_place")
class LeavesWithoutAnAccount(Spoilt):
    """It does not say what has no place."""

    async def deregister(self, process):
        return Dismissed(given_back=(await super().deregister(process)).given_back)


@found_by(IsolatedItems, "test_a_push_stores_what_it_can")
class PushesAllOrNothing(Spoilt):
    """One queue that cannot take a job is a refusal of all."""

    async def push(self, entries):
        try:
            return await super().push(entries)
        except PartlyRefused as error:
            raise BackendRefused(str(error)) from error


@found_by(IsolatedItems, "test_what_can_be_delayed_is_delayed")
class SchedulesAllOrNothing(Spoilt):
    """One second that cannot take a job is a refusal of all."""

    async def schedule(self, entries):
        try:
            return await super().schedule(entries)
        except PartlyRefused as error:
            raise BackendRefused(str(error)) from error


@found_by(IsolatedItems, "test_a_text_whose_seconds_cannot_be_read_is_delayed")
class NeedsTheIndex(Spoilt):
    """A job whose seconds cannot be read is not promoted."""

    async def promote(self, moves):
        kinds = [await self._connections.call("TYPE", self._keys.timestamps(move.job.raw)) for move in moves]
        if b"string" in kinds:
            return [PromoteResult.MISSED for _ in moves]
        return await super().promote(moves)


@found_by(IsolatedItems, "test_a_second_that_cannot_be_read_stops_no_promotion")
class StopsAtASpoiltSecond(Spoilt):
    """It shows nothing any more once a second could not be read."""

    stopped = False

    async def due(self, limit):
        for member in await self._connections.call("ZRANGE", self._keys.schedule, 0, -1):
            if await self._connections.call("TYPE", self._keys.delayed(int(member))) not in {b"list", b"none"}:
                self.stopped = True
        seen = await super().due(limit)
        return attrs.evolve(seen, jobs=()) if self.stopped else seen


@found_by(IsolatedItems, "test_a_failure_of_a_spoilt_list_is_missing_alone")
class RetriesAllOrNothing(Spoilt):
    """One failure that cannot be retried is a refusal of all."""

    async def retry_failed(self, retries):
        for retry in retries:
            if await self._connections.call("TYPE", self._keys.queue(retry.entry.queue)) == b"string":
                raise WrongType("a queue cannot take its job")
        return await super().retry_failed(retries)


@found_by(DamagedKeys, "test_a_job_whose_second_is_spoilt_stays_claimed")
class OneEndingRefusesAll(Spoilt):
    """It records all endings or none."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        if answer.unsettled:
            raise BackendRefused("an ending cannot be recorded")
        return answer


@found_by(DamagedKeys, "test_a_next_run_without_a_place_keeps_what_there_is")
class LosesTheNextRun(Spoilt):
    """It records the ending though the next run cannot be delayed."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        stuck = {claim for claim, _ in answer.unsettled}
        bare = [attrs.evolve(one, next_run=None) for one in settlements if one.next_run and one.claim in stuck]
        return await super().settle_and_claim(process, bare, (), ()) if bare else answer


@found_by(DamagedKeys, "test_a_copy_that_cannot_come_earlier_stays")
class LosesWhatCannotComeEarlier(Spoilt):
    """It takes the late copy away before it sees that there is no place for another one."""

    async def ensure_periodic(self, tasks, *, full_scan=False):
        found = await super().ensure_periodic(tasks, full_scan=full_scan)
        for kept in found:
            if kept == EnsureResult.WRONG_TYPE:
                await self._connections.call("DEL", *(self._keys.delayed(at) for at, _ in await self.due_times()))
        return found


@found_by(DamagedKeys, "test_a_task_that_cannot_begin_anew_stays_as_it_is")
class BeginsAnewHalfWay(Spoilt):
    """The copies of a task are gone before it sees that there is no place for the next one."""

    async def restart_periodic(self, task):
        try:
            return await super().restart_periodic(task)
        except BackendRefused:
            await super().stop_periodic(task)
            raise


@found_by(DamagedKeys, "test_a_task_is_stopped_though_its_queue_is_spoilt")
class StopsOnlyWhatIsWhole(Spoilt):
    """A task whose queue cannot be read is not stopped."""

    async def stop_periodic(self, task):
        await self.length(task.queue)
        return await super().stop_periodic(task)


@found_by(DamagedKeys, "test_slots_whose_jobs_have_no_place_are_not_seen")
class SeesWhatItCannotFire(Spoilt):
    """Slots count as seen though their jobs could not be stored."""

    async def fire_cron(self, task, expected_cursor, new_cursor, count):
        try:
            return await super().fire_cron(task, expected_cursor, new_cursor, count)
        except BackendRefused:
            await super().fire_cron(task, expected_cursor, new_cursor, 0)
            raise


@found_by(IsolatedItems, "test_a_spoilt_queue_keeps_no_other_from_waking")
class NotifiesAllOrNobody(Spoilt):
    """It wakes nobody if a queue cannot be read."""

    async def notify(self, queues):
        if b"string" not in [await self._connections.call("TYPE", self._keys.queue(queue)) for queue in queues]:
            await super().notify(queues)


@found_by(IsolatedItems, "test_listings_show_what_can_be_read")
class HidesWhatItCannotRead(Spoilt):
    """A queue that cannot be read is left out."""

    async def overview(self):
        seen = await super().overview()
        return attrs.evolve(seen, lengths={name: length for name, length in seen.lengths.items() if length is not None})


@found_by(Scheduling, "test_a_delay_counts_from_the_step")
class CountsFromTheFloor(MemoryBackend):
    """A delay begins with the second in which it is given."""

    async def schedule(self, entries):
        now = int(self._clock.now())
        given = [one if one.delay is None else attrs.evolve(one, at=now + one.delay, delay=None) for one in entries]
        return await super().schedule(given)


@found_by(Scheduling, "test_no_delay_at_all_is_now")
class DelaysByNothing(MemoryBackend):
    """No delay at all is one until the next second."""

    async def schedule(self, entries):
        delayed = [attrs.evolve(one, delay=one.delay or 0.001) if one.at is None else one for one in entries]
        return await super().schedule(delayed)


@found_by(Scheduling, "test_equal_jobs_of_one_delay_are_one_in_a_second")
class KeepsEqualDelays(MemoryBackend):
    """Only a moment that was given can be taken."""

    async def schedule(self, entries):
        return await super().schedule([attrs.evolve(one, unique=one.unique and one.delay is None) for one in entries])


@found_by(Scheduling, "test_a_moment_with_a_fraction_is_compared_before_it_is_rounded")
class RoundsBeforeItCompares(MemoryBackend):
    """A moment that has passed by less than a second waits for the next one."""

    async def schedule(self, entries):
        rounded = [one if one.at is None else attrs.evolve(one, at=-(-one.at // 1)) for one in entries]
        return await super().schedule(rounded)
