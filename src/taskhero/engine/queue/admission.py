"""The admission of jobs: the steps of each enqueue, now or later, of one job or many, and of each retry by hand.

1. `Admission.admit` runs the hooks before the enqueue, and collects the guards of the job.
2. `Admission.store` resumes stopped periodic tasks, stores the jobs, and runs the hooks after the enqueue.

Promotion, retry by a plugin and rescue are not enqueues: the engine and the backend move those jobs without hooks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from taskhero.backends.protocol import ScheduleResult
from taskhero.backends.records.inspection import RetryResult
from taskhero.engine.time.instants import to_datetime
from taskhero.errors import PartlyRefused
from taskhero.hooks.contexts import EnqueueContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from taskhero.backends.protocol import Guard
    from taskhero.engine.queue.context import QueueContext
    from taskhero.hooks.scope import HookScope
    from taskhero.models import Job

__all__ = ["Admission", "Admitted"]

_Entry = TypeVar("_Entry")
_Answer = TypeVar("_Answer")

#: The answers of a backend that mean "stored".
_STORED: Final = frozenset({True, ScheduleResult.DELAYED, ScheduleResult.QUEUED, RetryResult.STORED})


class Admitted(NamedTuple):
    """A job that no plugin refused. A tuple, because each enqueue creates one.

    Attributes:
        job: The job.
        scope: The hooks around it.
        context: What the enqueue hooks receive, or None if there are none.
        guards: The conditions on storing it.
    """

    job: Job
    scope: HookScope
    context: EnqueueContext | None = None
    guards: tuple[Guard, ...] = ()


class Admission:
    """The steps between a job and the store.

    Args:
        context: The queue's collaborators.
    """

    def __init__(self, context: QueueContext) -> None:
        self._context = context

    async def admit(self, job: Job, at: float | None = None, delay: float | None = None) -> Admitted | None:
        """Run the hooks before an enqueue. Return None if a plugin refused the job.

        Args:
            job: The job.
            at: Its due time in Unix seconds, or None for now.
            delay: The delay from which the due time was estimated, or None.

        Raises:
            Exception: A plugin failed. Nothing is stored.
        """
        scope = self._context.tasks.scopes.get(job.name, self._context.scope)
        if not scope.enqueues:
            return Admitted(job, scope)
        later = at is not None and at > self._context.clock.now()
        context = EnqueueContext(
            task_name=job.name,
            queue=job.queue,
            at=to_datetime(math.ceil(at)) if at is not None and later else None,
            logger=self._context.logger,
            delay=delay,
        )
        if not await scope.before_enqueue(job, context):
            return None
        return Admitted(job, scope, context, scope.guards(job))

    async def store(
        self,
        verb: Callable[[Sequence[_Entry]], Awaitable[Sequence[_Answer]]],
        ready: Sequence[tuple[Admitted, _Entry]],
        *,
        resume: bool = True,
    ) -> Sequence[_Answer]:
        """Store admitted jobs in one call of the backend, and run the hooks after the enqueue of those it stored.

        Args:
            verb: The backend's method.
            ready: Each job with the entry for *verb*.
            resume: Whether this resumes a stopped periodic task.

        Returns:
            The answers of *verb*.

        Raises:
            BackendError: As *verb*. After a `PartlyRefused`, the hooks of the stored jobs have run.
        """
        entries = []
        periodic = []
        for admitted, entry in ready:
            entries.append(entry)
            if resume and admitted.scope.alike is not None:
                periodic.append(admitted.job)
        if periodic:
            await self._resume(periodic)
        answers: Sequence[object] = ()
        try:
            answers = result = await verb(entries)
        except PartlyRefused as error:
            answers = error.answers
            raise
        finally:
            for (admitted, _), answer in zip(ready, answers, strict=False):
                if admitted.context is not None and answer in _STORED:
                    await admitted.scope.after_enqueue(admitted.job, admitted.context)
        return result

    async def _resume(self, jobs: Sequence[Job]) -> None:
        """Resume the periodic tasks of which these jobs are copies, if they are stopped."""
        names = []
        for job in jobs:
            task = self._context.tasks.get(job.name)
            if task is not None and task.recurrence is not None and task.recurrence.is_its_own(job.args):
                names.append(job.name)
        if names:
            await self._context.backend.resume_periodic(list(dict.fromkeys(names)))
