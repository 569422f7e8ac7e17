"""Enqueueing by name, and all else that programs ask of ``app.queue``."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.backends.protocol import DelayedJobEntry, Entry, ScheduleResult
from taskhero.engine.queue.base import QueueContext
from taskhero.engine.queue.delayed import DelayedJobs
from taskhero.engine.queue.periodic import PeriodicAdmin
from taskhero.engine.queue.workers import WorkerAdmin
from taskhero.engine.task.signature import wire_args
from taskhero.engine.time.instants import delay_of, due_time_after, instant_of, to_datetime
from taskhero.errors import AlreadyScheduled, BackendRefused, InvalidArguments, PartlyRefused, UnknownTask
from taskhero.hooks.contexts import EnqueueContext
from taskhero.models import Job
from taskhero.wire.jobs import check_queue_name, encode_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from taskhero.backends.protocol import Guard
    from taskhero.errors import BackendError
    from taskhero.hooks.scope import HookScope

__all__ = ["Queue", "QueueContext"]

#: How many jobs `Queue.enqueue_many` hands to the backend at once.
_CHUNK = 1000


class Queue(PeriodicAdmin, DelayedJobs, WorkerAdmin):
    """Where an app's jobs are put, looked at and mended, as ``app.queue``.

    To add to it, derive from it and give the class to the app, ``TaskHero(queue=MyQueue)``; build on `job` and `push`,
    of which all enqueueing is made. An ``__init__`` of your own takes the one argument and passes it on.

    Args:
        context: What it works with.

    Attributes:
        context: What it works with.
    """

    # --- now

    async def enqueue(self, name: str, args: object = (), queue: str | None = None) -> bool:
        """Store a job by its task's name; it is worked as soon as a processor is free.

        Args:
            name: The task's name.
            args: A mapping is one object, a list or tuple the list of arguments, anything else a list of one.
            queue: The queue; the task's own if none is given.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            UnknownTask: This app declares no such task, and no queue is given.
            TypeError: The task is declared here, and the arguments do not fit it.
            InvalidArguments: An argument cannot be written as JSON.
            InvalidQueueName: A queue cannot have this name.
            NotConnected: The app is not connected.
            BackendError: The job was not stored, or (`ReplyLost`) may or may not have been.
        """
        return await self.push(self.job(name, args, queue))

    async def enqueue_many(self, jobs: Iterable[Job]) -> int:
        """Store many jobs with few round trips: ``enqueue_many(add.job(n, n) for n in range(10_000))``.

        Of a list or tuple, all jobs are looked at before the first is stored. Any other iterable is taken in pieces, so
        that what comes before a job that cannot be written is stored.

        Returns:
            How many were stored; the others were refused by plugins.

        Raises:
            TypeError: What is given are no jobs.
            PartlyRefused: The store cannot take some of them, such as those of a queue whose key is of a wrong type.
                All others are stored; its `problems` says which are not, and why.
            InvalidArguments, NotConnected, BackendError: As for `enqueue`.
        """
        if isinstance(jobs, (list, tuple)):
            ready = iter([(job, _encode(job)) for job in jobs])
        else:
            ready = ((job, _encode(job)) for job in jobs)
        return await self._push_all(ready)

    def job(self, name: str, args: object = (), queue: str | None = None) -> Job:
        """The job that `enqueue` would store; nothing is stored.

        Raises:
            UnknownTask, TypeError, InvalidQueueName: As for `enqueue`.
        """
        if not isinstance(name, str):
            raise TypeError(f"{name!r} is no task's name: pass a str, or use the task's own methods")
        task = self.context.tasks.get(name)
        meant = wire_args(args)
        if task is not None:
            return Job(name, task.signature.checked(meant), task.queue if queue is None else check_queue_name(queue))
        if queue is None:
            raise UnknownTask(
                f"this app declares no task {name!r}{self.context.tasks.suggestion(name)}; "
                "if another program works it, say in which queue"
            )
        return Job(name, meant, check_queue_name(queue))

    async def push(self, job: Job, *, front: bool = False) -> bool:
        """Store a job, with the hooks around it; all of `enqueue` but making the job.

        Args:
            job: The job; its text is written anew.
            front: Put it before all others of its queue.

        Returns:
            True if it was stored, False if a plugin refused it.
        """
        backend = self.backend
        raw = _encode(job)
        scope = self.context.tasks.scope_of(job.name)
        if not scope.enqueues:
            if scope.alike is not None:
                await self._resume(job)
            return (await backend.push((Entry(job.queue, raw, front),)))[0]
        context = self._around(job)
        if not await scope.before_enqueue(job, context):
            return False
        if scope.alike is not None:
            await self._resume(job)
        stored = (await backend.push((Entry(job.queue, raw, front, scope.guards(job)),)))[0]
        if stored:
            await scope.after_enqueue(job, context)
        return stored

    # --- later

    async def enqueue_at(
        self,
        when: datetime | float,
        name: str,
        args: object = (),
        queue: str | None = None,
        *,
        suppress_duplicate: bool = False,
    ) -> bool:
        """Store a job until a moment; it never starts earlier. One that is not in the future is enqueued at once.

        Args:
            when: An aware datetime, or unix seconds.
            name: The task's name.
            args: As for `enqueue`.
            queue: As for `enqueue`.
            suppress_duplicate: Return False, rather than raise, if an equal job is delayed to the same second.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            InvalidMoment: *when* can only be a mistake.
            AlreadyScheduled: An equal job is delayed to the same second already.
            UnknownTask, TypeError, InvalidArguments, InvalidQueueName, NotConnected, BackendError: As for `enqueue`.
        """
        return await self.push_at(when, self.job(name, args, queue), suppress_duplicate=suppress_duplicate)

    async def enqueue_in(
        self,
        delay: timedelta | float,
        name: str,
        args: object = (),
        queue: str | None = None,
        *,
        suppress_duplicate: bool = False,
    ) -> bool:
        """Store a job for a while; it never starts earlier. The store's own clock counts the delay.

        Args:
            delay: A timedelta, or seconds.
            name: The task's name.
            args: As for `enqueue`.
            queue: As for `enqueue`.
            suppress_duplicate: As for `enqueue_at`.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            InvalidMoment: *delay* can only be a mistake.
            AlreadyScheduled: An equal job is delayed to the same second already.
            UnknownTask, TypeError, InvalidArguments, InvalidQueueName, NotConnected, BackendError: As for `enqueue`.
        """
        return await self.push_in(delay, self.job(name, args, queue), suppress_duplicate=suppress_duplicate)

    async def push_at(self, when: datetime | float, job: Job, *, suppress_duplicate: bool = False) -> bool:
        """Store a job until a moment; all of `enqueue_at` but making the job."""
        return await self._schedule(job, instant_of(when), suppress=suppress_duplicate)

    async def push_in(self, delay: timedelta | float, job: Job, *, suppress_duplicate: bool = False) -> bool:
        """Store a job for a while; all of `enqueue_in` but making the job."""
        seconds = delay_of(delay, instead="enqueue_at takes a moment, and one that has passed means now")
        # An estimate, for hooks: the due time is counted by the store's clock, in the step that stores the job.
        at = due_time_after(seconds, self.context.clock.now())
        return await self._schedule(job, at, seconds, suppress=suppress_duplicate)

    # --- how

    async def _schedule(self, job: Job, at: float, delay: float | None = None, *, suppress: bool) -> bool:
        backend = self.backend
        entry = DelayedJobEntry(at if delay is None else None, job.queue, _encode(job), delay=delay)
        scope = self.context.tasks.scope_of(job.name)
        if not scope.enqueues:
            if scope.alike is not None:
                await self._resume(job)
            (became,) = await backend.schedule((entry,))
            return _was_stored(became, entry, job, suppress=suppress)
        context = self._around(job, at, delay)
        if not await scope.before_enqueue(job, context):
            return False
        if scope.alike is not None:
            await self._resume(job)
        (became,) = await backend.schedule((attrs.evolve(entry, guards=scope.guards(job)),))
        stored = _was_stored(became, entry, job, suppress=suppress)
        if stored:
            await scope.after_enqueue(job, context)
        return stored

    async def _push_all(self, ready: Iterator[tuple[Job, str]]) -> int:
        stored = looked = 0
        problems: dict[int, str] = {}
        refused: BackendError | None = None
        while chunk := list(islice(ready, _CHUNK)):
            try:
                stored += await self._push_chunk(chunk, looked, problems)
            except (BackendRefused, PartlyRefused) as error:
                # The jobs of other queues follow all the same.
                refused = refused or error
                stored += sum(map(bool, getattr(error, "answers", ())))
            looked += len(chunk)
        if refused is None:
            return stored
        if not stored:
            raise refused
        text = f"{len(problems)} of {looked} jobs could not be stored, {stored} were: {next(iter(problems.values()))}"
        raise PartlyRefused(text, problems) from refused

    async def _push_chunk(self, chunk: list[tuple[Job, str]], first: int, problems: dict[int, str]) -> int:
        """Store jobs in one step; note in *problems*, by their number from *first* on, those that cannot be stored."""
        entries: list[Entry] = []
        places: list[int] = []
        hooked: list[tuple[int, HookScope, Job, EnqueueContext]] = []
        periodic: list[Job] = []
        for place, (job, raw) in enumerate(chunk, first):
            scope = self.context.tasks.scope_of(job.name)
            if scope.alike is not None:
                periodic.append(job)
            guards: tuple[Guard, ...] = ()
            if scope.enqueues:
                context = self._around(job)
                if not await scope.before_enqueue(job, context):
                    continue
                hooked.append((len(entries), scope, job, context))
                guards = scope.guards(job)
            places.append(place)
            entries.append(Entry(job.queue, raw, guards=guards))
        if periodic:
            await self._resume(*periodic)
        answers: Sequence[bool | str | None] = ()
        try:
            answers = await self.backend.push(entries) if entries else ()
        except BackendRefused as error:
            problems.update(dict.fromkeys(places, str(error)))
            raise
        except PartlyRefused as error:
            problems.update((places[place], reason) for place, reason in error.problems.items())
            answers = error.answers
            raise
        finally:
            for place, scope, job, context in hooked:
                if answers and answers[place]:
                    await scope.after_enqueue(job, context)
        return sum(map(bool, answers))

    def _around(self, job: Job, at: float | None = None, delay: float | None = None) -> EnqueueContext:
        later = at is not None and at > self.context.clock.now()
        return EnqueueContext(
            task_name=job.name,
            queue=job.queue,
            at=to_datetime(math.ceil(at)) if at is not None and later else None,
            logger=self.context.logger,
            delay=delay,
        )


def _encode(job: Any) -> str:
    if not isinstance(job, Job):
        raise TypeError(f"{job!r} is no job: make one with task.job(...) or queue.job(name, args, queue)")
    if job.problem is not None:
        raise InvalidArguments(f"this entry cannot be enqueued, since it cannot be read: {job.problem}")
    return encode_job(job.name, job.args, job.queue)


def _was_stored(became: str, entry: DelayedJobEntry, job: Job, *, suppress: bool) -> bool:
    if became == ScheduleResult.ALREADY_DELAYED and not suppress:
        if entry.at is None:
            when = f"the same second, {entry.delay:g} s from now, already"
        else:
            when = f"{to_datetime(math.ceil(entry.at)).isoformat()} already"
        raise AlreadyScheduled(
            f"a job of {job.name!r} with the same arguments is delayed to {when}; "
            "with suppress_duplicate=True this returns False"
        )
    return became in {ScheduleResult.DELAYED, ScheduleResult.QUEUED}
