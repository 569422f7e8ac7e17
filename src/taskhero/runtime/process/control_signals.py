"""Turn signals to a worker process, and bytes from its parent, into control commands."""

from __future__ import annotations

import contextlib
import enum
import signal
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from taskhero._internal.signal_handlers import handled

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType
    from typing import Self

__all__ = ["PARENT", "ControlCommand", "ControlSignals", "control_signals_kept"]

#: The sender of a command that arrived through the parent's pipe, for messages.
PARENT: Final = "the parent process"
#: Seconds within which a command by signal and the same command by the parent count as one: a signal to all processes.
DUPLICATE_WINDOW: Final = 2.0


class ControlCommand(enum.Enum):
    """An operator's command to a worker process that continues to run. The value is the byte in the parent's pipe."""

    FAIL = b"1"
    PAUSE = b"2"
    RESUME = b"C"


#: The command of each signal, by the signal's name.
NAMES: Final = {
    "SIGUSR1": ControlCommand.FAIL,
    "SIGUSR2": ControlCommand.PAUSE,
    "SIGCONT": ControlCommand.RESUME,
}
COMMANDS: Final = {getattr(signal, name): command for name, command in NAMES.items() if hasattr(signal, name)}

#: Signals that arrived before a `ControlSignals` was entered.
_early: list[int] = []


@contextlib.contextmanager
def control_signals_kept() -> Iterator[None]:
    """Keep signals for a `ControlSignals` that is entered later, so that they do not end a starting process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        with handled(dict.fromkeys(COMMANDS, lambda number, _frame: _early.append(number))):
            yield
    finally:
        _early.clear()


class ControlSignals:
    """Receives the control commands of this process, from signals or from its parent. Enter it in the main thread.

    Commands that arrive before `deliver_to` is called are kept until then.

    Args:
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._received: SimpleQueue[tuple[ControlCommand, str, float]] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handler: Callable[[ControlCommand, str], None] | None = None
        self._handling = handled(dict.fromkeys(COMMANDS, self._on_signal))
        # Time of the last command to fail jobs, by whether the parent sent it.
        self._failed: dict[bool, float] = {}

    def __enter__(self) -> Self:
        """Install the signal handlers."""
        self._handling.__enter__()
        while _early:
            self._on_signal(_early.pop(0), None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Restore the previous signal handlers."""
        self._handling.__exit__(kind, error, traceback)

    def send(self, command: ControlCommand, sender: str) -> None:
        """Pass a command to the event loop. It can be called from any thread and in a signal handler."""
        self._received.put((command, sender, self._clock()))
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the process has stopped
                self._loop.call_soon_threadsafe(self._deliver)

    def deliver_to(self, handler: Callable[[ControlCommand, str], None], loop: asyncio.AbstractEventLoop) -> None:
        """Call *handler* in *loop* with each command and its sender, first with commands that have already arrived."""
        self._handler = handler
        self._loop = loop
        self._deliver()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number)
        self.send(COMMANDS[name], name.name)

    def _deliver(self) -> None:
        while self._handler is not None:
            try:
                command, sender, when = self._received.get_nowait()
            except Empty:
                return
            if command is not ControlCommand.FAIL or self._is_new(when, parents=sender == PARENT):
                self._handler(command, sender)

    def _is_new(self, when: float, *, parents: bool) -> bool:
        """Return whether a command to fail jobs has not already arrived on the other way.

        A signal to all processes of a service reaches a worker process twice: directly and through its parent. Jobs
        that the worker claims in between must not fail.
        """
        other = self._failed.pop(not parents, None)
        if other is not None and when - other < DUPLICATE_WINDOW:
            return False
        self._failed[parents] = when
        return True
