"""Which failures a verb is about: by their positions, or by what must hold of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskhero.cli.formatting import pluralize
from taskhero.cli.output import printable
from taskhero.cli.parameters import duration, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.app import TaskHero
    from taskhero.engine.queue.failed import FailedFilter
    from taskhero.models import FailedJob

__all__ = ["build_filter", "read_positions", "source_option", "which_options"]

_Command = TypeVar("_Command", bound="Callable[..., Any]")


def _source(_context: click.Context, _option: click.Parameter, given: str) -> str:
    if given != "failed" and not given.endswith("_failed"):
        raise click.BadParameter(f"{given!r} is no list of failures: it is failed, or ends with _failed")
    return given


#: The option ``--list``, as `source`.
source_option = click.option(
    "--list",
    "source",
    default="failed",
    show_default=True,
    metavar="NAME",
    callback=_source,
    help="The list of failures; Ruby Resque may keep others, such as mail_failed.",
)


def which_options(command: _Command) -> _Command:
    """Give a command the options that say what must hold of failures, for `chosen`, and ``--list``."""
    options = (
        click.option("--queue", "-q", metavar="NAME", help="Only those that came from this queue."),
        click.option("--task", "-t", metavar="NAME", help="Only those of this task."),
        click.option("--exception", "-e", metavar="CLASS", help="Only those with this exception."),
        click.option(
            "--older-than",
            callback=duration,
            metavar="SECONDS",
            help="Only those from before, such as 90, 2h or 7d ago.",
        ),
        click.option("--younger-than", callback=duration, metavar="SECONDS", help="Only those since then."),
        source_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def build_filter(**which: Any) -> FailedFilter | None:
    """What must hold of failures, or None if nothing is asked."""
    from taskhero.engine.queue.failed import FailedFilter

    return None if all(value is None for value in which.values()) else FailedFilter(**which)


async def read_positions(app: TaskHero, positions: Sequence[int], source: str) -> list[tuple[int, FailedJob]]:
    """The failures at these positions, each once.

    Raises:
        click.ClickException: There is none at one of them.
    """
    total = await app.queue.failed_count(source)
    found: dict[int, FailedJob] = {}
    for given in positions:
        at = total + given if given < 0 else given
        entries = await app.queue.failed(at, at, source) if at >= 0 else []
        if not entries:
            raise click.ClickException(await _none_there(app, given, total, source))
        found[at] = entries[0]
    return list(found.items())


async def _none_there(app: TaskHero, position: int, total: int, source: str) -> str:
    if total:
        range_ = "0 only" if total == 1 else f"0 to {total - 1}"
        return f"there is no failure at position {position} of {printable(source).plain!r}: its positions are {range_}"
    lists = await app.queue.failed_lists()
    if source not in lists:
        return f"there is no list of failures {source!r}{suggest(source, lists)}"
    return f"there is no failure at position {position}: {source!r} holds {pluralize(0, 'failed job')}"
