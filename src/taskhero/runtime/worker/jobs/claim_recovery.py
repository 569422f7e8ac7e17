"""Make the claims of a process in the backend and in its slots equal again, after a lost reply or a deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.records.claims import ClaimKey, claim_key
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskhero.backends.protocol import Backend
    from taskhero.runtime.worker.jobs.job_runner import JobRunner
    from taskhero.runtime.worker.jobs.quarantine import Quarantine
    from taskhero.runtime.worker.jobs.settlement_buffer import SettlementBuffer
    from taskhero.runtime.worker.problems import ProblemReporter
    from taskhero.runtime.worker.slots import WorkerSlots

__all__ = ["ClaimRecovery"]


class ClaimRecovery:
    """Finds the claims of a step whose reply was lost, and restores claims that another program deleted.

    Ruby's Resque deletes a worker's claim together with the worker. The job continues here, so its claim must exist
    again: for inspection, for its settlement, and for a rescue if this process dies.

    Args:
        backend: The store of the claims.
        slots: The slots of the process, with the claims that they hold.
        settlements: The settlements that are not recorded, with their claims.
        quarantine: Knows the claim of the exclusive run, whose mark is restored, too.
        runner: Starts the jobs of claims that were not known.
        problems: Receives what cannot be read or restored.

    Attributes:
        pending: Whether there is a claim to find or to restore.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        slots: WorkerSlots,
        settlements: SettlementBuffer,
        quarantine: Quarantine,
        runner: JobRunner,
        problems: ProblemReporter,
    ) -> None:
        self.pending = False
        self._backend = backend
        self._slots = slots
        self._settlements = settlements
        self._quarantine = quarantine
        self._runner = runner
        self._problems = problems
        self._must_read = False
        self._reads_left = 0
        self._requested: set[int] = set()
        self._excluded: set[ClaimKey] = set()

    async def recover(self) -> None:
        """Find or restore the claims that are pending.

        Call it while no settlement is in flight, since a restored claim would miss its settlement.

        Raises:
            BackendError: A step failed. It remains to be done.
        """
        if self._must_read:
            await self._read_claims()
        if self._requested:
            await self._restore()
        self.pending = self._must_read or bool(self._requested)

    # claims of a step whose reply was lost

    def reply_lost(self) -> None:
        """Read the claims before the next round, and once more later: the lost step may still take effect."""
        self.pending = self._must_read = True
        self._reads_left = 2

    def poll(self) -> None:
        """Read the claims again if a reading remains."""
        if self._reads_left > 0:
            self.pending = self._must_read = True

    async def _read_claims(self) -> None:
        """Read the claims, and start those that were not known."""
        self._must_read = False
        try:
            reply = await self._backend.claims(self._slots.process)
        except BackendRefused as error:
            self._problems.report("claims", f"cannot read the claims of this process: {error}")
            return
        except BaseException:
            self._must_read = True
            raise
        self._reads_left -= 1
        known = self._settlements.unrecorded_claims().union(map(claim_key, self._slots.claims()))
        self._runner.start([claim for claim in reply.claims if claim_key(claim) not in known])
        for name, payload in reply.unreadable.items():
            self._problems.report(name, f"cannot read the claim of worker {name}: {payload[:200]}")

    # claims that another program deleted

    def request(self, slots: Iterable[int]) -> None:
        """Request that the next `recover` restores the claims of the jobs in *slots*."""
        self._requested.update(slots)
        self.pending = self.pending or bool(self._requested)

    def exclude(self, slots: Iterable[int] | None = None) -> None:
        """Exclude the claims that run in *slots* now (None: in all slots) from any restore.

        taskhero itself may have given these jobs to other processes.
        """
        # Claims that have ended since then need no entry.
        current = set(map(claim_key, self._slots.claims()))
        self._excluded = (self._excluded & current).union(map(claim_key, self._slots.claims(slots)))

    async def _restore(self) -> None:
        process = self._slots.process
        slots, self._requested = self._requested, set()
        claims = [claim for claim in self._slots.claims(slots) if claim_key(claim) not in self._excluded]
        try:
            restored = await self._backend.restore(process, claims) if claims else ()
            exclusive = self._quarantine.exclusive_claim
            if exclusive is not None and any(claim is exclusive for claim in claims) and any(restored):
                await self._backend.mark_exclusive(process, exclusive)
        except BackendRefused as error:
            self._problems.report("restore", f"cannot restore claims that another program deleted: {error}")
        except BaseException:
            self._requested |= slots
            raise
