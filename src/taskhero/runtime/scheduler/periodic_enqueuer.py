"""Keeping periodic tasks going: each app tells of its own, the leader sees to those of all apps."""

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

#: Seconds for which a declaration holds; it is renewed well before.
DECLARATION_LIFETIME = 60.0
#: Seconds between two looks of a leader, and of others.
LEADER_INTERVAL = 3.0
FOLLOWER_INTERVAL = 15.0
#: Seconds between two looks for locks that were left behind: they look through whole queues.
FULL_SCAN_INTERVAL = 60.0


class PeriodicEnqueuer:
    """Keeps periodic tasks going.

    Args:
        backend: The store of jobs.
        emitter: Is told what is enqueued, and what goes wrong.
        owner: The scheduler's name.
        admin: The app's periodic tasks, or None if it has none.
    """

    def __init__(self, *, backend: Backend, emitter: Emitter, owner: str, admin: PeriodicAdmin | None) -> None:
        self._backend = backend
        self._emitter = emitter
        self._owner = owner
        self._admin = admin
        # Those of our own tasks that were seen to at once.
        self._enqueued_own: set[str] = set()
        self._full_scan_at = -math.inf
        # When a task was enqueued from here: it may end at once, and is not to be enqueued again and again.
        self._enqueued: dict[str, float] = {}
        self._schedules: dict[tuple[str, str], CronSchedule | None] = {}
        self._reported: set[str] = set()

    async def step(self, *, leads: Callable[[], bool]) -> float:
        """See to this app's tasks, and if it *leads*, to those of all apps.

        Returns:
            Seconds until it is to be done again.

        Raises:
            BackendError: The backend could not do it.
        """
        own = [] if self._admin is None else self._admin.declared_periodic()
        if not own and not leads():
            return FOLLOWER_INTERVAL
        known = await self._backend.declare_periodic(own, DECLARATION_LIFETIME)
        if self._admin is not None and {task.name for task in own} - self._enqueued_own:
            await self._enqueue_own(self._admin, own)
        if not leads():
            return FOLLOWER_INTERVAL
        await self._ensure(known)
        return await self._fire(known)

    async def _enqueue_own(self, periodic: PeriodicAdmin, own: Sequence[PeriodicTask]) -> None:
        """Enqueue the app's own tasks at once, whoever leads."""
        enqueued = set(await periodic.enqueue_all_recurrent())
        self._enqueued_own.update(task.name for task in own)
        for task in own:
            if task.name in enqueued:
                self._emit_enqueued(task)

    # tasks with a frequency

    async def _ensure(self, known: PeriodicTasksReply) -> None:
        self._enqueued = {name: at for name, at in self._enqueued.items() if at > known.now}
        tasks = [
            one.task
            for one in known.tasks
            if one.task.frequency is not None and one.stopped is None and one.task.name not in self._enqueued
        ]
        full_scan = known.now >= self._full_scan_at
        if full_scan:
            self._full_scan_at = known.now + FULL_SCAN_INTERVAL
        if not tasks:
            return
        for task, kept in zip(tasks, await self._backend.ensure_periodic(tasks, full_scan=full_scan), strict=True):
            if kept == EnsureResult.ENQUEUED:
                self._enqueued[task.name] = known.now + (task.frequency or 0)
                self._emit_enqueued(task)
            elif kept == EnsureResult.WRONG_TYPE:
                text = f"the periodic task {task.name!r} cannot be enqueued: queue {task.queue!r} cannot take its job"
                self._report_once(text, BackendError(text))

    # tasks by cron

    async def _fire(self, known: PeriodicTasksReply) -> float:
        """Fire the slots that are due; return the seconds until the next one, or the next look."""
        delay = LEADER_INTERVAL
        for one in known.tasks:
            schedule = self._schedule_of(one.task)
            if schedule is None:
                continue
            try:
                await self._fire_due(one, schedule, known.now)
                upcoming = schedule.next_after(to_datetime(known.now)).timestamp() - known.now
            except TaskheroError as error:
                if isinstance(error, BackendError) and not isinstance(error, BackendRefused):
                    raise
                # Refused for this task alone, such as by a queue whose key is of a wrong type.
                self._report_once(f"the task {one.task.name!r} cannot be fired: {error}", error)
            else:
                # Never early: the store's clock says what is due.
                delay = min(delay, max(upcoming, 0) + 0.005)
        return delay

    async def _fire_due(self, one: KnownPeriodicTask, schedule: CronSchedule, now: float) -> None:
        task, until = one.task, math.floor(now)
        if one.cron_cursor is None:
            await self._backend.fire_cron(task, None, until, 0)
            return
        if one.cron_cursor >= until:
            return
        slots = due_fire_times(schedule, to_datetime(one.cron_cursor), to_datetime(until), misfire_of(task.misfire))
        if not slots and schedule.last_until(to_datetime(until)) <= to_datetime(one.cron_cursor):
            # Nothing came since; to note that would be a write a look.
            return
        if await self._backend.fire_cron(task, one.cron_cursor, until, len(slots)) == FireResult.STORED:
            for _ in slots:
                self._emit_enqueued(task)

    def _schedule_of(self, task: PeriodicTask) -> CronSchedule | None:
        """The task's schedule, or None if it has none, or one that cannot be read here."""
        if task.cron is None:
            return None
        name = (task.cron, task.timezone)
        if name not in self._schedules:
            if len(self._schedules) > 1000:
                self._schedules.clear()
            try:
                self._schedules[name] = CronSchedule(*name)
            except TaskheroError as error:
                # Another app's, which knows more time zones, or has the extra `cron` installed.
                self._schedules[name] = None
                self._report_once(f"the task {task.name!r} cannot be fired here: {error}", error)
        return self._schedules[name]

    # what is told

    def _emit_enqueued(self, task: PeriodicTask) -> None:
        self._emitter.emit(SchedulerEnqueue(self._owner, task.queue, decode_job(task.raw, task.queue)))

    def _report_once(self, text: str, error: Exception) -> None:
        """Tell that something is wrong, once."""
        if text in self._reported:
            return
        if len(self._reported) > 1000:
            self._reported.clear()
        self._reported.add(text)
        self._emitter.emit(SchedulerError(self._owner, error))
