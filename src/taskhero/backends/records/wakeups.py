"""Records about what a process waits for, and what woke it."""

from __future__ import annotations

import attrs

__all__ = ["Subscription", "Wakeup"]


@attrs.frozen(kw_only=True)
class Subscription:
    """What a process waits for.

    Attributes:
        queues: Jobs in any of these.
        all_queues: Jobs in queues that are new, too.
        schedule: A delayed job with an earlier moment than all others.
    """

    queues: tuple[str, ...] = ()
    all_queues: bool = False
    schedule: bool = False


@attrs.frozen
class Wakeup:
    """Why a wait ended; both False if its time was up."""

    jobs: bool = False
    schedule: bool = False
