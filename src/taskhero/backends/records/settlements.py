"""Records of how claimed jobs end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from taskhero._internal.bounds import LONGEST, MOST, between

if TYPE_CHECKING:
    from taskhero.backends.records.claims import Claim
    from taskhero.backends.records.periodic_tasks import NextRun

__all__ = [
    "Disposition",
    "Failed",
    "PostponedByPlugin",
    "RefusedByPlugin",
    "Released",
    "Retried",
    "Settlement",
    "Succeeded",
]


@attrs.frozen
class Succeeded:
    """The job succeeded and counts as processed."""


@attrs.frozen
class RefusedByPlugin:
    """A plugin refused the job before it ran: the job is removed and nothing is counted."""


@attrs.frozen
class Failed:
    """The job failed: *entry* is appended to the failed list, and the job counts as failed."""

    entry: str


@attrs.frozen
class Released:
    """The job returns to the front of its queue, as *raw* if that is given.

    Nothing is counted.
    """

    raw: str | None = None


@attrs.frozen
class PostponedByPlugin:
    """The job is delayed by *delay* seconds, counted from now and rounded up.

    Nothing is counted. The backend delays the claimed payload, or *raw* if that is given.

    Attributes:
        delay: Seconds from now.
        raw: The payload to delay, if the claimed one does not name the queue that it was claimed from.
        meaning: The meaning by which `NotDelayed` finds the payload if it is not an equivalent payload.
    """

    delay: float = attrs.field(validator=between(0, LONGEST))
    raw: str | None = None
    meaning: str | None = None


@attrs.frozen
class Retried:
    """The job failed and is delayed again until it has run *limit* times.

    After the last attempt it is in the failed list. Each attempt counts as failed. Counter and last error outlive the
    delay by one day, and are deleted with the last attempt. The delayed payload is no longer marked as rescued. If
    *raw* is given, the backend delays that payload.

    Attributes:
        entry: The entry to append to the failed list after the last attempt.
        counter: Name of the counter of attempts. It starts at -1, as in node-resque.
        limit: Maximum number of attempts.
        delays: Seconds before the second attempt, the third and so on; the last value applies to all later attempts.
        last_error: Name and value of the record of the last error; None if no record is kept.
        raw: The payload to delay, if the claimed one does not name the queue that it was claimed from.
        meaning: The meaning by which `NotDelayed` finds the payload if it is not an equivalent payload.
    """

    entry: str
    counter: str
    limit: int = attrs.field(validator=between(0, MOST, whole=True))
    delays: tuple[float, ...] = attrs.field(validator=between(0, LONGEST))
    last_error: tuple[str, str] | None = None
    raw: str | None = None
    meaning: str | None = None


Disposition: TypeAlias = Succeeded | RefusedByPlugin | Failed | Released | PostponedByPlugin | Retried


@attrs.frozen
class Settlement:
    """How a claimed job ended.

    Attributes:
        claim: The claim of the job.
        disposition: How the job ended.
        release: Locks that the job held while it ran. Those that the claim still owns are released.
        forget: Names of counters and last errors to delete.
        next_run: The next run of the periodic task to which the job belongs; None for other jobs.
    """

    claim: Claim
    disposition: Disposition
    release: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()
    next_run: NextRun | None = None
