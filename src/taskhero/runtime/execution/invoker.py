"""Calling a task's function: on the loop, in a thread or in a process, within its timeout."""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from taskhero.models import Failure, Success
from taskhero.runtime.execution.context import mark_cancelled
from taskhero.runtime.execution.failure_report import strip, timed_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskhero.engine.task.task import Task
    from taskhero.models import Job
    from taskhero.runtime.execution.processes import ProcessPool
    from taskhero.runtime.execution.threads import ThreadPool

__all__ = ["BoundArguments", "InvocationResult", "Invoker"]

#: The arguments with which to call a function.
BoundArguments: TypeAlias = "tuple[list[Any], dict[str, Any]]"

#: How a call ended, and what is done when what still runs of it has ended.
InvocationResult: TypeAlias = "tuple[Success | Failure, asyncio.Future[Any] | None]"

#: Seconds that an async function gets to clean up when its job fails from outside, before that is settled without it.
CLEANUP: Final = 0.25


class Invoker:
    """Calls functions so that whatever they do becomes a `Success` or a `Failure`.

    Args:
        threads: Where functions that are not async run.
        processes: Where those run that are to be killable.
    """

    def __init__(self, threads: ThreadPool, processes: ProcessPool) -> None:
        self._threads = threads
        self._processes = processes
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._failing: dict[asyncio.Task[Any], Exception] = {}

    def cancel(self, running: asyncio.Task[Any]) -> None:
        """Cancel the asyncio task in which `call` is awaited, in a way that is told from a function's own doing."""
        if not running.done():
            self._cancelled.add(running)
            running.add_done_callback(self._cancelled.discard)
            running.cancel()

    def fail(self, running: asyncio.Task[Any], error: Exception) -> None:
        """Cancel the asyncio task in which `call` is awaited, so that the call ends as a `Failure` with *error*."""
        if not running.done():
            self._failing[running] = error
            running.add_done_callback(lambda _: self._failing.pop(running, None))
            running.cancel()

    def is_cancelled(self) -> bool:
        """Whether the running asyncio task was cancelled by `cancel`."""
        return bool(self._cancelled) and asyncio.current_task() in self._cancelled

    def reason(self, running: asyncio.Task[Any] | None = None) -> Exception | None:
        """The error that `fail` gave to an asyncio task, by default to the running one; None if there is none."""
        if not self._failing:
            return None
        given = asyncio.current_task() if running is None else running
        return None if given is None else self._failing.get(given)

    def failed(self, error: BaseException, begun: float) -> Failure:
        """The failure for what was caught.

        Raises:
            asyncio.CancelledError: The running asyncio task was cancelled by `cancel`.
            GeneratorExit: Its coroutine is being thrown away by the interpreter.
        """
        duration = perf_counter() - begun
        if self.is_cancelled():
            raise asyncio.CancelledError from error
        if isinstance(error, GeneratorExit) and _is_at_its_top(error):
            raise error
        # The cancellation, ours or the function's own, must not reach what comes after the function.
        reason = self._taken() if self._failing or isinstance(error, asyncio.CancelledError) else None
        strip(error)
        if reason is not None and error is not reason:
            reason.__cause__ = error  # it tells where the task was
            error = reason
        return Failure(error, duration)

    def _taken(self) -> Exception | None:
        """Undo all cancellations of the running asyncio task; return the error of `fail` if it caused one."""
        running = asyncio.current_task()
        while running is not None and running.cancelling():
            running.uncancel()
        return None if running is None else self._failing.pop(running, None)

    async def call(self, task: Task[Any, Any], job: Job, worker: str, bound: BoundArguments) -> InvocationResult:
        """Call the task's function.

        Raises:
            asyncio.CancelledError: After `cancel`, unless the function succeeded all the same.
        """
        begun = perf_counter()
        try:
            if task.run_in == "thread":
                return await self._in_thread(task, bound, begun)
            if task.run_in == "process":
                return await self._in_process(task, job, worker, bound, begun)
            if task.timeout is not None:
                return await self._in_time(task, task.timeout, bound, begun)
            args, kwargs = bound
            result = await task.function(*args, **kwargs)
            if self._failing and (reason := self.reason()) is not None:
                # It turned its cancellation into a result.
                return self.failed(reason, begun), None
        except BaseException as error:  # noqa: BLE001 -- SystemExit, CancelledError: all are the job's failure
            return self.failed(error, begun), None
        return self._succeeded(task, result, begun), None

    def _succeeded(self, task: Task[Any, Any], result: Any, begun: float) -> Success | Failure:
        if type(result) is not CoroutineType:
            return Success(result, perf_counter() - begun)
        # A forgotten await, or an async function behind a decorator that is not async: nothing of it has run.
        result.close()
        unawaited = TypeError(
            f"task {task.name!r} returned a coroutine, {result.__qualname__}(), that nobody awaits: declare the task "
            "with async def, and await it there"
        )
        return Failure(unawaited, perf_counter() - begun)

    async def _in_time(
        self, task: Task[Any, Any], timeout: float, bound: BoundArguments, begun: float
    ) -> InvocationResult:
        name = f"taskhero runs {task.name}"
        inner = asyncio.get_running_loop().create_task(_captured(task.function, bound), name=name)
        try:
            late = await self._too_late(inner, task.name, timeout)
            if late is not None:
                mark_cancelled()
                inner.cancel()
                await asyncio.wait({inner}, timeout=CLEANUP)
                late.__cause__ = _captured_in(inner)[1] if inner.done() else None  # it tells where the task was
                return self.failed(late, begun), None if inner.done() else inner
        except asyncio.CancelledError:
            await _cancelled(inner)
        result, error = _captured_in(inner)
        return (self._succeeded(task, result, begun) if error is None else self.failed(error, begun)), None

    async def _too_late(self, inner: asyncio.Task[Any], name: str, timeout: float) -> Exception | None:
        """Wait for *inner*; the error with which its job fails if it does not end in time, or before `fail`.

        Raises:
            asyncio.CancelledError: After `cancel`.
        """
        try:
            await asyncio.wait({inner}, timeout=timeout)
        except asyncio.CancelledError:
            if self.is_cancelled() or self.reason() is None:
                raise
            reason = self._taken()
            return None if inner.done() else reason
        return None if inner.done() else timed_out(name, timeout)

    async def _in_thread(self, task: Task[Any, Any], bound: BoundArguments, begun: float) -> InvocationResult:
        call = self._threads.start(task.function, *bound)
        late: Exception | None = None
        try:
            if task.timeout is None:
                await call.future
            else:
                await asyncio.wait({call.future}, timeout=task.timeout)
                late = None if call.ended else timed_out(task.name, task.timeout)
        except BaseException as error:  # noqa: BLE001 -- as above
            if not call.ended and (self.is_cancelled() or self.reason() is None):
                mark_cancelled()
                return self.failed(error, begun), call.rest()
            reason = self._taken()
            late = None if call.ended else reason
        if late is not None:
            mark_cancelled()
            late.add_note("\n".join(["Its thread goes on, and is here:", *call.stack()]))
            return Failure(late, perf_counter() - begun), call.rest()
        if call.error is not None:
            return self.failed(call.error, begun), None
        return self._succeeded(task, call.value, begun), None

    async def _in_process(
        self, task: Task[Any, Any], job: Job, worker: str, bound: BoundArguments, begun: float
    ) -> InvocationResult:
        call = self._processes.start(task, job, worker, bound)
        try:
            await call.future
        except BaseException as error:  # noqa: BLE001 -- as above
            if call.future.cancelled():
                call.kill()
                return self.failed(error, begun), None
            self._taken()
        if call.error is not None:
            return self.failed(call.error, begun), None
        return Success(call.value, perf_counter() - begun), None


async def _captured(function: Callable[..., Awaitable[Any]], bound: BoundArguments) -> tuple[Any, BaseException | None]:
    """What *function* returned and what it raised: an asyncio task that raises SystemExit would end the loop."""
    args, kwargs = bound
    try:
        return await function(*args, **kwargs), None
    except BaseException as error:
        if isinstance(error, GeneratorExit) and _is_at_its_top(error):
            raise
        return None, error


async def _cancelled(inner: asyncio.Task[Any]) -> None:
    """Cancel *inner*, once more whenever this is cancelled, until it has ended."""
    while not inner.done():
        inner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({inner})


def _captured_in(inner: asyncio.Task[tuple[Any, BaseException | None]]) -> tuple[Any, BaseException | None]:
    # Cancelled before its first step, it never ran.
    return (None, asyncio.CancelledError()) if inner.cancelled() else inner.result()


def _is_at_its_top(error: BaseException) -> bool:
    """Whether the exception was raised right in the frame that caught it, and not in what that called."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None
