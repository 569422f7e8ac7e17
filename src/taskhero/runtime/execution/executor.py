"""Perform one job, from its claim to its disposition."""

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
from taskhero.runtime.execution.context import Running, running_job, task_logger
from taskhero.runtime.execution.failure_report import describe, task_lines
from taskhero.runtime.execution.invoker import CLEANUP, Invoker
from taskhero.wire.failures import encode_failure, encode_last_error
from taskhero.wire.jobs import decode_job, has_one_spelling, rescue_count, unmark
from taskhero.wire.splicing import keep_queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskhero.backends.protocol import Claim, Disposition, NextRun
    from taskhero.clock import Clock
    from taskhero.engine.task.signature import BoundArguments
    from taskhero.engine.task.task import Task
    from taskhero.events import Emitter
    from taskhero.hooks.scope import HookScope
    from taskhero.models import Job, Outcome
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.execution.processes import ProcessPool
    from taskhero.runtime.execution.threads import ThreadPool

__all__ = ["Executor", "JobResult", "Tasks"]

_SUCCEEDED: Final = Succeeded()
_REFUSED: Final = RefusedByPlugin()


class Tasks(Protocol):
    """The part of the app's tasks that the executor needs."""

    @property
    def by_name(self) -> Mapping[str, Task[Any, Any]]:
        """The tasks by their names."""
        ...

    def scope_of(self, name: str) -> HookScope:
        """Return the hooks around jobs of this name, also if there is no such task."""
        ...

    def suggestion(self, name: str) -> str:
        """Return names of tasks that are similar to *name*, as the end of a sentence."""
        ...


@attrs.frozen
class JobResult:
    """The result of a job.

    Attributes:
        job: The job.
        outcome: How it ended, as the plugins decided.
        disposition: The same for the backend.
        busy: Done when the remainder of the job has ended, so that its slot stays occupied until then. A remainder is a
            thread after its timeout, or a task that ignores its cancellation. None if nothing remains.
        next_run: The next run, if its task has a frequency.
    """

    job: Job
    outcome: Outcome
    disposition: Disposition
    busy: asyncio.Future[Any] | None = None
    next_run: NextRun | None = None


