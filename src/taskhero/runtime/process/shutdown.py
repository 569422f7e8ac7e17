"""Stop a worker process on a signal, and end it if it cannot stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from taskhero._internal.signal_handlers import handled, present

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Self

    from taskhero._internal.signal_handlers import Handler

__all__ = ["ShutdownSignal", "exit_now", "set_exit_message_format"]

#: Signals that request a stop. After one of these or of `GRACEFUL_SIGNALS`, a second one ends the process at once.
SIGNALS: Final = present("SIGTERM", "SIGINT")
#: Signals that only request a stop, however many arrive.
GRACEFUL_SIGNALS: Final = present("SIGQUIT")
#: Signals that only request a stop. The system sends them too, so they do not count as the first of two signals.
HANGUP: Final = present("SIGHUP")
#: Seconds after which an event loop that does not respond counts as blocked.
LOOP_RESPONSE_LIMIT: Final = 5.0


class ShutdownSignal:
    """A request to stop this process. Enter it in the main thread, before the event loop runs.

    It uses Python's signal handlers, not the event loop's. So a second signal ends the process even if a task blocks
    the loop.

    Args:
        stop_limit: Returns the maximum duration of a requested stop, in seconds. If the event loop is blocked after
            that, the process is ended.
        before_exit: Called in the signal handler before a second signal ends the process.
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
        # A signal handler must not start a thread or take a lock; a `SimpleQueue` is reentrant.
        self._asked: SimpleQueue[str | None] = SimpleQueue()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        """Install the signal handlers."""
        handlers: dict[signal.Signals, Handler] = dict.fromkeys(SIGNALS, self._on_signal)
        handlers |= dict.fromkeys(GRACEFUL_SIGNALS, self._on_graceful_signal)
        # nohup sets the hangup signal to ignored; keep that.
        ignored = {number for number in HANGUP if signal.getsignal(number) == signal.SIG_IGN}
        handlers |= dict.fromkeys(HANGUP - ignored, self._on_hangup)
        self._handling.enter_context(handled(handlers))
        threading.Thread(target=self._guard, name="taskhero-stop", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Restore the previous signal handlers."""
        self._over.set()
        self._asked.put(None)
        self._handling.close()

    def request(self, reason: str) -> None:
        """Request a stop. It can be called from any thread. A second call changes nothing."""
        if self.requested:
            return
        self.reason = reason
        self.requested = True
        self._asked.put(reason)
        if self._loop is not None and self._event is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the process has stopped
                self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Wait until a stop is requested. Only one event loop may wait."""
        if self._event is None:
            self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()
        if not self.requested:
            await self._event.wait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            name = signal.Signals(number).name
            self._before_exit()
            exit_now(128 + number, f"second signal {name}: ends at once; other processes rescue its jobs")
        self.request(signal.Signals(number).name)

    def _on_graceful_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals = max(1, self._signals)
        self.request(signal.Signals(number).name)

    def _on_hangup(self, number: int, _frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)

    def _guard(self) -> None:
        """End the process if a task blocks the event loop for longer than a stop may take."""
        if self._asked.get() is None or self._over.wait(self._stop_limit()):
            return
        while not self._over.is_set():
            answered = threading.Event()
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(answered.set)
            if not answered.wait(LOOP_RESPONSE_LIMIT) and not self._over.is_set():
                exit_now(1, "a task blocks the event loop: ends at once; other processes rescue its jobs")
            self._over.wait(LOOP_RESPONSE_LIMIT)


def exit_now(code: int, why: str) -> None:
    """Write *why* to stderr and end the process at once. It can be called in a signal handler."""
    with contextlib.suppress(OSError):
        os.write(2, f"{_exit_message_format[0](f'process {os.getpid()}: {why}')}\n".encode())
    os._exit(code)


def set_exit_message_format(form: Callable[[str], str] | None) -> None:
    """Set the format of a process's last message. `logging` cannot write it, because its locks may be held.

    Args:
        form: Returns the line for a text, without taking a lock. None means plain text.
    """
    _exit_message_format[0] = _plain if form is None else form


def _plain(text: str) -> str:
    return f"taskhero: {text}"


#: Holds the current format of the last message.
_exit_message_format: list[Callable[[str], str]] = [_plain]
