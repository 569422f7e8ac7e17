"""The events of the scheduler."""

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
    """Scheduler *owner* started."""

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
    """Scheduler *owner* polls for due jobs."""

    source = "scheduler"
    name = "poll"
    owner: str


@attrs.frozen
class SchedulerLeader(Event):
    """Scheduler *owner* became the leader of all schedulers."""

    source = "scheduler"
    name = "leader"
    owner: str


@attrs.frozen
class SchedulerLeaderLost(Event):
    """Scheduler *owner* is not the leader any more: it stops, or could not renew its lease in time."""

    source = "scheduler"
    name = "leader_lost"
    owner: str


@attrs.frozen
class SchedulerEnqueue(Event):
    """*job* of a periodic task was enqueued in *queue*: the store had no copy of it, or a cron fire time was due."""

    source = "scheduler"
    name = "enqueue"
    owner: str
    queue: str
    job: Job


@attrs.frozen
class SchedulerReEnqueue(Event):
    """*job* of a periodic task ended in process *owner* and is delayed until *timestamp* for its next run."""

    source = "scheduler"
    name = "re_enqueue"
    owner: str
    queue: str
    job: Job
    timestamp: int


@attrs.frozen
class SchedulerYielded(Event):
    """*owner* promotes no jobs while another program's scheduler, *holder*, holds the lock *key*.

    *since* is when a scheduler of taskhero first saw that holder, or None if the backend does not record it.
    """

    source = "scheduler"
    name = "yielded"
    owner: str
    key: str
    holder: str
    since: datetime | None


@attrs.frozen
class SchedulerWorkingTimestamp(Event):
    """The jobs with due time *timestamp* are promoted."""

    source = "scheduler"
    name = "working_timestamp"
    owner: str
    timestamp: int


@attrs.frozen
class SchedulerTransferredJob(Event):
    """*job*, delayed until *timestamp*, was moved to the end of *queue*."""

    source = "scheduler"
    name = "transferred_job"
    owner: str
    timestamp: int
    queue: str
    job: Job


@attrs.frozen
class SchedulerMerged(Event):
    """*job*, delayed until *timestamp*, was removed, because an equal job is already in *queue*."""

    source = "scheduler"
    name = "merged"
    owner: str
    timestamp: int
    queue: str
    job: Job


@attrs.frozen
class SchedulerCleanStuckWorker(Event):
    """*worker* sent no heartbeat for *duration* seconds and was deregistered; its *job*, if any, failed."""

    source = "scheduler"
    name = "clean_stuck_worker"
    owner: str
    worker: str
    queue: str
    job: Job | None
    duration: float


@attrs.frozen
class SchedulerError(Event):
    """An error occurred. The scheduler continues."""

    source = "scheduler"
    name = "error"
    owner: str
    error: BaseException


@attrs.frozen
class SchedulerOutage(Event):
    """The backend cannot be reached, because of *error*. No job is promoted until it recovers."""

    source = "scheduler"
    name = "outage"
    owner: str
    error: BaseException


@attrs.frozen
class SchedulerRecovered(Event):
    """The backend can be reached again after *duration* seconds."""

    source = "scheduler"
    name = "recovered"
    owner: str
    duration: float
