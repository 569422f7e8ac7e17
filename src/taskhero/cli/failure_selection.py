"""Selection of failed jobs, by position or by filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskhero._internal.suggestions import suggestion
from taskhero.cli.formatting import pluralize
from taskhero.cli.parameters import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.app import TaskHero
    from taskhero.engine.queue.failed import FailedFilter
    from taskhero.models import FailedJob

__all__ = ["build_filter", "read_positions", "source_option", "which_options"]

_Command = TypeVar("_Command", bound="Callable[..., Any]")


def _source(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value != "failed" and not value.endswith("_failed"):
        raise click.BadParameter(f"{value!r} is not a failed list: pass failed, or a name that ends with _failed")
    return value


#: The option ``--list``, as `source`.
source_option = click.option(
    "--list",
    "source",
    default="failed",
    show_default=True,
    metavar="NAME",
    callback=_source,
    help="The failed list. Ruby Resque may have others, such as mail_failed.",
)


def which_options(command: _Command) -> _Command:
    """Give a command the filter options of failed jobs, for `build_filter`, and ``--list``."""
    options = (
        click.option("--queue", "-q", metavar="NAME", help="Only jobs of this queue."),
        click.option("--task", "-t", metavar="NAME", help="Only jobs of this task."),
        click.option("--exception", "-e", metavar="CLASS", help="Only jobs with this exception."),
        click.option(
            "--older-than",
            callback=duration,
            metavar="SECONDS",
            help="Only jobs that failed longer ago, such as 90 (seconds), 2h or 7d.",
        ),
        click.option(
            "--younger-than", callback=duration, metavar="SECONDS", help="Only jobs that failed more recently."
        ),
        source_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def build_filter(**conditions: Any) -> FailedFilter | None:
    """Return a filter of failed jobs, or None without any condition."""
    from taskhero.engine.queue.failed import FailedFilter

    return None if all(value is None for value in conditions.values()) else FailedFilter(**conditions)


async def read_positions(app: TaskHero, positions: Sequence[int], source: str) -> list[tuple[int, FailedJob]]:
    """Return the failed jobs at these positions, each once.

    Raises:
        click.ClickException: A position has no failed job.
    """
    total = await app.queue.failed_count(source)
    found: dict[int, FailedJob] = {}
    for position in positions:
        index = total + position if position < 0 else position
        entries = await app.queue.failed(index, index, source) if index >= 0 else []
        if not entries:
            raise click.ClickException(await _missing(app, position, total, source))
        found[index] = entries[0]
    return list(found.items())


async def _missing(app: TaskHero, position: int, total: int, source: str) -> str:
    if total:
        range_ = "0 only" if total == 1 else f"0 to {total - 1}"
        return f"there is no failed job at position {position} of {source!r}: its positions are {range_}"
    lists = await app.queue.failed_lists()
    if source not in lists:
        return f"there is no failed list {source!r}{suggestion(source, lists)}"
    return f"there is no failed job at position {position}: {source!r} has {pluralize(0, 'failed job')}"
