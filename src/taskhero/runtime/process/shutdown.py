"""Stop a worker process on a signal, and end it if it cannot stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from taskhero.runtime.process.signals import handled, present

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Self

    from taskhero.runtime.process.signals import Handler

__all__ = ["ShutdownSignal", "exit_now", "set_exit_message_format"]

#: What asks a process to stop, and ends it at once if one of these or of `PATIENT` came before.
SIGNALS: Final = present("SIGTERM", "SIGINT")
#: What asks a process to stop, and never does more.
PATIENT: Final = present("SIGQUIT")
#: The same, but sent by the system too, so that the first one of `SIGNALS` after it is not a second one.
HANGUP: Final = present("SIGHUP")
#: Seconds after which an event loop that does not answer counts as held up.
LOOP_RESPONSE_LIMIT: Final = 5.0


class ShutdownSignal:
    """Whether this process has been asked to stop. It is entered in the main thread, before the event loop runs.

    The handlers are Python's own and not the event loop's, so that a second signal ends the process even if a task
    holds up the loop.

    Args:
        stop_limit: Tells the seconds after which a stop that was asked for should be over; an event loop that is held
            up
            beyond them will not end by itself, so the process is ended.
        before_exit: Called before a second signal ends the process, in the signal's handler.
    """

    def __init__(self, stop_limit: Callable[[], float], before_exit: Callable[[], None] = lambda: None) -> None:
        self.requested = False
        self.reason = ""
        self._stop_limit = stop_limit
        self._before_exit = before_exit
        self._signals = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self._handling = contextlib.ExitStack()
        # A thread may not be started in a signal's handler; what is put here, may be.
        self._asked: SimpleQueue[str | None] = SimpleQueue()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        """Handle the signals from now on."""
        handlers: dict[signal.Signals, Handler] = dict.fromkeys(SIGNALS, self._on_signal)
        handlers |= dict.fromkeys(PATIENT, self._on_patient_signal)
        # Under nohup a hangup is ignored, and stays so.
        ignored = {number for number in HANGUP if signal.getsignal(number) == signal.SIG_IGN}
        handlers |= dict.fromkeys(HANGUP - ignored, self._on_hangup)
        self._handling.enter_context(handled(handlers))
        threading.Thread(target=self._guard, name="taskhero-stop", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Handle them as before."""
        self._over.set()
        self._asked.put(None)
        self._handling.close()

    def request(self, reason: str) -> None:
        """Ask for a stop; from any thread, and again without effect."""
        if self.requested:
            return
        self.reason = reason
        self.requested = True
        self._asked.put(reason)
        if self._loop is not None and self._event is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped
                self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Wait until it is asked for; in one event loop only."""
        if self._event is None:
            self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()
        if not self.requested:
            await self._event.wait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            name = signal.Signals(number).name
            self._before_exit()
            exit_now(128 + number, f"{name}, a second signal: ends at once; its jobs are rescued by others")
        self.request(signal.Signals(number).name)

    def _on_patient_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals = max(1, self._signals)
        self.request(signal.Signals(number).name)

    def _on_hangup(self, number: int, _frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)

    def _guard(self) -> None:
        """End the process if a task holds up the event loop for longer than a stop may take."""
        if self._asked.get() is None or self._over.wait(self._stop_limit()):
            return
        while not self._over.is_set():
            answered = threading.Event()
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(answered.set)
            if not answered.wait(LOOP_RESPONSE_LIMIT) and not self._over.is_set():
                exit_now(1, "a task holds up the event loop: ends without it; its jobs are rescued by others")
            self._over.wait(LOOP_RESPONSE_LIMIT)


def exit_now(code: int, why: str) -> None:
    """End the process without any further ado; from anywhere, a signal's handler too."""
    with contextlib.suppress(OSError):
        os.write(2, f"{_exit_message_format[0](f'process {os.getpid()}: {why}')}\n".encode())
    os._exit(code)


def set_exit_message_format(form: Callable[[str], str] | None) -> None:
    """Let what a process says last have the form of its log, which is of no use where a lock may be held.

    Args:
        form: Makes a line of a text, without any lock; None: plain text.
    """
    _exit_message_format[0] = _plain if form is None else form


def _plain(text: str) -> str:
    return f"taskhero: {text}"


#: How the last line is made.
_exit_message_format: list[Callable[[str], str]] = [_plain]
