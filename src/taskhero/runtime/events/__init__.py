"""What workers, the multi-worker and the scheduler tell those who listen, and how to listen.

Each event is a frozen class. `name` is what listeners subscribe to, such as ``"failure"``, and `source` tells who says
it: ``"worker"``, ``"multi_worker"`` or ``"scheduler"``; the class is called after both. Names are ActionHero's and
node-resque's, in snake case, where they have such an event. Durations are seconds, moments unix seconds.
"""

from __future__ import annotations

from taskhero.runtime.events.base import Event
from taskhero.runtime.events.catalogue import EVENTS
from taskhero.runtime.events.emitter import Emitter
from taskhero.runtime.events.scheduling import (
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
from taskhero.runtime.events.working import (
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
