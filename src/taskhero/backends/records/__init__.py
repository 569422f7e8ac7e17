"""The records that the verbs of a backend take and return: frozen data without behaviour.

`entries` are jobs to store, with their guards. `promotions` are delayed jobs that are due. `claims` are jobs that slots
hold, with processes, leases and locks. `settlements` say how claims ended. `wakeups` say what a process waits for.
`periodic_tasks` and `inspection` belong to the verbs of these names. `taskhero.backends.protocol` says what a backend
does with each record.
"""

from __future__ import annotations

from taskhero.backends.records.claims import (
    Claim,
    ClaimsReply,
    DeregisterReply,
    HeartbeatReply,
    HeldLock,
    Lease,
    Leases,
    LockSpec,
    Preparation,
    Prepared,
    Process,
    RescuedJob,
    SettleAndClaimReply,
)
from taskhero.backends.records.entries import (
    DelayedJobEntry,
    Entry,
    Guard,
    NotDelayed,
    QueueLockGuard,
    Removal,
    ScheduleResult,
)
from taskhero.backends.records.promotions import DueJob, DueReply, ForeignLeader, PromoteResult, PromotionTarget
from taskhero.backends.records.settlements import (
    Disposition,
    Failed,
    PostponedByPlugin,
    RefusedByPlugin,
    Released,
    Retried,
    Settlement,
    Succeeded,
)
from taskhero.backends.records.wakeups import Subscription, Wakeup

__all__ = [
    "Claim",
    "ClaimsReply",
    "DelayedJobEntry",
    "DeregisterReply",
    "Disposition",
    "DueJob",
    "DueReply",
    "Entry",
    "Failed",
    "ForeignLeader",
    "Guard",
    "HeartbeatReply",
    "HeldLock",
    "Lease",
    "Leases",
    "LockSpec",
    "NotDelayed",
    "PostponedByPlugin",
    "Preparation",
    "Prepared",
    "Process",
    "PromoteResult",
    "PromotionTarget",
    "QueueLockGuard",
    "RefusedByPlugin",
    "Released",
    "Removal",
    "RescuedJob",
    "Retried",
    "ScheduleResult",
    "SettleAndClaimReply",
    "Settlement",
    "Subscription",
    "Succeeded",
    "Wakeup",
]
