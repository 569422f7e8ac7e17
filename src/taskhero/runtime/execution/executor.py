"""One job, from its claim to how it is settled."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from taskhero.backends.protocol import Failed, NotDelayed, PostponedByPlugin, RefusedByPlugin, Retried, Succeeded
from taskhero.clock import SystemClock
from taskhero.engine.queue.periodic import next_run_of
from taskhero.errors import KilledItsProcess, NoSuchTask, Undecodable
from taskhero.events import WorkerJob
from taskhero.hooks.contexts import PerformContext
from taskhero.models import Failure, Postponed, Refused, Success
from taskhero.runtime.execution.context import Running, enter, leave, task_logger
from taskhero.runtime.execution.failure_report import describe, task_lines
from taskhero.runtime.execution.invoker import CLEANUP, Invoker
from taskhero.wire.failures import encode_failure, encode_last_error
from taskhero.wire.jobs import decode_job, has_one_spelling, rescue_count, unmark
from taskhero.wire.splicing import keep_queue

if TYPE_CHECKING:
    from taskhero.backends.protocol import Claim, Disposition, NextRun
    from taskhero.clock import Clock
    from taskhero.engine.task.task import Task
    from taskhero.events import Emitter
    from taskhero.hooks.scope import HookScope
    from taskhero.models import Job, Outcome
    from taskhero.runtime.execution.invoker import BoundArguments
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.execution.processes import ProcessPool
    from taskhero.runtime.execution.threads import ThreadPool

__all__ = ["Executor", "JobResult", "Tasks"]

_SUCCEEDED: Final = Succeeded()
_REFUSED: Final = RefusedByPlugin()


class Tasks(Protocol):
    """What the executor needs of the app's tasks."""

    def get(self, name: str) -> Task[Any, Any] | None:
        """The task of this name, or None."""
        ...

    def scope_of(self, name: str) -> HookScope:
        """The hooks around jobs of this name, whether there is such a task or not."""
        ...

    def suggestion(self, name: str) -> str:
        """Which tasks one may have meant by *name*, as the end of a sentence."""
        ...


@attrs.frozen
class JobResult:
    """A job that has been performed, or will not be.

    Attributes:
        job: The job.
        outcome: How it ended, as the plugins decided.
        disposition: The same as the backend is told.
        busy: Done when what still runs of the job (a thread after its timeout, a task that ignores that it was
            cancelled) has ended, so that the slot is taken until then; None if nothing does.
        next_run: The next run, if the job is that of a task with a frequency.
    """

    job: Job
    outcome: Outcome
    disposition: Disposition
    busy: asyncio.Future[Any] | None = None
    next_run: NextRun | None = None


