"""Install signal handlers for a block of code."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType
    from typing import TypeAlias

    Handler: TypeAlias = Callable[[int, FrameType | None], object]

__all__ = ["handled", "present"]


def present(*names: str) -> frozenset[signal.Signals]:
    """Return the signals of these names that this platform has."""
    return frozenset(getattr(signal, name) for name in names if hasattr(signal, name))


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
