"""Keep a job that may have crashed its process apart from other jobs, so that a crash can be attributed to it."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Final

from taskhero.runtime.worker.slots import SlotState
from taskhero.wire.jobs import late_crash_count, rescue_count

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend, Claim
    from taskhero.runtime.worker.problems import ProblemReporter
    from taskhero.runtime.worker.rounds import Rounds
    from taskhero.runtime.worker.slots import WorkerSlot, WorkerSlots

__all__ = ["MAX_PERIOD", "Quarantine", "QuarantinePhase", "quarantine_period"]

#: The longest quarantine period in seconds, unless the lease of a process is longer.
MAX_PERIOD: Final = 600.0
# Growth after each crash that came after the period: large, so that few crashes are needed to attribute one, but not
# larger, since other jobs wait for the period.
_GROWTH: Final = 4.0
_MAX_GROWTH_STEPS: Final = 20


def quarantine_period(raw: str, minimum: float) -> float:
    """Return how many seconds a quarantined job waits for other jobs, and then runs exclusively, at most.

    The period is *minimum* at first. It is four times as long after each crash that came after it, up to `MAX_PERIOD`.

    Args:
        raw: The job's payload.
        minimum: Length of the process's lease in seconds.
    """
    return min(minimum * _GROWTH ** min(late_crash_count(raw), _MAX_GROWTH_STEPS), max(MAX_PERIOD, minimum))


class QuarantinePhase(Enum):
    """What the quarantine of a process does."""

    EMPTY = "empty"  #: no job is quarantined
    WAITING = "waiting"  #: the job waits until no other job runs
    OVERDUE = "overdue"  #: the job has waited for its period, and starts although other jobs run
    EXCLUSIVE = "exclusive"  #: the job runs, and is marked as exclusive in the backend
    EXPIRED = "expired"  #: the job has run for its period: other jobs wait until its mark is removed


class Quarantine:
    """Holds one job at a time that was running when its process died.

    The job starts when no other job runs, so that another crash can be attributed to it. The wait for that and the
    exclusive run each last for the job's quarantine period at most. A long job therefore does not block the other jobs
    of this process. While a job is quarantined, the process claims no jobs.

    Args:
        backend: Records that the job runs exclusively. If the process dies then, the crash is attributed to the job.
        slots: The slots of the process.
        problems: Receives the claim that another process took.
        rounds: Starts the round in which the next step is due.
        lease: Seconds of the process's lease; the shortest quarantine period.
        rescue_limit: Crashes in exclusive runs after which a job fails without being run.

    Attributes:
        phase: What the quarantine does now.
        claim: The claim of the quarantined job, or None.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        slots: WorkerSlots,
        problems: ProblemReporter,
        rounds: Rounds,
        lease: float,
        rescue_limit: int,
    ) -> None:
        self.phase = QuarantinePhase.EMPTY
        self.claim: Claim | None = None
        self._backend = backend
        self._slots = slots
        self._problems = problems
        self._rounds = rounds
        self._lease = lease
        self._rescue_limit = rescue_limit
        self._slot: WorkerSlot | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def exclusive_claim(self) -> Claim | None:
        """The claim of the exclusive run, or None."""
        return self.claim if self.phase in {QuarantinePhase.EXCLUSIVE, QuarantinePhase.EXPIRED} else None

    def concerns(self, raw: str) -> bool:
        """Return whether the job with this payload must be quarantined.

        A job that has reached the limit need not be, since it fails without being run.
        """
        crashes = rescue_count(raw)
        return crashes is not None and crashes < self._rescue_limit

    def admit(self, slot: WorkerSlot, claim: Claim) -> bool:
        """Hold the job of *claim* until it may start. Return False if another job is quarantined."""
        if self.claim is not None:
            return False
        self._slots.hold(slot, claim)
        self._slot, self.claim = slot, claim
        self._enter(QuarantinePhase.WAITING, claim, expiry=QuarantinePhase.OVERDUE)
        return True

    async def advance(self, *, all_sent: bool) -> tuple[WorkerSlot, Claim] | None:
        """Take the step that is due in the backend.

        The exclusive run begins when no other job runs, or the job has waited for its period. Threads of ended jobs do
        not count, since they may never end. When its period is over, its mark is removed, and then other jobs start.

        Args:
            all_sent: Whether the settlements of all ended jobs are recorded. A crash must not repeat these jobs.

        Returns:
            The slot and the claim whose job is to be started now, or None.

        Raises:
            BackendError: The step failed. It remains to be taken.
        """
        slot, claim = self._slot, self.claim
        if slot is None or claim is None:
            return None
        if self.phase is QuarantinePhase.EXPIRED:
            await self._backend.mark_exclusive(self._slots.process, claim, exclusive=False)
            if self.claim is claim:
                self._end()
            return None
        waits = self.phase is QuarantinePhase.WAITING and not self._slots.running
        if not all_sent or not (waits or self.phase is QuarantinePhase.OVERDUE):
            return None
        is_current = await self._backend.mark_exclusive(self._slots.process, claim)
        if self.claim is not claim:
            # It was withdrawn meanwhile.
            return None
        if is_current:
            self._enter(QuarantinePhase.EXCLUSIVE, claim, expiry=QuarantinePhase.EXPIRED)
            return slot, claim
        self._problems.report_lost_claim(claim)
        self._slots.drop(slot)
        self._end()
        return None

    def withdraw(self) -> Claim | None:
        """End the quarantine of a job that has not started. Return its claim, which is to be released."""
        slot, claim = self._slot, self.claim
        if slot is None or self.phase not in {QuarantinePhase.WAITING, QuarantinePhase.OVERDUE}:
            return None
        self._slots.drop(slot)
        self._end()
        return claim

    def check_end(self, slot: WorkerSlot) -> None:
        """End the quarantine if *slot* ran its job, and nothing of that job runs any more."""
        if self._slot is slot and slot.state is not SlotState.DRAINING:
            self._end()

    def close(self) -> None:
        """Stop the timer of the quarantine period."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _enter(self, phase: QuarantinePhase, claim: Claim, *, expiry: QuarantinePhase) -> None:
        """Enter *phase*, and *expiry* after the quarantine period of the claimed job."""
        self.phase = phase
        self.close()
        period = quarantine_period(claim.raw, self._lease)
        self._timer = asyncio.get_running_loop().call_later(period, self._expire, expiry)

    def _expire(self, phase: QuarantinePhase) -> None:
        self.phase = phase
        self._rounds.request()

    def _end(self) -> None:
        """Let other jobs run again."""
        self._slot = self.claim = None
        self.phase = QuarantinePhase.EMPTY
        self.close()
        self._rounds.request_claim()
