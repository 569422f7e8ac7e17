"""Enqueue periodic tasks: each app declares its own, the leader serves those of all apps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from taskhero.backends.protocol import EnsureResult, FireResult
from taskhero.engine.time.cron import CronSchedule
from taskhero.engine.time.instants import to_datetime
from taskhero.engine.time.misfires import due_fire_times, misfire_of
from taskhero.errors import BackendError, BackendRefused, TaskheroError
from taskhero.events import SchedulerEnqueue, SchedulerError
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, KnownPeriodicTask, PeriodicTask, PeriodicTasksReply
    from taskhero.engine.queue.periodic import PeriodicAdmin
    from taskhero.events import Emitter

__all__ = ["PeriodicEnqueuer"]

#: Seconds for which a declaration is valid. Each step renews it.
DECLARATION_LIFETIME = 60.0
#: Seconds between two steps of the leader, and of other schedulers.
LEADER_INTERVAL = 3.0
FOLLOWER_INTERVAL = 15.0
#: Seconds between two searches for orphaned locks. Such a search reads whole queues.
FULL_SCAN_INTERVAL = 60.0


class PeriodicEnqueuer:
    """Declares, enqueues and fires periodic tasks.

    Args:
        backend: The store of jobs.
        emitter: Receives an event for each enqueued job and each error.
        owner: The scheduler's name.
        admin: The app's periodic tasks, or None if it has none.
    """

    def __init__(self, *, backend: Backend, emitter: Emitter, owner: str, admin: PeriodicAdmin | None) -> None:
        self._backend = backend
        self._emitter = emitter
        self._owner = owner
        self._admin = admin
        # The app's own tasks that this process has enqueued at its start.
        self._enqueued_own: set[str] = set()
        self._full_scan_at = -math.inf
        # Task to the time of its next check. A job that ends at once must not be enqueued at every step.
        self._skip_until: dict[str, float] = {}
        self._schedules: dict[tuple[str, str], CronSchedule | None] = {}
        self._reported: set[str] = set()

    async def step(self, *, leads: Callable[[], bool]) -> float:
        """Serve this app's tasks and, if it *leads*, those of all apps.

        Returns:
            Seconds until the next step.

        Raises:
            BackendError: The backend failed.
        """
        own_tasks = [] if self._admin is None else self._admin.declared_periodic()
        if not own_tasks and not leads():
            return FOLLOWER_INTERVAL
        known = await self._backend.declare_periodic(own_tasks, DECLARATION_LIFETIME)
        if self._admin is not None and {task.name for task in own_tasks} - self._enqueued_own:
            await self._enqueue_own(self._admin, own_tasks)
        if not leads():
            return FOLLOWER_INTERVAL
        await self._ensure(known)
        return await self._fire(known)

    async def _enqueue_own(self, admin: PeriodicAdmin, own_tasks: Sequence[PeriodicTask]) -> None:
        """Enqueue the app's own tasks at once, without waiting for the leader."""
        enqueued = set(await admin.enqueue_all_recurrent())
        self._enqueued_own.update(task.name for task in own_tasks)
        for task in own_tasks:
            if task.name in enqueued:
                self._emit_enqueued(task)

    # tasks with a frequency

    async def _ensure(self, known: PeriodicTasksReply) -> None:
        self._skip_until = {name: at for name, at in self._skip_until.items() if at > known.now}
        tasks = [
            entry.task
            for entry in known.tasks
            if entry.task.frequency is not None and entry.stopped is None and entry.task.name not in self._skip_until
        ]
        full_scan = known.now >= self._full_scan_at
        if full_scan:
            self._full_scan_at = known.now + FULL_SCAN_INTERVAL
        if not tasks:
            return
        for task, result in zip(tasks, await self._backend.ensure_periodic(tasks, full_scan=full_scan), strict=True):
            if result == EnsureResult.ENQUEUED:
                self._skip_until[task.name] = known.now + (task.frequency or 0)
                self._emit_enqueued(task)
            elif result == EnsureResult.WRONG_TYPE:
                text = (
                    f"the periodic task {task.name!r} cannot be enqueued: the key of queue {task.queue!r} is not a "
                    "list; rename or delete that key"
                )
                self._report_once(text, BackendError(text))

    # cron tasks

    async def _fire(self, known: PeriodicTasksReply) -> float:
        """Fire the fire times that are due; return the seconds until the next step."""
        delay = LEADER_INTERVAL
        for entry in known.tasks:
            schedule = self._schedule_of(entry.task)
            if schedule is None:
                continue
            try:
                await self._fire_due(entry, schedule, known.now)
                upcoming = schedule.next_after(to_datetime(known.now)).timestamp() - known.now
            except TaskheroError as error:
                if isinstance(error, BackendError) and not isinstance(error, BackendRefused):
                    raise
                # The error concerns only this task, for example because its queue's key has the wrong type.
                self._report_once(f"the cron task {entry.task.name!r} cannot be fired: {error}", error)
            else:
                # 5 ms later: the store's clock decides what is due, and a step before that finds nothing.
                delay = min(delay, max(upcoming, 0) + 0.005)
        return delay

    async def _fire_due(self, entry: KnownPeriodicTask, schedule: CronSchedule, now: float) -> None:
        task, until = entry.task, math.floor(now)
        if entry.cron_cursor is None:
            await self._backend.fire_cron(task, None, until, 0)
            return
        if entry.cron_cursor >= until:
            return
        cursor = to_datetime(entry.cron_cursor)
        fire_times = due_fire_times(schedule, cursor, to_datetime(until), misfire_of(task.misfire))
        if not fire_times and schedule.last_until(to_datetime(until)) <= cursor:
            # No fire time since the cursor: to advance the cursor would cost one write per step.
            return
        if await self._backend.fire_cron(task, entry.cron_cursor, until, len(fire_times)) == FireResult.STORED:
            for _ in fire_times:
                self._emit_enqueued(task)

    def _schedule_of(self, task: PeriodicTask) -> CronSchedule | None:
        """Return the task's schedule, or None if it has none or this process cannot read it."""
        if task.cron is None:
            return None
        key = (task.cron, task.timezone)
        if key not in self._schedules:
            if len(self._schedules) > 1000:
                self._schedules.clear()
            try:
                self._schedules[key] = CronSchedule(*key)
            except TaskheroError as error:
                # Another app declared it, with more time zones or with the extra `cron` installed.
                self._schedules[key] = None
                self._report_once(f"the cron task {task.name!r} cannot be fired here: {error}", error)
        return self._schedules[key]

    # events

    def _emit_enqueued(self, task: PeriodicTask) -> None:
        self._emitter.emit(SchedulerEnqueue(self._owner, task.queue, decode_job(task.raw, task.queue)))

    def _report_once(self, text: str, error: Exception) -> None:
        """Emit a `SchedulerError`, once for each text."""
        if text in self._reported:
            return
        if len(self._reported) > 1000:
            self._reported.clear()
        self._reported.add(text)
        self._emitter.emit(SchedulerError(self._owner, error))
