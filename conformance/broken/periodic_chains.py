"""Backends that fail to keep the chains of periodic tasks and cron tasks."""

import asyncio

import attrs

from broken.broken_backends import found_by
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.memory.claim_store import ClaimStore
from taskhero.backends.protocol import EnsureResult, FireResult, QueueLockGuard, Succeeded
from taskhero.conformance import CronTasks, NextRuns, PeriodicChains


class Settling(MemoryBackend):
    """Base of backends that change the next run of a settlement."""

    def change(self, settlement):
        return settlement.next_run

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        settlements = [
            attrs.evolve(settlement, next_run=self.change(settlement)) if settlement.next_run else settlement
            for settlement in settlements
        ]
        return await super().settle_and_claim(process, settlements, free_slots, queues)


@found_by(NextRuns, "test_the_next_run_is_delayed_with_the_end[failed]")
class ContinuesAfterSuccessOnly(Settling):
    """Delay the next run only after a success."""

    def change(self, settlement):
        return settlement.next_run if isinstance(settlement.disposition, Succeeded) else None


@found_by(NextRuns, "test_all_other_delayed_copies_are_removed")
class KnowsOnePayload(Settling):
    """Ignore equivalent payloads, so that copies of other programs stay."""

    def change(self, settlement):
        return attrs.evolve(settlement.next_run, equivalent_payloads=(settlement.next_run.raw,))


@found_by(NextRuns, "test_a_failure_stops_a_task_that_says_so[failed]")
class NeverStops(Settling):
    """Ignore `stop_if_failed`."""

    def change(self, settlement):
        return attrs.evolve(settlement.next_run, stop_if_failed=False)


@found_by(NextRuns, "test_the_due_time_is_rounded_to_the_nearest_second")
class RoundsUp(Settling):
    """Round the next run up, like other delays."""

    def change(self, settlement):
        return attrs.evolve(settlement.next_run, frequency=settlement.next_run.frequency + 0.499)


@found_by(NextRuns, "test_a_job_that_comes_again_has_no_next_run_yet")
class ContinuesTooSoon(MemoryBackend):
    """Delay a next run for a job that is released, postponed or retried."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        for settlement in settlements:
            if settlement.next_run is not None and not answer.next_runs and settlement.claim not in answer.gone:
                self.store.periodic.delay_next_run(settlement.next_run, self.clock.now(), failed=True)
        return answer


@found_by(NextRuns, "test_what_is_settled_twice_has_one_next_run")
class ContinuesForGoneClaims(MemoryBackend):
    """Delay another next run for a repeated settlement."""

    async def settle_and_claim(self, process, settlements, free_slots, queues):
        answer = await super().settle_and_claim(process, settlements, free_slots, queues)
        for settlement in settlements:
            if settlement.claim in answer.gone:
                self.store.periodic.delay_next_run(settlement.next_run, self.clock.now(), failed=True)
        return answer


@found_by(NextRuns, "test_a_stopped_task_has_no_next_run")
class ContinuesThoughStopped(Settling):
    """Ignore that the task is stopped."""

    def change(self, settlement):
        self.store.periodic.stopped.pop(settlement.next_run.name, None)
        return settlement.next_run


class Ensuring(MemoryBackend):
    """Base of backends that change the tasks to ensure."""

    def change(self, task):
        return task

    async def ensure_periodic(self, tasks, *, full_scan=False):
        return await super().ensure_periodic([self.change(task) for task in tasks], full_scan=full_scan)


@found_by(PeriodicChains, "test_of_many_at_once_one_enqueues_it")
class LooksThenEnqueues(MemoryBackend):
    """Check for copies, yield to other callers, and then enqueue."""

    async def ensure_periodic(self, tasks, *, full_scan=False):
        if len(tasks) != 1 or self.store.periodic.find(
            tasks[0], self.store.locks, self.clock.now(), full_scan=full_scan
        ):
            return await super().ensure_periodic(tasks, full_scan=full_scan)
        await asyncio.sleep(0)
        self.store.queues.put(tasks[0].queue, tasks[0].raw)
        return [EnsureResult.ENQUEUED]


@found_by(PeriodicChains, "test_a_task_without_a_copy_is_enqueued_once")
class TakesNoLock(Ensuring):
    """Enqueue without the task's guards."""

    def change(self, task):
        return attrs.evolve(task, guards=())


@found_by(PeriodicChains, "test_a_task_that_runs_is_not_enqueued")
class ForgetsWhatRuns(Ensuring):
    """Ignore the lock of a running job."""

    def change(self, task):
        return attrs.evolve(task, holds=())


@found_by(PeriodicChains, "test_a_copy_without_a_lock_is_seen[one]", "test_a_delayed_copy_is_enough")
class EnsuresOnePayload(Ensuring):
    """Ignore equivalent payloads, so that copies of other programs do not count."""

    def change(self, task):
        return attrs.evolve(task, equivalent_payloads=(task.raw,))


