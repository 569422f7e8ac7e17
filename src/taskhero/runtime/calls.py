"""Calling a task's function: on the loop, in a thread or in a process, within its timeout."""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from taskhero.models import Failure, Success
from taskhero.runtime.failures import strip, timed_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskhero.engine.tasks import Task
    from taskhero.models import Job
    from taskhero.runtime.processes import ProcessPool
    from taskhero.runtime.threads import ThreadPool

__all__ = ["Bound", "Called", "Caller"]

#: The arguments with which to call a function.
Bound: TypeAlias = "tuple[list[Any], dict[str, Any]]"

#: How a call ended, and what is done when what still runs of it has ended.
Called: TypeAlias = "tuple[Success | Failure, asyncio.Future[Any] | None]"

#: Seconds that an async function gets to clean up after its timeout before its job is settled without it.
CLEANUP: Final = 0.25


class Caller:
    """Calls functions so that whatever they do becomes a `Success` or a `Failure`.

    Args:
        threads: Where functions that are not async run.
        processes: Where those run that are to be killable.
    """

    def __init__(self, threads: ThreadPool, processes: ProcessPool) -> None:
        self._threads = threads
        self._processes = processes
        self._cancelled: set[asyncio.Task[Any]] = set()

    def cancel(self, running: asyncio.Task[Any]) -> None:
        """Cancel the asyncio task in which `call` is awaited, in a way that is told from a function's own doing."""
        if not running.done():
            self._cancelled.add(running)
            running.add_done_callback(self._cancelled.discard)
            running.cancel()

    def is_cancelled(self) -> bool:
        """Whether the running asyncio task was cancelled by `cancel`."""
        return bool(self._cancelled) and asyncio.current_task() in self._cancelled

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
        if isinstance(error, asyncio.CancelledError):
            # The function has cancelled the very task in which it runs; that must not reach what comes after it.
            running = asyncio.current_task()
            while running is not None and running.cancelling():
                running.uncancel()
        strip(error)
        return Failure(error, duration)

    async def call(self, task: Task[Any, Any], job: Job, worker: str, bound: Bound) -> Called:
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

    async def _in_time(self, task: Task[Any, Any], timeout: float, bound: Bound, begun: float) -> Called:
        name = f"taskhero runs {task.name}"
        inner = asyncio.get_running_loop().create_task(_captured(task.function, bound), name=name)
        try:
            await asyncio.wait({inner}, timeout=timeout)
            if not inner.done():
                inner.cancel()
                await asyncio.wait({inner}, timeout=CLEANUP)
                late = timed_out(task.name, timeout)
                late.__cause__ = _captured_in(inner)[1] if inner.done() else None  # it tells where the task stood
                return self.failed(late, begun), None if inner.done() else inner
        except asyncio.CancelledError:
            await _cancelled(inner)
        result, error = _captured_in(inner)
        return (self._succeeded(task, result, begun) if error is None else self.failed(error, begun)), None

    async def _in_thread(self, task: Task[Any, Any], bound: Bound, begun: float) -> Called:
        call = self._threads.start(task.function, *bound)
        try:
            if task.timeout is None:
                await call.future
            else:
                await asyncio.wait({call.future}, timeout=task.timeout)
        except BaseException as error:  # noqa: BLE001 -- as above
            if not call.ended:
                return self.failed(error, begun), call.rest()
        if not call.ended and task.timeout is not None:
            late = timed_out(task.name, task.timeout)
            late.add_note("\n".join(["Its thread goes on, and stands here:", *call.stack()]))
            return Failure(late, perf_counter() - begun), call.rest()
        if call.error is not None:
            return self.failed(call.error, begun), None
        return self._succeeded(task, call.value, begun), None

    async def _in_process(self, task: Task[Any, Any], job: Job, worker: str, bound: Bound, begun: float) -> Called:
        call = self._processes.start(task, job, worker, bound)
        try:
            await call.future
        except BaseException as error:  # noqa: BLE001 -- as above
            if call.future.cancelled():
                call.kill()
                return self.failed(error, begun), None
        if call.error is not None:
            return self.failed(call.error, begun), None
        return Success(call.value, perf_counter() - begun), None


async def _captured(function: Callable[..., Awaitable[Any]], bound: Bound) -> tuple[Any, BaseException | None]:
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
