"""What a backend and the engine hand each other where somebody looks and mends.

All are frozen data without behaviour; what a backend does with them is said in `taskhero.backends.inspection_protocol`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskhero.backends.records.entries import Entry
    from taskhero.backends.records.promotions import ForeignLeader

__all__ = [
    "FAILED",
    "DelayedEntry",
    "DelayedPage",
    "FailedEntry",
    "FailedRetry",
    "HeartbeatAge",
    "Overview",
    "RemoveWorkerResult",
    "RetryResult",
    "WorkerEntry",
    "WorkerRemoval",
]

#: The list of failures that all programs share.
FAILED: Final = "failed"


# --- what is delayed -------------------------------------------------------------------------------------------


@attrs.frozen
class DelayedEntry:
    """A text that is delayed to the unix second *at*."""

    at: int
    raw: str


@attrs.frozen
class DelayedPage:
    """Answer of `Backend.search_delayed`.

    Attributes:
        entries: What was found.
        after: Where the next page begins, to be given as it is; None if there is no more.
    """

    entries: Sequence[DelayedEntry] = ()
    after: tuple[int, int] | None = None


# --- failures --------------------------------------------------------------------------------------------------


@attrs.frozen
class FailedEntry:
    """An entry of the failures: its exact text, and the list in which it stands."""

    raw: str
    source: str = FAILED


@attrs.frozen
class FailedRetry:
    """A failure that is to be tried again: its entry goes, and *entry* is stored."""

    failed: FailedEntry
    entry: Entry


class RetryResult:
    """What became of a `FailedRetry`."""

    STORED = "stored"  #: the job stands in its queue, and the failure is gone
    MISSING = "missing"  #: there is no such failure (any more): nothing was done
    NOT_STORED = "not_stored"  #: a guard did not hold, or the queue cannot take it: nothing was done


# --- workers ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WorkerEntry:
    """What stands in the store of one worker.

    Attributes:
        id: Its name and its queues, as in the register.
        working: The text under its name, or None if it is idle.
        started: When it started, as its writer writes moments, or None.
        ping: node-resque's sign of life, or None.
        heartbeat: Ruby's sign of life, or None.
        alive_for: Seconds for which its process's lease still holds (negative: since when it is over); None for
            another program's worker, and for one whose process has no lease.
        processed: How many jobs it did, or None if that is not counted or no number.
        failed: How many of its jobs failed, likewise.
        problems: What cannot be read, by the name of the attribute, with the reason.
    """

    id: str
    working: str | None = None
    started: str | None = None
    ping: str | None = None
    heartbeat: str | None = None
    alive_for: float | None = None
    processed: int | None = None
    failed: int | None = None
    problems: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class HeartbeatAge:
    """For how many *seconds* the worker with this *id* has given no sign of life."""

    id: str
    seconds: float


@attrs.frozen(kw_only=True)
class WorkerRemoval:
    """A worker to be taken from view.

    Attributes:
        id: Its name and its queues, as in the register.
        seen: The text that was seen under its name, or None if it was idle.
        failure: The text to append to the failures if *seen* is a job.
        heartbeat_age: Only if it has given no sign of life for so many seconds; None in any case.
    """

    id: str
    seen: str | None = None
    failure: str | None = None
    heartbeat_age: float | None = None


class RemoveWorkerResult:
    """What became of a `WorkerRemoval`."""

    REMOVED = "removed"  #: the worker is gone from view; its job, if it had one, stands in the failures
    CHANGED = "changed"  #: what it holds is not what was seen: nothing was done
    ALIVE = "alive"  #: it gave a sign of life: nothing was done
    UNKNOWN = "unknown"  #: there is no such worker: nothing was done
    WRONG_TYPE = "wrong_type"  #: the failures cannot take its job: nothing was done


# --- all at once -----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Overview:
    """Answer of `Backend.overview`.

    Attributes:
        now: The backend's time, in unix seconds.
        lengths: Each known queue with its length, sorted by name; None for one that cannot be read.
        failures: Each list of failures with its length, likewise; ``failed`` is always there.
        processed: How many jobs were done.
        failed: How many jobs failed.
        leader: Who leads, or None.
        paused: Whether claiming is switched off for all workers.
        foreign: The lock by which another program's scheduler leads, or None.
    """

    now: float
    lengths: Mapping[str, int | None]
    failures: Mapping[str, int | None]
    processed: int = 0
    failed: int = 0
    leader: str | None = None
    paused: bool = False
    foreign: ForeignLeader | None = None
