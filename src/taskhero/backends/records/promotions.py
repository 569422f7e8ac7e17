"""Records about delayed jobs that are due, and how each was promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.entries import Guard

__all__ = ["DueJob", "DueReply", "ForeignLeader", "PromoteResult", "PromotionTarget"]


@attrs.frozen
class DueJob:
    """A delayed job whose moment has come: *at* is the second, *raw* its text."""

    at: int
    raw: str


@attrs.frozen(kw_only=True)
class ForeignLeader:
    """The lock by which another program's scheduler leads.

    Attributes:
        key: Its full name in the store.
        holder: What it says of its holder.
        since: The unix second in which `Backend.due` first saw this holder, or None if it did not.
        expires_in: Seconds after which it is gone unless its holder renews it; None if it has no lifetime.
        dead: Whether it counts as dead, so that it stops nothing.
    """

    key: str
    holder: str
    since: float | None = None
    expires_in: float | None = None
    dead: bool = False


@attrs.frozen(kw_only=True)
class DueReply:
    """Answer of `Backend.due`.

    Attributes:
        now: The backend's time, in unix seconds.
        jobs: The first jobs that are due, by moment and then in the order stored.
        next_at: The earliest moment for which something is delayed, or None; not in the future if jobs are due.
        yielded: Whether another program's scheduler holds its lock, so that nothing may be promoted.
        foreign: That lock, or None if there is none; it may be one that counts as dead.
    """

    now: float
    jobs: Sequence[DueJob] = ()
    next_at: int | None = None
    yielded: bool = False
    foreign: ForeignLeader | None = None


@attrs.frozen
class PromotionTarget:
    """Where a due job goes.

    Attributes:
        job: The job as `Backend.due` gave it.
        queue: Its queue, or None if it cannot be queued at all and *failure* is set.
        guards: As for `Entry`. If one does not hold, the job is merged with the equal one that waits. If none does, a
            lock that was left behind is taken over; but if that is a `QueueLockGuard.shared` one, the job stays
            delayed.
        failure: The text to append to the failures instead of queueing the job.
        equivalent_payloads: Texts that mean the same job, by which an equal one is found in the queue; its own text
            always does.
    """

    job: DueJob
    queue: str | None
    guards: tuple[Guard, ...] = ()
    failure: str | None = None
    equivalent_payloads: tuple[str, ...] = ()


class PromoteResult:
    """What became of a `PromotionTarget`."""

    QUEUED = "queued"  #: it stands at the end of its queue
    MERGED = "merged"  #: a guard did not hold: the delayed entry is gone, an equal job waits already
    HELD = "held"  #: jobs that are not equal hold a shared lock: it stays delayed
    FAILED = "failed"  #: it stands in the failures
    MISSED = "missed"  #: it was no longer there, or not due, or another scheduler's lock is held: nothing was done
    WRONG_TYPE = "wrong_type"  #: where it should go cannot take it (a key of a wrong type): nothing was done
