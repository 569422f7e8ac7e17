"""What is stored: jobs in queues and delayed ones, with the conditions on storing them."""

from __future__ import annotations

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


#: The last second that a store needs to know; other programs delay to seconds that are milliseconds by mistake.
_LAST = 2**52


@attrs.frozen
class QueueLockGuard:
    """Store the job only if lock *key* is free, and take it.

    Attributes:
        key: The lock's name, such as ``lock:add:math:[1,2]``.
        timeout: Seconds until the lock lapses by itself.
        shared: Whether jobs that are not equal may hold it, too, so that it says nothing about where an equal one is.
    """

    key: str
    timeout: int = attrs.field(validator=between(1, LONGEST, whole=True))
    shared: bool = False


@attrs.frozen
class NotDelayed:
    """Store the job only if none of these payloads is delayed.

    A payload that a settlement delayed under the same *meaning* counts as one of them while it is delayed.

    Attributes:
        equivalent_payloads: The raw texts that mean the same job, as programs usually write them.
        meaning: What texts in any other spelling have in common (`taskhero.wire.jobs.meaning_of`); None if unknown.
    """

    equivalent_payloads: tuple[str, ...]
    meaning: str | None = None


Guard: TypeAlias = QueueLockGuard | NotDelayed


@attrs.frozen
class Entry:
    """A job to be stored in a queue.

    Attributes:
        queue: The queue's name.
        raw: The job's text.
        front: Put it before all others instead of behind them.
        guards: Conditions; the entry is stored only if all hold, and what they take is taken in the same step.
    """

    queue: str
    raw: str
    front: bool = False
    guards: tuple[Guard, ...] = ()


@attrs.frozen
class DelayedJobEntry:
    """A job to be stored until its due time: *at*, or *delay* seconds from the step in which it is stored.

    Attributes:
        at: The due time, in unix seconds; None if *delay* is given.
        queue: The queue that it goes to then.
        raw: The job's text.
        guards: As for `Entry`.
        unique: Refuse it if the same text is delayed to the same second already.
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
    """Entries to be removed from a queue.

    Attributes:
        raw: Their exact text.
        count: 0 for all of them, else so many from the front (negative: from the end).
        release: Locks that go with the last one of this text.
    """

    raw: str
    count: int = attrs.field(default=0, validator=between(-MOST, MOST, whole=True))
    release: tuple[str, ...] = ()


class ScheduleResult:
    """What became of a `DelayedJobEntry`."""

    DELAYED = "delayed"  #: it waits for its moment
    QUEUED = "queued"  #: its moment was not in the future, so it stands in its queue
    ALREADY_DELAYED = "already_delayed"  #: the same text was delayed to the same second already
    DUPLICATE = "duplicate"  #: a guard did not hold