class Executor:
    """Performs jobs: finds the task, calls the hooks and the function, and returns the disposition.

    It emits `WorkerJob` when a job starts. The events of its end are emitted when its settlement is recorded.

    Args:
        tasks: The app's tasks.
        emitter: Receives the events.
        app: The app that `current` returns.
        threads: Runs tasks that are not async.
        processes: Runs tasks with ``run_in="process"``.
        preparation: Acquires what plugins say that jobs need.
        rescue_limit: Number of crashes in exclusive runs after which a job fails without being run.
        clock: The time in failed entries; the system clock if none is given.
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
        # Running jobs by task processor.
        self._running: dict[str, Running] = {}

    def cancel(self, running: asyncio.Task[Any], worker: str) -> None:
        """Stop the job of *worker* at once. *running* is the asyncio task that awaits `perform`.

        An async function is cancelled. It may clean up, or ignore the cancellation: call this again then. A child
        process is killed. A thread continues. `perform` raises `CancelledError`, unless the function succeeds. Without
        this call, a `CancelledError` from a function is a failure.
        """
        job = self._running.get(worker)
        if job is not None:
            job.cancelled = True
        self._invoker.cancel(running)

    def fail(self, running: asyncio.Task[Any], worker: str, error: Exception) -> bool:
        """Stop the job of *worker* at once, as `cancel` does, so that it fails with *error*.

        Plugins decide whether it is retried, as after any failure. An async function may clean up, as after its
        timeout. If it continues, `perform` does not return: await `abandon` after this call.

        Returns:
            Whether the job will fail so. False if its function has not started or has ended, or if it was stopped
            before.
        """
        job = self._running.get(worker)
        if job is None or job.cancelled or job.decided:
            return False
        job.cancelled = True
        self._invoker.fail(running, error)
        return True

    async def abandon(self, running: asyncio.Task[Any], worker: str, claim: Claim) -> JobResult | None:
        """Wait briefly for a job after `fail`, and end it without its function if that ignores the cancellation.

        Run it in its own asyncio task, as `perform`.

        Returns:
            None if `perform` returns how the job ended. Otherwise its result; `perform` then raises `CancelledError`
            when the function ends.
        """
        await asyncio.wait({running}, timeout=CLEANUP)
        job, error = self._running.get(worker), self._invoker.reason(running)
        task = None if job is None else self._tasks.by_name.get(job.job.name)
        if job is None or task is None or error is None or job.decided:
            return None
        if not job.preparing and (task.run_in != "loop" or task.timeout is not None):
            # A thread or child process that continues does not keep `perform` from returning.
            return None
        job.abandoned = True
        error.add_note("\n".join(["Its task ignores the cancellation. It waits at:", *task_lines(running)]))
        outcome: Outcome = Failure(error, perf_counter() - job.begun)
        running_job.set(job)
        if task.scope.performs:
            outcome = await self._after(task, job.job, _context(job), outcome)
        disposition = self._disposition(claim, job.worker, outcome)
        return JobResult(job.job, outcome, disposition, running, next_run_of(task, job.job))

    async def perform(self, claim: Claim, worker: str) -> JobResult:
        """Perform the claimed job, as the task processor *worker*.

        Run each job in its own asyncio task, so that its context, with `current`, ends with the job.

        Returns:
            How the job ended, also if the job, the task or a plugin is faulty.

        Raises:
            asyncio.CancelledError: The job is to be released: after `cancel`, or since it must not run here.
        """
        job = decode_job(claim.raw, claim.queue)
        if self._emitter.wants(WorkerJob):
            self._emitter.emit(WorkerJob(worker, claim.queue, job))
        attempt = 1
        task: Task[Any, Any] | None = None
        try:
            task = self._tasks.by_name.get(job.name)
            scope = self._tasks.scope_of(job.name) if task is None else task.scope
            if scope.prepares and job.problem is None:
                outcome_without_run, attempt = await self._preparation.prepare(claim, job, scope)
                if outcome_without_run is not None:
                    # An equal job runs: the next run follows that one.
                    return JobResult(job, outcome_without_run, self._disposition(claim, worker, outcome_without_run))
            if task is None or job.problem is not None:
                raise self._not_found(job)
            if rescue_count(claim.raw) is not None:
                self._check_rescues(claim.raw)
            bound = task.signature.bind(job.args)
        except Exception as error:  # noqa: BLE001 -- any error is a failure of this job
            failure = Failure(error)
            return JobResult(job, failure, self._disposition(claim, worker, failure), next_run=next_run_of(task, job))
        running = self._running[worker] = Running(job, worker, self._app, attempt)
        running_job.set(running)
        try:
            if task.scope.performs:
                outcome, busy = await self._call_with_hooks(task, running, bound)
            else:
                outcome, busy = await self._invoker.call(task, running, bound)
        finally:
            self._running.pop(worker, None)
        if running.abandoned:
            raise asyncio.CancelledError
        disposition = _SUCCEEDED if type(outcome) is Success else self._disposition(claim, worker, outcome)
        if task.recurrence is None:
            return JobResult(job, outcome, disposition, busy)
        return JobResult(job, outcome, disposition, busy, next_run_of(task, job))

    # the steps in order

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
                f"the process died {count} times while it ran only this job (rescue_limit={self._rescue_limit}), so "
                "the job is not run again: fix what kills the process, and then retry the job"
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
                # A plugin ignored its cancellation.
                outcome = self._invoker.failed(reason, running.begun)
        except BaseException as error:  # noqa: BLE001 -- as in Invoker.call
            outcome = self._invoker.failed(error, running.begun)
        if outcome is None:
            running.preparing = False
            outcome, busy = await self._invoker.call(task, running, bound)
        running.decided = True
        if not running.abandoned and not isinstance(outcome, (Refused, Postponed)):
            outcome = await self._after(task, job, ctx, outcome)
        return outcome, busy

    async def _after(self, task: Task[Any, Any], job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome:
        """Let the plugins see how a performed job ended, and change it."""
        started = perf_counter()
        try:
            return await task.scope.after_perform(job, ctx, outcome)
        except BaseException as error:
            if self._invoker.is_cancelled():
                return outcome  # the job has ended, so it is not released
            failure = self._invoker.failed(error, started)
            if not isinstance(outcome, Failure):
                return failure
            # The task's error says more, so a plugin's error must not hide it.
            ctx.logger.error("A plugin failed after the task did", exc_info=error)
            return outcome

    def _disposition(self, claim: Claim, worker: str, outcome: Outcome) -> Disposition:
        if isinstance(outcome, Success):
            return _SUCCEEDED
        if isinstance(outcome, (Refused, Postponed)):
            return (
                _REFUSED
                if isinstance(outcome, Refused)
                else PostponedByPlugin(outcome.delay, *self._delayed_payload(claim, claim.raw))
            )
        description, now = describe(outcome.error), self._clock.now()
        entry = encode_failure(description, raw=claim.raw, queue=claim.queue, worker=worker, failed_at=now)
        if isinstance(outcome, Failure):
            return Failed(entry)
        last_error = None
        if outcome.last_error_key:
            text = encode_last_error(description, raw=claim.raw, queue=claim.queue, failed_at=now)
            last_error = (outcome.last_error_key, text)
        delays = tuple(outcome.delays)
        return Retried(
            entry, outcome.counter, outcome.limit, delays, last_error, *self._delayed_payload(claim, unmark(claim.raw))
        )

    def _delayed_payload(self, claim: Claim, raw: str) -> tuple[str | None, str | None]:
        """Return the payload to delay if it is not *raw*, and its meaning if a guard does not know this payload."""
        job, payload, meaning = decode_job(raw, claim.queue), keep_queue(raw, claim.queue), None
        try:
            guards = self._tasks.scope_of(job.name).guards(job)
        except Exception:  # noqa: BLE001 - a faulty plugin must not lose the settlement
            guards = ()
        for guard in guards:
            if isinstance(guard, NotDelayed) and not (
                payload in guard.equivalent_payloads and has_one_spelling(job.args)
            ):
                meaning = guard.meaning
        return None if payload == raw else payload, meaning


def _context(running: Running) -> PerformContext:
    """Return the context that hooks receive for a running job."""
    job, worker = running.job, running.worker
    return PerformContext(worker=worker, queue=job.queue, logger=task_logger(job, worker), attempt=running.attempt)