class Executor:
    """Performs jobs: it finds the task, asks the plugins, calls the function and says how the job is to be settled.

    It tells `WorkerJob` when a job begins. How it ended is told by whoever settles it, when that is done.

    Args:
        tasks: The app's tasks.
        emitter: Who is told.
        app: What `current` gives as the app.
        threads: Where tasks that are not async run.
        processes: Where tasks with ``run_in="process"`` run.
        preparation: Gives jobs what plugins say that they need.
        rescue_limit: How often a job may bring down its process before it is failed instead of run.
        clock: What time it is in failed entries; the machine's own clock if none is given.
    """

    def __init__(
        self,
        tasks: Tasks,
        emitter: Emitter,
        app: Any,
        threads: ThreadPool,
        processes: ProcessPool,
        *,
        preparation: RunPreparation,
        rescue_limit: int,
        clock: Clock | None = None,
    ) -> None:
        self._tasks = tasks
        self._emitter = emitter
        self._app = app
        self._preparation = preparation
        self._invoker = Invoker(threads, processes)
        self._rescue_limit = rescue_limit
        self._clock = clock or SystemClock()
        # What runs, by the task processor.
        self._running: dict[str, Running] = {}

    def cancel(self, running: asyncio.Task[Any], worker: str) -> None:
        """Stop the job of *worker* at once: *running* is the asyncio task in which `perform` is awaited.

        An async function is cancelled and may clean up, or ignore it: call this again then. A process is killed; a
        thread goes on by itself. `perform` raises `CancelledError`, unless the function succeeded all the same. Nothing
        else makes it raise: without this call, a `CancelledError` that comes out of a function is its failure.
        """
        job = self._running.get(worker)
        if job is not None:
            job.cancelled = True
        self._invoker.cancel(running)

    def fail(self, running: asyncio.Task[Any], worker: str, error: Exception) -> bool:
        """Stop the job of *worker* at once, as `cancel` does, so that it fails with *error*.

        Plugins decide whether it is tried again, as after any failure. An async function may clean up, as after its
        timeout. If it goes on all the same, `perform` does not return: await `give_up` after this call.

        Returns:
            Whether the job will fail so: not if its function has not begun or is over, or if it was stopped before.
        """
        job = self._running.get(worker)
        if job is None or job.cancelled or job.decided:
            return False
        job.cancelled = True
        self._invoker.fail(running, error)
        return True

    async def abandon(self, running: asyncio.Task[Any], worker: str, claim: Claim) -> JobResult | None:
        """Wait a moment for a job after `fail`, and end it without its function if that ignores the cancellation.

        Returns:
            None if `perform` returns how the job ended. Otherwise how it ended; then `perform` raises `CancelledError`
            as soon as the function ends.
        """
        await asyncio.wait({running}, timeout=CLEANUP)
        job, error = self._running.get(worker), self._invoker.reason(running)
        task = None if job is None else self._tasks.get(job.job.name)
        if job is None or task is None or error is None or job.decided:
            return None
        if not job.preparing and (task.run_in != "loop" or task.timeout is not None):
            # What goes on does not keep `perform` from returning.
            return None
        job.abandoned = True
        error.add_note("\n".join(["Its task ignores the cancellation, and is here:", *task_lines(running)]))
        outcome: Outcome = Failure(error, perf_counter() - job.begun)
        token = enter(job)
        try:
            if task.scope.performs:
                outcome = await self._after(task, job.job, _context(job), outcome)
        finally:
            leave(token)
        disposition = self._disposition(claim, job.worker, outcome)
        return JobResult(job.job, outcome, disposition, running, next_run_of(task, job.job))

    async def perform(self, claim: Claim, worker: str) -> JobResult:
        """Perform the claimed job, as the task processor *worker*.

        Each job should have an asyncio task of its own, so that context variables that one sets do not reach the next.

        Returns:
            How it ended; whatever the job, the task or a plugin is like.

        Raises:
            asyncio.CancelledError: The job is to be given back: after `cancel`, or since it is not to run here.
        """
        job = decode_job(claim.raw, claim.queue)
        if self._emitter.wants(WorkerJob):
            self._emitter.emit(WorkerJob(worker, claim.queue, job))
        attempt = 1
        task: Task[Any, Any] | None = None
        try:
            task = self._tasks.get(job.name)
            scope = self._tasks.scope_of(job.name) if task is None else task.scope
            if scope.prepares and job.problem is None:
                early, attempt = await self._preparation.prepare(claim, job, scope)
                if early is not None:
                    # Another copy runs: the next run comes after that one.
                    return JobResult(job, early, self._disposition(claim, worker, early))
            if task is None or job.problem is not None:
                raise self._not_found(job)
            if rescue_count(claim.raw) is not None:
                self._check_rescues(claim.raw)
            bound = task.bind(job.args)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is this job's failure
            failure = Failure(error)
            return JobResult(job, failure, self._disposition(claim, worker, failure), next_run=next_run_of(task, job))
        running = self._running[worker] = Running(job, worker, self._app, attempt)
        token = enter(running)
        try:
            if task.scope.performs:
                outcome, busy = await self._call_with_hooks(task, running, bound)
            else:
                outcome, busy = await self._invoker.call(task, job, worker, bound)
        finally:
            self._running.pop(worker, None)
            leave(token)
        if running.abandoned:
            raise asyncio.CancelledError
        disposition = _SUCCEEDED if type(outcome) is Success else self._disposition(claim, worker, outcome)
        if task.recurrence is None:
            return JobResult(job, outcome, disposition, busy)
        return JobResult(job, outcome, disposition, busy, next_run_of(task, job))

    # the steps, in their order

    def _not_found(self, job: Job) -> Undecodable | NoSuchTask:
        if job.problem is not None:
            return Undecodable(f"this entry of queue {job.queue!r} is not a job: {job.problem}")
        return NoSuchTask(
            f"No job defined for class {job.name!r}: declare it in the app that works queue {job.queue!r}, with "
            f"@app.task(name={job.name!r}){self._tasks.suggestion(job.name)}"
        )

    def _check_rescues(self, raw: str) -> None:
        count = rescue_count(raw)
        if count is not None and count >= self._rescue_limit:
            raise KilledItsProcess(
                f"the process died {count} times while it ran this job alone (rescue_limit={self._rescue_limit}), so "
                "it is not run again; retry it when what kills the process is mended"
            )

    async def _call_with_hooks(
        self, task: Task[Any, Any], running: Running, bound: BoundArguments
    ) -> tuple[Outcome, asyncio.Future[Any] | None]:
        ctx, job = _context(running), running.job
        busy: asyncio.Future[Any] | None = None
        running.preparing = True
        try:
            outcome = await task.scope.before_perform(job, ctx)
            reason = self._invoker.reason()
            if reason is not None:
                # A plugin ignored that it was cancelled.
                outcome = self._invoker.failed(reason, running.begun)
        except BaseException as error:  # noqa: BLE001 -- as for the function itself
            outcome = self._invoker.failed(error, running.begun)
        if outcome is None:
            running.preparing = False
            outcome, busy = await self._invoker.call(task, job, running.worker, bound)
        running.decided = True
        if not running.abandoned and not isinstance(outcome, (Refused, Postponed)):
            outcome = await self._after(task, job, ctx, outcome)
        return outcome, busy

    async def _after(self, task: Task[Any, Any], job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome:
        """Let the plugins see, and decide, how a job ended that was performed."""
        begun = perf_counter()
        try:
            return await task.scope.after_perform(job, ctx, outcome)
        except BaseException as error:
            if self._invoker.is_cancelled():
                return outcome  # it is done, so it is not given back
            failure = self._invoker.failed(error, begun)
            if not isinstance(outcome, Failure):
                return failure
            # What the task raised tells more; a plugin's own error must not hide it.
            ctx.logger.error("A plugin failed after the task did", exc_info=error)
            return outcome

    def _disposition(self, claim: Claim, worker: str, outcome: Outcome) -> Disposition:
        if isinstance(outcome, Success):
            return _SUCCEEDED
        if isinstance(outcome, (Refused, Postponed)):
            return (
                _REFUSED
                if isinstance(outcome, Refused)
                else PostponedByPlugin(outcome.delay, *self._spelling(claim, claim.raw))
            )
        words, now = describe(outcome.error), self._clock.now()
        entry = encode_failure(
            raw=claim.raw,
            queue=claim.queue,
            worker=worker,
            exception=words.exception,
            error=words.error,
            backtrace=words.backtrace,
            failed_at=now,
        )
        if isinstance(outcome, Failure):
            return Failed(entry)
        trace = None
        if outcome.trace:
            text = encode_last_error(
                raw=claim.raw,
                queue=claim.queue,
                exception=words.exception,
                error=words.error,
                backtrace=words.backtrace,
                failed_at=now,
            )
            trace = (outcome.trace, text)
        delays = tuple(outcome.delays)
        return Retried(entry, outcome.counter, outcome.limit, delays, trace, *self._spelling(claim, unmark(claim.raw)))

    def _spelling(self, claim: Claim, raw: str) -> tuple[str | None, str | None]:
        """Return the text to delay if it is not *raw*, and its meaning if not every guard knows its spelling."""
        job, text, meaning = decode_job(raw, claim.queue), keep_queue(raw, claim.queue), None
        try:
            guards = self._tasks.scope_of(job.name).guards(job)
        except Exception:  # noqa: BLE001 - a plugin that cannot tell its guards must not lose the ending
            guards = ()
        for guard in guards:
            if isinstance(guard, NotDelayed) and not (text in guard.equivalent_payloads and has_one_spelling(job.args)):
                meaning = guard.meaning
        return None if text == raw else text, meaning


def _context(running: Running) -> PerformContext:
    """Return the context that hooks get for a job that runs."""
    job, worker = running.job, running.worker
    return PerformContext(worker=worker, queue=job.queue, logger=task_logger(job, worker), attempt=running.attempt)
