"""The class of ``app.queue``: enqueue jobs by name, now or for later."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from taskhero._internal.display import time_text
from taskhero.backends.protocol import DelayedJobEntry, Entry, ScheduleResult
from taskhero.engine.queue.context import QueueContext
from taskhero.engine.queue.delayed import DelayedJobs
from taskhero.engine.queue.failed import FailedJobs
from taskhero.engine.queue.locks import Locks
from taskhero.engine.queue.part import storing
from taskhero.engine.queue.periodic import PeriodicAdmin
from taskhero.engine.queue.queued import QueuedJobs
from taskhero.engine.queue.workers import WorkerAdmin
from taskhero.engine.task.parameter_path import parameter_path
from taskhero.engine.task.signature import wire_args
from taskhero.engine.time.instants import delay_of, due_time_after, instant_of, to_datetime
from taskhero.errors import AlreadyScheduled, BackendRefused, InvalidArguments, PartlyRefused, UnknownTask
from taskhero.models import Job
from taskhero.wire.jobs import check_queue_name, encode_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from taskhero.engine.queue.admission import Admitted
    from taskhero.errors import BackendError

__all__ = ["Queue", "QueueContext"]

#: Number of jobs that `Queue.enqueue_many` passes to the backend in one step.
_CHUNK = 1000


class Queue(QueuedJobs, DelayedJobs, FailedJobs, PeriodicAdmin, Locks, WorkerAdmin):
    """Stores, inspects and administers an app's jobs, as ``app.queue``.

    To extend it, derive from it and pass the class to the app, ``TaskHero(queue=MyQueue)``. Build on `job` and `push`,
    as `enqueue` does. A custom ``__init__`` takes one argument and passes it on.

    Args:
        context: The queue's collaborators.

    Attributes:
        context: The queue's collaborators.
    """

    # --- now

    @storing
    async def enqueue(self, name: str, args: object = (), queue: str | None = None) -> bool:
        """Store a job by its task's name. A worker starts it as soon as a slot is free.

        Args:
            name: The task's name.
            args: A mapping is one object, a list or tuple the list of arguments, anything else a list of one.
            queue: The queue. Default: the task's queue.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            UnknownTask: This app does not declare such a task, and no queue is given.
            TypeError: The app declares the task, and the arguments do not fit it.
            InvalidArguments: An argument cannot be written as JSON.
            InvalidQueueName: The queue name is invalid.
            NotConnected: The app is not connected.
            BackendError: The job was not stored, or (`ReplyLost`) may or may not have been.
        """
        return await self.push(self.job(name, args, queue))

    @storing
    async def enqueue_many(self, jobs: Iterable[Job]) -> int:
        """Store many jobs with few round trips: ``enqueue_many(add.job(n, n) for n in range(10_000))``.

        A list or tuple is checked completely before the first job is stored. Any other iterable is stored in chunks, so
        that chunks before an invalid job are stored.

        Returns:
            The number of stored jobs. Plugins refused the others.

        Raises:
            TypeError: An item is not a job.
            PartlyRefused: The store cannot take some of them, for example because a queue's key has the wrong type.
                All others are stored. Its `problems` maps the positions of the missing ones to the reasons.
            InvalidArguments, NotConnected, BackendError: As for `enqueue`.
        """
        if isinstance(jobs, (list, tuple)):
            ready = iter([(job, self._encode(job)) for job in jobs])
        else:
            ready = ((job, self._encode(job)) for job in jobs)
        return await self._push_all(ready)

    def job(self, name: str, args: object = (), queue: str | None = None) -> Job:
        """Return the job that `enqueue` would store. It stores nothing.

        Raises:
            UnknownTask, TypeError, InvalidQueueName: As for `enqueue`.
        """
        if not isinstance(name, str):
            raise TypeError(f"{name!r} is not the name of a task: pass a str, or use the task's methods")
        task = self.context.tasks.get(name)
        if task is not None:
            job_args = task.signature.args_by_name(args)
            return Job(name, job_args, task.queue if queue is None else check_queue_name(queue))
        if queue is None:
            raise UnknownTask(
                f"this app does not declare a task {name!r}{self.context.tasks.suggestion(name)}; "
                "if another program runs it, pass its queue"
            )
        return Job(name, wire_args(args), check_queue_name(queue))

    @storing
    async def push(self, job: Job, *, front: bool = False) -> bool:
        """Store a job, and run the enqueue hooks. `enqueue` calls it after it has created the job.

        Args:
            job: The job. Its payload is encoded again; `raw` is not used.
            front: Whether to store it at the front of its queue.

        Returns:
            True if it was stored, False if a plugin refused it.
        """
        self.context.check()
        raw = self._encode(job)
        admitted = await self._admission.admit(job)
        if admitted is None:
            return False
        entry = Entry(job.queue, raw, front, admitted.guards)
        (stored,) = await self._admission.store(self.context.backend.push, ((admitted, entry),))
        return stored

    # --- later

    @storing
    async def enqueue_at(
        self,
        when: datetime | float,
        name: str,
        args: object = (),
        queue: str | None = None,
        *,
        suppress_duplicate: bool = False,
    ) -> bool:
        """Store a job until its due time. It never starts earlier. A due time in the past enqueues it now.

        Args:
            when: The due time: an aware datetime, or Unix seconds.
            name: The task's name.
            args: As for `enqueue`.
            queue: As for `enqueue`.
            suppress_duplicate: Whether to return False, rather than raise, if an equal job is delayed to the same
                second.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            InvalidMoment: *when* is invalid, such as a naive datetime.
            AlreadyScheduled: An equal job is already delayed to the same second.
            UnknownTask, TypeError, InvalidArguments, InvalidQueueName, NotConnected, BackendError: As for `enqueue`.
        """
        return await self.push_at(when, self.job(name, args, queue), suppress_duplicate=suppress_duplicate)

    @storing
    async def enqueue_in(
        self,
        delay: timedelta | float,
        name: str,
        args: object = (),
        queue: str | None = None,
        *,
        suppress_duplicate: bool = False,
    ) -> bool:
        """Store a job for a delay. It never starts earlier. The store computes the due time with its own clock.

        Args:
            delay: A timedelta, or seconds.
            name: The task's name.
            args: As for `enqueue`.
            queue: As for `enqueue`.
            suppress_duplicate: As for `enqueue_at`.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            InvalidMoment: *delay* is invalid, such as a bare number over a week.
            AlreadyScheduled: An equal job is already delayed to the same second.
            UnknownTask, TypeError, InvalidArguments, InvalidQueueName, NotConnected, BackendError: As for `enqueue`.
        """
        return await self.push_in(delay, self.job(name, args, queue), suppress_duplicate=suppress_duplicate)

    @storing
    async def push_at(self, when: datetime | float, job: Job, *, suppress_duplicate: bool = False) -> bool:
        """Store a job until its due time. `enqueue_at` calls it after it has created the job."""
        return await self._schedule(job, instant_of(when), suppress=suppress_duplicate)

    @storing
    async def push_in(self, delay: timedelta | float, job: Job, *, suppress_duplicate: bool = False) -> bool:
        """Store a job for a delay. `enqueue_in` calls it after it has created the job."""
        seconds = delay_of(delay, instead="or use enqueue_at, which accepts a due time in the past")
        # An estimate for hooks. The store computes the due time with its own clock, in the step that stores the job.
        at = due_time_after(seconds, self.context.clock.now())
        return await self._schedule(job, at, seconds, suppress=suppress_duplicate)

    # --- helpers

    def _encode(self, job: Any) -> str:
        if not isinstance(job, Job):
            raise TypeError(f"{job!r} is not a Job: create one with task.job(...) or queue.job(name, args, queue)")
        if job.problem is not None:
            raise InvalidArguments(f"this entry cannot be enqueued, because it cannot be decoded: {job.problem}")

        def path(steps: Sequence[object]) -> str:
            return parameter_path(self.context.tasks.get(job.name), job.args, steps)

        return encode_job(job.name, job.args, job.queue, path)

    async def _schedule(self, job: Job, at: float, delay: float | None = None, *, suppress: bool) -> bool:
        self.context.check()
        raw = self._encode(job)
        admitted = await self._admission.admit(job, at, delay)
        if admitted is None:
            return False
        entry = DelayedJobEntry(at if delay is None else None, job.queue, raw, admitted.guards, delay=delay)
        (result,) = await self._admission.store(self.context.backend.schedule, ((admitted, entry),))
        if result == ScheduleResult.ALREADY_DELAYED and not suppress:
            raise _already_scheduled(job, entry)
        return result in {ScheduleResult.DELAYED, ScheduleResult.QUEUED}

    async def _push_all(self, ready: Iterator[tuple[Job, str]]) -> int:
        stored = processed = 0
        problems: dict[int, str] = {}
        first_error: BackendError | None = None
        while chunk := list(islice(ready, _CHUNK)):
            try:
                stored += await self._push_chunk(chunk, processed, problems)
            except (BackendRefused, PartlyRefused) as error:
                # Continue: an error of one queue must not keep the jobs of other queues from being stored.
                first_error = first_error or error
                stored += sum(map(bool, getattr(error, "answers", ())))
            processed += len(chunk)
        if first_error is None:
            return stored
        if not stored:
            raise first_error
        text = (
            f"{len(problems)} of {processed} jobs could not be stored, {stored} were stored: "
            f"{next(iter(problems.values()))}"
        )
        raise PartlyRefused(text, problems) from first_error

    async def _push_chunk(self, chunk: list[tuple[Job, str]], first: int, problems: dict[int, str]) -> int:
        """Store jobs in one step, and record in *problems* those that cannot be stored, by position from *first*."""
        ready: list[tuple[Admitted, Entry]] = []
        positions: list[int] = []
        for position, (job, raw) in enumerate(chunk, first):
            admitted = await self._admission.admit(job)
            if admitted is not None:
                ready.append((admitted, Entry(job.queue, raw, guards=admitted.guards)))
                positions.append(position)
        try:
            answers = await self._admission.store(self.backend.push, ready) if ready else ()
        except BackendRefused as error:
            problems.update(dict.fromkeys(positions, str(error)))
            raise
        except PartlyRefused as error:
            problems.update((positions[index], reason) for index, reason in error.problems.items())
            raise
        return sum(map(bool, answers))


def _already_scheduled(job: Job, entry: DelayedJobEntry) -> AlreadyScheduled:
    if entry.at is None:
        when = f"the same second, {entry.delay:g} s from now"
    else:
        when = time_text(to_datetime(math.ceil(entry.at)), separator="T")
    return AlreadyScheduled(
        f"a job of {job.name!r} with the same arguments is already delayed to {when}; "
        "pass suppress_duplicate=True to return False instead"
    )
