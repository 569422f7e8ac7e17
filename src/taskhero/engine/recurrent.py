"""Starting and stopping periodic tasks: a part of ``app.queue``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import Kept
from taskhero.engine.inspection import Inspection
from taskhero.engine.recurring import definition_of

if TYPE_CHECKING:
    from taskhero.backends.protocol import Periodic
    from taskhero.models import Job

__all__ = ["Recurrent"]


class Recurrent(Inspection):
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
        task = definition_of(self.context.tasks[name])
        if task is None:
            return False
        await self.backend.restart(task)
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
        await self.backend.resume([task.name for task in tasks], failed=True)
        answers = await self.backend.ensure(tasks)
        return [task.name for task, kept in zip(tasks, answers, strict=True) if kept == Kept.ENQUEUED]

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
        task = definition_of(self.context.tasks[name])
        return 0 if task is None else await self.backend.stop_periodic(task)

    def declared_periodic(self) -> list[Periodic]:
        """The periodic tasks of this app, as the backend is told of them."""
        found: list[Periodic] = []
        for task in self.context.tasks:
            try:
                definition = definition_of(task)
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
            await self.backend.resume(list(dict.fromkeys(names)))
