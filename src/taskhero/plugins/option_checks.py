"""Validate the options of the plugins that come with taskhero, and apply the option ``key``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from taskhero._internal.display import short_repr
from taskhero.engine.time.instants import delay_of, duration_of
from taskhero.errors import InvalidMoment, PluginError
from taskhero.wire.equal_jobs import sendable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from taskhero.models import Job

    #: A key, or a function that returns the key of a job.
    Key: TypeAlias = str | Callable[[Job], str]

__all__ = ["chosen_key", "delay_option", "flag_option", "key_option", "timeout_option"]

#: The longest timeout of a lock: a year, in seconds.
_MAX_TIMEOUT: Final = 366 * 24 * 3600


def timeout_option(value: timedelta | float) -> int:
    """Return the seconds, a whole number, after which a lock expires.

    Raises:
        PluginError: It is not a duration, not a whole number of seconds, less than one second or more than a year.
    """
    try:
        seconds = duration_of(value, "timeout")
    except InvalidMoment as error:
        raise PluginError(str(error)) from None
    if seconds % 1 or not 1 <= seconds <= _MAX_TIMEOUT:
        raise PluginError(
            f"timeout={short_repr(value)}: a lock expires after whole seconds: pass 1 to {_MAX_TIMEOUT} (a year)"
        )
    return int(seconds)


def delay_option(value: timedelta | float) -> float:
    """Return the seconds until the next attempt.

    Raises:
        PluginError: It is not a duration, or a bare number of more than a week.
    """
    try:
        return delay_of(value)
    except InvalidMoment as error:
        raise PluginError(str(error)) from None


def key_option(value: Key | None) -> Key | None:
    """Return a key, a function of the job that returns one, or None for the key of equal jobs.

    Raises:
        PluginError: It is none of these.
    """
    if value is None or (callable(value) and not isinstance(value, type)):
        return value
    if isinstance(value, str) and value:
        return sendable(value)
    raise PluginError(
        f"key={short_repr(value)}: pass a str that is not empty, or a function of the job that returns one"
    )


def chosen_key(key: Key, job: Job) -> str:
    """Return the key of *job* for the option ``key``.

    Raises:
        PluginError: The function returns something that is not a valid key.
    """
    if isinstance(key, str):
        return key
    result: object = key(job)
    if not isinstance(result, str) or not result:
        raise PluginError(f"key={key!r} returned {result!r} for a job of {job.name!r}: return a str that is not empty")
    return sendable(result)


def flag_option(value: bool, name: str) -> bool:
    """Return the bool.

    Raises:
        PluginError: It is not a bool.
    """
    if value is True or value is False:
        return value
    raise PluginError(f"{name}={short_repr(value)}: pass True or False")
