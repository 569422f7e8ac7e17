"""Finding delayed jobs that other programs left without their moments."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend

__all__ = ["OrphanAdoption"]

_logger = logging.getLogger("taskhero.scheduler")

#: Seconds between two looks, at least and at most. A look scans all keys, so it takes 1 % of the time between them.
LEAST = 10.0
MOST = 300.0
SHARE = 100


class OrphanAdoption:
    """Calls `Backend.adopt` now and then, as the leader does.

    Args:
        backend: Where the jobs are delayed.
        clock: Tells seconds that only ever grow.
    """

    def __init__(self, backend: Backend, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._clock = clock
        self._again = -math.inf

    async def step(self) -> None:
        """Look, if it is time to.

        Raises:
            BackendError: The backend could not be asked; one that refuses is asked again later.
        """
        begun = self._clock()
        if begun < self._again:
            return
        try:
            adopted = await self._backend.adopt()
        except BackendRefused as error:
            _logger.warning("delayed jobs without their times cannot be looked for: %s", error)
            self._again = begun + MOST
            return
        now = self._clock()
        self._again = now + min(max(LEAST, SHARE * (now - begun)), MOST)
        if adopted:
            _logger.warning(
                "adopted %d delayed jobs that another program had stored without their times in the schedule", adopted
            )
