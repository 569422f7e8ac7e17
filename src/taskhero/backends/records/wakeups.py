"""Records of what a process waits for and of what ended a wait."""

from __future__ import annotations

import attrs

__all__ = ["Subscription", "Wakeup"]


@attrs.frozen(kw_only=True)
class Subscription:
    """What a process waits for.

    Attributes:
        queues: Wait for jobs in any of these queues.
        all_queues: Wait for jobs in new queues too.
        schedule: Wait for a delayed job with an earlier due time than all others.
    """

    queues: tuple[str, ...] = ()
    all_queues: bool = False
    schedule: bool = False


@attrs.frozen
class Wakeup:
    """The reason why a wait ended; all fields are False after a timeout.

    Attributes:
        jobs: There may be jobs.
        schedule: There may be a delayed job with an earlier due time.
        only_named: The jobs can only be in queues that the subscription names. The process then does not read the
            names of all queues. A backend that does not know this leaves it False.
    """

    jobs: bool = False
    schedule: bool = False
    only_named: bool = False
