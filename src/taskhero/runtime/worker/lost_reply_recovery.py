"""Claims of which a process does not know, since the answer to an exchange was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.records.claims import claim_key
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import Backend, Claim, Process
    from taskhero.runtime.worker.claim_restorer import ClaimRestorer
    from taskhero.runtime.worker.settlement_buffer import SettlementBuffer

__all__ = ["LostReplyRecovery"]


class LostReplyRecovery:
    """Finds out what was claimed in a step whose answer was lost.

    Args:
        backend: Where the claims are.
        process: Whose claims they are.
        settlements: Tells which claims are known, and reports what cannot be read.
        start: Called with the claims that were not known.
        restorer: Restores claims that another program deleted.

    Attributes:
        needed: Whether the claims must be read before the next exchange.
    """

    def __init__(
        self,
        backend: Backend,
        process: Process,
        *,
        settlements: SettlementBuffer,
        start: Callable[[Sequence[Claim]], None],
        restorer: ClaimRestorer,
    ) -> None:
        self.needed = False
        self._left = 0
        self._backend = backend
        self._process = process
        self._settlements = settlements
        self._start = start
        self._restorer = restorer

    @property
    def open(self) -> bool:
        """Whether there is something to do before the next exchange."""
        return self.needed or self._restorer.wanted

    async def settle(self, alone: Claim | None) -> None:
        """Read the claims if that is due, and restore those that another program deleted.

        Args:
            alone: The claim that is marked as running alone.

        Raises:
            BackendError: It could not be done; it is still to do.
        """
        if self.needed:
            await self.reconcile()
        await self._restorer.step(alone)

    def lost(self) -> None:
        """Read the claims before the next exchange, and once more later: the step may act after the first reading."""
        self.needed = True
        self._left = 2

    def poll(self) -> None:
        """Read the claims again if they were not yet read as often as needed."""
        self.needed = self.needed or self._left > 0

    async def reconcile(self) -> None:
        """Read the claims, and start those that were not known.

        Raises:
            BackendError: They could not be read; they are due still.
        """
        self.needed = False
        try:
            found = await self._backend.claims(self._process)
        except BackendRefused as error:
            self._settlements.report_once("claims", f"what this process claimed cannot be read: {error}")
            return
        except BaseException:
            self.needed = True
            raise
        self._left -= 1
        known = self._settlements.known()
        self._start([claim for claim in found.claims if claim_key(claim) not in known])
        for name, what in found.unreadable.items():
            self._settlements.report_once(name, f"what stands under worker {name} cannot be read: {what[:200]}")
