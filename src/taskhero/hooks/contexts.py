"""The context records that hooks receive besides the job. They are frozen, and a new field breaks no plugin."""

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
    """The context of an enqueue.

    Attributes:
        task_name: The task's name. The app may not declare it.
        queue: The job's queue.
        at: The due time (aware, UTC), or None for an enqueue without delay. With a *delay* it is an estimate by this
            machine's clock, because the store computes the due time with its own clock.
        logger: The logger for the hook.
        delay: Seconds of an `enqueue_in`, or None.
    """

    task_name: str
    queue: str
    at: datetime | None
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    delay: float | None = None


@attrs.frozen(kw_only=True)
class PerformContext:
    """The context of a run.

    Attributes:
        worker: The worker name of the task processor.
        queue: The queue that the job came from.
        logger: The logger for the hook.
        attempt: The number of this attempt, from 1. It is counted only if a plugin needs it (`CountAttempts`).
    """

    worker: str
    queue: str
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    attempt: int = 1


class OverrideContext(Protocol):
    """The common attributes of the contexts that an override of a queue, scheduler or multi-worker receives.

    The object is a `QueueContext`, a `SchedulerContext` or a `MultiWorkerContext`, which has more attributes.
    """

    @property
    def backend(self) -> Backend:
        """The store of jobs."""
        ...

    @property
    def settings(self) -> Settings:
        """The app's settings."""
        ...
