"""Writing again what running jobs claimed, after another program deleted it."""

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

    Ruby's Resque deletes what a worker holds together with the worker. The job goes on here, so its claim has to exist
    again: for those who look, for its settlement, and for a rescue if this process dies.

    Args:
        backend: The store of jobs.
        process: The process whose jobs they are.
        roster: The task processors.
        complain: Called with a subject and a text if the backend refuses.
    """

    def __init__(
        self, backend: Backend, process: Process, roster: WorkerSlots, complain: Callable[[str, str], None]
    ) -> None:
        self._backend = backend
        self._process = process
        self._roster = roster
        self._complain = complain
        self._slots: set[int] = set()
        self._disowned: set[ClaimKey] = set()

    @property
    def wanted(self) -> bool:
        """Whether there is a slot to restore."""
        return bool(self._slots)

    def ask(self, slots: Iterable[int]) -> None:
        """Restore what the jobs in *slots* claimed with the next `step`."""
        self._slots.update(slots)

    def disown(self, slots: Iterable[int] | None = None) -> None:
        """Never restore what runs in *slots* now, or in any slot: taskhero itself may have given it to others."""
        running = self._running(self._roster.workers if slots is None else slots)
        # Claims that ended meanwhile need no mark any more.
        still = {claim_key(claim) for claim in self._running(self._roster.workers)}
        self._disowned = (self._disowned & still) | {claim_key(claim) for claim in running}

    async def step(self, alone: Claim | None) -> None:
        """Restore what was asked for. No settlement may be under way, since it would look for a claim that is gone.

        Args:
            alone: The claim that is marked as running alone, which it then is again.

        Raises:
            BackendUnavailable: The backend cannot be reached; the next step does it.
        """
        slots, self._slots = self._slots, set()
        claims = [claim for claim in self._running(slots) if claim_key(claim) not in self._disowned]
        try:
            held = await self._backend.restore(self._process, claims) if claims else ()
            if alone is not None and any(claim is alone for claim in claims) and any(held):
                await self._backend.mark_exclusive(self._process, alone)
        except BackendRefused as error:
            self._complain("restore", f"claims that another program deleted cannot be written again: {error}")
        except BaseException:
            self._slots |= slots
            raise

    def _running(self, slots: Iterable[int]) -> list[Claim]:
        workers = self._roster.workers
        found = (workers[slot].claim for slot in sorted(slots) if slot in workers)
        return [claim for claim in found if claim is not None]
