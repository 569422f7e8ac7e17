"""A plugin that retries a failed job."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from taskhero._internal.bounds import LONGEST, MOST
from taskhero._internal.display import short_repr
from taskhero._internal.suggestions import suggestion
from taskhero.errors import PluginError, RetryLater
from taskhero.hooks.needs import CountAttempts
from taskhero.hooks.specs import hookimpl
from taskhero.models import Failure, Retrying
from taskhero.plugins.option_checks import chosen_key, delay_option, key_option
from taskhero.wire.equal_jobs import attempts_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from taskhero.hooks.needs import Need
    from taskhero.models import Job, Outcome
    from taskhero.plugins.option_checks import Key

    Backoff: TypeAlias = Literal["exponential"] | tuple[float, ...]

__all__ = ["Retry"]

#: The longest delay to which an exponential backoff grows: a day, in seconds.
DAY: Final = 24 * 3600.0


def _limit(value: int) -> int:
    limit: object = value
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        raise PluginError(
            f"limit={short_repr(value)}: pass the number of attempts in total, a whole number from 1 to {MOST} "
            "(3 is the first attempt and two retries)"
        )
    return int(limit)


def _backoff(value: Literal["exponential"] | Sequence[timedelta | float] | None) -> Backoff | None:
    if value is None or value == "exponential":
        return value
    if isinstance(value, str):
        raise PluginError(f"backoff={value!r} is not known{suggestion(value, ['exponential'], otherwise='known')}")
    if not isinstance(value, (tuple, list)) or not value:
        raise PluginError(f"backoff={short_repr(value)}: pass the delays, such as (1, 10, 60), or 'exponential'")
    try:
        return tuple(delay_option(delay) for delay in value)
    except PluginError as error:
        raise PluginError(f"backoff={short_repr(value)}: {error}") from None


def _jitter(value: float) -> float:
    jitter: object = value
    if isinstance(jitter, bool) or not isinstance(jitter, (int, float)) or not 0 <= jitter <= 1:
        raise PluginError(f"jitter={short_repr(value)}: pass the fraction by which a delay may vary, 0 to 1")
    return float(value)


def _on(value: Sequence[type[BaseException]]) -> tuple[type[BaseException], ...]:
    if not isinstance(value, (tuple, list)) or not value:
        raise PluginError(f"on={short_repr(value)}: pass a tuple of exception classes, such as (OSError,)")
    classes: Sequence[object] = value
    for item in classes:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise PluginError(f"on={short_repr(value)}: {short_repr(item)} is not an exception class: pass only those")
    return tuple(value)


@attrs.frozen(eq=False)
class Retry:
    """Retry a failed job until it has had *limit* attempts. It is then in the failed list with its last error.

    The counter of attempts has the key of node-resque's Retry, so all jobs with the same name and arguments share it,
    in any queue. A task can set the delay of its retry: ``raise RetryLater(60)``.

    Args:
        limit: The number of attempts in total.
        delay: Seconds, or a timedelta, before each further attempt.
        backoff: The delays before the second attempt, the third and so on. The last one repeats. Or ``"exponential"``
            for delay, 2 delay, 4 delay and so on, up to a day.
        jitter: The fraction, 0 to 1, by which each delay varies at random, up or down.
        on: The exceptions that are retried. Others fail the job at once.
        key: The key of the counter after ``resque-retry:`` instead of the job's name and arguments, or a function of
            the job that returns it.

    Raises:
        PluginError: An option is not valid.
    """

    limit: int = attrs.field(converter=_limit)
    delay: float = attrs.field(default=5, converter=delay_option)
    backoff: Backoff | None = attrs.field(default=None, converter=_backoff)
    jitter: float = attrs.field(default=0.1, converter=_jitter)
    on: tuple[type[BaseException], ...] = attrs.field(default=(Exception,), converter=_on)
    key: Key | None = attrs.field(default=None, converter=key_option)

    @hookimpl
    def taskhero_needs(self, job: Job) -> Sequence[Need]:
        """Return the counter of the job's attempts."""
        return (CountAttempts(*self._names(job)),)

    @hookimpl
    def taskhero_after_perform(self, job: Job, outcome: Outcome) -> Outcome | None:
        """Replace a failure by a retry if the exception is one of *on*."""
        if not isinstance(outcome, Failure) or self.limit == 1:
            return None
        error = outcome.error
        if isinstance(error, RetryLater):
            delays: tuple[float, ...] = (error.delay,)
        elif isinstance(error, self.on):
            delays = tuple(map(self._with_jitter, self._delays()))
        else:
            return None
        counter, last_error_key = self._names(job)
        return Retrying(error, outcome.duration, counter, self.limit, delays, last_error_key)

    def _names(self, job: Job) -> tuple[str, str]:
        if self.key is None:
            return attempts_names(job)
        key = chosen_key(self.key, job)
        return f"resque-retry:{key}", f"failure-resque-retry:{key}"

    def _delays(self) -> Sequence[float]:
        """Return the delays before the second attempt, the third and so on. The last one repeats."""
        if self.backoff is None:
            return (self.delay,)
        if self.backoff != "exponential":
            return self.backoff[: self.limit - 1]
        delays = [min(self.delay, DAY)]
        while len(delays) < self.limit - 1 and 0 < delays[-1] < DAY:
            delays.append(min(2 * delays[-1], DAY))
        return delays

    def _with_jitter(self, delay: float) -> float:
        spread = self.jitter * delay
        result = delay + random.uniform(-spread, spread)  # noqa: S311 - not used for security
        return min(max(0.0, result), float(LONGEST))
