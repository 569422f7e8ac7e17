"""Start and stop periodic tasks, and define what a backend stores about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.backends.protocol import EnsureResult, NextRun, PeriodicTask
from taskhero.engine.queue.base import QueueBase
from taskhero.hooks.needs import HoldLock
from taskhero.wire.jobs import encode_job

if TYPE_CHECKING:
    from taskhero.engine.task.task import Task
    from taskhero.models import Job

__all__ = ["PeriodicAdmin", "next_run_of", "periodic_definition"]


class PeriodicAdmin(QueueBase):
    """The part of `Queue` that starts and stops periodic tasks."""

    async def enqueue_recurrent(self, name: str) -> bool:
        """Let a periodic task begin anew: it runs after its frequency, and is stopped no longer.

        All its copies that are queued or delayed go, in whatever spelling, in the same step; so there is one, however
        often and from wherever this is called. It is ActionHero's `enqueueRecurrentTask`. A task by cron goes on with
        its next slot.

        Returns:
            Whether it is periodic; if not, nothing is done.

        Raises:
            UnknownTask: This app declares no such task.
            NotConnected: The app is not connected.
            BackendError: It was not done, or (`ReplyLost`) may or may not have been.
        """
        task = periodic_definition(self.context.tasks[name])
        if task is None:
            return False
        await self.backend.restart_periodic(task)
        return True

    async def enqueue_all_recurrent(self) -> list[str]:
        """Enqueue all tasks with a frequency that are nowhere: not queued, delayed, running or stopped.

        An app with a scheduler does so when it starts; any number of apps may do it at once. What a failure stopped
        (``reenqueue_on_error=False``) begins anew; what `stop_recurrent` stopped stays so. Hooks around an enqueue are
        not called. It is ActionHero's `enqueueAllRecurrentTasks`.

        Returns:
            The names of the tasks that were enqueued.

        Raises:
            NotConnected: The app is not connected.
            BackendError: It was not done, or (`ReplyLost`) may or may not have been.
        """
        tasks = [task for task in self.declared_periodic() if task.frequency is not None]
        if not tasks:
            return []
        await self.backend.resume_periodic([task.name for task in tasks], failed=True)
        answers = await self.backend.ensure_periodic(tasks)
        return [task.name for task, kept in zip(tasks, answers, strict=True) if kept == EnsureResult.ENQUEUED]

    async def stop_recurrent(self, name: str) -> int:
        """Stop a periodic task, also across restarts, until `enqueue_recurrent` or an enqueue of it.

        All its copies that are queued or delayed go, in whatever spelling, in the same step. A run that is under way
        goes on, and is the last one. It is ActionHero's `stopRecurrentTask`.

        Returns:
            How many copies there were; 0 for a task that is not periodic.

        Raises:
            UnknownTask: This app declares no such task.
            NotConnected: The app is not connected.
            BackendError: It was not done, or (`ReplyLost`) may or may not have been.
        """
        task = periodic_definition(self.context.tasks[name])
        return 0 if task is None else await self.backend.stop_periodic(task)

    def declared_periodic(self) -> list[PeriodicTask]:
        """The periodic tasks of this app, as the backend is told of them."""
        found: list[PeriodicTask] = []
        for task in self.context.tasks:
            try:
                definition = periodic_definition(task)
            except Exception:
                # The others shall go on.
                self.context.logger.exception("A plugin of the periodic task %r cannot tell its locks", task.name)
            else:
                found += [] if definition is None else [definition]
        return found

    async def _resume(self, *jobs: Job) -> None:
        """An enqueue of a stopped task lets it go on."""
        names = []
        for job in jobs:
            task = self.context.tasks.get(job.name)
            if task is not None and task.recurrence is not None and task.recurrence.is_its_own(job.args):
                names.append(job.name)
        if names:
            await self.backend.resume_periodic(list(dict.fromkeys(names)))


def periodic_definition(task: Task[Any, Any]) -> PeriodicTask | None:
    """All that a process needs to keep a periodic task going, or None for a task that is not periodic.

    Raises:
        Exception: A plugin of the task cannot tell its locks.
    """
    recurrence = task.recurrence
    if recurrence is None:
        return None
    job = recurrence.job(task.queue)
    schedule = recurrence.schedule
    return PeriodicTask(
        name=task.name,
        queue=task.queue,
        raw=encode_job(job.name, job.args, job.queue),
        equivalent_payloads=recurrence.equivalent_payloads(job),
        guards=task.scope.guards(job),
        holds=tuple(need.key for need in task.scope.needs(job) if isinstance(need, HoldLock)),
        frequency=recurrence.frequency,
        cron=None if schedule is None else schedule.expression,
        timezone="UTC" if schedule is None else schedule.timezone,
        misfire=recurrence.misfire,
    )


def next_run_of(task: Task[Any, Any] | None, job: Job) -> NextRun | None:
    """What the store is told of the next run when *job* ends; None for a job that begins no other."""
    recurrence = None if task is None else task.recurrence
    if task is None or recurrence is None or recurrence.frequency is None or not recurrence.is_its_own(job.args):
        return None
    own = recurrence.job(task.queue)
    return NextRun(
        name=task.name,
        raw=encode_job(own.name, own.args, own.queue),
        equivalent_payloads=recurrence.equivalent_payloads(own),
        frequency=recurrence.frequency,
        stop_if_failed=not recurrence.reenqueue_on_error,
    )
