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
from taskhero.backends.records.endings import Delayed, Done, Dropped, Ending, Failed, GivenBack, Retried, Settlement
from taskhero.backends.records.moves import Due, DueJob, ForeignLeader, Interest, Move, Moved, Wake
from taskhero.backends.records.stored import Entry, FreeLock, Guard, NotDelayed, Removal, Scheduled, TimedEntry

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
