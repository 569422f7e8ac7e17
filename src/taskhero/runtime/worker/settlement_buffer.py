"""Settlements that the backend has not recorded yet, and the events of those that it has."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from taskhero.backends.protocol import Failed, GivenBack, Retried, Settlement
from taskhero.backends.records.claims import Key, key
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

    from taskhero.backends.protocol import Claim, Ending, Exchange, Process
    from taskhero.events import Emitter, Event
    from taskhero.models import Job, Outcome
    from taskhero.runtime.execution.executor import Performed
    from taskhero.runtime.execution.preparation import Preparer
    from taskhero.runtime.worker.slots import Roster

__all__ = ["BATCH", "CROWDED", "PAUSED", "STOPS", "TAKEN", "Accounts", "tell", "tell_next"]

#: So many endings go into one exchange at most, and so many processors ask for jobs.
BATCH = 1000

#: The same complaint is not told again within so many seconds.
PATIENCE = 60.0


class Accounts:
    """Keeps the endings that are yet to be recorded, and tells them when they are.

    Args:
        process: Whose jobs they are.
        roster: The task processors; the slot of an ending that cannot be recorded stays taken.
        emitter: Is told how jobs ended.
        preparer: Tells what goes with the end of a job.
        signal: Called when endings are to be sent again.
        backoff: How long to wait before that.

    Attributes:
        ended: What the next exchange is to record, each with what was performed (None if nothing was).
    """

    def __init__(
        self,
        *,
        process: Process,
        roster: Roster,
        emitter: Emitter,
        preparer: Preparer,
        signal: Callable[[], None],
        backoff: Backoff,
    ) -> None:
        self.ended: list[tuple[Settlement, Performed | None]] = []
        self._process = process
        self._roster = roster
        self._emitter = emitter
        self._preparer = preparer
        self._signal = signal
        self._sent: list[tuple[Settlement, Performed | None]] = []
        # What was sent with no answer: it may be recorded already.
        self._resent: set[Key] = set()
        self._unsettled: dict[Key, tuple[Settlement, Performed | None]] = {}
        self._reasons: dict[Key, str] = {}
        self._backoff = backoff
        self._timer: asyncio.TimerHandle | None = None
        self._told: dict[tuple[str, str], float] = {}

    @property
    def closed(self) -> bool:
        """Whether all endings are recorded."""
        return not (self.ended or self._sent or self._unsettled)

    def add(self, claim: Claim, ending: Ending, performed: Performed | None) -> None:
        """A job ended."""
        following = None if performed is None else performed.next
        if self._preparer.keeps:
            busy = None if performed is None else performed.busy
            settlement = Settlement(claim, ending, *self._preparer.settle(claim, ending, busy), following)
        elif following is not None:
            settlement = Settlement(claim, ending, next=following)
        else:
            settlement = Settlement(claim, ending)
        self.ended.append((settlement, performed))

    def give_back(self, claim: Claim, reason: str) -> None:
        """Release a job to the front of its queue; *reason* says why, for the event."""
        self._reasons[key(claim)] = reason
        self.add(claim, GivenBack(), None)

    def send(self) -> list[Settlement]:
        """What the exchange that begins is to record, as much as goes into one."""
        self._sent, self.ended = self.ended[:BATCH], self.ended[BATCH:]
        return [settlement for settlement, _ in self._sent]

    def keep(self, *, lost: bool) -> None:
        """The exchange failed: what it was to record is still to be recorded.

        Args:
            lost: Whether it may be recorded all the same.
        """
        if lost:
            self._resent.update(key(settlement.claim) for settlement, _ in self._sent)
        self.ended[:0] = self._sent
        self._sent = []

    def acknowledge(self, answer: Exchange) -> None:
        """Take note of what was recorded, and of what was not."""
        sent, self._sent = self._sent, []
        all_sent = sent
        if answer.gone or answer.unsettled:
            sent = self._sort_out(sent, answer)
        if self._resent:
            answered = {key(settlement.claim) for settlement, _ in all_sent}
            self._resent.difference_update(answered - self._unsettled.keys())
        if not self._unsettled:
            self._backoff.reset()
        attempts = {key(claim): attempt for claim, attempt in answer.attempts} if answer.attempts else {}
        if sent:
            tell(self._emitter, self._process, sent, attempts, self._reasons)
        for settlement, _ in all_sent if self._reasons else ():
            if key(settlement.claim) not in self._unsettled:
                self._reasons.pop(key(settlement.claim), None)
        if answer.nexts:
            tell_next(self._emitter, self._process, answer.nexts)
        for queue, reason in answer.problems.items():
            self.complain(queue, f"queue {queue!r} cannot be read: {reason}", queue=queue)

    def lose(self, claim: Claim) -> None:
        """A job was taken from us, since the process had been taken for dead."""
        worker = self._process.worker(claim.slot)
        self._emitter.emit(WorkerGone(worker, claim.queue, decode_job(claim.raw, claim.queue)))

    def complain(self, about: str, text: str, *, queue: str | None = None, claim: Claim | None = None) -> None:
        """Tell that something is wrong, but not the same again and again."""
        now = time.monotonic()
        if now - self._told.get((about, text), -PATIENCE) < PATIENCE:
            return
        self._told = {key: then for key, then in self._told.items() if now - then < PATIENCE}
        self._told[about, text] = now
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

    def known(self) -> set[Key]:
        """All claims of which this process knows."""
        held = {key(worker.claim) for worker in self._roster.workers.values() if worker.claim is not None}
        held.update(key(settlement.claim) for settlement, _ in self.ended)
        held.update(self._unsettled)
        return held

    def slots(self) -> set[int]:
        """Slots of which an ending is still to be recorded."""
        return {settlement.claim.slot for settlement, _ in self.ended}

    def hurry(self) -> None:
        """The process stops: try again what could not be recorded, at once and then often."""
        self._backoff = Backoff(limit=0.2)
        if self._timer is not None:
            self._timer.cancel()
            self._try_again()

    def close(self) -> None:
        """Send nothing again by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def _sort_out(
        self, sent: list[tuple[Settlement, Performed | None]], answer: Exchange
    ) -> list[tuple[Settlement, Performed | None]]:
        """Keep what could not be recorded, tell what was gone; return what was recorded."""
        gone = {key(claim) for claim in answer.gone}
        held = {key(claim): reason for claim, reason in answer.unsettled}
        recorded = []
        for item in sent:
            claim = key(item[0].claim)
            if claim in held:
                self._hold(item, held[claim])
            elif claim not in gone:
                recorded.append(item)
            elif claim not in self._resent:
                self.lose(item[0].claim)
            elif type(item[0].ending) is not Retried:
                # It was recorded by the exchange whose answer was lost. Of a retry nobody knows which attempt it was.
                recorded.append(item)
        return recorded

    def _hold(self, item: tuple[Settlement, Performed | None], reason: str) -> None:
        claim = item[0].claim
        self._unsettled[key(claim)] = item
        worker = self._roster.workers.get(claim.slot)
        if worker is not None:
            worker.stuck = True
            self._roster.free.pop(claim.slot, None)
        text = f"how a job ended cannot be recorded yet, its processor waits: {reason}"
        self.complain(f"{claim.slot} {claim.token}", text, queue=claim.queue, claim=claim)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._backoff.next(), self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        items, self._unsettled = list(self._unsettled.values()), {}
        for item in items:
            worker = self._roster.workers.get(item[0].claim.slot)
            if worker is not None:
                worker.stuck = False
                self._roster.release(worker)
        self.ended.extend(items)
        self._signal()


