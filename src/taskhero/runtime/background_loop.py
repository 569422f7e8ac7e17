"""The base of all loops that run beside the jobs: start, stop, retries after errors, reports of outages."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import InterruptibleSleep, cancel_and_wait
from taskhero._internal.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from taskhero.runtime.backoff import Backoff, Outage

__all__ = ["BackgroundLoop"]

_logger = get_logger("taskhero.runtime")

#: Seconds for which `BackgroundLoop.stop` waits for a step that ignores its cancellation.
STOP_LIMIT = 5.0


class BackgroundLoop:
    """Calls *step* repeatedly in an asyncio task, from `start` to `stop`. No error ends the loop.

    After each step, the loop sleeps for the seconds that the step returned, or until `wake`. After an error, it reports
    the error to *outage* and sleeps for the next delay of *backoff*. The next step that succeeds ends the outage.

    Use it as it is, or as a base class that passes one of its own methods as *step*.

    States::

        stopped -> stepping             start, or sleeping first with a *first_delay*
        stepping -> sleeping            the step succeeded
        stepping -> waiting to retry    the step raised an error
        sleeping -> stepping            after the delay, or by `wake`
        waiting to retry -> stepping    after the delay
        any state -> stopped            `stop`

    Args:
        step: Does the work of one step. Returns the seconds until the next step. 0 means at once, and `math.inf` means
            that only `wake` starts the next step.
        name: What the loop does. Reports of outages name the loop by it.
        owner: The name of the process or scheduler, for the name of the asyncio task.
        outage: Records errors and successes of the steps.
        backoff: The delays after errors.
        first_delay: Seconds from `start` to the first step.
        max_retry_delay: The longest delay after an error, in seconds. It may be changed while the loop runs.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[float]],
        *,
        name: str,
        owner: str,
        outage: Outage,
        backoff: Backoff,
        first_delay: float = 0.0,
        max_retry_delay: float = math.inf,
    ) -> None:
        self.max_retry_delay = max_retry_delay
        self._step = step
        self._loop_name = name
        self._task_name = f"taskhero {owner} {name}"
        self._outage = outage
        self._backoff = backoff
        self._first_delay = first_delay
        self._between_steps = InterruptibleSleep()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether the loop was started, and no stop was requested."""
        return self._task is not None and not self._stopping

    def start(self) -> None:
        """Start the loop in the running event loop. A call before `stop` has ended changes nothing."""
        if self._task is None:
            self._stopping = False
            self._task = asyncio.create_task(self._run(), name=self._task_name)

    async def stop(self, limit: float = STOP_LIMIT) -> None:
        """Cancel the current step or sleep, and wait for its end. A second call changes nothing.

        Args:
            limit: Seconds to wait for a step that ignores its cancellation. The loop ends after that step.
        """
        task = self._task
        if task is None:
            return
        self._stopping = True
        if await cancel_and_wait([task], limit=limit):
            _logger.warning(
                "%r does not end %g s after its cancellation; it is left to end later", task.get_name(), limit
            )
        elif self._task is task:
            self._task = None

    def wake(self) -> None:
        """End the sleep of a step or between two steps, now or when it begins. A delay after an error continues."""
        self._between_steps.wake()

    async def sleep(self, seconds: float) -> None:
        """Sleep within a step, for *seconds* or until `wake`."""
        await self._between_steps.sleep(seconds)

    def on_error(self, error: Exception) -> None:
        """Handle an error of a step, before the delay. Subclasses override it."""

    async def _run(self) -> None:
        if self._first_delay > 0:
            await self._between_steps.sleep(self._first_delay)
        while not self._stopping:
            # The next step does what earlier calls of `wake` ask for.
            self._between_steps.clear()
            try:
                delay = await self._step()
            except Exception as error:  # noqa: BLE001 - the next step may succeed
                if self._stopping:
                    return
                self._outage.failed(self._loop_name, error)
                self.on_error(error)
                await asyncio.sleep(min(self._backoff.next(), self.max_retry_delay))
            else:
                self._outage.worked(self._loop_name)
                self._backoff.reset()
                if delay > 0:
                    await self._between_steps.sleep(delay)
                else:
                    # A backend in memory never yields to the event loop.
                    await asyncio.sleep(0)
