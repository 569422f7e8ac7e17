"""What several verbs are given: durations, JSON, and a yes before something is changed."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

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
    "position",
    "positions",
    "require_confirmation",
    "suggest",
    "yes_option",
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")

#: The option ``--yes``, as `yes`.
yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")


def json_value(_context: click.Context, _option: click.Parameter, given: str | None) -> Any:
    """Read an option's value as JSON; None if it is not given.

    Raises:
        click.BadParameter: It is none.
    """
    if given is None:
        return None
    try:
        return decode(given)
    except Undecodable as error:
        why = f"is {error}" if str(error).startswith("not ") else error
        raise click.BadParameter(f"""{given!r} {why}; such as '[1, 2]' or '{{"to": "ann"}}'""") from None


def duration(_context: click.Context, _option: click.Parameter, given: str | None) -> float | None:
    """Read an option's value as a duration, in seconds; None if it is not given.

    Raises:
        click.BadParameter: It is none, or a bare number over a week.
    """
    if given is None:
        return None
    found = _DURATION.fullmatch(given)
    if found is None:
        raise click.BadParameter(f"{given!r} is no delay: pass seconds such as 90 or 0.5, or 15m, 2h, 10d")
    number = float(found[1])
    if found[2]:
        try:
            return delay_of(timedelta(seconds=min(number * _UNITS[found[2]], LATEST)))
        except InvalidMoment:
            raise click.BadParameter(f"{given} is longer than 1000 years") from None
    try:
        return delay_of(number)
    except InvalidMoment:
        week = "10d or 2w if that is what you mean"
        raise click.BadParameter(f"{given} is more than a week in seconds: write such as {week}") from None


def positions(context: click.Context, argument: click.Parameter, given: Sequence[str]) -> list[int]:
    """Read positions in a list, each once; -1 is the last.

    The command must ignore unknown options, so that ``-1`` comes as far as here.

    Raises:
        click.BadParameter: One is no whole number.
        click.NoSuchOption: One was meant as an option.
    """
    return list(dict.fromkeys(position(context, argument, text) for text in given))


def position(context: click.Context, _argument: click.Parameter, given: str) -> int:
    """Read one position, as `positions` does."""
    if re.fullmatch(r"-?\d{1,15}", given, re.ASCII):
        return int(given)
    if given.startswith("-"):
        raise click.NoSuchOption(given, ctx=context)
    raise click.BadParameter(f"{given!r} is no position: pass a whole number; 0 is the first, -1 the last")


def require_confirmation(*, yes: bool) -> None:
    """See to it that somebody can be asked, before anything is looked at.

    Raises:
        Misuse: There is no terminal, and ``--yes`` is not given.
    """
    if not yes and not _is_interactive():
        raise UsageError("nobody can be asked here, since the input is no terminal: pass --yes to do it all the same")


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless the answer was given already.

    Raises:
        click.ClickException: The answer is no.
    """
    if not yes and not click.confirm(question, err=True):
        raise click.ClickException("nothing was done")


def _is_interactive() -> bool:
    return sys.stdin.isatty()


def suggest(wrong: str, names: Sequence[str]) -> str:
    """The end of a sentence that says which name may be meant."""
    import difflib

    close = difflib.get_close_matches(wrong, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
