"""Ending asyncio tasks for sure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["end_tasks"]

#: Seconds after which a task that goes on is cancelled once more.
_AGAIN: Final = 0.1


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended, however they end.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which clients of servers use, loses a cancellation that comes
    together with what it waits for, and the task would go on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN)
        for task in done:
            if not task.cancelled():
                task.exception()  # it is known now, so asyncio need not complain of it
