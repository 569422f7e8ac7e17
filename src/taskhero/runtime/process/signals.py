"""The signals of a worker process: how they are handled, and the orders that some of them stand for."""

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

#: Who gives an order that came through the parent's pipe.
PARENT: Final = "the parent process"
#: If an order comes as a signal and from the parent within this time, in seconds, it was one signal to all processes.
SAME: Final = 2.0


class Order(enum.Enum):
    """What an operator wants of a worker process that goes on. The value is how a parent passes it on."""

    FAIL = b"1"
    PAUSE = b"2"
    RESUME = b"C"


def present(*names: str) -> frozenset[signal.Signals]:
    """Return those of the signals that this platform has."""
    return frozenset(getattr(signal, name) for name in names if hasattr(signal, name))


#: The order that each signal gives, by its name.
NAMES: Final = {"SIGUSR1": Order.FAIL, "SIGUSR2": Order.PAUSE, "SIGCONT": Order.RESUME}
ORDERS: Final = {getattr(signal, name): order for name, order in NAMES.items() if hasattr(signal, name)}

#: Signals that came before an `Orders` was entered.
_early: list[int] = []


#: How the signals that `handled` handles were handled before all of its blocks.
_before: dict[signal.Signals, Any] = {}


@contextlib.contextmanager
def handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle signals so in this process, and afterwards as before. It works in the main thread only.

    A process that is forked meanwhile handles them as before, too: what they mean here is not meant for it.
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
        # None is a handler that was not set by Python, and that Python cannot set again.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _restore(_before))


@contextlib.contextmanager
def orders_kept() -> Iterator[None]:
    """Keep signals for an `Orders` that is entered later, so that they do not end a process which only starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        with handled(dict.fromkeys(ORDERS, lambda number, _frame: _early.append(number))):
            yield
    finally:
        _early.clear()


class Orders:
    """Orders for this process, by signals or from its parent. It is entered in the main thread.

    Orders that come before `follow` wait for it.

    Args:
        clock: Tells seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: SimpleQueue[tuple[Order, str, float]] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._act: Callable[[Order, str], None] | None = None
        self._handling = handled(dict.fromkeys(ORDERS, self._on_signal))
        # When the last order to fail jobs came, by whether it was the parent's.
        self._failed: dict[bool, float] = {}

    def __enter__(self) -> Self:
        """Handle the signals from now on."""
        self._handling.__enter__()
        while _early:
            self._on_signal(_early.pop(0), None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Handle them as before."""
        self._handling.__exit__(kind, error, traceback)

    def give(self, order: Order, by: str) -> None:
        """Let the event loop follow an order; from any thread, and from a signal's handler."""
        self._given.put((order, by, self._clock()))
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is left to order
                self._loop.call_soon_threadsafe(self._follow)

    def follow(self, act: Callable[[Order, str], None], loop: asyncio.AbstractEventLoop) -> None:
        """Call *act* with each order and who gave it, in *loop*: with those that came before now, then as they come."""
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
        """Whether an order to fail jobs is not one that came the other way already.

        A signal to all processes of a service reaches a worker process twice, also through its parent. The jobs that
        it claimed in between must not fail.
        """
        other = self._failed.pop(not parents, None)
        if other is not None and when - other < SAME:
            return False
        self._failed[parents] = when
        return True
