"""A process for tasks, as its parent has it."""

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

#: Seconds that a process may take to come up, and again to import its task's module.
BOOT: Final = 60.0
#: Seconds that a process that is no longer needed, or has closed its pipe, gets to end by itself.
LEAVE: Final = 2.0
#: Seconds between two looks at whether a process lives; its pipe does not tell if a task forked.
POLL_INTERVAL: Final = 1.0

_SPAWN: Final = multiprocessing.get_context("spawn")
# multiprocessing asks for all its processes' exit codes when it starts one; of two that ask at once, one gets none.
_spawn_lock = Lock()


class ChildProcess:
    """One process. One thread at a time uses it; only `kill` may come from any other.

    Attributes:
        has_started: Whether it may have called the function that it was last asked to call.
    """

    def __init__(self) -> None:
        self.has_started = False
        self._is_up = False
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=main, args=(theirs,), name="taskhero-process")
        with theirs, _spawn_lock, _signals_blocked():
            self._process.start()

    def begin(self, request: Request) -> Answer | None:
        """Have the function called; the answer, if it could not even be found, or None: `finish` waits for it.

        Raises:
            ProcessDied: The process did, or it takes too long.
        """
        if not self._is_up:
            self._expect(BOOT, "a process for tasks did not come up")
            self._is_up = True
        try:
            self._connection.send_bytes(pickle.dumps(request))
        except OSError:
            raise self._died() from None
        said = self._expect(BOOT, f"the process of task {request.job.name!r} did not import its module")
        self.has_started = True
        return said if isinstance(said, Answer) else None

    def finish(self, request: Request, timeout: float | None) -> Answer:
        """How the call ended.

        Raises:
            JobTimeout: It took longer than *timeout* seconds.
            ProcessDied: The process did.
        """
        answer: Answer | None = self._receive(timeout)
        if answer is None:
            raise timed_out(request.job.name, timeout or 0.0)
        self.has_started = False
        return answer

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def reap(self) -> None:
        """Close the connection and wait until it has ended; kill it if it does not end by itself."""
        self._connection.close()
        if self._is_alive():
            wait([self._process.sentinel], LEAVE)
            self._process.kill()
        with _spawn_lock:
            self._process.join()

    def _expect(self, seconds: float, late: str) -> Any:
        said = self._receive(seconds)
        if said is None:
            raise ProcessDied(f"{late} within {seconds:g} s")
        return said

    def _receive(self, timeout: float | None) -> Any:
        """What it says next; None if it says nothing in time."""
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            left = POLL_INTERVAL if deadline is None else max(0.0, min(POLL_INTERVAL, deadline - monotonic()))
            ready = wait([self._connection, self._process.sentinel], left)
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
        how = _end(self._process.exitcode)
        if self._is_up:
            return ProcessDied(f"the task's process {how} before the task was done")
        return ProcessDied(
            f"the task's process {how} before it was ready; it wrote to stderr why. It imports the program's main "
            "script, so what that runs must stand under `if __name__ == '__main__':`"
        )


def _end(code: int | None) -> str:
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
    """Start processes that hold back the signals of a group until they are ready to ignore them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        # It keeps what is blocked, but for SIGINT and SIGTERM, which it ignores and lets through here again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
