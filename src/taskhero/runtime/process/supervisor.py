"""Start worker processes, restart them when they die, and stop them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import attrs

from taskhero._internal.logs import get_logger
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.process.control_signals import ControlCommand, ControlSignals
from taskhero.runtime.process.parent_pipe import PARENT_PIPE, STOP_BYTE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.runtime.process.reload import FileWatcher
    from taskhero.runtime.process.shutdown import ShutdownSignal

__all__ = ["Supervisor"]

_logger = get_logger("taskhero.worker")

#: Lifetime of a process in seconds after which the delay before its next restart is reset.
HEALTHY_AFTER: Final = 60.0


@attrs.define(eq=False)
class _WorkerProcess:
    """A worker process. It stops on the stop byte in its pipe, or when the pipe is closed, as when its parent dies.

    The supervisor sends it no signals, because service managers signal all processes of a service: a second signal
    ends a worker at once, and so does a signal during its start. A command in the pipe waits until it is read.
    """

    process: asyncio.subprocess.Process
    pipe: int
    started: float = attrs.field(factory=time.monotonic)
    stopping: bool = False

    @classmethod
    async def start(cls, command: Sequence[str], *, paused: bool) -> _WorkerProcess:
        reading, writing = os.pipe()
        try:
            # A process that does not read must not block its parent.
            os.set_blocking(writing, False)
            if paused:
                # Written before the process starts, so that the process reads it before it claims a job.
                os.write(writing, ControlCommand.PAUSE.value)
            process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=(reading,),
                env={**os.environ, PARENT_PIPE: str(reading)},
                # Ctrl+C in a terminal reaches only the parent, which passes it on.
                process_group=0,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(process, writing)

    def stop(self) -> None:
        """Request a stop. A second call changes nothing."""
        if not self.stopping:
            self.stopping = True
            if not self.send(STOP_BYTE):
                self.close()

    def send(self, command: bytes) -> bool:
        """Write a command into the pipe; return False if the process is dead or does not read."""
        if self.pipe < 0:
            return False
        try:
            os.write(self.pipe, command)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the pipe, which also requests a stop. A second call changes nothing."""
        pipe, self.pipe = self.pipe, -1
        if pipe >= 0:
            os.close(pipe)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)


class Supervisor:
    """Keeps worker processes running until a stop is requested, and passes the stop on to them.

    Args:
        command: The command line of one worker process.
        number: The number of worker processes.
        stop: The request to stop.
        control_signals: The control commands to pass on.
        burst: Whether a process that ends with exit code 0 is not restarted.
        watcher: Reports changed files. Each change restarts all processes. None disables this.
        backoff: Makes the delays before a dead process is restarted, in seconds.
    """

    def __init__(
        self,
        command: Sequence[str],
        number: int,
        stop: ShutdownSignal,
        control_signals: ControlSignals,
        *,
        burst: bool = False,
        watcher: FileWatcher | None = None,
        backoff: Callable[[], Backoff] = lambda: Backoff(0.5, 30.0),
    ) -> None:
        self._command = tuple(command)
        self._number = number
        self._stop = stop
        self._control_signals = control_signals
        self._paused = False
        self._burst = burst
        self._watcher = watcher
        self._backoff = backoff
        self._children: dict[int, _WorkerProcess] = {}
        # Set when a file changes, and then replaced by a new event.
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Run until a stop is requested, or in a burst until all are done, and all processes have ended."""
        self._control_signals.deliver_to(self._pass_on, asyncio.get_running_loop())
        stopped = asyncio.create_task(self._stop.wait())
        stopped.add_done_callback(lambda _: self._stop_all())
        watch = None if self._watcher is None else asyncio.create_task(self._watch(self._watcher))
        try:
            await asyncio.gather(*(self._keep_running(index, stopped) for index in range(1, self._number + 1)))
        finally:
            for task in (stopped, watch):
                if task is not None:
                    task.cancel()
            self._stop_all()

    def kill_all(self) -> None:
        """Kill all processes. It can be called in a signal handler."""
        for child in list(self._children.values()):
            child.kill()

    def _pass_on(self, command: ControlCommand, sender: str) -> None:
        """Send a command to all processes. While paused, new processes start paused."""
        changed = True
        if command is not ControlCommand.FAIL:
            if self._stop.requested:
                # Service managers send SIGCONT after the stop signal.
                return
            changed = self._paused is not (command is ControlCommand.PAUSE)
            self._paused = command is ControlCommand.PAUSE
        children = list(self._children.values())
        for child in children:
            child.send(command.value)
        if changed:
            _logger.info("process %d passes %s on to its %d worker processes", os.getpid(), sender, len(children))

    def _stop_all(self) -> None:
        for child in list(self._children.values()):
            child.stop()

    async def _keep_running(self, index: int, stopped: asyncio.Task[None]) -> None:
        """Start one process, and restart it when it ends."""
        backoff = self._backoff()
        while not stopped.done():
            changed = self._changed
            paused = self._paused
            child = self._children[index] = await _WorkerProcess.start(self._command, paused=paused)
            if paused is not self._paused:
                child.send((ControlCommand.PAUSE if self._paused else ControlCommand.RESUME).value)
            _logger.info("worker process %d of %d has pid %d", index, self._number, child.process.pid)
            if stopped.done() or changed.is_set():
                child.stop()
            code = await child.process.wait()
            del self._children[index]
            child.close()
            if stopped.done() or (self._burst and not code and not child.stopping):
                return
            if child.stopping:
                continue
            if time.monotonic() - child.started > HEALTHY_AFTER:
                backoff.reset()
            ended = f"worker process {index} (pid {child.process.pid}) {_describe_exit(code)}"
            if self._watcher is None:
                delay = backoff.next()
                _logger.error("%s; it is restarted in %.1f s", ended, delay)
                await asyncio.wait({stopped}, timeout=delay)
            else:
                _logger.error("%s; it is restarted when a file changes", ended)
                await _first(stopped, asyncio.create_task(changed.wait()))

    async def _watch(self, watcher: FileWatcher) -> None:
        async for path in watcher.changes():
            _logger.info("%s changed: the worker processes are restarted", path)
            self._changed.set()
            self._changed = asyncio.Event()
            self._stop_all()


async def _first(stopped: asyncio.Task[None], other: asyncio.Task[Any]) -> None:
    await asyncio.wait({stopped, other}, return_when=asyncio.FIRST_COMPLETED)
    other.cancel()


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
