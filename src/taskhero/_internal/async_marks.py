"""Mark callables as coroutine functions, for the checks of other libraries."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

__all__ = ["mark_async"]

# Python 3.12 has the mark of `inspect`. Before, `asyncio.iscoroutinefunction` reads a mark of its own.
_mark: Any = getattr(inspect, "markcoroutinefunction", None)
_asyncio_mark: Any = getattr(asyncio.coroutines, "_is_coroutine", None)


def mark_async(function: Any) -> None:
    """Mark *function*, whose calls return coroutines, so that ``iscoroutinefunction`` returns True for it."""
    if _mark is not None:
        _mark(function)
    if _asyncio_mark is not None:
        function._is_coroutine = _asyncio_mark  # noqa: SLF001 -- the name that asyncio reads
