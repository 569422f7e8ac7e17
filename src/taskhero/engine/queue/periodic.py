"""Start and stop periodic tasks, and define what a backend stores about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.backends.protocol import EnsureResult, NextRun, PeriodicTask
from taskhero.engine.queue.part import QueuePart, storing
from taskhero.hooks.needs import HoldLock
from taskhero.wire.jobs import encode_job

if TYPE_CHECKING:
    from taskhero.engine.task.task import Task
    from taskhero.models import Job

__all__ = ["PeriodicAdmin", "next_run_of", "periodic_definition"]


class PeriodicAdmin(QueuePart):
    """The part of `Queue` that starts and stops periodic tasks."""

    @storing
    async def enqueue_recurrent(self, name: str) -> bool:
        """Restart a periodic task: it runs after its frequency, and is not stopped any more.

        The same step removes all queued and delayed copies of its job, so that there is one copy after any number of
        calls. A cron task continues with its next fire time. It is ActionHero's `enqueueRecurrentTask`.

        Returns:
            Whether the task is periodic. If it is not, nothing changes.

        Raises:
            UnknownTask: This app does not declare such a task.
            NotConnected: The app is not connected.
            BackendError: The task was not restarted, or (`ReplyLost`) may or may not have been.
        """
        task = periodic_definition(self.context.tasks[name])
        if task is None:
            return False
        await self.backend.restart_periodic(task)
        return True

    @storing
    async def enqueue_all_recurrent(self) -> list[str]:
        """Enqueue every task with a frequency that is not queued, delayed, running or stopped.

        An app with a scheduler does so when it starts. Any number of apps may call it concurrently. A task that a
        failure stopped (``reenqueue_on_error=False``) is enqueued again. A task that `stop_recurrent` stopped is not.
        Enqueue hooks are not called. It is ActionHero's `enqueueAllRecurrentTasks`.

        Returns:
            The names of the tasks that were enqueued.

        Raises:
            NotConnected: The app is not connected.
            BackendError: The tasks were not enqueued, or (`ReplyLost`) may or may not have been.
        """
        tasks = [task for task in self.declared_periodic() if task.frequency is not None]
        if not tasks:
            return []
        await self.backend.resume_periodic([task.name for task in tasks], failed=True)
        results = await self.backend.ensure_periodic(tasks)
        return [task.name for task, result in zip(tasks, results, strict=True) if result == EnsureResult.ENQUEUED]

    async def stop_recurrent(self, name: str) -> int:
        """Stop a periodic task until `enqueue_recurrent` or an enqueue of it, also across restarts.

        The same step removes all queued and delayed copies of its job. A running job continues, and is the last run.
        It is ActionHero's `stopRecurrentTask`.

        Returns:
            The number of removed copies; 0 for a task that is not periodic.

        Raises:
            UnknownTask: This app does not declare such a task.
            NotConnected: The app is not connected.
            BackendError: The task was not stopped, or (`ReplyLost`) may or may not have been.
        """
        task = periodic_definition(self.context.tasks[name])
        return 0 if task is None else await self.backend.stop_periodic(task)

    def declared_periodic(self) -> list[PeriodicTask]:
        """Return the periodic tasks of this app, as records for the backend."""
        found: list[PeriodicTask] = []
        for task in self.context.tasks:
            try:
                definition = periodic_definition(task)
            except Exception:
                # An error of one task's plugin must not stop the other tasks.
                self.context.logger.exception(
                    "A plugin failed to return the locks of the periodic task %r, which is not declared", task.name
                )
            else:
                found += [] if definition is None else [definition]
        return found


def periodic_definition(task: Task[Any, Any]) -> PeriodicTask | None:
    """Return the record with which any process can enqueue a periodic task, or None for a task that is not periodic.

    Raises:
        Exception: A plugin of the task failed to return its locks.
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
    """Return the next run that the store schedules when *job* ends, or None for a job without a next run."""
    recurrence = None if task is None else task.recurrence
    if task is None or recurrence is None or recurrence.frequency is None or not recurrence.is_its_own(job.args):
        return None
    next_job = recurrence.job(task.queue)
    return NextRun(
        name=task.name,
        raw=encode_job(next_job.name, next_job.args, next_job.queue),
        equivalent_payloads=recurrence.equivalent_payloads(next_job),
        frequency=recurrence.frequency,
        stop_if_failed=not recurrence.reenqueue_on_error,
    )
