"""Cancel asyncio tasks and wait for them; sleep until a time or a call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["InterruptibleSleep", "cancel_and_wait"]

#: Seconds after which a task that goes on is cancelled once more.
_CANCEL_INTERVAL: Final = 0.1


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended, however they end.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which clients of servers use, loses a cancellation that comes
    together with what it waits for, and the task would go on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_CANCEL_INTERVAL)
        for task in done:
            if not task.cancelled():
                task.exception()  # it is known now, so asyncio need not complain of it


class InterruptibleSleep:
    """A sleep that can be cut short, for one task at a time."""

    __slots__ = ("_future", "_woken")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._woken = False

    async def sleep(self, seconds: float) -> None:
        """Sleep *seconds*, or until `cut`; not at all if it was cut since the last sleep."""
        if self._woken:
            self._woken = False
            return
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        timer = loop.call_later(seconds, _finish, future)
        try:
            await future
        finally:
            timer.cancel()
            self._future = None
            self._woken = False

    def wake(self) -> None:
        """End the sleep that is under way, or else the next one before it begins."""
        self._woken = True
        if self._future is not None:
            _finish(self._future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
