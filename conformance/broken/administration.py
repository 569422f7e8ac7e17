"""Backends that fail to list or remove delayed jobs, failed jobs, locks and workers."""

import json

import attrs

from broken.broken_backends import found_by
from broken.damaged_data import DamageableBackend
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.records.inspection import DelayedPage, FailedRetry, HeartbeatAge, RemoveWorkerResult, RetryResult
from taskhero.conformance import DelayedJobListing, FailedJobListing, ForeignWorkers, WorkerAdministration

# delayed jobs


@found_by(DelayedJobListing, "test_due_times_are_in_the_order_of_time")
class SortsDueTimesAsText(MemoryBackend):
    """Sort due times as text, so that 10 comes before 9."""

    async def due_times(self):
        return sorted(await super().due_times(), key=lambda pair: str(pair[0]))


@found_by(DelayedJobListing, "test_all_that_is_delayed_page_by_page[2]")
class SkipsTheRestOfADueTime(MemoryBackend):
    """Continue with the next second if a page ends within a second."""

    async def search_delayed(self, containing=(), *, limit=1000, after=None):
        page = await super().search_delayed(containing, limit=limit, after=after)
        return page if page.after is None else DelayedPage(page.entries, (page.after[0] + 1, 0))


@found_by(DelayedJobListing, "test_a_search_by_what_a_payload_contains[1]", "test_all_that_is_delayed_page_by_page[1]")
class StopsAtAnEmptyPage(MemoryBackend):
    """End the search at a page without matches, and show one entry of the first page."""

    async def search_delayed(self, containing=(), *, limit=1000, after=None):
        page = await super().search_delayed(containing, limit=limit, after=after)
        return page if after is None and len(page.entries) > 1 else DelayedPage(page.entries[:1], None)


@found_by(DelayedJobListing, "test_a_due_time_is_forgotten_with_its_last_job")
class WakesForNothing(MemoryBackend):
    """Keep a due time after its last job was removed."""

    ghosts = ()

    async def remove_delayed(self, entries):
        removed = await super().remove_delayed(entries)
        self.ghosts = [entry.at for entry in entries if not self.store.schedule.payloads.get(entry.at)]
        return removed

    async def due(self, limit):
        due = await super().due(limit)
        return attrs.evolve(due, next_at=min([due.next_at, *self.ghosts]))


@found_by(DelayedJobListing, "test_delayed_payloads_are_removed")
class RemovesFromEveryDueTime(MemoryBackend):
    """Ignore the due time of a removal."""

    async def remove_delayed(self, entries):
        schedule = self.store.schedule
        return [sum(schedule.remove_all(at, entry.raw) for at in schedule.due_times(entry.raw)) for entry in entries]


# failed jobs


@found_by(FailedJobListing, "test_a_part_of_the_failures[1..3]")
class ShowsTheNewestFirst(MemoryBackend):
    """List the failed jobs in reverse order."""

    async def failed(self, start=0, stop=-1, source="failed"):
        self.store.failures.reverse()
        try:
            return await super().failed(start, stop, source)
        finally:
            self.store.failures.reverse()


@found_by(FailedJobListing, "test_failures_are_removed")
class RemovesAllEqualFailures(MemoryBackend):
    """Remove all equal entries for one that was given."""

    async def remove_failed(self, entries):
        removed = await super().remove_failed(entries)
        for entry in entries:
            while self.store.remove_failed(entry.raw):
                pass
        return removed


@found_by(FailedJobListing, "test_failures_are_retried")
class RetriesWhatIsGone(MemoryBackend):
    """Store the job even if its failed entry is missing."""

    async def retry_failed(self, retries):
        await super().remove_failed([retry.failed for retry in retries])
        await self.push([retry.entry for retry in retries])
        return [RetryResult.STORED for _ in retries]


@found_by(FailedJobListing, "test_a_failure_whose_guard_does_not_hold_stays")
class RetriesInTwoSteps(MemoryBackend):
    """Remove the failed entry before checking that the job may be stored."""

    async def retry_failed(self, retries):
        answers = await super().retry_failed(retries)
        for retry, answer in zip(retries, answers, strict=True):
            if answer == RetryResult.NOT_STORED:
                self.store.remove_failed(retry.failed.raw)
        return answers


@found_by(FailedJobListing, "test_failures_are_retried")
class RetriesAtTheFront(MemoryBackend):
    """Store retried jobs at the front of their queue."""

    async def retry_failed(self, retries):
        return await super().retry_failed([FailedRetry(r.failed, attrs.evolve(r.entry, front=True)) for r in retries])


# overview, locks and workers


@found_by(WorkerAdministration, "test_an_overview")
class CountsFailedAsProcessed(MemoryBackend):
    """Count failed jobs as processed."""

    async def overview(self):
        shown = await super().overview()
        return attrs.evolve(shown, processed=shown.processed + shown.failed)


@found_by(WorkerAdministration, "test_locks_of_both_kinds_are_listed")
class ListsEveryName(MemoryBackend):
    """List locks of every name."""

    async def locks(self):
        return self.store.locks.listing(self.clock.now())


@found_by(WorkerAdministration, "test_locks_are_deleted")
class DeletesLocksOfQueuedJobsOnly(MemoryBackend):
    """Do not delete the lock of a running job."""

    async def delete_lock(self, key):
        return False if key.startswith("workerslock:") else await super().delete_lock(key)


