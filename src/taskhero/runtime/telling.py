"""Telling how jobs ended, once the backend has recorded it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from taskhero.backends.protocol import GivenBack
from taskhero.models import Failure, Postponed, Refused, Retrying, Success
from taskhero.runtime.events import (
    SchedulerReEnqueue,
    WorkerFailure,
    WorkerGivenBack,
    WorkerReEnqueue,
    WorkerRefused,
    WorkerRetry,
    WorkerSuccess,
)
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskhero.backends.protocol import Claim, Process, Settlement
    from taskhero.models import Job, Outcome
    from taskhero.runtime.events import Emitter, Event
    from taskhero.runtime.executor import Performed

__all__ = ["CROWDED", "PAUSED", "STOPS", "TAKEN", "Key", "key", "tell", "tell_next"]

#: Why a claimed job is released, as the event and the log say it.
STOPS = "this process stops"
PAUSED = "this process is paused"
TAKEN = "its task processor is no longer free"
CROWDED = "it may have killed a process, and another such job runs in this process first"

#: A claim's slot and token, which name it among all claims of the process.
Key: TypeAlias = "tuple[int, str]"


def key(claim: Claim) -> Key:
    """What names *claim* among all claims of its process."""
    return claim.slot, claim.token


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
