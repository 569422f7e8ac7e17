"""How claimed jobs end."""

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
        delay: Seconds.
        raw: The text to delay, where the claimed one does not name the queue that it was claimed from.
        meaning: By what `NotDelayed` finds the text, where its forms may not hold it.
    """

    delay: float = attrs.field(validator=between(0, LONGEST))
    raw: str | None = None
    meaning: str | None = None


@attrs.frozen
class Retried:
    """The job failed and is delayed again until it has run *limit* times.

    After the last attempt it is in the failed list. Each attempt counts as failed. Counter and trace outlive the delay
    by one day, and are deleted with the last attempt. The delayed payload is no longer marked as rescued. If *raw* is
    given, the backend delays that payload.

    Attributes:
        entry: The failure's text, appended when this was the last attempt.
        counter: Name of the counter of attempts; it starts at -1 as node-resque's does.
        limit: How many attempts there are in all.
        delays: Seconds before the second attempt, the third ...; the last one holds for all that follow.
        trace: Name and text of what is kept of the last error beside the counter; None for nothing.
        raw: The text to delay, where the claimed one does not name the queue that it was claimed from.
        meaning: By what `NotDelayed` finds the text, where its forms may not hold it.
    """

    entry: str
    counter: str
    limit: int = attrs.field(validator=between(0, MOST, whole=True))
    delays: tuple[float, ...] = attrs.field(validator=between(0, LONGEST))
    trace: tuple[str, str] | None = None
    raw: str | None = None
    meaning: str | None = None


Disposition: TypeAlias = Succeeded | RefusedByPlugin | Failed | Released | PostponedByPlugin | Retried


@attrs.frozen
class Settlement:
    """How a claimed job ended.

    Attributes:
        claim: The job.
        disposition: How it ended.
        release: Locks that it held while it ran; those that are still the claim's own go.
        forget: Counters, and what is kept beside them, that are not needed any more.
        next_run: The next run, if the job is that of a periodic task.
    """

    claim: Claim
    disposition: Disposition
    release: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()
    next_run: NextRun | None = None
