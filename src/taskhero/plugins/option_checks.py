"""What the options of the shipped plugins may be, and the sentences for what they may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskhero._internal.display import short_repr
from taskhero.engine.time.instants import delay_of, duration_of
from taskhero.errors import InvalidMoment, PluginError
from taskhero.plugins.equal_jobs import sendable

if TYPE_CHECKING:
    from datetime import timedelta

    from taskhero.plugins.equal_jobs import Key

__all__ = ["delay_option", "flag_option", "key_option", "timeout_option"]

#: Seconds of a lock's timeout at most: a year.
_LONGEST: Final = 366 * 24 * 3600


def timeout_option(given: timedelta | float) -> int:
    """Whole seconds after which a lock lapses.

    Raises:
        PluginError: It is no duration, no whole number of seconds, less than one or more than a year.
    """
    try:
        seconds = duration_of(given, "timeout")
    except InvalidMoment as error:
        raise PluginError(str(error)) from None
    if seconds % 1 or not 1 <= seconds <= _LONGEST:
        raise PluginError(
            f"timeout={short_repr(given)}: a lock lapses after whole seconds, 1 up to {_LONGEST} (a year)"
        )
    return int(seconds)


def delay_option(given: timedelta | float) -> float:
    """Seconds until a job is tried again.

    Raises:
        PluginError: It is no duration, or a bare number of more than a week.
    """
    try:
        return delay_of(given)
    except InvalidMoment as error:
        raise PluginError(str(error)) from None


def key_option(given: Key | None) -> Key | None:
    """A name, or a function of the job that makes one; None for the name of equal jobs.

    Raises:
        PluginError: It is neither.
    """
    if given is None or (callable(given) and not isinstance(given, type)):
        return given
    if isinstance(given, str) and given:
        return sendable(given)
    raise PluginError(
        f"key={short_repr(given)}: pass a str that is not empty, or a function of the job that returns one"
    )


def flag_option(given: bool, name: str) -> bool:
    """True or False.

    Raises:
        PluginError: It is neither.
    """
    if given is True or given is False:
        return given
    raise PluginError(f"{name}={short_repr(given)}: pass True or False")
