"""A parent of worker processes: starts them, starts them again when they die, and ends with them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import attrs

from taskhero.runtime.backoff import Backoff
from taskhero.runtime.process.parent_pipe import PARENT_PIPE, STOP_BYTE
from taskhero.runtime.process.signals import Order, Orders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.runtime.process.reload import FileWatcher
    from taskhero.runtime.process.shutdown import ShutdownSignal

__all__ = ["Supervisor"]

_logger = logging.getLogger("taskhero.worker")

#: A process that lived so many seconds was well: the delays before the next start begin anew.
HEALTHY_AFTER: Final = 60.0


@attrs.define(eq=False)
class _WorkerProcess:
    """A worker process. It stops when its pipe says so or is closed, as it also is when its parent dies.

    It gets no signals, since service managers signal all processes of a service themselves. A second signal ends a
    worker at once, and one that comes while it starts does so, too. An order in the pipe waits until it is read.
    """

    process: asyncio.subprocess.Process
    pipe: int
    begun: float = attrs.field(factory=time.monotonic)
    asked: bool = False

    @classmethod
    async def start(cls, command: Sequence[str], *, paused: bool) -> _WorkerProcess:
        reading, writing = os.pipe()
        try:
            # One that does not read must not hold up its parent.
            os.set_blocking(writing, False)
            if paused:
                # Before the process is there, so that it reads this before it claims a job.
                os.write(writing, Order.PAUSE.value)
            process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=(reading,),
                env={**os.environ, PARENT_PIPE: str(reading)},
                # A terminal's Ctrl+C is for the parent, which passes it on.
                process_group=0,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(process, writing)

    def stop(self) -> None:
        """Ask it to stop; again without effect."""
        if not self.asked:
            self.asked = True
            if not self.tell(STOP_BYTE):
                self.close()

    def tell(self, word: bytes) -> bool:
        """Write a word into its pipe; return False if it is dead or reads nothing."""
        if self.pipe < 0:
            return False
        try:
            os.write(self.pipe, word)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the pipe, which also asks it to stop; again without effect."""
        pipe, self.pipe = self.pipe, -1
        if pipe >= 0:
            os.close(pipe)

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)


class Supervisor:
    """Keeps worker processes running until it is asked to stop, and passes that on.

    Args:
        command: Starts one of them.
        number: How many there are.
        stop: Tells when to stop.
        orders: What else to pass on.
        burst: Whether a process that ends with exit code 0 is done.
        watcher: Where to look for changes of files, each of which makes all processes start anew; None: nowhere.
        backoff: Makes the delays before one that died is started again.
    """

    def __init__(
        self,
        command: Sequence[str],
        number: int,
        stop: ShutdownSignal,
        orders: Orders,
        *,
        burst: bool = False,
        watcher: FileWatcher | None = None,
        backoff: Callable[[], Backoff] = lambda: Backoff(0.5, 30.0),
    ) -> None:
        self._command = tuple(command)
        self._number = number
        self._stop = stop
        self._orders = orders
        self._paused = False
        self._burst = burst
        self._watcher = watcher
        self._backoff = backoff
        self._children: dict[int, _WorkerProcess] = {}
        # Set when a file changes, and then replaced by a new one.
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Run until a stop is asked for, or in a burst until all are done; then all processes have ended."""
        self._orders.follow(self._pass_on, asyncio.get_running_loop())
        stopped = asyncio.create_task(self._stop.wait())
        stopped.add_done_callback(lambda _: self._stop_all())
        watch = None if self._watcher is None else asyncio.create_task(self._watch(self._watcher))
        try:
            await asyncio.gather(*(self._keep_running(place, stopped) for place in range(1, self._number + 1)))
        finally:
            for task in (stopped, watch):
                if task is not None:
                    task.cancel()
            self._stop_all()

    def kill_all(self) -> None:
        """End all processes at once; from a signal's handler, too."""
        for child in list(self._children.values()):
            child.kill()

    def _pass_on(self, order: Order, by: str) -> None:
        """Give an order to all processes; those that are started later are paused as well."""
        news = True
        if order is not Order.FAIL:
            if self._stop.requested:
                # Service managers send SIGCONT after the signal that stops.
                return
            news = self._paused is not (order is Order.PAUSE)
            self._paused = order is Order.PAUSE
        children = list(self._children.values())
        for child in children:
            child.tell(order.value)
        if news:
            _logger.info("process %d passes %s on to its %d worker processes", os.getpid(), by, len(children))

    def _stop_all(self) -> None:
        for child in list(self._children.values()):
            child.stop()

    async def _keep_running(self, place: int, stopped: asyncio.Task[None]) -> None:
        """Keep one process running."""
        backoff = self._backoff()
        while not stopped.done():
            changed = self._changed
            paused = self._paused
            child = self._children[place] = await _WorkerProcess.start(self._command, paused=paused)
            if paused is not self._paused:
                child.tell((Order.PAUSE if self._paused else Order.RESUME).value)
            _logger.info("worker process %d of %d has pid %d", place, self._number, child.process.pid)
            if stopped.done() or changed.is_set():
                child.stop()
            code = await child.process.wait()
            del self._children[place]
            child.close()
            if stopped.done() or (self._burst and not code and not child.asked):
                return
            if child.asked:
                continue
            if time.monotonic() - child.begun > HEALTHY_AFTER:
                backoff.reset()
            what = f"worker process {place} (pid {child.process.pid}) {_how(code)}"
            if self._watcher is None:
                delay = backoff.next()
                _logger.error("%s; it is started again in %.1f s", what, delay)
                await asyncio.wait({stopped}, timeout=delay)
            else:
                _logger.error("%s; it is started again when a file changes", what)
                await _first(stopped, asyncio.create_task(changed.wait()))

    async def _watch(self, sources: FileWatcher) -> None:
        async for path in sources.changes():
            _logger.info("%s has changed: the worker processes start anew", path)
            self._changed.set()
            self._changed = asyncio.Event()
            self._stop_all()


async def _first(stopped: asyncio.Task[None], other: asyncio.Task[Any]) -> None:
    await asyncio.wait({stopped, other}, return_when=asyncio.FIRST_COMPLETED)
    other.cancel()


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
