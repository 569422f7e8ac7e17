"""What a backend and the engine hand each other: entries, claims, endings, leases, moves and wake-ups.

All are frozen data without behaviour; what a backend does with them is said in `taskhero.backends.protocol`.
"""

from __future__ import annotations

from taskhero.backends.records.claims import (
    Beat,
    Claim,
    Claims,
    Dismissed,
    Exchange,
    HeldLock,
    Lease,
    Leases,
    Lock,
    Preparation,
    Prepared,
    Process,
    Rescued,
)
from taskhero.backends.records.entries import Entry, FreeLock, Guard, NotDelayed, Removal, Scheduled, TimedEntry
from taskhero.backends.records.promotions import Due, DueJob, ForeignLeader, Move, Moved
from taskhero.backends.records.settlements import Delayed, Done, Dropped, Ending, Failed, GivenBack, Retried, Settlement
from taskhero.backends.records.wakeups import Interest, Wake

__all__ = [
    "Beat",
    "Claim",
    "Claims",
    "Delayed",
    "Dismissed",
    "Done",
    "Dropped",
    "Due",
    "DueJob",
    "Ending",
    "Entry",
    "Exchange",
    "Failed",
    "ForeignLeader",
    "FreeLock",
    "GivenBack",
    "Guard",
    "HeldLock",
    "Interest",
    "Lease",
    "Leases",
    "Lock",
    "Move",
    "Moved",
    "NotDelayed",
    "Preparation",
    "Prepared",
    "Process",
    "Removal",
    "Rescued",
    "Retried",
    "Scheduled",
    "Settlement",
    "TimedEntry",
    "Wake",
]
