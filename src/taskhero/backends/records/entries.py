"""Records of jobs to store, queued and delayed, with the conditions on storing them."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from taskhero._internal.bounds import LONGEST, MOST, between

__all__ = [
    "DelayedJobEntry",
    "Entry",
    "Guard",
    "NotDelayed",
    "QueueLockGuard",
    "Removal",
    "ScheduleResult",
]


#: The latest due time that a store must support: other programs pass milliseconds as seconds by mistake.
_LAST = 2**52


@attrs.frozen
class QueueLockGuard:
    """Store the job only if lock *key* is free, and take it.

    Attributes:
        key: The lock's name, such as ``lock:add:math:[1,2]``.
        timeout: Seconds until the lock expires.
        shared: Whether jobs that are not equal may hold the lock too. It then does not prove that an equal job waits.
    """

    key: str
    timeout: int = attrs.field(validator=between(1, LONGEST, whole=True))
    shared: bool = False


@attrs.frozen
class NotDelayed:
    """Store the job only if none of these payloads is delayed.

    A payload that a settlement delayed under the same *meaning* counts as one of them while it is delayed.

    Attributes:
        equivalent_payloads: The payloads that mean the same job, in the forms that programs usually write.
        meaning: The meaning of the job, equal for all its payloads (`taskhero.wire.jobs.meaning_of`); None if unknown.
    """

    equivalent_payloads: tuple[str, ...]
    meaning: str | None = None


Guard: TypeAlias = QueueLockGuard | NotDelayed


@attrs.frozen
class Entry:
    """A job to be stored in a queue.

    Attributes:
        queue: The queue's name.
        raw: The job's payload.
        front: Whether to put the job at the front of the queue instead of its end.
        guards: Conditions. The entry is stored only if all hold. The same step takes their locks.
    """

    queue: str
    raw: str
    front: bool = False
    guards: tuple[Guard, ...] = ()


@attrs.frozen
class DelayedJobEntry:
    """A job to be stored until its due time: *at*, or *delay* seconds from the step in which it is stored.

    Attributes:
        at: The due time, in Unix seconds; None if *delay* is given.
        queue: The queue of the job from its due time on.
        raw: The job's payload.
        guards: Conditions, as for `Entry`.
        unique: Whether to reject the entry if the same payload is already delayed to the same second.
        delay: Seconds from now until the due time; None if *at* is given.
    """

    at: float | None = attrs.field(validator=attrs.validators.optional(between(0, _LAST)))
    queue: str
    raw: str
    guards: tuple[Guard, ...] = ()
    unique: bool = True
    delay: float | None = attrs.field(default=None, validator=attrs.validators.optional(between(0, LONGEST)))

    def __attrs_post_init__(self) -> None:
        if (self.at is None) == (self.delay is None):
            raise ValueError(f"at={self.at!r}, delay={self.delay!r}: pass one of the two, and None for the other")


@attrs.frozen
class Removal:
    """Entries to remove from a queue.

    Attributes:
        raw: Their exact payload.
        count: Maximum number of entries to remove, counted from the front, or from the end if negative; 0 for all.
        release: Locks to release with the last entry of this payload.
    """

    raw: str
    count: int = attrs.field(default=0, validator=between(-MOST, MOST, whole=True))
    release: tuple[str, ...] = ()


class ScheduleResult(StrEnum):
    """The result of a `DelayedJobEntry`."""

    DELAYED = "delayed"  #: the job waits for its due time
    QUEUED = "queued"  #: the due time was not in the future, so the job is in its queue
    ALREADY_DELAYED = "already_delayed"  #: the same payload was already delayed to the same second
    DUPLICATE = "duplicate"  #: a guard did not hold
