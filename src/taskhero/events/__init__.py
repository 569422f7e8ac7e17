"""The events of workers, the multi-worker and the scheduler, and the emitter that delivers them.

- `event` is the base class. `worker_events` and `scheduler_events` define the event classes.
- `emitter` holds the subscriptions and calls the handlers.
- `handlers` finds the classes of a name, and adapts a handler to the fields that it accepts.

Each event is a frozen class. `name` is the name to subscribe to, such as ``"failure"``. `source` is the emitting part:
``"worker"``, ``"multi_worker"`` or ``"scheduler"``. The class name combines both. Names are those of ActionHero and
node-resque in snake case, if they have the event. Durations are in seconds, instants in Unix seconds.
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
