"""A job of this process from its end until the backend has recorded the end."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import Released
from taskhero.backends.records.claims import ClaimKey, claim_key
from taskhero.events import (
    WorkerFailure,
    WorkerGivenBack,
    WorkerReEnqueue,
    WorkerRefused,
    WorkerRetry,
    WorkerSuccess,
)
from taskhero.models import Failure, Postponed, Refused, Retrying, Success
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from taskhero.backends.protocol import Claim, Settlement
    from taskhero.events import Event
    from taskhero.models import Job, Outcome
    from taskhero.runtime.execution.executor import JobResult

__all__ = ["FinishedJob", "ReleaseReason"]


class ReleaseReason(StrEnum):
    """Why a claimed job is released, as its event and the log say."""

    STOPPING = "this process is stopping"
    PAUSED = "this process is paused"
    SLOT_OCCUPIED = "its task processor is not free any more"
    QUARANTINE_OCCUPIED = "it is quarantined, and this process runs another quarantined job first"


@attrs.define(eq=False)
class FinishedJob:
    """How one job of this process ended, until the backend has recorded it.

    Attributes:
        settlement: How the job ended, for the backend.
        result: How the job ended, as the plugins decided, or None if it was not performed to its end.
        release_reason: Why the job was released, if it was.
        resent: Whether the settlement was sent without a reply, so that it may be recorded already.
    """

    settlement: Settlement
    result: JobResult | None = None
    release_reason: ReleaseReason = ReleaseReason.STOPPING
    resent: bool = False

    @property
    def claim(self) -> Claim:
        """The claim of the job."""
        return self.settlement.claim

    @property
    def key(self) -> ClaimKey:
        """The key of the claim."""
        return claim_key(self.settlement.claim)

    def event(self, worker: str, attempt: int | None) -> Event | None:
        """Return the event that says how the job ended, or None if an event has said that already.

        Args:
            worker: The worker name of its slot.
            attempt: The number of the failed attempt, if the job is retried.
        """
        claim = self.settlement.claim
        if self.result is not None:
            return _outcome_event(worker, claim.queue, self.result.job, self.result.outcome, attempt)
        if type(self.settlement.disposition) is Released:
            job = decode_job(claim.raw, claim.queue)
            return WorkerGivenBack(worker, claim.queue, job, self.release_reason.value)
        return None


def _outcome_event(worker: str, queue: str, job: Job, outcome: Outcome, attempt: int | None) -> Event:
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
            if attempt is None:
                return WorkerFailure(worker, queue, job, error, duration)
            delay = delays[min(attempt, len(delays)) - 1] if delays else 0.0
            return WorkerRetry(worker, queue, job, error, duration, attempt, limit, delay)
