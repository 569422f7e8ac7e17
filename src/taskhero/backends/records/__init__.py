"""What a backend and the engine hand each other: entries, claims, endings, leases, moves and wake-ups.

All are frozen data without behaviour; what a backend does with them is said in `taskhero.backends.protocol`.
"""

from __future__ import annotations

from taskhero.backends.records.claims import (
    Claim,
    ClaimsReply,
    Dismissed,
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
    "Dismissed",
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
