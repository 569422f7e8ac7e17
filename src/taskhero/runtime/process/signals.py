"""Handle the signals of a worker process, and turn some of them into orders."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType, TracebackType
    from typing import Self, TypeAlias

    Handler: TypeAlias = Callable[[int, FrameType | None], object]

__all__ = ["PARENT", "Order", "Orders", "handled", "orders_kept", "present"]

#: The sender of an order that arrived through the parent's pipe, for messages.
PARENT: Final = "the parent process"
#: Seconds within which an order by signal and the same order by the parent count as one: a signal to all processes.
DUPLICATE_WINDOW: Final = 2.0


class Order(enum.Enum):
    """An operator's order to a worker process that continues to run. The value is the byte in the parent's pipe."""

    FAIL = b"1"
    PAUSE = b"2"
    RESUME = b"C"


def present(*names: str) -> frozenset[signal.Signals]:
    """Return the signals of these names that this platform has."""
    return frozenset(getattr(signal, name) for name in names if hasattr(signal, name))


#: The order of each signal, by the signal's name.
NAMES: Final = {"SIGUSR1": Order.FAIL, "SIGUSR2": Order.PAUSE, "SIGCONT": Order.RESUME}
ORDERS: Final = {getattr(signal, name): order for name, order in NAMES.items() if hasattr(signal, name)}

#: Signals that arrived before an `Orders` was entered.
_early: list[int] = []


#: The handlers that were installed before the outermost `handled` block, by signal.
_before: dict[signal.Signals, Any] = {}


@contextlib.contextmanager
def handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Install signal handlers, and restore the previous ones afterwards. It works in the main thread only.

    A process that is forked within the block also gets the previous handlers.
    """
    replaced: dict[signal.Signals, Any] = {}
    added = handlers.keys() - _before.keys()
    try:
        for number, handler in handlers.items():
            replaced[number] = before = signal.signal(number, handler)
            _before.setdefault(number, before)
        yield
    finally:
        _restore(replaced)
        for number in added:
            _before.pop(number, None)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        # None means that the handler was not installed by Python, so Python cannot restore it.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _restore(_before))


@contextlib.contextmanager
def orders_kept() -> Iterator[None]:
    """Keep signals for an `Orders` that is entered later, so that they do not end a starting process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        with handled(dict.fromkeys(ORDERS, lambda number, _frame: _early.append(number))):
            yield
    finally:
        _early.clear()


class Orders:
    """Orders for this process, from signals or from its parent. Enter it in the main thread.

    Orders that arrive before `follow` is called are kept until then.

    Args:
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: SimpleQueue[tuple[Order, str, float]] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._act: Callable[[Order, str], None] | None = None
        self._handling = handled(dict.fromkeys(ORDERS, self._on_signal))
        # Time of the last order to fail jobs, by whether the parent sent it.
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

    def give(self, order: Order, by: str) -> None:
        """Pass an order to the event loop. It can be called from any thread and in a signal handler."""
        self._given.put((order, by, self._clock()))
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the process has stopped
                self._loop.call_soon_threadsafe(self._follow)

    def follow(self, act: Callable[[Order, str], None], loop: asyncio.AbstractEventLoop) -> None:
        """Call *act* in *loop* with each order and its sender, first with the orders that have already arrived."""
        self._act = act
        self._loop = loop
        self._follow()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number)
        self.give(ORDERS[name], name.name)

    def _follow(self) -> None:
        while self._act is not None:
            try:
                order, by, when = self._given.get_nowait()
            except Empty:
                return
            if order is not Order.FAIL or self._is_new(when, parents=by == PARENT):
                self._act(order, by)

    def _is_new(self, when: float, *, parents: bool) -> bool:
        """Return whether an order to fail jobs has not already arrived on the other way.

        A signal to all processes of a service reaches a worker process twice: directly and through its parent. Jobs
        that the worker claims in between must not fail.
        """
        other = self._failed.pop(not parents, None)
        if other is not None and when - other < DUPLICATE_WINDOW:
            return False
        self._failed[parents] = when
        return True
