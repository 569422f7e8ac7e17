"""What task processors, their processes and the multi-worker tell."""

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
    """Task processor *worker* works no longer."""

    source = "worker"
    name = "end"
    worker: str


@attrs.frozen
class WorkerPoll(Event):
    """Process *worker* asks for jobs in *queues*, in that order."""

    source = "worker"
    name = "poll"
    worker: str
    queues: tuple[str, ...]


@attrs.frozen
class WorkerPause(Event):
    """Process *worker* found no job, or may claim none (``pause-all-workers``), and waits."""

    source = "worker"
    name = "pause"
    worker: str


@attrs.frozen
class WorkerPing(Event):
    """Process *worker* gave a sign of life at *time*."""

    source = "worker"
    name = "ping"
    worker: str
    time: float


@attrs.frozen
class WorkerJob(Event):
    """*worker* begins *job*, which it claimed from *queue*."""

    source = "worker"
    name = "job"
    worker: str
    queue: str
    job: Job


@attrs.frozen
class WorkerSuccess(Event):
    """*job* is done and counted: its task returned *result* after *duration* seconds."""

    source = "worker"
    name = "success"
    worker: str
    queue: str
    job: Job
    result: Any
    duration: float


@attrs.frozen
class WorkerFailure(Event):
    """*job* failed with *error* after *duration* seconds, is counted and stands in the failures."""

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
        limit: How many attempts there are in all.
        delay: Seconds before the next one.
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
    """A plugin put *job* off: it is tried again after *delay* seconds; it did not fail."""

    source = "worker"
    name = "re_enqueue"
    worker: str
    queue: str
    job: Job
    delay: float


@attrs.frozen
class WorkerRefused(Event):
    """A plugin did not want *job* to run: it is gone, and nothing was counted."""

    source = "worker"
    name = "refused"
    worker: str
    queue: str
    job: Job


@attrs.frozen
class WorkerGivenBack(Event):
    """*worker* released *job* to the front of *queue*; *reason* says why."""

    source = "worker"
    name = "given_back"
    worker: str
    queue: str
    job: Job
    reason: str


@attrs.frozen
class WorkerGone(Event):
    """How *job* ended was not recorded: it was no longer *worker*'s, which was taken for dead or removed."""

    source = "worker"
    name = "gone"
    worker: str
    queue: str
    job: Job


@attrs.frozen
class WorkerCleaningWorker(Event):
    """*worker* is dead and is taken from view."""

    source = "worker"
    name = "cleaning_worker"
    worker: str


@attrs.frozen
class WorkerRescue(Event):
    """*job* was taken from the dead *worker* and stands at the front of *queue*.

    Attributes:
        running: Whether the dead process ran it alone, so that this counts against the job.
    """

    source = "worker"
    name = "rescue"
    worker: str
    queue: str
    job: Job
    running: bool


@attrs.frozen
class WorkerError(Event):
    """Something went wrong that is no task's failure: *queue* or *job* tell where, if it is about one."""

    source = "worker"
    name = "error"
    worker: str
    error: BaseException
    queue: str | None = None
    job: Job | None = None


@attrs.frozen
class WorkerOutage(Event):
    """The backend cannot be reached any more, as *error* tells; running jobs go on, and no other is claimed."""

    source = "worker"
    name = "outage"
    worker: str
    error: BaseException


@attrs.frozen
class WorkerRecovered(Event):
    """The backend answers again after *duration* seconds."""

    source = "worker"
    name = "recovered"
    worker: str
    duration: float


# --- of the multi-worker: what has the task processors of a process ------------------------------------------------


@attrs.frozen
class MultiWorkerStart(Event):
    """Process *worker* begins to have task processors."""

    source = "multi_worker"
    name = "start"
    worker: str


@attrs.frozen
class MultiWorkerEnd(Event):
    """Process *worker* has no task processors any more."""

    source = "multi_worker"
    name = "end"
    worker: str


@attrs.frozen
class MultiWorkerAction(Event):
    """Process *worker* looked whether it has the right number of task processors.

    Attributes:
        verb: What it did: ``"+"`` start some, ``"-"`` end some, ``"--"`` end all, ``"x"`` nothing.
        delay: Seconds by which the event loop lagged.
        count: How many task processors there are now.
    """

    source = "multi_worker"
    name = "multi_worker_action"
    worker: str
    verb: str
    delay: float
    count: int
