"""The collaborators of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero._internal.logs import get_logger

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend
    from taskhero.clock import Clock
    from taskhero.engine.task.task_registry import TaskRegistry
    from taskhero.hooks.scope import HookScope
    from taskhero.settings import Settings

__all__ = ["QueueContext"]

_LOGGER = get_logger("taskhero.queue")


def _nothing() -> None:
    """Accept any use: the check of a queue without an app."""


@attrs.frozen(kw_only=True)
class QueueContext:
    """The collaborators of a `Queue`.

    Attributes:
        backend: The store of jobs.
        tasks: The app's tasks.
        scope: The app-wide hooks, for jobs of tasks that the app does not declare.
        settings: The app's settings.
        clock: The clock that estimates the due time of `enqueue_in` for hooks.
        check: Called before each use of the backend. Raises `NotConnected` if the backend is not connected.
        logger: The logger for errors of plugins, also passed to hooks.
    """

    backend: Backend
    tasks: TaskRegistry
    scope: HookScope
    settings: Settings
    clock: Clock
    check: Callable[[], None] = _nothing
    logger: logging.Logger = _LOGGER
