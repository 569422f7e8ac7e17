"""Cancel asyncio tasks and wait for them; sleep until a time or a wake-up."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["InterruptibleSleep", "cancel_and_wait"]

#: Seconds after which a task that still runs is cancelled again.
_CANCEL_INTERVAL: Final = 0.1


async def cancel_and_wait(
    tasks: Iterable[asyncio.Task[Any]], *, limit: float = math.inf
) -> frozenset[asyncio.Task[Any]]:
    """Cancel tasks until they have ended, with any result, or until *limit* seconds have passed.

    One cancellation is not enough. `asyncio.wait_for` of Python 3.11, which server clients use, loses a cancellation
    that arrives together with its result. The task would then never end.

    Returns:
        The tasks that still run.
    """
    running = set(tasks)
    now = asyncio.get_running_loop().time
    deadline = now() + limit
    while running and (remaining := deadline - now()) > 0:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=min(_CANCEL_INTERVAL, remaining))
        for task in done:
            if not task.cancelled():
                task.exception()  # read it, so that asyncio does not log it as unretrieved
    return frozenset(running)


class InterruptibleSleep:
    """A sleep that `wake` ends early, for one task at a time."""

    __slots__ = ("_future", "_woken")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._woken = False

    async def sleep(self, seconds: float) -> None:
        """Sleep for *seconds*, or until `wake`. Return at once if `wake` was called since the last sleep.

        Args:
            seconds: The longest sleep. `math.inf` means that only `wake` ends it.
        """
        if self._woken:
            self._woken = False
            return
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        # Some event loops refuse an infinite delay.
        timer = None if seconds == math.inf else loop.call_later(seconds, _finish, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            self._future = None
            self._woken = False

    def clear(self) -> None:
        """Forget a `wake` that no sleep has used."""
        self._woken = False

    def wake(self) -> None:
        """End the current sleep, or else the next one before it starts."""
        self._woken = True
        if self._future is not None:
            _finish(self._future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
