"""Use the undocumented parts of Python's interpreter and of multiprocessing. No other module of taskhero does.

Each function has a fallback for an interpreter without the part.
"""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["frame_of", "imports_main_script", "mark_async", "ready_callbacks_of", "selector_of"]

# Python 3.12 has the mark of `inspect`. Before, `asyncio.iscoroutinefunction` reads a mark of its own.
_mark: Any = getattr(inspect, "markcoroutinefunction", None)
_asyncio_mark: Any = getattr(asyncio.coroutines, "_is_coroutine", None)


def frame_of(thread_id: int) -> FrameType | None:
    """Return the frame that a thread runs now. None if it does not run, or if the interpreter cannot say."""
    frames: Callable[[], dict[int, FrameType]] | None = getattr(sys, "_current_frames", None)
    return None if frames is None else frames().get(thread_id)


def imports_main_script() -> bool:
    """Return whether this process is a child process of multiprocessing that imports the program's main script now.

    multiprocessing has a private attribute for it. Otherwise its name for the main script says so: until the import
    ends, the module of that name is not the main module yet.
    """
    inheriting = getattr(multiprocessing.current_process(), "_inheriting", None)
    if inheriting is not None:
        return bool(inheriting)
    imported = sys.modules.get("__mp_main__")
    return imported is not None and imported is not sys.modules["__main__"]


def mark_async(function: Any) -> None:
    """Mark *function*, whose calls return coroutines, so that ``iscoroutinefunction`` returns True for it."""
    if _mark is not None:
        _mark(function)
    if _asyncio_mark is not None:
        function._is_coroutine = _asyncio_mark  # noqa: SLF001 -- the name that asyncio reads


def selector_of(loop: asyncio.AbstractEventLoop) -> Any:
    """Return the selector of an event loop of asyncio. None for another loop, or if this asyncio does not show it."""
    return getattr(loop, "_selector", None)


def ready_callbacks_of(loop: asyncio.AbstractEventLoop) -> Any:
    """Return the queue of the callbacks that an event loop calls next. None if it does not show it, as uvloop."""
    return getattr(loop, "_ready", None)
