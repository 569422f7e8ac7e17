"""Threads for tasks that are not async.

Unlike those of `concurrent.futures`, they never delay the interpreter's exit. They report their results in batches: a
thread wakes the event loop only if no other thread has done so since the loop last collected results.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any

from taskhero._internal.interpreter import frame_of
from taskhero.runtime.execution.failure_report import stack_lines
from taskhero.runtime.execution.forks import fork_count, leave_if_forked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["ThreadCall", "ThreadPool"]


class ThreadCall:
    """A call that runs in a thread, or waits for one.

    Attributes:
        future: Done when the call has ended; belongs to the event loop that started it. It never has an exception, and
            cancelling it does not end the call.
        ended: Whether the event loop knows that the call has ended.
        value: The returned value.
        error: The raised error, or None.
    """

    __slots__ = (
        "_args",
        "_context",
        "_function",
        "_kwargs",
        "_outbox",
        "_remainder",
        "_thread",
        "ended",
        "error",
        "future",
        "value",
    )

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], outbox: _EndedCalls
    ) -> None:
        self._function = function
        self._args, self._kwargs = args, kwargs
        self._context: Context = copy_context()
        self._outbox = outbox
        self._thread: int | None = None
        self._remainder: asyncio.Future[None] | None = None
        self.future: asyncio.Future[None] = outbox.loop.create_future()
        self.ended = False
        self.value: Any = None
        self.error: BaseException | None = None

    def remainder(self) -> asyncio.Future[None] | None:
        """Return a future that is done when the call has ended, even if `future` is cancelled; None if it has."""
        if self.ended:
            return None
        if not self.future.cancelled():
            return self.future
        if self._remainder is None:
            self._remainder = self._outbox.loop.create_future()
        return self._remainder

    def stack(self) -> list[str]:
        """Return the lines of code that the thread runs now, outermost first.

        There are none if it does not run, or if the interpreter does not show them.
        """
        frame = frame_of(self._thread) if self._thread is not None else None
        return [] if frame is None else stack_lines(frame)

    def run(self) -> None:
        """Call the function, in the thread."""
        self._thread = get_ident()
        forks = fork_count()
        try:
            self.value = self._context.run(self._function, *self._args, **self._kwargs)
        except BaseException as error:  # noqa: BLE001 -- also SystemExit and StopIteration are results
            self.error = error
        leave_if_forked(forks, self.error)
        self._thread = None
        del self._function, self._args, self._kwargs
        self._outbox.put(self)

    def end(self) -> None:
        """Complete the futures, in the event loop."""
        self.ended = True
        for future in (self.future, self._remainder):
            if future is not None and not future.done():
                future.set_result(None)


class _EndedCalls:
    """The ended calls that threads pass to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.active_calls = 0
        self._ended: deque[ThreadCall] = deque()
        self._woken = False

    def put(self, call: ThreadCall) -> None:
        self._ended.append(call)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed, so no task waits for it
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Reset the flag first: a call that comes after that is delivered now, and wakes the loop once more.
        self._woken = False
        ended = self._ended
        while ended:
            call = ended.popleft()
            self.active_calls -= 1
            call.end()


class ThreadPool:
    """Threads that are started when needed, up to a limit. Further calls wait for a free thread.

    Args:
        limit: Largest number of threads.
        name: The prefix of the threads' names, followed by a number.
    """

    def __init__(self, limit: int, *, name: str = "taskhero-task") -> None:
        self._limit = limit
        self._name = name
        self._calls: SimpleQueue[ThreadCall | None] = SimpleQueue()
        self._outbox: _EndedCalls | None = None
        self._size = 0
        self._started = 0

    @property
    def size(self) -> int:
        """The number of threads, without those that are to end."""
        return self._size

    def start(
        self, function: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> ThreadCall:
        """Call *function* in a thread, with a copy of the current context. Call it in an event loop."""
        outbox = self._outbox
        loop = asyncio.get_running_loop()
        if outbox is None or outbox.loop is not loop:
            outbox = self._outbox = _EndedCalls(loop)
        call = ThreadCall(function, args, kwargs or {}, outbox)
        outbox.active_calls += 1
        if outbox.active_calls > self._size and self._size < self._limit:
            self._grow()
        self._calls.put(call)
        return call

    def resize(self, limit: int) -> None:
        """Change the largest number of threads. Surplus threads end when they are idle."""
        self._limit = limit
        while self._size > limit:
            self._size -= 1
            self._calls.put(None)

    def close(self) -> None:
        """Let the threads end after their calls, without waiting for that. The pool can be used again."""
        limit = self._limit
        self.resize(0)
        self._limit = limit

    def _grow(self) -> None:
        self._size += 1
        self._started += 1
        Thread(target=self._run_calls, name=f"{self._name}-{self._started}", daemon=True).start()

    def _run_calls(self) -> None:
        calls = self._calls
        while (call := calls.get()) is not None:
            call.run()
            del call  # so that a waiting thread does not keep the result alive
