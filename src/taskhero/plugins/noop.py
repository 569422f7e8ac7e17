"""Take failures for successes."""

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


def _logger(given: AnyLogger | Callable[[BaseException], object] | None) -> Any:
    if given is None or isinstance(given, (logging.Logger, logging.LoggerAdapter)):
        return given
    if not isinstance(given, type) and callable(given):
        return given
    raise PluginError(f"logger={short_repr(given)}: pass a logging.Logger, or a function that takes the exception")


@attrs.frozen(eq=False)
class Noop:
    """Log what a task raises, and take its job for done: it is not in the failures and counts as a success.

    Args:
        logger: Where to log, at level ERROR, or a function that is called with the exception instead; the task's own
            logger if none is given.

    Raises:
        PluginError: *logger* is neither.
    """

    logger: AnyLogger | Callable[[BaseException], object] | None = attrs.field(default=None, converter=_logger)

    @hookimpl
    def taskhero_after_perform(self, job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome | None:
        """A failure becomes a success."""
        if not isinstance(outcome, Failure):
            return None
        logger = ctx.logger if self.logger is None else self.logger
        if isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
            logger.error("Task %r failed, which is taken for a success", job.name, exc_info=outcome.error)
        else:
            logger(outcome.error)
        return Success(duration=outcome.duration)
