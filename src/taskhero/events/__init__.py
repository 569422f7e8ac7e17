"""What workers, the multi-worker and the scheduler tell those who listen, and how to listen.

Each event is a frozen class. `name` is what listeners subscribe to, such as ``"failure"``, and `source` tells who says
it: ``"worker"``, ``"multi_worker"`` or ``"scheduler"``; the class is called after both. Names are ActionHero's and
node-resque's, in snake case, where they have such an event. Durations are seconds, moments unix seconds.
"""

from __future__ import annotations

from taskhero.events.emitter import Emitter
from taskhero.events.event import Event
from taskhero.events.handlers import EVENTS
from taskhero.events.scheduler_events import (
    SchedulerCleanStuckWorker,
    SchedulerEnd,
    SchedulerEnqueue,
    SchedulerError,
    SchedulerLeader,
    SchedulerLeaderLost,
    SchedulerMerged,
    SchedulerOutage,
    SchedulerPoll,
    SchedulerRecovered,
    SchedulerReEnqueue,
    SchedulerStart,
    SchedulerTransferredJob,
    SchedulerWorkingTimestamp,
    SchedulerYielded,
)
from taskhero.events.worker_events import (
    MultiWorkerAction,
    MultiWorkerEnd,
    MultiWorkerStart,
    WorkerCleaningWorker,
    WorkerEnd,
    WorkerError,
    WorkerFailure,
    WorkerGivenBack,
    WorkerGone,
    WorkerJob,
    WorkerOutage,
    WorkerPause,
    WorkerPing,
    WorkerPoll,
    WorkerRecovered,
    WorkerReEnqueue,
    WorkerRefused,
    WorkerRescue,
    WorkerRetry,
    WorkerStart,
    WorkerSuccess,
)

__all__ = [
    "EVENTS",
    "Emitter",
    "Event",
    "MultiWorkerAction",
    "MultiWorkerEnd",
    "MultiWorkerStart",
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
