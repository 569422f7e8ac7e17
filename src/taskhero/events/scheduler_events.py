"""What the scheduler tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.events.event import Event

if TYPE_CHECKING:
    from datetime import datetime

    from taskhero.models import Job

__all__ = [
    "SchedulerCleanStuckWorker",
    "SchedulerEnd",
    "SchedulerEnqueue",
    "SchedulerError",
    "SchedulerLeader",
    "SchedulerLeaderLost",
    "SchedulerMerged",
    "SchedulerOutage",
    "SchedulerPoll",
    "SchedulerReEnqueue",
    "SchedulerRecovered",
    "SchedulerStart",
    "SchedulerTransferredJob",
    "SchedulerWorkingTimestamp",
    "SchedulerYielded",
]


@attrs.frozen
class SchedulerStart(Event):
    """Scheduler *owner* began."""

    source = "scheduler"
    name = "start"
    owner: str


@attrs.frozen
class SchedulerEnd(Event):
    """Scheduler *owner* ended."""

    source = "scheduler"
    name = "end"
    owner: str


@attrs.frozen
class SchedulerPoll(Event):
    """Scheduler *owner* looks for jobs whose moment has come."""

    source = "scheduler"
    name = "poll"
    owner: str


@attrs.frozen
class SchedulerLeader(Event):
    """*owner* leads all schedulers from now on."""

    source = "scheduler"
    name = "leader"
    owner: str


@attrs.frozen
class SchedulerLeaderLost(Event):
    """*owner* leads no longer: it stops, or could not renew its lease in time."""

    source = "scheduler"
    name = "leader_lost"
    owner: str


@attrs.frozen
class SchedulerEnqueue(Event):
    """*job* of a periodic task stands in *queue* now: it was nowhere, or a slot of its cron schedule has come."""

    source = "scheduler"
    name = "enqueue"
    owner: str
    queue: str
    job: Job


@attrs.frozen
class SchedulerReEnqueue(Event):
    """*job* of a periodic task, which *owner* ran, is delayed until *timestamp* for its next run."""

    source = "scheduler"
    name = "re_enqueue"
    owner: str
    queue: str
    job: Job
    timestamp: int


@attrs.frozen
class SchedulerYielded(Event):
    """*owner* promotes nothing as long as another program's scheduler, *holder*, holds the lock *key*.

    *since* is when a scheduler of taskhero first saw that holder, or None if the backend cannot say it.
    """

    source = "scheduler"
    name = "yielded"
    owner: str
    key: str
    holder: str
    since: datetime | None


@attrs.frozen
class SchedulerWorkingTimestamp(Event):
    """The moment *timestamp* has come, and its jobs are promoted."""

    source = "scheduler"
    name = "working_timestamp"
    owner: str
    timestamp: int


@attrs.frozen
class SchedulerTransferredJob(Event):
    """*job*, delayed until *timestamp*, stands at the end of *queue* now."""

    source = "scheduler"
    name = "transferred_job"
    owner: str
    timestamp: int
    queue: str
    job: Job


@attrs.frozen
class SchedulerMerged(Event):
    """*job*, delayed until *timestamp*, was not queued, since an equal job waits in *queue* already."""

    source = "scheduler"
    name = "merged"
    owner: str
    timestamp: int
    queue: str
    job: Job


@attrs.frozen
class SchedulerCleanStuckWorker(Event):
    """*worker* was silent for *duration* seconds and is taken from view; *job*, if it had one, has failed."""

    source = "scheduler"
    name = "clean_stuck_worker"
    owner: str
    worker: str
    queue: str
    job: Job | None
    duration: float


@attrs.frozen
class SchedulerError(Event):
    """Something went wrong; the scheduler goes on."""

    source = "scheduler"
    name = "error"
    owner: str
    error: BaseException


@attrs.frozen
class SchedulerOutage(Event):
    """The backend cannot be reached any more, as *error* tells; nothing is promoted meanwhile."""

    source = "scheduler"
    name = "outage"
    owner: str
    error: BaseException


@attrs.frozen
class SchedulerRecovered(Event):
    """The backend answers again after *duration* seconds."""

    source = "scheduler"
    name = "recovered"
    owner: str
    duration: float
