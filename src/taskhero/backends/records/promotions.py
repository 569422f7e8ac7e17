"""Records of due jobs and of their promotion."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.entries import Guard

__all__ = ["DueJob", "DueReply", "ForeignLeader", "PromoteResult", "PromotionTarget"]


@attrs.frozen
class DueJob:
    """A delayed job that is due: *at* is its due time in Unix seconds, *raw* its payload."""

    at: int
    raw: str


@attrs.frozen(kw_only=True)
class ForeignLeader:
    """The lock by which another program's scheduler leads.

    Attributes:
        key: The full name of the lock in the store.
        holder: The value of the lock, which names its holder.
        since: The Unix second in which `Backend.due` first saw this holder, or None if it did not.
        expires_in: Seconds until the lock expires if its holder does not renew it; None if it has no lifetime.
        dead: Whether the lock counts as dead, so that it does not prevent promotions.
    """

    key: str
    holder: str
    since: float | None = None
    expires_in: float | None = None
    dead: bool = False


@attrs.frozen(kw_only=True)
class DueReply:
    """Reply of `Backend.due`.

    Attributes:
        now: The backend's time, in Unix seconds.
        jobs: The first jobs that are due, by due time and then in the order stored.
        next_at: The earliest due time of all delayed jobs, or None; not in the future if jobs are due.
        yielded: Whether another program's scheduler holds its lock, so that no job may be promoted.
        foreign: That lock, also if it counts as dead, or None if there is none.
    """

    now: float
    jobs: Sequence[DueJob] = ()
    next_at: int | None = None
    yielded: bool = False
    foreign: ForeignLeader | None = None


@attrs.frozen
class PromotionTarget:
    """A due job and its destination.

    Attributes:
        job: The job as `Backend.due` returned it.
        queue: Its queue, or None if it cannot be queued and *failure* is set.
        guards: Conditions, as for `Entry`. If a guard does not hold, the job is merged with the equal job that waits.
            If no equal job waits, the job takes over the stale lock. With a `QueueLockGuard.shared` lock it stays
            delayed instead.
        failure: The entry to append to the failed list instead of queueing the job.
        equivalent_payloads: Payloads that identify an equal job in the queue; the job's own payload always does.
    """

    job: DueJob
    queue: str | None
    guards: tuple[Guard, ...] = ()
    failure: str | None = None
    equivalent_payloads: tuple[str, ...] = ()


class PromoteResult(StrEnum):
    """The result of a `PromotionTarget`."""

    QUEUED = "queued"  #: the job is at the end of its queue
    MERGED = "merged"  #: a guard did not hold, an equal job waits: the delayed entry is deleted
    HELD = "held"  #: jobs that are not equal hold a shared lock: the job stays delayed
    FAILED = "failed"  #: the job is in the failed list
    MISSED = "missed"  #: the job was gone or not due, or another scheduler leads: nothing changed
    WRONG_TYPE = "wrong_type"  #: the destination is a key of the wrong type: nothing changed
