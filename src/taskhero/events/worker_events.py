"""The events of task processors, their processes and the multi-worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from taskhero.events.event import Event

if TYPE_CHECKING:
    from taskhero.models import Job

__all__ = [
    "MultiWorkerAction",
    "MultiWorkerEnd",
    "MultiWorkerStart",
    "WorkerCleaningWorker",
    "WorkerEnd",
    "WorkerError",
    "WorkerFailure",
    "WorkerGivenBack",
    "WorkerGone",
    "WorkerJob",
    "WorkerOutage",
    "WorkerPause",
    "WorkerPing",
    "WorkerPoll",
    "WorkerReEnqueue",
    "WorkerRecovered",
    "WorkerRefused",
    "WorkerRescue",
    "WorkerRetry",
    "WorkerStart",
    "WorkerSuccess",
]


@attrs.frozen
class WorkerStart(Event):
    """Task processor *worker* is ready."""

    source = "worker"
    name = "start"
    worker: str


@attrs.frozen
class WorkerEnd(Event):
    """Task processor *worker* ended."""

    source = "worker"
    name = "end"
    worker: str


@attrs.frozen
class WorkerPoll(Event):
    """Process *worker* requests jobs of *queues*, in that order."""

    source = "worker"
    name = "poll"
    worker: str
    queues: tuple[str, ...]


@attrs.frozen
class WorkerPause(Event):
    """Process *worker* found no job, or may not claim jobs (``pause-all-workers``), and waits."""

    source = "worker"
    name = "pause"
    worker: str


@attrs.frozen
class WorkerPing(Event):
    """Process *worker* sent a heartbeat at *time*."""

    source = "worker"
    name = "ping"
    worker: str
    time: float


@attrs.frozen
class WorkerJob(Event):
    """*worker* starts *job*, which it claimed from *queue*."""

    source = "worker"
    name = "job"
    worker: str
    queue: str
    job: Job


@attrs.frozen
class WorkerSuccess(Event):
    """*job* succeeded and was counted: its task returned *result* after *duration* seconds."""

    source = "worker"
    name = "success"
    worker: str
    queue: str
    job: Job
    result: Any
    duration: float


@attrs.frozen
class WorkerFailure(Event):
    """*job* failed with *error* after *duration* seconds, was counted and is in the failed list."""

    source = "worker"
    name = "failure"
    worker: str
    queue: str
    job: Job
    error: BaseException
    duration: float


@attrs.frozen
class WorkerRetry(Event):
    """*job* failed with *error* after *duration* seconds and is delayed for another attempt.

    Attributes:
        attempt: The number of the attempt that failed, from 1.
        limit: The maximum number of attempts.
        delay: Seconds until the next attempt.
    """

    source = "worker"
    name = "retry"
    worker: str
    queue: str
    job: Job
    error: BaseException
    duration: float
    attempt: int
    limit: int
    delay: float


@attrs.frozen
class WorkerReEnqueue(Event):
    """A plugin postponed *job* for *delay* seconds. It did not fail."""

    source = "worker"
    name = "re_enqueue"
    worker: str
    queue: str
    job: Job
    delay: float


@attrs.frozen
class WorkerRefused(Event):
    """A plugin refused to run *job*. The job was removed and not counted."""

    source = "worker"
    name = "refused"
    worker: str
    queue: str
    job: Job


@attrs.frozen
class WorkerGivenBack(Event):
    """*worker* released *job* to the front of *queue*, because of *reason*."""

    source = "worker"
    name = "given_back"
    worker: str
    queue: str
    job: Job
    reason: str


@attrs.frozen
class WorkerGone(Event):
    """The outcome of *job* was not recorded: *worker* had lost its claim, because it was treated as dead or removed."""

    source = "worker"
    name = "gone"
    worker: str
    queue: str
    job: Job


@attrs.frozen
class WorkerCleaningWorker(Event):
    """*worker* is dead and was deregistered."""

    source = "worker"
    name = "cleaning_worker"
    worker: str


@attrs.frozen
class WorkerRescue(Event):
    """*job* of the dead *worker* was returned to the front of *queue*.

    Attributes:
        running: Whether the dead process ran the job exclusively, so that the crash is attributed to the job.
    """

    source = "worker"
    name = "rescue"
    worker: str
    queue: str
    job: Job
    running: bool


@attrs.frozen
class WorkerError(Event):
    """An error occurred that is not a failure of a task; *queue* and *job* name what it concerns, if known."""

    source = "worker"
    name = "error"
    worker: str
    error: BaseException
    queue: str | None = None
    job: Job | None = None


@attrs.frozen
class WorkerOutage(Event):
    """The backend cannot be reached, because of *error*. Running jobs continue, and no other job is claimed."""

    source = "worker"
    name = "outage"
    worker: str
    error: BaseException


@attrs.frozen
class WorkerRecovered(Event):
    """The backend can be reached again after *duration* seconds."""

    source = "worker"
    name = "recovered"
    worker: str
    duration: float


# --- of the multi-worker, which owns the task processors of a process ----------------------------------------------


@attrs.frozen
class MultiWorkerStart(Event):
    """Process *worker* starts its task processors."""

    source = "multi_worker"
    name = "start"
    worker: str


@attrs.frozen
class MultiWorkerEnd(Event):
    """All task processors of process *worker* ended."""

    source = "multi_worker"
    name = "end"
    worker: str


@attrs.frozen
class MultiWorkerAction(Event):
    """Process *worker* checked the number of its task processors.

    Attributes:
        verb: The action: ``"+"`` starts some, ``"-"`` ends some, ``"--"`` ends all, ``"x"`` does nothing.
        delay: Delay of the event loop in seconds.
        count: Number of task processors after the action.
    """

    source = "multi_worker"
    name = "multi_worker_action"
    worker: str
    verb: str
    delay: float
    count: int
