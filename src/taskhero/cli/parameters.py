"""Values of options that several verbs have, and the confirmation before a change."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from taskhero._internal.escaping import escape
from taskhero.cli.groups import UsageError
from taskhero.engine.time.instants import LATEST, delay_of
from taskhero.errors import InvalidMoment, Undecodable
from taskhero.wire.json import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "confirm",
    "duration",
    "json_value",
    "limit_option",
    "parse_duration",
    "position",
    "positions",
    "require_confirmation",
    "start_option",
    "yes_option",
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")

#: The option ``--yes``, as `yes`.
yes_option = click.option("--yes", "-y", is_flag=True, help="Proceed without a confirmation.")

#: The options ``--start`` and ``--limit`` of a list that is shown in pages.
start_option = click.option(
    "--start",
    type=int,
    default=0,
    show_default=True,
    help="Position of the first entry. -20 starts 20 entries before the end.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Number of entries, at most."
)


def json_value(_context: click.Context, _option: click.Parameter, value: str | None) -> Any:
    """Parse an option's value as JSON, or return None if the option is missing.

    Raises:
        click.BadParameter: It is not valid JSON.
    """
    if value is None:
        return None
    try:
        return decode(value)
    except Undecodable as error:
        reason = f"is {error}" if str(error).startswith("not ") else error
        raise click.BadParameter(f"""{value!r} {reason}: pass JSON such as '[1, 2]' or '{{"to": "ann"}}'""") from None


def duration(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """Parse an option's value as a duration in seconds, or return None if the option is missing.

    Raises:
        click.BadParameter: It is not a duration, or a bare number of more than a week.
    """
    if value is None:
        return None
    given = parse_duration(value)
    if given is None:
        raise click.BadParameter(f"{value!r} is not a duration: pass seconds such as 90 or 0.5, or 15m, 2h, 10d")
    try:
        return delay_of(given)
    except InvalidMoment:
        if isinstance(given, timedelta):
            raise click.BadParameter(f"{value} is longer than 1000 years: pass a shorter duration") from None
        raise click.BadParameter(f"{value} seconds are more than a week: pass a unit, such as 10d or 2w") from None


def parse_duration(text: str) -> timedelta | float | None:
    """Parse a number with a unit as a timedelta, and a bare number as seconds.

    Returns:
        The duration, or None if the text is not a duration. A timedelta is at most `LATEST` seconds, which every
        bound of a duration refuses.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    number, unit = float(match[1]), match[2]
    return timedelta(seconds=min(number * _UNITS[unit], LATEST)) if unit else number


def positions(context: click.Context, argument: click.Parameter, values: Sequence[str]) -> list[int]:
    """Parse positions in a list, each once. -1 is the last.

    The command must ignore unknown options, because click takes ``-1`` for one.

    Raises:
        click.BadParameter: A position is not a whole number.
        click.NoSuchOption: A position is an unknown option.
    """
    return list(dict.fromkeys(position(context, argument, value) for value in values))


def position(context: click.Context, _argument: click.Parameter, value: str) -> int:
    """Parse one position, as `positions` does."""
    if re.fullmatch(r"-?\d{1,15}", value, re.ASCII):
        return int(value)
    if value.startswith("-"):
        raise click.NoSuchOption(value, ctx=context)
    raise click.BadParameter(f"{value!r} is not a position: pass a whole number (0 is the first, -1 the last)")


def require_confirmation(*, yes: bool) -> None:
    """Check that a confirmation is possible, before the store is read.

    Raises:
        UsageError: The input is not a terminal, and ``--yes`` is missing.
    """
    if not yes and not _is_interactive():
        raise UsageError("cannot ask for a confirmation, because the input is not a terminal: pass --yes to proceed")


def confirm(question: str, *, yes: bool) -> None:
    """Ask *question*, unless *yes* is set.

    Raises:
        click.ClickException: The answer is no.
    """
    if not yes and not click.confirm(escape(question), err=True):
        raise click.ClickException("nothing was done")


def _is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
