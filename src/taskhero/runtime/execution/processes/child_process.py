"""One child process, as its parent sees it."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from taskhero.errors import ProcessDied
from taskhero.runtime.execution.failure_report import timed_out
from taskhero.runtime.execution.processes.child_main import SIGNALS, Answer, Request, main

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChildProcess"]

#: Longest start of a child process, and longest import of its task's module, in seconds.
START_TIMEOUT: Final = 60.0
#: Seconds that a child process gets to exit when it is not needed, or has closed its pipe.
EXIT_TIMEOUT: Final = 2.0
#: Seconds between two checks that a child process is alive. Its pipe stays open if a task forked.
POLL_INTERVAL: Final = 1.0

_SPAWN: Final = multiprocessing.get_context("spawn")
# multiprocessing collects all exit codes when it starts a process; a concurrent call can lose one.
_spawn_lock = Lock()


class ChildProcess:
    """One child process. One thread at a time uses it. Only `kill` may be called from other threads.

    Attributes:
        has_started: Whether it may have called the function of its last request.
    """

    def __init__(self) -> None:
        self.has_started = False
        self._is_ready = False
        self._connection, child_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=main, args=(child_end,), name="taskhero-process")
        with child_end, _spawn_lock, _signals_blocked():
            self._process.start()

    def begin(self, request: Request) -> Answer | None:
        """Request a call. Return the answer if the function could not be found, or None: `finish` waits for it.

        Raises:
            ProcessDied: The process died, or did not respond in time.
        """
        if not self._is_ready:
            self._expect(START_TIMEOUT, "a child process did not start")
            self._is_ready = True
        try:
            self._connection.send_bytes(pickle.dumps(request))
        except OSError:
            raise self._died() from None
        message = self._expect(START_TIMEOUT, f"the process of task {request.job.name!r} did not import its module")
        self.has_started = True
        return message if isinstance(message, Answer) else None

    def finish(self, request: Request, timeout: float | None) -> Answer:
        """Wait for the call. Return how it ended.

        Raises:
            JobTimeout: The call took longer than *timeout* seconds.
            ProcessDied: The process died.
        """
        answer: Answer | None = self._receive(timeout)
        if answer is None:
            raise timed_out(request.job.name, timeout or 0.0)
        self.has_started = False
        return answer

    def kill(self) -> None:
        """Kill the process at once."""
        self._process.kill()

    def reap(self) -> None:
        """Close the connection and wait until the process has ended. Kill it if it does not exit."""
        self._connection.close()
        if self._is_alive():
            wait([self._process.sentinel], EXIT_TIMEOUT)
            self._process.kill()
        with _spawn_lock:
            self._process.join()

    def _expect(self, seconds: float, problem: str) -> Any:
        message = self._receive(seconds)
        if message is None:
            raise ProcessDied(f"{problem} within {seconds:g} s")
        return message

    def _receive(self, timeout: float | None) -> Any:
        """Return the next message; None if there is none in time."""
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            remaining = POLL_INTERVAL if deadline is None else max(0.0, min(POLL_INTERVAL, deadline - monotonic()))
            ready = wait([self._connection, self._process.sentinel], remaining)
            if self._connection in ready:
                try:
                    return self._connection.recv()
                except (EOFError, OSError):
                    raise self._died() from None
            if ready or not self._is_alive():
                raise self._died()
            if deadline is not None and monotonic() >= deadline:
                return None

    def _is_alive(self) -> bool:
        with _spawn_lock:
            return self._process.is_alive()

    def _died(self) -> ProcessDied:
        self.reap()
        exit_text = _describe_exit(self._process.exitcode)
        if self._is_ready:
            return ProcessDied(f"the task's process {exit_text} before the task was done")
        return ProcessDied(
            f"the task's process {exit_text} before it was ready; its stderr shows why. It imports the program's main "
            "script, so put what that runs under `if __name__ == '__main__':`"
        )


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "died"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name} (exit code {code})"
    except ValueError:
        return f"was killed by signal {-code} (exit code {code})"


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals of a process group in child processes until they are ready to ignore them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        # The resource tracker inherits the blocked signals, but unblocks SIGINT and SIGTERM here: block them again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
