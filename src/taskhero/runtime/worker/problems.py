"""Report problems of a worker process as events, each once per minute at most."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taskhero.errors import BackendError
from taskhero.events import WorkerError, WorkerGone
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from taskhero.backends.protocol import Claim, Process
    from taskhero.events import Emitter

__all__ = ["ProblemReporter"]

#: Seconds during which the same problem is not reported again.
REPORT_INTERVAL = 60.0


class ProblemReporter:
    """Emits the problems that a process has with its jobs, its queues and its claims.

    Args:
        process: The process.
        emitter: Receives the events.
    """

    def __init__(self, process: Process, emitter: Emitter) -> None:
        self._process = process
        self._emitter = emitter
        self._reported: dict[tuple[str, str], float] = {}

    def report(self, subject: str, text: str, *, queue: str | None = None, claim: Claim | None = None) -> None:
        """Emit an error about *subject*, unless the same was emitted within `REPORT_INTERVAL`."""
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

    def report_lost_claim(self, claim: Claim) -> None:
        """Report that a job was taken from this process, which had been taken for dead."""
        worker = self._process.worker(claim.slot)
        self._emitter.emit(WorkerGone(worker, claim.queue, decode_job(claim.raw, claim.queue)))
