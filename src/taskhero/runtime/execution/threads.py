"""Threads for tasks that are not async.

Unlike those of `concurrent.futures`, they never hold up the interpreter's exit. They report back in batches: a thread
wakes the event loop only if no other has done so since the loop last looked.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any

from taskhero.runtime.execution.failure_report import stack_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["ThreadCall", "ThreadPool"]


class ThreadCall:
    """A call that runs in a thread, or waits for one.

    Attributes:
        future: Done when the call has ended, of the loop from which it was started. It never has an exception, and
            cancelling it does not end the call.
        ended: Whether the call has ended, as the loop knows it.
        value: What it returned.
        error: What it raised, or None.
    """

    __slots__ = (
        "_args",
        "_context",
        "_function",
        "_kwargs",
        "_later",
        "_outbox",
        "_thread",
        "ended",
        "error",
        "future",
        "value",
    )

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], outbox: _Outbox
    ) -> None:
        self._function = function
        self._args, self._kwargs = args, kwargs
        self._context: Context = copy_context()
        self._outbox = outbox
        self._thread: int | None = None
        self._later: asyncio.Future[None] | None = None
        self.future: asyncio.Future[None] = outbox.loop.create_future()
        self.ended = False
        self.value: Any = None
        self.error: BaseException | None = None

    def rest(self) -> asyncio.Future[None] | None:
        """What is done when the call has ended although nobody waits for `future` any more; None if it has ended."""
        if self.ended:
            return None
        if not self.future.cancelled():
            return self.future
        if self._later is None:
            self._later = self._outbox.loop.create_future()
        return self._later

    def stack(self) -> list[str]:
        """The lines of code in which the thread stands just now, the outermost first; none if it does not run."""
        frame = sys._current_frames().get(self._thread) if self._thread is not None else None  # noqa: SLF001
        return [] if frame is None else stack_lines(frame)

    def run(self) -> None:
        """Call the function, in the thread."""
        self._thread = get_ident()
        try:
            self.value = self._context.run(self._function, *self._args, **self._kwargs)
        except BaseException as error:  # noqa: BLE001 -- SystemExit, StopIteration: all are results
            self.error = error
        self._thread = None
        del self._function, self._args, self._kwargs
        self._outbox.put(self)

    def end(self) -> None:
        """Tell those who wait, in the loop."""
        self.ended = True
        for future in (self.future, self._later):
            if future is not None and not future.done():
                future.set_result(None)


class _Outbox:
    """Calls that have ended, on their way from the threads to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.underway = 0
        self._ended: deque[ThreadCall] = deque()
        self._woken = False

    def put(self, call: ThreadCall) -> None:
        self._ended.append(call)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # First the flag, then the calls: one that comes between is delivered now and wakes the loop once more.
        self._woken = False
        ended = self._ended
        while ended:
            call = ended.popleft()
            self.underway -= 1
            call.end()


class ThreadPool:
    """Threads that are started as they are needed, up to a limit; calls beyond it wait for one.

    Args:
        limit: How many threads there may be.
        name: What the threads are called, with a number behind it.
    """

    def __init__(self, limit: int, *, name: str = "taskhero-task") -> None:
        self._limit = limit
        self._name = name
        self._calls: SimpleQueue[ThreadCall | None] = SimpleQueue()
        self._outbox: _Outbox | None = None
        self._size = 0
        self._started = 0

    @property
    def size(self) -> int:
        """How many threads there are, without those that were told to end."""
        return self._size

    def start(
        self, function: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> ThreadCall:
        """Call *function* in a thread, with this context's variables; must be called in an event loop."""
        outbox = self._outbox
        loop = asyncio.get_running_loop()
        if outbox is None or outbox.loop is not loop:
            outbox = self._outbox = _Outbox(loop)
        call = ThreadCall(function, args, kwargs or {}, outbox)
        outbox.underway += 1
        if outbox.underway > self._size and self._size < self._limit:
            self._grow()
        self._calls.put(call)
        return call

    def resize(self, limit: int) -> None:
        """Change how many threads there may be; what is too many ends when it has nothing to do."""
        self._limit = limit
        while self._size > limit:
            self._size -= 1
            self._calls.put(None)

    def close(self) -> None:
        """Let the threads end when their calls have ended; it does not wait, and the pool can be used again."""
        limit = self._limit
        self.resize(0)
        self._limit = limit

    def _grow(self) -> None:
        self._size += 1
        self._started += 1
        Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()

    def _work(self) -> None:
        calls = self._calls
        while (call := calls.get()) is not None:
            call.run()
            del call  # holds the result while the thread waits