@found_by(PeriodicChains, "test_jobs_that_dead_processes_may_hold_are_waited_for")
class ForgetsDeadProcesses(MemoryBackend):
    """Enqueue a task whose job a dead process may hold."""

    class claims_without_dead_processes(ClaimStore):
        def has_recently_expired_lease(self, _now):
            return False

    def make_claim_store(self, store):
        return self.claims_without_dead_processes(store)


@found_by(PeriodicChains, "test_a_lock_that_was_left_behind_does_not_end_a_chain[False]")
class TrustsLocks(MemoryBackend):
    """Let a lock without a job end the chain."""

    async def ensure_periodic(self, tasks, *, full_scan=False):
        return await super().ensure_periodic(tasks)


@found_by(PeriodicChains, "test_a_lock_that_was_left_behind_does_not_end_a_chain[True]")
class TakesSharedLocksOver(Ensuring):
    """Take over a shared lock that another job holds."""

    def change(self, task):
        guards = [
            attrs.evolve(guard, shared=False) if isinstance(guard, QueueLockGuard) else guard for guard in task.guards
        ]
        return attrs.evolve(task, guards=tuple(guards))


@found_by(PeriodicChains, "test_a_copy_that_is_delayed_for_too_long_is_replaced")
class WaitsForever(Ensuring):
    """Accept a copy that is delayed for longer than the frequency."""

    def change(self, task):
        return attrs.evolve(task, frequency=10**6)


@found_by(PeriodicChains, "test_a_task_that_is_not_declared_again_is_forgotten")
class NeverForgetsTasks(MemoryBackend):
    """Ignore the lifetime of a declaration."""

    async def declare_periodic(self, declared=(), lifetime=0.0):
        return await super().declare_periodic(declared, 10**9)


@found_by(PeriodicChains, "test_a_task_that_is_not_declared_again_is_forgotten")
class ForgetsWhatIsStopped(MemoryBackend):
    """Forget that a task is stopped when its declaration expires."""

    async def declare_periodic(self, declared=(), lifetime=0.0):
        found = await super().declare_periodic(declared, lifetime)
        for name in self.store.periodic.stopped.keys() - {known.task.name for known in found.tasks}:
            del self.store.periodic.stopped[name]
        return found


@found_by(PeriodicChains, "test_a_stopped_task_has_no_copies")
class StopsOnePayload(MemoryBackend):
    """Ignore equivalent payloads when it stops a task."""

    async def stop_periodic(self, task):
        return await super().stop_periodic(attrs.evolve(task, equivalent_payloads=(task.raw,)))


@found_by(PeriodicChains, "test_a_stopped_task_has_no_copies")
class KeepsLocksOfStoppedTasks(MemoryBackend):
    """Keep the queue lock of a removed copy."""

    async def stop_periodic(self, task):
        return await super().stop_periodic(attrs.evolve(task, guards=()))


@found_by(PeriodicChains, "test_a_task_is_restarted[False]")
class RestartsBesideOldCopies(MemoryBackend):
    """Add a copy at each restart, as ActionHero did."""

    async def restart_periodic(self, task):
        return await super().restart_periodic(attrs.evolve(task, equivalent_payloads=()))


@found_by(PeriodicChains, "test_a_task_is_resumed")
class ResumesWhatWasStopped(MemoryBackend):
    """Resume every task when a program starts."""

    async def resume_periodic(self, names, *, failed=False):
        return await super().resume_periodic(names)


@found_by(CronTasks, "test_a_fire_time_is_fired_once")
class FiresForAnybody(MemoryBackend):
    """Ignore the expected cursor."""

    async def fire_cron(self, task, expected_cursor, new_cursor, count):
        return await super().fire_cron(task, self.store.periodic.cron_cursors.get(task.name), new_cursor, count)


@found_by(CronTasks, "test_a_stopped_task_fires_nothing")
class FiresLaterWhatWasStopped(MemoryBackend):
    """Keep the cursor while a task is stopped, so that its fire times fire later."""

    async def fire_cron(self, task, expected_cursor, new_cursor, count):
        if task.name in self.store.periodic.stopped:
            return FireResult.STOPPED
        return await super().fire_cron(task, expected_cursor, new_cursor, count)


@found_by(CronTasks, "test_guards_hold")
class FiresUnguarded(MemoryBackend):
    """Ignore the guards of a cron task."""

    async def fire_cron(self, task, expected_cursor, new_cursor, count):
        return await super().fire_cron(attrs.evolve(task, guards=()), expected_cursor, new_cursor, count)


@found_by(CronTasks, "test_a_new_task_has_missed_nothing")
class ResetsTheCursor(MemoryBackend):
    """Reset the cursor at each declaration."""

    async def declare_periodic(self, declared=(), lifetime=0.0):
        for task in declared:
            self.store.periodic.cron_cursors.pop(task.name, None)
        return await super().declare_periodic(declared, lifetime)


@found_by(CronTasks, "test_a_restarted_task_continues_with_its_next_fire_time")
class ResumesInThePast(MemoryBackend):
    """Fire the times of the stop after a restart."""

    async def restart_periodic(self, task):
        seen = self.store.periodic.cron_cursors.get(task.name)
        answer = await super().restart_periodic(task)
        self.store.periodic.cron_cursors[task.name] = seen
        return answer
