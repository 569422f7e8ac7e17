"""Records about what a process waits for, and what woke it."""

from __future__ import annotations

import attrs

__all__ = ["Interest", "Wake"]


@attrs.frozen(kw_only=True)
class Interest:
    """What a process waits for.

    Attributes:
        queues: Jobs in any of these.
        everything: Jobs in queues that are new, too.
        schedule: A delayed job with an earlier moment than all others.
    """

    queues: tuple[str, ...] = ()
    everything: bool = False
    schedule: bool = False


@attrs.frozen
class Wake:
    """Why a wait ended; both False if its time was up."""

    jobs: bool = False
    schedule: bool = False
