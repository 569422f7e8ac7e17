"""A plugin that turns failures into successes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from taskhero._internal.display import short_repr
from taskhero.errors import PluginError
from taskhero.hooks.specs import hookimpl
from taskhero.models import Failure, Success

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.hooks.contexts import PerformContext
    from taskhero.models import Job, Outcome

    AnyLogger: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]

__all__ = ["Noop"]


def _logger(value: AnyLogger | Callable[[BaseException], object] | None) -> Any:
    if value is None or isinstance(value, (logging.Logger, logging.LoggerAdapter)):
        return value
    if not isinstance(value, type) and callable(value):
        return value
    raise PluginError(f"logger={short_repr(value)}: pass a logging.Logger, or a function that takes the exception")


@attrs.frozen(eq=False)
class Noop:
    """Log the exception of a task, and let its job succeed: it counts as a success and is not in the failed list.

    Args:
        logger: A logger, used at level ERROR, or a function that is called with the exception. None: the task's logger.

    Raises:
        PluginError: *logger* is neither a logger nor a function.
    """

    logger: AnyLogger | Callable[[BaseException], object] | None = attrs.field(default=None, converter=_logger)

    @hookimpl
    def taskhero_after_perform(self, job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome | None:
        """Replace a failure by a success."""
        if not isinstance(outcome, Failure):
            return None
        logger = ctx.logger if self.logger is None else self.logger
        if isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
            logger.error("Task %r failed, which counts as a success", job.name, exc_info=outcome.error)
        else:
            logger(outcome.error)
        return Success(duration=outcome.duration)
