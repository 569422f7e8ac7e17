"""Keep settlements until the backend has recorded them, and then emit their events."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from taskhero.backends.protocol import Failed, Released, Retried, Settlement
from taskhero.backends.records.claims import ClaimKey, claim_key
from taskhero.errors import BackendError
from taskhero.events import (
    SchedulerReEnqueue,
    WorkerError,
    WorkerFailure,
    WorkerGivenBack,
    WorkerGone,
    WorkerReEnqueue,
    WorkerRefused,
    WorkerRetry,
    WorkerSuccess,
)
from taskhero.models import Failure, Postponed, Refused, Retrying, Success
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.execution.failure_report import failure_entry
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskhero.backends.protocol import Claim, Disposition, Process, SettleAndClaimReply
    from taskhero.events import Emitter, Event
    from taskhero.models import Job, Outcome
    from taskhero.runtime.execution.executor import JobResult
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.slots import WorkerSlots

__all__ = [
    "BATCH",
    "PAUSED",
    "QUARANTINE_OCCUPIED",
    "SLOT_OCCUPIED",
    "STOPPING",
    "SettlementBuffer",
    "emit_next_runs",
    "emit_settled",
]

#: Largest number of settlements in one round, and of slots that claim in one.
BATCH = 1000

#: Seconds during which the same problem is not reported again.
REPORT_INTERVAL = 60.0


class SettlementBuffer:
    """Keeps the settlements that are not recorded yet, and emits their events when they are.

    Args:
        process: The process that ran the jobs.
        slots: The slots. A slot stays occupied while its settlement cannot be recorded.
        emitter: Receives the events.
        preparation: Returns the locks and counters to release with a settlement.
        signal: Called when settlements are to be sent again.
        backoff: The delays before that.

    Attributes:
        pending: The settlements for the next round, each with the result of its job (None if it was not performed).
    """

    def __init__(
        self,
        *,
        process: Process,
        slots: WorkerSlots,
        emitter: Emitter,
        preparation: RunPreparation,
        signal: Callable[[], None],
        backoff: Backoff,
    ) -> None:
        self.pending: list[tuple[Settlement, JobResult | None]] = []
        self._process = process
        self._slots = slots
        self._emitter = emitter
        self._preparation = preparation
        self._signal = signal
        self._sent: list[tuple[Settlement, JobResult | None]] = []
        # Sent without a reply, so they may be recorded already.
        self._resent: set[ClaimKey] = set()
        self._unsettled: dict[ClaimKey, tuple[Settlement, JobResult | None]] = {}
        self._reasons: dict[ClaimKey, str] = {}
        self._backoff = backoff
        self._timer: asyncio.TimerHandle | None = None
        self._reported: dict[tuple[str, str], float] = {}

    @property
    def empty(self) -> bool:
        """Whether all settlements are recorded."""
        return not (self.pending or self._sent or self._unsettled)

    def add(self, claim: Claim, disposition: Disposition, result: JobResult | None) -> None:
        """Add the settlement of a job that ended."""
        next_run = None if result is None else result.next_run
        if self._preparation.resources:
            busy = None if result is None else result.busy
            settlement = Settlement(claim, disposition, *self._preparation.settle(claim, disposition, busy), next_run)
        elif next_run is not None:
            settlement = Settlement(claim, disposition, next_run=next_run)
        else:
            settlement = Settlement(claim, disposition)
        self.pending.append((settlement, result))

    def release(self, claim: Claim, reason: str) -> None:
        """Release a job to the front of its queue, for *reason*, which its event shows."""
        self._reasons[claim_key(claim)] = reason
        self.add(claim, Released(), None)

    def take_batch(self) -> list[Settlement]:
        """Return the settlements for the round that starts, up to `BATCH`."""
        self._sent, self.pending = self.pending[:BATCH], self.pending[BATCH:]
        return [settlement for settlement, _ in self._sent]

    def keep_for_retry(self, *, lost: bool) -> None:
        """Make the settlements of a failed round pending again.

        Args:
            lost: Whether the reply was lost, so that they may be recorded.
        """
        if lost:
            self._resent.update(claim_key(settlement.claim) for settlement, _ in self._sent)
        self.pending[:0] = self._sent
        self._sent = []

    def acknowledge(self, reply: SettleAndClaimReply) -> None:
        """Process the reply of a round: emit what was recorded, keep what was not."""
        sent, self._sent = self._sent, []
        all_sent = sent
        if reply.gone or reply.unsettled:
            sent = self._drop_unrecorded(sent, reply)
        if self._resent:
            replied = {claim_key(settlement.claim) for settlement, _ in all_sent}
            self._resent.difference_update(replied - self._unsettled.keys())
        if not self._unsettled:
            self._backoff.reset()
        attempts = {claim_key(claim): attempt for claim, attempt in reply.attempts} if reply.attempts else {}
        if sent:
            emit_settled(self._emitter, self._process, sent, attempts, self._reasons)
        for settlement, _ in all_sent if self._reasons else ():
            if claim_key(settlement.claim) not in self._unsettled:
                self._reasons.pop(claim_key(settlement.claim), None)
        if reply.next_runs:
            emit_next_runs(self._emitter, self._process, reply.next_runs)
        for queue, reason in reply.problems.items():
            self.report_once(queue, f"cannot read queue {queue!r}: {reason}", queue=queue)

    def report_lost_claim(self, claim: Claim) -> None:
        """Report that a job was taken from this process, which had been taken for dead."""
        worker = self._process.worker(claim.slot)
        self._emitter.emit(WorkerGone(worker, claim.queue, decode_job(claim.raw, claim.queue)))

    def report_once(self, subject: str, text: str, *, queue: str | None = None, claim: Claim | None = None) -> None:
        """Emit an error, unless the same was emitted within `REPORT_INTERVAL`."""
        now = time.monotonic()
        if now - self._reported.get((subject, text), -REPORT_INTERVAL) < REPORT_INTERVAL:
            return
        self._reported = {
            key: reported_at for key, reported_at in self._reported.items() if now - reported_at < REPORT_INTERVAL
        }
        self._reported[subject, text] = now
        job = None if claim is None else decode_job(claim.raw, claim.queue)
        worker = self._process.name if claim is None else self._process.worker(claim.slot)
        self._emitter.emit(WorkerError(worker, BackendError(text), queue, job))

    def failure(self, claim: Claim, worker: str, error: Exception) -> Failed:
        """Return the disposition of a job whose executor raised *error*."""
        entry = failure_entry(error, raw=claim.raw, queue=claim.queue, worker=worker, failed_at=time.time())
        return Failed(entry)

    def known_claims(self) -> set[ClaimKey]:
        """Return all claims that this process knows."""
        held = {claim_key(worker.claim) for worker in self._slots.workers.values() if worker.claim is not None}
        held.update(claim_key(settlement.claim) for settlement, _ in self.pending)
        held.update(self._unsettled)
        return held

    def pending_slots(self) -> set[int]:
        """Return the slots with a pending settlement."""
        return {settlement.claim.slot for settlement, _ in self.pending}

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

    def _drop_unrecorded(
        self, sent: list[tuple[Settlement, JobResult | None]], reply: SettleAndClaimReply
    ) -> list[tuple[Settlement, JobResult | None]]:
        """Keep settlements that cannot be recorded, and report lost claims. Return the recorded ones."""
        gone = {claim_key(claim) for claim in reply.gone}
        unsettled = {claim_key(claim): reason for claim, reason in reply.unsettled}
        recorded = []
        for item in sent:
            claim = claim_key(item[0].claim)
            if claim in unsettled:
                self._keep_unsettled(item, unsettled[claim])
            elif claim not in gone:
                recorded.append(item)
            elif claim not in self._resent:
                self.report_lost_claim(item[0].claim)
            elif type(item[0].disposition) is not Retried:
                # It was recorded by the round whose reply was lost. For a retry the number of the attempt is unknown.
                recorded.append(item)
        return recorded

    def _keep_unsettled(self, item: tuple[Settlement, JobResult | None], reason: str) -> None:
        claim = item[0].claim
        self._unsettled[claim_key(claim)] = item
        worker = self._slots.workers.get(claim.slot)
        if worker is not None:
            worker.unsettled = True
            self._slots.free.pop(claim.slot, None)
        text = f"cannot record yet how a job ended; its slot waits: {reason}"
        self.report_once(f"{claim.slot} {claim.token}", text, queue=claim.queue, claim=claim)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._backoff.next(), self._resend)

    def _resend(self) -> None:
        self._timer = None
        items, self._unsettled = list(self._unsettled.values()), {}
        for item in items:
            worker = self._slots.workers.get(item[0].claim.slot)
            if worker is not None:
                worker.unsettled = False
                self._slots.release(worker)
        self.pending.extend(items)
        self._signal()


#: Why a claimed job is released, as its event and the log say.
STOPPING = "this process is stopping"
PAUSED = "this process is paused"
SLOT_OCCUPIED = "its task processor is not free any more"
QUARANTINE_OCCUPIED = "it is quarantined, and this process runs another quarantined job first"


def emit_settled(
    emitter: Emitter,
    process: Process,
    recorded: Sequence[tuple[Settlement, JobResult | None]],
    attempts: Mapping[ClaimKey, int],
    reasons: Mapping[ClaimKey, str],
) -> None:
    """Emit an event for each job whose settlement was recorded.

    Args:
        emitter: Emits the events.
        process: The process that ran the jobs.
        recorded: The settlements, each with the result of its job (None if it was not performed to its end).
        attempts: The number of the failed attempt, by claim, of jobs that are retried.
        reasons: Why a job was released, by claim.
    """
    # Most jobs succeed, often without a handler of the event: then this check is all that is done.
    successes = emitter.wants(WorkerSuccess)
    for settlement, result in recorded:
        claim = settlement.claim
        if result is None:
            if type(settlement.disposition) is Released:
                job = decode_job(claim.raw, claim.queue)
                reason = reasons.get(claim_key(claim), STOPPING)
                emitter.emit(WorkerGivenBack(process.worker(claim.slot), claim.queue, job, reason))
        elif type(result.outcome) is not Success:
            emitter.emit(_event(process.worker(claim.slot), claim, result.job, result.outcome, attempts))
        elif successes:
            success = result.outcome
            worker = process.worker(claim.slot)
            emitter.emit(WorkerSuccess(worker, claim.queue, result.job, success.result, success.duration))


def emit_next_runs(emitter: Emitter, process: Process, next_runs: Sequence[tuple[Claim, int]]) -> None:
    """Emit an event for each periodic task whose next run was delayed when its last run ended."""
    for claim, due_at in next_runs:
        job = decode_job(claim.raw, claim.queue)
        emitter.emit(SchedulerReEnqueue(process.name, claim.queue, job, due_at))


def _event(worker: str, claim: Claim, job: Job, outcome: Outcome, attempts: Mapping[ClaimKey, int]) -> Event:
    queue = claim.queue
    match outcome:
        case Success(result, duration):
            return WorkerSuccess(worker, queue, job, result, duration)
        case Failure(error, duration):
            return WorkerFailure(worker, queue, job, error, duration)
        case Refused():
            return WorkerRefused(worker, queue, job)
        case Postponed(delay):
            return WorkerReEnqueue(worker, queue, job, delay)
        case Retrying(error=error, duration=duration, limit=limit, delays=delays):
            attempt = attempts.get(claim_key(claim))
            if attempt is None:
                return WorkerFailure(worker, queue, job, error, duration)
            delay = delays[min(attempt, len(delays)) - 1] if delays else 0.0
            return WorkerRetry(worker, queue, job, error, duration, attempt, limit, delay)
