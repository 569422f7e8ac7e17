"""Call a task's function within its timeout: on the event loop, in a thread, or in a child process."""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from taskhero.models import Failure, Success
from taskhero.runtime.execution.failure_report import strip, timed_out
from taskhero.runtime.execution.forks import fork_count, leave_if_forked
from taskhero.runtime.execution.returned_values import result_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskhero.engine.task.signature import BoundArguments
    from taskhero.engine.task.task import Task
    from taskhero.runtime.execution.context import Running
    from taskhero.runtime.execution.processes import ProcessPool
    from taskhero.runtime.execution.threads import ThreadPool

__all__ = ["InvocationResult", "Invoker"]

#: How a call ended, and a future that is done when its remainder has ended (None without a remainder).
InvocationResult: TypeAlias = "tuple[Success | Failure, asyncio.Future[Any] | None]"

#: Seconds that an async function gets to clean up after a failure from outside, before the job ends without it.
CLEANUP: Final = 0.25


class Invoker:
    """Calls functions and turns everything they do into a `Success` or a `Failure`.

    Args:
        threads: Runs functions that are not async.
        processes: Runs functions of tasks with ``run_in="process"``.
    """

    def __init__(self, threads: ThreadPool, processes: ProcessPool) -> None:
        self._threads = threads
        self._processes = processes
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._failing: dict[asyncio.Task[Any], Exception] = {}

    def cancel(self, running: asyncio.Task[Any]) -> None:
        """Cancel the asyncio task that awaits `call`, and record it to distinguish it from other cancellations."""
        if not running.done():
            self._cancelled.add(running)
            running.add_done_callback(self._cancelled.discard)
            running.cancel()

    def fail(self, running: asyncio.Task[Any], error: Exception) -> None:
        """Cancel the asyncio task that awaits `call`, so that the call ends as a `Failure` with *error*."""
        if not running.done():
            self._failing[running] = error
            running.add_done_callback(lambda _: self._failing.pop(running, None))
            running.cancel()

    def is_cancelled(self) -> bool:
        """Return whether `cancel` cancelled the current asyncio task."""
        return bool(self._cancelled) and asyncio.current_task() in self._cancelled

    def reason(self, running: asyncio.Task[Any] | None = None) -> Exception | None:
        """Return the error that `fail` set for an asyncio task (by default the current one), or None."""
        if not self._failing:
            return None
        task = asyncio.current_task() if running is None else running
        return None if task is None else self._failing.get(task)

    def failed(self, error: BaseException, begun: float) -> Failure:
        """Return the failure for a caught error.

        Raises:
            asyncio.CancelledError: `cancel` cancelled the current asyncio task.
            GeneratorExit: The interpreter discards its coroutine.
        """
        duration = perf_counter() - begun
        if self.is_cancelled():
            raise asyncio.CancelledError from error
        if isinstance(error, GeneratorExit) and _raised_in_own_frame(error):
            raise error
        # No cancellation, by `fail` or by the function, must affect the code after the function.
        reason = self._take_failure() if self._failing or isinstance(error, asyncio.CancelledError) else None
        strip(error)
        if reason is not None and error is not reason:
            reason.__cause__ = error  # shows where the task was
            error = reason
        return Failure(error, duration)

    def _take_failure(self) -> Exception | None:
        """Undo all cancellations of the current asyncio task. Return the error of `fail` if that caused one."""
        running = asyncio.current_task()
        while running is not None and running.cancelling():
            running.uncancel()
        return None if running is None else self._failing.pop(running, None)

    async def call(self, task: Task[Any, Any], running: Running, bound: BoundArguments) -> InvocationResult:
        """Call the task's function for a running job.

        Raises:
            asyncio.CancelledError: After `cancel`, unless the function succeeds.
        """
        begun = perf_counter()
        try:
            if task.run_in == "thread":
                return await self._in_thread(task, running, bound, begun)
            if task.run_in == "process":
                return await self._in_process(task, running, bound, begun)
            if task.timeout is not None:
                return await self._with_timeout(task, task.timeout, running, bound, begun)
            args, kwargs = bound
            forks = fork_count()
            try:
                result = await task.function(*args, **kwargs)
            except BaseException as error:
                leave_if_forked(forks, error)
                raise
            leave_if_forked(forks)
            if self._failing and (reason := self.reason()) is not None:
                # The function ignored its cancellation and returned.
                return self.failed(reason, begun), None
        except BaseException as error:  # noqa: BLE001 -- also SystemExit and CancelledError are failures
            return self.failed(error, begun), None
        return self._succeeded(task, result, begun), None

    def _succeeded(self, task: Task[Any, Any], value: Any, begun: float) -> Success | Failure:
        try:
            result = result_of(value, task.name)
        except BaseException as error:  # noqa: BLE001 -- a returned future may hold any error
            strip(error)
            return Failure(error, perf_counter() - begun)
        return Success(result, perf_counter() - begun)

    async def _with_timeout(
        self, task: Task[Any, Any], timeout: float, running: Running, bound: BoundArguments, begun: float
    ) -> InvocationResult:
        name = f"taskhero task {task.name}"
        inner = asyncio.get_running_loop().create_task(_capture(task.function, bound), name=name)
        try:
            failure = await self._wait_for(inner, task.name, timeout)
            if failure is not None:
                running.cancelled = True
                inner.cancel()
                await asyncio.wait({inner}, timeout=CLEANUP)
                failure.__cause__ = _captured_result(inner)[1] if inner.done() else None  # shows where the task was
                return self.failed(failure, begun), None if inner.done() else inner
        except asyncio.CancelledError:
            await _cancel_and_wait(inner)
        result, error = _captured_result(inner)
        return (self._succeeded(task, result, begun) if error is None else self.failed(error, begun)), None

    async def _wait_for(self, inner: asyncio.Task[Any], name: str, timeout: float) -> Exception | None:
        """Wait for *inner*. Return the error of its job if it does not end in time, or before `fail`.

        Raises:
            asyncio.CancelledError: After `cancel`.
        """
        try:
            await asyncio.wait({inner}, timeout=timeout)
        except asyncio.CancelledError:
            if self.is_cancelled() or self.reason() is None:
                raise
            reason = self._take_failure()
            return None if inner.done() else reason
        return None if inner.done() else timed_out(name, timeout)

    async def _in_thread(
        self, task: Task[Any, Any], running: Running, bound: BoundArguments, begun: float
    ) -> InvocationResult:
        call = self._threads.start(task.function, *bound)
        failure: Exception | None = None
        try:
            if task.timeout is None:
                await call.future
            else:
                await asyncio.wait({call.future}, timeout=task.timeout)
                failure = None if call.ended else timed_out(task.name, task.timeout)
        except BaseException as error:  # noqa: BLE001 -- as in call
            if not call.ended and (self.is_cancelled() or self.reason() is None):
                running.cancelled = True
                return self.failed(error, begun), call.remainder()
            reason = self._take_failure()
            failure = None if call.ended else reason
        if failure is not None:
            running.cancelled = True
            stack = call.stack()
            failure.add_note(
                "\n".join(["Its thread continues. It is at:" if stack else "Its thread continues.", *stack])
            )
            return Failure(failure, perf_counter() - begun), call.remainder()
        if call.error is not None:
            return self.failed(call.error, begun), None
        return self._succeeded(task, call.value, begun), None

    async def _in_process(
        self, task: Task[Any, Any], running: Running, bound: BoundArguments, begun: float
    ) -> InvocationResult:
        call = self._processes.start(task, running, bound)
        try:
            await call.future
        except BaseException as error:  # noqa: BLE001 -- as in call
            if call.future.cancelled():
                call.kill()
                return self.failed(error, begun), None
            self._take_failure()
        if call.error is not None:
            return self.failed(call.error, begun), None
        return Success(call.value, perf_counter() - begun), None


async def _capture(function: Callable[..., Awaitable[Any]], bound: BoundArguments) -> tuple[Any, BaseException | None]:
    """Return the result and the error of *function*: a SystemExit in an asyncio task would end the event loop."""
    args, kwargs = bound
    forks = fork_count()
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        leave_if_forked(forks, error)
        if isinstance(error, GeneratorExit) and _raised_in_own_frame(error):
            raise
        return None, error
    leave_if_forked(forks)
    return result, None


async def _cancel_and_wait(inner: asyncio.Task[Any]) -> None:
    """Cancel *inner*, and again whenever this call is cancelled, until it has ended."""
    while not inner.done():
        inner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({inner})


def _captured_result(inner: asyncio.Task[tuple[Any, BaseException | None]]) -> tuple[Any, BaseException | None]:
    # A task that is cancelled before its first step never runs.
    return (None, asyncio.CancelledError()) if inner.cancelled() else inner.result()


def _raised_in_own_frame(error: BaseException) -> bool:
    """Return whether the exception was raised in the frame that caught it, not in a called function."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None
