"""Find delayed jobs that other programs stored without adding their due times to the schedule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from taskhero._internal.logs import get_logger
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend

__all__ = ["OrphanAdoption"]

_logger = get_logger("taskhero.scheduler")

#: Bounds of the interval between two scans, in seconds.
MIN_INTERVAL = 10.0
MAX_INTERVAL = 300.0
#: The interval is this multiple of the last scan's duration: a scan reads all keys and may use 1 % of the time.
INTERVAL_FACTOR = 100


class OrphanAdoption:
    """Calls `Backend.adopt` at intervals. Only the leader runs it.

    Args:
        backend: The store of jobs.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, backend: Backend, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._clock = clock
        self._next_at = -math.inf

    async def step(self) -> None:
        """Scan for orphaned jobs if the interval has passed.

        Raises:
            BackendError: The backend did not answer. If it answers with an error, the next scan follows later.
        """
        started = self._clock()
        if started < self._next_at:
            return
        try:
            adopted = await self._backend.adopt()
        except BackendRefused as error:
            _logger.warning(
                "cannot search for delayed jobs that lack a due time in the schedule, next attempt in %g s: %s",
                MAX_INTERVAL,
                error,
            )
            self._next_at = started + MAX_INTERVAL
            return
        now = self._clock()
        self._next_at = now + min(max(MIN_INTERVAL, INTERVAL_FACTOR * (now - started)), MAX_INTERVAL)
        if adopted:
            _logger.warning(
                "adopted %d delayed jobs that another program stored without a due time in the schedule", adopted
            )
