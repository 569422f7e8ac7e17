"""What a hook is told besides the job: frozen records, so that a new need adds a field and breaks no plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    import logging
    from datetime import datetime

    from taskhero.backends.protocol import Backend
    from taskhero.settings import Settings

__all__ = ["EnqueueContext", "OverrideContext", "PerformContext"]


@attrs.frozen(kw_only=True)
class EnqueueContext:
    """Around an enqueue.

    Attributes:
        task_name: The task's name, whether this app declares it or not.
        queue: The queue that the job is meant for.
        at: The moment that it is delayed to (aware, UTC), or None for now. With a *delay* it is an estimate by this
            machine's clock, since the store's clock decides.
        logger: Where to log.
        delay: Seconds of an `enqueue_in`, or None.
    """

    task_name: str
    queue: str
    at: datetime | None
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    delay: float | None = None


@attrs.frozen(kw_only=True)
class PerformContext:
    """Around a performance.

    Attributes:
        worker: The name of the task processor, as others see it.
        queue: The queue that the job came from.
        logger: Where to log.
        attempt: Which attempt this is, from 1; it is counted only if a plugin needs it (`CountAttempts`).
    """

    worker: str
    queue: str
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    attempt: int = 1


class OverrideContext(Protocol):
    """What the maker of a queue, a scheduler or a multi-worker is given, at least.

    It really is a `QueueContext`, a `SchedulerContext` or a `MultiWorkerContext`, with all that such a part works with.
    """

    @property
    def backend(self) -> Backend:
        """The store of jobs."""
        ...

    @property
    def settings(self) -> Settings:
        """The app's settings."""
        ...