@found_by(WorkerAdministration, "test_workers_are_shown_with_what_they_do")
class HidesJobsOfWorkers(MemoryBackend):
    """Show every worker as idle."""

    async def workers(self, ids=None):
        return [attrs.evolve(entry, working=None) for entry in await super().workers(ids)]


@found_by(WorkerAdministration, "test_a_heartbeat_age_counts_from_the_end_of_the_lease")
class CountsFromTheLastHeartbeat(MemoryBackend):
    """Count a heartbeat age from the last heartbeat, not from the end of the lease."""

    async def heartbeat_ages(self):
        return [HeartbeatAge(entry.id, 60 - (entry.alive_for or 0)) for entry in await self.workers()]


@found_by(WorkerAdministration, "test_an_idle_worker_is_removed")
class CountsAFailureInAnyCase(MemoryBackend):
    """Count a failure for an idle worker too, as node-resque does."""

    async def remove_worker(self, removal):
        answer = await super().remove_worker(removal)
        if answer == RemoveWorkerResult.REMOVED and removal.seen is None:
            self.store.count("failed")
        return answer


@found_by(WorkerAdministration, "test_a_worker_whose_job_changed_is_not_removed")
class RemovesWhatItFinds(MemoryBackend):
    """Do not compare a worker's job with the one that was seen."""

    async def remove_worker(self, removal):
        entries = await self.workers([removal.id])
        return await super().remove_worker(attrs.evolve(removal, seen=entries[0].working))


@found_by(WorkerAdministration, "test_a_worker_with_a_recent_heartbeat_is_not_removed")
class RemovesLiveWorkers(MemoryBackend):
    """Ignore the required heartbeat age of a removal."""

    async def remove_worker(self, removal):
        return await super().remove_worker(attrs.evolve(removal, heartbeat_age=None))


@found_by(WorkerAdministration, "test_a_busy_worker_is_removed")
class LosesTheJobOfTheWorker(MemoryBackend):
    """Remove the worker together with its job."""

    async def remove_worker(self, removal):
        return await super().remove_worker(attrs.evolve(removal, failure=None))


# workers of other programs


@found_by(ForeignWorkers, "test_a_foreign_heartbeat_age_grows_while_nothing_changes")
class TrustsTheirClocks(DamageableBackend):
    """Use the time written in another program's ping."""

    async def heartbeat_ages(self):
        pings = {
            entry.id: json.loads(entry.ping)["time"]
            for entry in await self.workers()
            if entry.ping and entry.ping.startswith("{")
        }
        found = await super().heartbeat_ages()
        return [attrs.evolve(age, seconds=self.clock.now() - pings.get(age.id, self.clock.now())) for age in found]


@found_by(ForeignWorkers, "test_a_foreign_heartbeat_age_grows_while_nothing_changes[heartbeat]")
class ReadsPingsOnly(DamageableBackend):
    """Ignore the heartbeats of Ruby workers."""

    async def heartbeat_ages(self):
        heartbeats = await self.command("HGETALL", self.keys.heartbeats)
        await self.command("DEL", self.keys.heartbeats)
        try:
            return await super().heartbeat_ages()
        finally:
            if heartbeats:
                await self.command("HSET", self.keys.heartbeats, *heartbeats)


@found_by(ForeignWorkers, "test_a_change_of_another_programs_worker_is_remembered[ping]")
class ForgetsThatAWorkerChanged(DamageableBackend):
    """Report a change of another program's worker only in the call that sees it."""

    async def heartbeat_ages(self):
        ages = await super().heartbeat_ages()
        known = vars(self).setdefault("known", set())
        reported = [attrs.evolve(age, changed=age.changed and age.id not in known) for age in ages]
        known.update(age.id for age in ages if age.changed)
        return reported


@found_by(ForeignWorkers, "test_another_programs_worker_that_changed_is_kept")
class RemovesWorkersThatChanged(DamageableBackend):
    """Ignore that a worker was seen to change."""

    async def remove_worker(self, removal):
        return await super().remove_worker(attrs.evolve(removal, unchanged=False))


@found_by(ForeignWorkers, "test_another_programs_worker_is_removed")
class LeavesKeysBehind(DamageableBackend):
    """Leave a key of the worker, as node-resque leaves the worker's job."""

    async def remove_worker(self, removal):
        answer = await super().remove_worker(removal)
        if answer == RemoveWorkerResult.REMOVED:
            await self.command("SET", self.keys.started(removal.id), "long ago")
        return answer


@found_by(WorkerAdministration, "test_a_worker_that_cannot_be_read_is_shown")
class HidesWhatItCannotRead(DamageableBackend):
    """Leave out a worker whose key is damaged."""

    async def workers(self, ids=None):
        return [entry for entry in await super().workers(ids) if not entry.problems]


@found_by(FailedJobListing, "test_other_programs_lists_of_failures")
class KnowsOneListOfFailures(DamageableBackend):
    """Ignore other programs' failed lists."""

    async def failed_lists(self):
        return ["failed"]


@found_by(DelayedJobListing, "test_a_due_time_that_cannot_be_read_affects_no_other")
class StopsAtWhatItCannotRead(DamageableBackend):
    """End the search at the first damaged due time."""

    async def search_delayed(self, containing=(), *, limit=1000, after=None):
        counted = {at for at, _ in await self.due_times()}
        known = {int(at) for at in await self.command("ZRANGE", self.keys.schedule, 0, -1)}
        if known - counted:
            return DelayedPage()
        return await super().search_delayed(containing, limit=limit, after=after)
