"""Settlements that the backend has not recorded yet, and the events of those that it has."""

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
from taskhero.runtime.execution.failure_report import describe
from taskhero.wire.failures import encode_failure
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskhero.backends.protocol import Claim, Disposition, Process, SettleAndClaimReply
    from taskhero.events import Emitter, Event
    from taskhero.models import Job, Outcome
    from taskhero.runtime.execution.executor import JobResult
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.slots import WorkerSlots

__all__ = ["BATCH", "CROWDED", "PAUSED", "STOPS", "TAKEN", "SettlementBuffer", "emit_next_runs", "emit_settled"]

#: So many endings go into one exchange at most, and so many processors ask for jobs.
BATCH = 1000

#: The same complaint is not told again within so many seconds.
REPORT_INTERVAL = 60.0


class SettlementBuffer:
    """Keeps the endings that are yet to be recorded, and tells them when they are.

    Args:
        process: Whose jobs they are.
        slots: The task processors; the slot of an ending that cannot be recorded stays taken.
        emitter: Is told how jobs ended.
        preparation: Tells what goes with the end of a job.
        signal: Called when endings are to be sent again.
        backoff: How long to wait before that.

    Attributes:
        pending: What the next exchange is to record, each with what was performed (None if nothing was).
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
        # What was sent with no answer: it may be recorded already.
        self._resent: set[ClaimKey] = set()
        self._unsettled: dict[ClaimKey, tuple[Settlement, JobResult | None]] = {}
        self._reasons: dict[ClaimKey, str] = {}
        self._backoff = backoff
        self._timer: asyncio.TimerHandle | None = None
        self._reported: dict[tuple[str, str], float] = {}

    @property
    def closed(self) -> bool:
        """Whether all endings are recorded."""
        return not (self.pending or self._sent or self._unsettled)

    def add(self, claim: Claim, disposition: Disposition, result: JobResult | None) -> None:
        """A job ended."""
        next_run = None if result is None else result.next_run
        if self._preparation.has_resources:
            busy = None if result is None else result.busy
            settlement = Settlement(claim, disposition, *self._preparation.settle(claim, disposition, busy), next_run)
        elif next_run is not None:
            settlement = Settlement(claim, disposition, next_run=next_run)
        else:
            settlement = Settlement(claim, disposition)
        self.pending.append((settlement, result))

    def give_back(self, claim: Claim, reason: str) -> None:
        """Release a job to the front of its queue; *reason* says why, for the event."""
        self._reasons[claim_key(claim)] = reason
        self.add(claim, Released(), None)

    def send(self) -> list[Settlement]:
        """What the exchange that begins is to record, as much as goes into one."""
        self._sent, self.pending = self.pending[:BATCH], self.pending[BATCH:]
        return [settlement for settlement, _ in self._sent]

    def restore(self, *, lost: bool) -> None:
        """The exchange failed: what it was to record is still to be recorded.

        Args:
            lost: Whether it may be recorded all the same.
        """
        if lost:
            self._resent.update(claim_key(settlement.claim) for settlement, _ in self._sent)
        self.pending[:0] = self._sent
        self._sent = []

    def acknowledge(self, answer: SettleAndClaimReply) -> None:
        """Take note of what was recorded, and of what was not."""
        sent, self._sent = self._sent, []
        all_sent = sent
        if answer.gone or answer.unsettled:
            sent = self._drop_unrecorded(sent, answer)
        if self._resent:
            answered = {claim_key(settlement.claim) for settlement, _ in all_sent}
            self._resent.difference_update(answered - self._unsettled.keys())
        if not self._unsettled:
            self._backoff.reset()
        attempts = {claim_key(claim): attempt for claim, attempt in answer.attempts} if answer.attempts else {}
        if sent:
            emit_settled(self._emitter, self._process, sent, attempts, self._reasons)
        for settlement, _ in all_sent if self._reasons else ():
            if claim_key(settlement.claim) not in self._unsettled:
                self._reasons.pop(claim_key(settlement.claim), None)
        if answer.next_runs:
            emit_next_runs(self._emitter, self._process, answer.next_runs)
        for queue, reason in answer.problems.items():
            self.report_once(queue, f"queue {queue!r} cannot be read: {reason}", queue=queue)

    def report_lost_claim(self, claim: Claim) -> None:
        """A job was taken from us, since the process had been taken for dead."""
        worker = self._process.worker(claim.slot)
        self._emitter.emit(WorkerGone(worker, claim.queue, decode_job(claim.raw, claim.queue)))

    def report_once(self, about: str, text: str, *, queue: str | None = None, claim: Claim | None = None) -> None:
        """Tell that something is wrong, but not the same again and again."""
        now = time.monotonic()
        if now - self._reported.get((about, text), -REPORT_INTERVAL) < REPORT_INTERVAL:
            return
        self._reported = {key: then for key, then in self._reported.items() if now - then < REPORT_INTERVAL}
        self._reported[about, text] = now
        job = None if claim is None else decode_job(claim.raw, claim.queue)
        worker = self._process.name if claim is None else self._process.worker(claim.slot)
        self._emitter.emit(WorkerError(worker, BackendError(text), queue, job))

    def failure(self, claim: Claim, worker: str, error: Exception) -> Failed:
        """How a job ends whose performance broke down."""
        words = describe(error)
        entry = encode_failure(
            raw=claim.raw,
            queue=claim.queue,
            worker=worker,
            exception=words.exception,
            error=words.error,
            backtrace=words.backtrace,
            failed_at=time.time(),
        )
        return Failed(entry)

    def known(self) -> set[ClaimKey]:
        """All claims of which this process knows."""
        held = {claim_key(worker.claim) for worker in self._slots.workers.values() if worker.claim is not None}
        held.update(claim_key(settlement.claim) for settlement, _ in self.pending)
        held.update(self._unsettled)
        return held

    def slots(self) -> set[int]:
        """Slots of which an ending is still to be recorded."""
        return {settlement.claim.slot for settlement, _ in self.pending}

    def hurry(self) -> None:
        """The process stops: try again what could not be recorded, at once and then often."""
        self._backoff = Backoff(limit=0.2)
        if self._timer is not None:
            self._timer.cancel()
            self._resend()

    def close(self) -> None:
        """Send nothing again by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def _drop_unrecorded(
        self, sent: list[tuple[Settlement, JobResult | None]], answer: SettleAndClaimReply
    ) -> list[tuple[Settlement, JobResult | None]]:
        """Keep what could not be recorded, tell what was gone; return what was recorded."""
        gone = {claim_key(claim) for claim in answer.gone}
        held = {claim_key(claim): reason for claim, reason in answer.unsettled}
        recorded = []
        for item in sent:
            claim = claim_key(item[0].claim)
            if claim in held:
                self._hold_back(item, held[claim])
            elif claim not in gone:
                recorded.append(item)
            elif claim not in self._resent:
                self.report_lost_claim(item[0].claim)
            elif type(item[0].disposition) is not Retried:
                # It was recorded by the exchange whose answer was lost. Of a retry nobody knows which attempt it was.
                recorded.append(item)
        return recorded

    def _hold_back(self, item: tuple[Settlement, JobResult | None], reason: str) -> None:
        claim = item[0].claim
        self._unsettled[claim_key(claim)] = item
        worker = self._slots.workers.get(claim.slot)
        if worker is not None:
            worker.unsettled = True
            self._slots.free.pop(claim.slot, None)
        text = f"how a job ended cannot be recorded yet, its processor waits: {reason}"
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


