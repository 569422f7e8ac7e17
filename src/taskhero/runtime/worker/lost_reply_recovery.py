"""Read the claims of the process after a lost reply, and start the jobs that it does not know."""

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
    """Finds the claims of a step whose reply was lost.

    Args:
        backend: The store of the claims.
        process: The process that holds the claims.
        settlements: Returns the known claims, and reports what cannot be read.
        start: Called with the claims that were not known.
        restorer: Restores claims that another program deleted.

    Attributes:
        needed: Whether the claims must be read before the next round.
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
        self._reads_left = 0
        self._backend = backend
        self._process = process
        self._settlements = settlements
        self._start = start
        self._restorer = restorer

    @property
    def pending(self) -> bool:
        """Whether there is something to do before the next round."""
        return self.needed or self._restorer.pending

    async def recover(self, exclusive_claim: Claim | None) -> None:
        """Read the claims if needed, and restore those that another program deleted.

        Args:
            exclusive_claim: The claim of the exclusive run, or None.

        Raises:
            BackendError: The step failed. It remains to be done.
        """
        if self.needed:
            await self.read_claims()
        await self._restorer.restore(exclusive_claim)

    def reply_lost(self) -> None:
        """Read the claims before the next round, and once more later: the lost step may still take effect."""
        self.needed = True
        self._reads_left = 2

    def poll(self) -> None:
        """Read the claims again if a reading remains."""
        self.needed = self.needed or self._reads_left > 0

    async def read_claims(self) -> None:
        """Read the claims, and start those that were not known.

        Raises:
            BackendError: The claims could not be read. They remain to be read.
        """
        self.needed = False
        try:
            reply = await self._backend.claims(self._process)
        except BackendRefused as error:
            self._settlements.report_once("claims", f"cannot read the claims of this process: {error}")
            return
        except BaseException:
            self.needed = True
            raise
        self._reads_left -= 1
        known = self._settlements.known_claims()
        self._start([claim for claim in reply.claims if claim_key(claim) not in known])
        for name, payload in reply.unreadable.items():
            self._settlements.report_once(name, f"cannot read the claim of worker {name}: {payload[:200]}")
