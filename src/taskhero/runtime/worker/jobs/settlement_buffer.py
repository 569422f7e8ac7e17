"""Keep settlements until the backend has recorded them, and then emit their events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero.backends.protocol import Released, Retried, Settlement
from taskhero.backends.records.claims import ClaimKey, claim_key
from taskhero.events import SchedulerReEnqueue, WorkerSuccess
from taskhero.models import Success
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.worker.jobs.finished_job import FinishedJob, ReleaseReason
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import Claim, Disposition, SettleAndClaimReply
    from taskhero.events import Emitter
    from taskhero.runtime.execution.executor import JobResult
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.problems import ProblemReporter
    from taskhero.runtime.worker.rounds import Rounds
    from taskhero.runtime.worker.slots import WorkerSlots

__all__ = ["BATCH", "SettlementBuffer"]

#: Largest number of settlements in one round, and of slots that claim in one.
BATCH = 1000


class SettlementBuffer:
    """Keeps the settlements that are not recorded yet, and emits their events when they are.

    Args:
        slots: The slots of the process. Those whose last job cannot be settled take no jobs.
        emitter: Receives the events.
        preparation: Returns the locks and counters to release with a settlement.
        problems: Receives what cannot be recorded or read.
        rounds: Starts the round that sends a settlement again.
        backoff: The delays before a settlement that could not be recorded is sent again.

    Attributes:
        pending: The jobs whose settlements travel with the next rounds.
    """

    def __init__(
        self,
        *,
        slots: WorkerSlots,
        emitter: Emitter,
        preparation: RunPreparation,
        problems: ProblemReporter,
        rounds: Rounds,
        backoff: Backoff,
    ) -> None:
        self.pending: list[FinishedJob] = []
        self._process = slots.process
        self._slots = slots
        self._emitter = emitter
        self._preparation = preparation
        self._problems = problems
        self._rounds = rounds
        self._sent: list[FinishedJob] = []
        self._unsettled: dict[ClaimKey, FinishedJob] = {}
        self._backoff = backoff
        self._timer: asyncio.TimerHandle | None = None

    @property
    def empty(self) -> bool:
        """Whether all settlements are recorded."""
        return not (self.pending or self._sent or self._unsettled)

    def add(
        self,
        claim: Claim,
        disposition: Disposition,
        result: JobResult | None,
        reason: ReleaseReason = ReleaseReason.STOPPING,
    ) -> None:
        """Add the settlement of a job that ended.

        Args:
            claim: The claim of the job.
            disposition: How the job ended.
            result: The same as the plugins decided, if the job was performed to its end.
            reason: Why the job is released, if it is.
        """
        next_run = None if result is None else result.next_run
        if self._preparation.resources:
            busy = None if result is None else result.busy
            settlement = Settlement(claim, disposition, *self._preparation.settle(claim, disposition, busy), next_run)
        elif next_run is not None:
            settlement = Settlement(claim, disposition, next_run=next_run)
        else:
            settlement = Settlement(claim, disposition)
        self.pending.append(FinishedJob(settlement, result, reason))

    def release(self, claim: Claim, reason: ReleaseReason) -> None:
        """Release a job to the front of its queue, for *reason*, which its event shows."""
        self.add(claim, Released(), None, reason)

    def take_batch(self) -> list[Settlement]:
        """Return the settlements for the round that starts, up to `BATCH`."""
        self._sent, self.pending = self.pending[:BATCH], self.pending[BATCH:]
        return [finished.settlement for finished in self._sent]

    def keep_for_retry(self, *, lost: bool) -> None:
        """Make the settlements of a failed round pending again.

        Args:
            lost: Whether the reply was lost, so that they may be recorded.
        """
        if lost:
            for finished in self._sent:
                finished.resent = True
        self.pending[:0] = self._sent
        self._sent = []

    def acknowledge(self, reply: SettleAndClaimReply) -> None:
        """Process the reply of a round: emit what was recorded, keep what was not."""
        recorded, self._sent = self._sent, []
        if reply.gone or reply.unsettled:
            recorded = self._drop_unrecorded(recorded, reply)
        if not self._unsettled:
            self._backoff.reset()
        if recorded:
            self._emit(recorded, reply.attempts)
        for claim, due_at in reply.next_runs:
            job = decode_job(claim.raw, claim.queue)
            self._emitter.emit(SchedulerReEnqueue(self._process.name, claim.queue, job, due_at))
        for queue, reason in reply.problems.items():
            self._problems.report(queue, f"cannot read queue {queue!r}: {reason}", queue=queue)

    def unrecorded_claims(self) -> set[ClaimKey]:
        """Return the claims whose settlements are not recorded."""
        return {finished.key for finished in (*self.pending, *self._sent)} | self._unsettled.keys()

    def pending_slots(self) -> set[int]:
        """Return the numbers of the slots with a pending settlement."""
        return {finished.claim.slot for finished in self.pending}

    def skip_grace(self) -> None:
        """Send unrecorded settlements again at once and then at short intervals, since the process stops."""
        self._backoff = Backoff(limit=0.2)
        if self._timer is not None:
            self._timer.cancel()
            self._resend()

    def close(self) -> None:
        """Stop the timer that sends settlements again."""
        if self._timer is not None:
            self._timer.cancel()

    def _emit(self, recorded: Iterable[FinishedJob], attempts: Sequence[tuple[Claim, int]]) -> None:
        numbers = {claim_key(claim): attempt for claim, attempt in attempts} if attempts else {}
        # Most jobs succeed, often without a handler of the event: then this check is all that is done.
        successes = self._emitter.wants(WorkerSuccess)
        for finished in recorded:
            result = finished.result
            if not successes and result is not None and type(result.outcome) is Success:
                continue
            attempt = numbers.get(finished.key) if numbers else None
            event = finished.event(self._process.worker(finished.claim.slot), attempt)
            if event is not None:
                self._emitter.emit(event)

    def _drop_unrecorded(self, sent: list[FinishedJob], reply: SettleAndClaimReply) -> list[FinishedJob]:
        """Keep settlements that cannot be recorded, and report lost claims. Return the recorded ones."""
        gone = {claim_key(claim) for claim in reply.gone}
        unsettled = {claim_key(claim): reason for claim, reason in reply.unsettled}
        recorded = []
        for finished in sent:
            key = finished.key
            if key in unsettled:
                self._keep_unsettled(finished, unsettled[key])
            elif key not in gone:
                recorded.append(finished)
            elif not finished.resent:
                self._problems.report_lost_claim(finished.claim)
            elif type(finished.settlement.disposition) is not Retried:
                # It was recorded by the round whose reply was lost. For a retry the number of the attempt is unknown.
                recorded.append(finished)
        return recorded

    def _keep_unsettled(self, finished: FinishedJob, reason: str) -> None:
        claim = finished.claim
        self._unsettled[finished.key] = finished
        self._slots.unsettle(claim.slot)
        text = f"cannot record yet how a job ended; its slot waits: {reason}"
        self._problems.report(f"{claim.slot} {claim.token}", text, queue=claim.queue, claim=claim)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._backoff.next(), self._resend)

    def _resend(self) -> None:
        self._timer = None
        unsettled, self._unsettled = self._unsettled, {}
        for finished in unsettled.values():
            self._slots.settle(finished.claim.slot)
        self.pending.extend(unsettled.values())
        self._rounds.request()
