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
from taskhero.runtime.stopping import PARENT_PIPE, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.runtime.sources import Sources

__all__ = ["Supervisor"]

_logger = logging.getLogger("taskhero.worker")

#: A process that lived so many seconds was well: the delays before the next start begin anew.
WELL: Final = 60.0


@attrs.define(eq=False)
class _Child:
    """A worker process. It stops when its pipe is closed, which also happens when its parent dies.

    It is told so and not by a signal, since service managers signal all processes of a service themselves, and a second
    signal ends a worker at once.
    """

    process: asyncio.subprocess.Process
    pipe: int
    begun: float = attrs.field(factory=time.monotonic)

    @classmethod
    async def start(cls, command: Sequence[str]) -> _Child:
        reading, writing = os.pipe()
        try:
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
        burst: Whether a process that ends with exit code 0 is done.
        sources: Where to look for changes of files, each of which makes all processes start anew; None: nowhere.
        backoff: Makes the delays before one that died is started again.
    """

    def __init__(
        self,
        command: Sequence[str],
        number: int,
        stop: Stop,
        *,
        burst: bool = False,
        sources: Sources | None = None,
        backoff: Callable[[], Backoff] = lambda: Backoff(0.5, 30.0),
    ) -> None:
        self._command = tuple(command)
        self._number = number
        self._stop = stop
        self._burst = burst
        self._sources = sources
        self._backoff = backoff
        self._children: dict[int, _Child] = {}
        # Set when a file changes, and then replaced by a new one.
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Run until a stop is asked for, or in a burst until all are done; then all processes have ended."""
        stopped = asyncio.create_task(self._stop.wait())
        stopped.add_done_callback(lambda _: self._stop_all())
        watch = None if self._sources is None else asyncio.create_task(self._watch(self._sources))
        try:
            await asyncio.gather(*(self._keep(place, stopped) for place in range(1, self._number + 1)))
        finally:
            for task in (stopped, watch):
                if task is not None:
                    task.cancel()
            self._stop_all()

    def kill_all(self) -> None:
        """End all processes at once; from a signal's handler, too."""
        for child in list(self._children.values()):
            child.kill()

    def _stop_all(self) -> None:
        for child in list(self._children.values()):
            child.stop()

    async def _keep(self, place: int, stopped: asyncio.Task[None]) -> None:
        """Keep one process running."""
        backoff = self._backoff()
        while not stopped.done():
            changed = self._changed
            child = self._children[place] = await _Child.start(self._command)
            _logger.info("worker process %d of %d has pid %d", place, self._number, child.process.pid)
            if stopped.done() or changed.is_set():
                child.stop()
            code = await child.process.wait()
            del self._children[place]
            was_told = child.pipe < 0
            child.stop()
            if stopped.done() or (self._burst and not code and not was_told):
                return
            if was_told:
                continue
            if time.monotonic() - child.begun > WELL:
                backoff.reset()
            what = f"worker process {place} (pid {child.process.pid}) {_how(code)}"
            if self._sources is None:
                delay = backoff.next()
                _logger.error("%s; it is started again in %.1f s", what, delay)
                await asyncio.wait({stopped}, timeout=delay)
            else:
                _logger.error("%s; it is started again when a file changes", what)
                await _first(stopped, asyncio.create_task(changed.wait()))

    async def _watch(self, sources: Sources) -> None:
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
