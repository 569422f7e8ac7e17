"""Try a job again that failed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from taskhero._internal.bounds import LONGEST, MOST
from taskhero._internal.display import short_repr
from taskhero._internal.suggestions import closest_name
from taskhero.errors import PluginError, RetryLater
from taskhero.hooks.needs import CountAttempts
from taskhero.hooks.specs import hookimpl
from taskhero.models import Failure, Retrying
from taskhero.plugins.equal_jobs import attempts_names, chosen_key
from taskhero.plugins.option_checks import delay_option, key_option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from taskhero.hooks.needs import Need
    from taskhero.models import Job, Outcome
    from taskhero.plugins.equal_jobs import Key

    Backoff: TypeAlias = Literal["exponential"] | tuple[float, ...]

__all__ = ["Retry"]

#: The longest delay to which an exponential backoff grows: a day, in seconds.
DAY: Final = 24 * 3600.0


def _limit(given: int) -> int:
    limit: object = given
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        raise PluginError(
            f"limit={short_repr(given)}: pass how many attempts there are in all, a whole number of 1 or more (3 is "
            "the "
            f"first and two retries), and not more than {MOST}"
        )
    return int(limit)


def _backoff(given: Literal["exponential"] | Sequence[timedelta | float] | None) -> Backoff | None:
    if given is None or given == "exponential":
        return given
    if isinstance(given, str):
        raise PluginError(f"backoff={given!r} is not known{closest_name(given, ['exponential'])}")
    if not isinstance(given, (tuple, list)) or not given:
        raise PluginError(f"backoff={short_repr(given)}: pass the delays, such as (1, 10, 60), or 'exponential'")
    try:
        return tuple(delay_option(one) for one in given)
    except PluginError as error:
        raise PluginError(f"backoff={short_repr(given)}: {error}") from None


def _jitter(given: float) -> float:
    jitter: object = given
    if isinstance(jitter, bool) or not isinstance(jitter, (int, float)) or not 0 <= jitter <= 1:
        raise PluginError(f"jitter={short_repr(given)}: pass which part of a delay it may vary by, 0 to 1")
    return float(given)


def _on(given: Sequence[type[BaseException]]) -> tuple[type[BaseException], ...]:
    if not isinstance(given, (tuple, list)) or not given:
        raise PluginError(f"on={short_repr(given)}: pass a tuple of exception classes, such as (OSError,)")
    classes: Sequence[object] = given
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise PluginError(f"on={short_repr(given)}: {short_repr(one)} is no class of exceptions")
    return tuple(given)


@attrs.frozen(eq=False)
class Retry:
    """Try a failed job again, until it has been tried *limit* times; then it is in the failures, with its last error.

    Attempts are counted under the name that node-resque's Retry has for it, so they are shared by all jobs of the same
    name and arguments, in any queue. A task may say itself when to try again: ``raise RetryLater(60)``.

    Args:
        limit: How many attempts there are in all.
        delay: Seconds, or a timedelta, before each further attempt.
        backoff: The delays before the second attempt, the third ..., of which the last one holds on; or
            ``"exponential"`` for delay, 2 delay, 4 delay ... up to a day.
        jitter: By which part of itself each delay varies at random, up or down.
        on: The exceptions that are tried again; others fail the job at once.
        key: What names the counter behind ``resque-retry:`` instead of the job's name and arguments, or a function of
            the job that makes it.

    Raises:
        PluginError: An option cannot be.
    """

    limit: int = attrs.field(converter=_limit)
    delay: float = attrs.field(default=5, converter=delay_option)
    backoff: Backoff | None = attrs.field(default=None, converter=_backoff)
    jitter: float = attrs.field(default=0.1, converter=_jitter)
    on: tuple[type[BaseException], ...] = attrs.field(default=(Exception,), converter=_on)
    key: Key | None = attrs.field(default=None, converter=key_option)

    @hookimpl
    def taskhero_needs(self, job: Job) -> Sequence[Need]:
        """The job's attempts are counted."""
        return (CountAttempts(*self._names(job)),)

    @hookimpl
    def taskhero_after_perform(self, job: Job, outcome: Outcome) -> Outcome | None:
        """A failure is tried again, if it is one of those."""
        if not isinstance(outcome, Failure) or self.limit == 1:
            return None
        error = outcome.error
        if isinstance(error, RetryLater):
            delays: tuple[float, ...] = (error.delay,)
        elif isinstance(error, self.on):
            delays = tuple(map(self._varied, self._delays()))
        else:
            return None
        counter, trace = self._names(job)
        return Retrying(error, outcome.duration, counter, self.limit, delays, trace)

    def _names(self, job: Job) -> tuple[str, str]:
        if self.key is None:
            return attempts_names(job)
        key = chosen_key(self.key, job)
        return f"resque-retry:{key}", f"failure-resque-retry:{key}"

    def _delays(self) -> Sequence[float]:
        """Before the second attempt, the third ...; the last one holds on."""
        if self.backoff is None:
            return (self.delay,)
        if self.backoff != "exponential":
            return self.backoff[: self.limit - 1]
        delays = [min(self.delay, DAY)]
        while len(delays) < self.limit - 1 and 0 < delays[-1] < DAY:
            delays.append(min(2 * delays[-1], DAY))
        return delays

    def _varied(self, delay: float) -> float:
        spread = self.jitter * delay
        varied = delay + random.uniform(-spread, spread)  # noqa: S311 - nothing is kept secret by it
        return min(max(0.0, varied), float(LONGEST))
