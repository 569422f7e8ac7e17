"""The records of the verbs for inspection and repair: frozen data without behaviour.

`taskhero.backends.inspection_protocol` says what a backend does with each record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskhero.backends.records.entries import Entry
    from taskhero.backends.records.promotions import ForeignLeader

__all__ = [
    "FAILED",
    "DelayedPage",
    "FailedEntry",
    "FailedRetry",
    "HeartbeatAge",
    "Overview",
    "RemoveWorkerResult",
    "RetryResult",
    "StoredDelayedJob",
    "WorkerEntry",
    "WorkerRemoval",
]

#: The name of the failed list that all programs share.
FAILED: Final = "failed"


# --- delayed jobs ----------------------------------------------------------------------------------------------


@attrs.frozen
class StoredDelayedJob:
    """A payload that is delayed to the Unix second *at*."""

    at: int
    raw: str


@attrs.frozen
class DelayedPage:
    """Reply of `Backend.search_delayed`.

    Attributes:
        entries: The delayed jobs that were found.
        after: The argument *after* for the next page; None after the last page.
    """

    entries: Sequence[StoredDelayedJob] = ()
    after: tuple[int, int] | None = None


# --- failed lists ----------------------------------------------------------------------------------------------


@attrs.frozen
class FailedEntry:
    """An entry of a failed list: its exact text and the name of the list."""

    raw: str
    source: str = FAILED


@attrs.frozen
class FailedRetry:
    """A failed job to retry: the entry *failed* is removed and *entry* is stored."""

    failed: FailedEntry
    entry: Entry


class RetryResult(StrEnum):
    """The result of a `FailedRetry`."""

    STORED = "stored"  #: the job is in its queue, and its failed entry is removed
    MISSING = "missing"  #: the failed entry does not exist: nothing changed
    NOT_STORED = "not_stored"  #: a guard did not hold, or the queue cannot take the job: nothing changed


# --- workers ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WorkerEntry:
    """The stored data of one worker.

    Attributes:
        id: Its name and its queues, as in the set of workers.
        working: The text that is stored under its name, or None if the worker is idle.
        started: The time of its start, in its writer's format, or None.
        ping: Its heartbeat in node-resque's format, or None.
        heartbeat: Its heartbeat in Ruby's format, or None.
        alive_for: Seconds until the lease of its process expires, negative after that. None for a worker of another
            program, or if the process has no lease.
        processed: The number of jobs that succeeded, or None if the counter is missing or not a number.
        failed: The number of jobs that failed, or None as for `processed`.
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
    """The seconds since the last heartbeat of the worker *id*.

    Attributes:
        id: Its name and its queues, as in the set of workers.
        seconds: Its heartbeat age.
        changed: Whether the data of another program's worker was seen to change.
    """

    id: str
    seconds: float
    changed: bool = False


@attrs.frozen(kw_only=True)
class WorkerRemoval:
    """A worker to remove.

    Attributes:
        id: Its name and its queues, as in the set of workers.
        seen: The text that was seen under its name, or None if the worker was idle.
        failure: The entry to append to the failed list if *seen* is a job.
        heartbeat_age: Minimum heartbeat age in seconds for the removal; None to remove the worker at any age.
        unchanged: Whether to keep another program's worker whose data was seen to change, or has changed since.
    """

    id: str
    seen: str | None = None
    failure: str | None = None
    heartbeat_age: float | None = None
    unchanged: bool = False


class RemoveWorkerResult(StrEnum):
    """The result of a `WorkerRemoval`."""

    REMOVED = "removed"  #: the worker is removed; its job, if it had one, is in the failed list
    CHANGED = "changed"  #: the worker does not hold what was seen: nothing changed
    ALIVE = "alive"  #: its heartbeat age is too small, or its data has changed: nothing changed
    UNKNOWN = "unknown"  #: the worker does not exist: nothing changed
    WRONG_TYPE = "wrong_type"  #: the failed list cannot take its job: nothing changed


# --- totals ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Overview:
    """Reply of `Backend.overview`.

    Attributes:
        now: The backend's time, in Unix seconds.
        lengths: Each known queue with its length, sorted by name; None for one that cannot be read.
        failures: Each failed list with its length, in the same form. ``failed`` is always present.
        processed: The number of jobs that succeeded.
        failed: The number of jobs that failed.
        leader: The owner of the leader lease, or None.
        paused: Whether claiming is paused for all workers.
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