#: Why a claimed job is released, as the event and the log say it.
STOPS = "this process stops"
PAUSED = "this process is paused"
TAKEN = "its task processor is no longer free"
CROWDED = "it may have killed a process, and another such job runs in this process first"


def emit_settled(
    emitter: Emitter,
    process: Process,
    recorded: Sequence[tuple[Settlement, JobResult | None]],
    attempts: Mapping[ClaimKey, int],
    reasons: Mapping[ClaimKey, str],
) -> None:
    """Emit an event for each job whose end was recorded.

    Args:
        emitter: Who tells it.
        process: Whose jobs they were.
        recorded: The settlements, each with what was performed (None if the job was not, or not to its end).
        attempts: The number of the attempt that failed, by claim, for those that are tried again.
        reasons: Why a job is released, by claim.
    """
    # Most jobs succeed, and often nobody listens: then this is all there is to do.
    successes = emitter.wants(WorkerSuccess)
    for settlement, result in recorded:
        claim = settlement.claim
        if result is None:
            if type(settlement.disposition) is Released:
                job = decode_job(claim.raw, claim.queue)
                reason = reasons.get(claim_key(claim), STOPS)
                emitter.emit(WorkerGivenBack(process.worker(claim.slot), claim.queue, job, reason))
        elif type(result.outcome) is not Success:
            emitter.emit(_event(process.worker(claim.slot), claim, result.job, result.outcome, attempts))
        elif successes:
            success = result.outcome
            worker = process.worker(claim.slot)
            emitter.emit(WorkerSuccess(worker, claim.queue, result.job, success.result, success.duration))


def emit_next_runs(emitter: Emitter, process: Process, nexts: Sequence[tuple[Claim, int]]) -> None:
    """Emit an event for each periodic task whose next run was delayed with the end of the last one."""
    for claim, at in nexts:
        job = decode_job(claim.raw, claim.queue)
        emitter.emit(SchedulerReEnqueue(process.name, claim.queue, job, at))


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
