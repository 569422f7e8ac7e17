"""Write claims of running jobs again after another program deleted them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.records.claims import ClaimKey, claim_key
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskhero.backends.protocol import Backend, Claim, Process
    from taskhero.runtime.worker.slots import WorkerSlots

__all__ = ["ClaimRestorer"]


class ClaimRestorer:
    """Restores the claims of running jobs whose workers another program removed.

    Ruby's Resque deletes a worker's claim together with the worker. The job continues here, so its claim must exist
    again: for inspection, for its settlement, and for a rescue if this process dies.

    Args:
        backend: The store of jobs.
        process: The process that holds the claims.
        slots: The task processors.
        report: Called with a subject and a text if the backend refuses.
    """

    def __init__(
        self, backend: Backend, process: Process, slots: WorkerSlots, report: Callable[[str, str], None]
    ) -> None:
        self._backend = backend
        self._process = process
        self._worker_slots = slots
        self._report = report
        self._requested: set[int] = set()
        self._excluded: set[ClaimKey] = set()

    @property
    def pending(self) -> bool:
        """Whether there is a claim to restore."""
        return bool(self._requested)

    def request(self, slots: Iterable[int]) -> None:
        """Request that the next `restore` restores the claims of the jobs in *slots*."""
        self._requested.update(slots)

    def exclude(self, slots: Iterable[int] | None = None) -> None:
        """Exclude the claims that run in *slots* now (None: in all slots) from any restore.

        taskhero itself may have given these jobs to other processes.
        """
        running = self._running(self._worker_slots.workers if slots is None else slots)
        # Claims that have ended since then need no entry.
        current = {claim_key(claim) for claim in self._running(self._worker_slots.workers)}
        self._excluded = (self._excluded & current) | {claim_key(claim) for claim in running}

    async def restore(self, exclusive_claim: Claim | None) -> None:
        """Restore the requested claims. Call it while no settlement is in flight, since that would miss its claim.

        Args:
            exclusive_claim: The claim of the exclusive run, if there is one. Its mark is restored, too.

        Raises:
            BackendUnavailable: The backend cannot be reached. The request stays.
        """
        slots, self._requested = self._requested, set()
        claims = [claim for claim in self._running(slots) if claim_key(claim) not in self._excluded]
        try:
            restored = await self._backend.restore(self._process, claims) if claims else ()
            if exclusive_claim is not None and any(claim is exclusive_claim for claim in claims) and any(restored):
                await self._backend.mark_exclusive(self._process, exclusive_claim)
        except BackendRefused as error:
            self._report("restore", f"cannot restore claims that another program deleted: {error}")
        except BaseException:
            self._requested |= slots
            raise

    def _running(self, slots: Iterable[int]) -> list[Claim]:
        workers = self._worker_slots.workers
        claims = (workers[slot].claim for slot in sorted(slots) if slot in workers)
        return [claim for claim in claims if claim is not None]