#: Why a claimed job is released, as the event and the log say it.
STOPS = "this process stops"
PAUSED = "this process is paused"
TAKEN = "its task processor is no longer free"
CROWDED = "it may have killed a process, and another such job runs in this process first"


def tell(
    emitter: Emitter,
    process: Process,
    recorded: Sequence[tuple[Settlement, Performed | None]],
    attempts: Mapping[Key, int],
    reasons: Mapping[Key, str],
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
    for settlement, performed in recorded:
        claim = settlement.claim
        if performed is None:
            if type(settlement.ending) is GivenBack:
                job = decode_job(claim.raw, claim.queue)
                reason = reasons.get(key(claim), STOPS)
                emitter.emit(WorkerGivenBack(process.worker(claim.slot), claim.queue, job, reason))
        elif type(performed.outcome) is not Success:
            emitter.emit(_event(process.worker(claim.slot), claim, performed.job, performed.outcome, attempts))
        elif successes:
            success = performed.outcome
            worker = process.worker(claim.slot)
            emitter.emit(WorkerSuccess(worker, claim.queue, performed.job, success.result, success.duration))


def tell_next(emitter: Emitter, process: Process, nexts: Sequence[tuple[Claim, int]]) -> None:
    """Emit an event for each periodic task whose next run was delayed with the end of the last one."""
    for claim, at in nexts:
        job = decode_job(claim.raw, claim.queue)
        emitter.emit(SchedulerReEnqueue(process.name, claim.queue, job, at))


def _event(worker: str, claim: Claim, job: Job, outcome: Outcome, attempts: Mapping[Key, int]) -> Event:
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
            attempt = attempts.get(key(claim))
            if attempt is None:
                return WorkerFailure(worker, queue, job, error, duration)
            delay = delays[min(attempt, len(delays)) - 1] if delays else 0.0
            return WorkerRetry(worker, queue, job, error, duration, attempt, limit, delay)
