"""``taskhero failed`` lists failed jobs. `taskhero.cli.commands.failed_actions` retries and removes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from taskhero._internal.escaping import indent
from taskhero.cli.commands.failed_actions import remove, retry
from taskhero.cli.failure_selection import build_filter, read_positions, source_option, which_options
from taskhero.cli.formatting import error_line, failed_json, job_name, pluralize, time_or_blank
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import compact, console, listing_options, print_json, print_table, say, shown
from taskhero.cli.parameters import limit_option, positions, start_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.engine.queue.failed import FailedFilter
    from taskhero.models import FailedJob

__all__ = ["failed", "show"]

#: Number of entries that one call of the store reads if there is a filter.
_PAGE = 1000


@click.group(cls=ListingGroup, short_help="List failed jobs with their errors, retry and remove them.")
@target_options
@start_option
@limit_option
@which_options
@click.option("--verbose", "-v", is_flag=True, help="Show arguments, worker and traceback, too.")
@listing_options
def failed(
    *,
    app: str | None,
    backend: str | None,
    start: int,
    limit: int,
    source: str,
    verbose: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """List failed jobs in pages, the oldest first. Sub-verbs show, retry and remove some.

    \b
    Examples:
      taskhero failed --app shop:app                                the first 20
      taskhero failed --app shop:app --start 20                     the next 20
      taskhero failed --app shop:app --task add --older-than 1d     jobs of add that failed over a day ago
      taskhero failed show -1 --app shop:app                        the latest one with all details
      taskhero failed retry 0 3 --app shop:app                      enqueue two of them again
      taskhero failed retry --all --exception ConnectionError --app shop:app
      taskhero failed remove --all --older-than 30d --yes --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)
    condition = build_filter(**conditions)

    async def read(app: TaskHero) -> _Page:
        return await _read(app, source, start, limit, condition)

    page = run_connected(target, read)
    if as_json:
        entries = [failed_json(position, entry) for position, entry in page.entries]
        following = page.next_start
        print_json({"total": page.total, "start": page.first, "failed": entries, "next": following, "list": source})
        return
    if verbose:
        _print_details(page.entries)
    else:
        rows = [
            (position, job_name(entry.job), entry.queue, time_or_blank(entry.failed_at), error_line(entry))
            for position, entry in page.entries
        ]
        print_table(page.title(), ("#position", "task", "queue", "@failed at", "error"), rows)
    for name, count in page.others.items():
        say(f"Another failed list: --list {name} ({count} {'entry' if count == 1 else 'entries'})")
    if page.next_start is not None:
        say(f"Next page: --start {page.next_start}")


@failed.command(
    short_help="Show failed jobs with error, traceback, arguments and worker.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("positions", nargs=-1, required=True, metavar="POSITION...", callback=positions)
@source_option
@target_options
@listing_options
def show(*, positions: list[int], source: str, app: str | None, backend: str | None, as_json: bool) -> None:
    """Show the failed jobs at these positions with error, traceback, arguments and worker.

    `taskhero failed` shows the positions. -1 is the latest failed job.

    \b
    Examples:
      taskhero failed show 0 --app shop:app
      taskhero failed show -1 --app shop:app
      taskhero failed show 0 --json --backend redis://localhost:6379/0
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)
    found = run_connected(target, lambda app: read_positions(app, positions, source))
    if as_json:
        print_json({"failed": [failed_json(position, entry) for position, entry in found]})
    else:
        _print_details(found)


failed.add_command(retry)
failed.add_command(remove)


class _Page:
    """A page of failed jobs.

    Attributes:
        total: Length of the list.
        first: Position at which the page begins.
        entries: The entries that match, with their positions.
        next_start: Position at which the next page begins, or None.
        filtered: Whether there is a filter.
        others: The other failed lists, with their lengths.
    """

    def __init__(self, total: int, first: int, *, filtered: bool) -> None:
        self.total = total
        self.first = first
        self.filtered = filtered
        self.entries: list[tuple[int, FailedJob]] = []
        self.next_start: int | None = None
        self.others: dict[str, int] = {}

    def title(self) -> str:
        """Return the title of its table."""
        jobs = pluralize(self.total, "failed job")
        if self.filtered:
            return (
                f"{jobs}, {len(self.entries)} that match, from position {self.first}"
                if self.total
                else "no failed jobs"
            )
        if not self.entries:
            return f"{jobs}, none from position {self.first}" if self.total else "no failed jobs"
        return f"{jobs}, positions {self.first} to {self.entries[-1][0]}"


async def _read(app: TaskHero, source: str, start: int, limit: int, condition: FailedFilter | None) -> _Page:
    total = await app.queue.failed_count(source)
    page = _Page(total, max(0, total + start) if start < 0 else start, filtered=condition is not None)
    size = limit if condition is None else _PAGE
    at, now = page.first, time.time()
    while len(page.entries) < limit:
        found = await app.queue.failed(at, at + size - 1, source)
        for entry in found:
            if len(page.entries) < limit:
                if condition is None or condition.fits(entry, now):
                    page.entries.append((at, entry))
                at += 1
        if len(found) < size:
            break
    page.next_start = at if page.entries and at < total else None
    for name in await app.queue.failed_lists():
        if name != source and (count := await app.queue.failed_count(name)):
            page.others[name] = count
    return page


def _print_details(found: list[tuple[int, FailedJob]]) -> None:
    out = console()
    for position, entry in found:
        title = shown(f"{position}  {job_name(entry.job)} in queue {entry.queue}: {error_line(entry)}")
        out.print(Text(title, style="bold"), soft_wrap=True)
        details = {
            "args": compact(entry.job.args),
            "worker": entry.worker,
            "failed at": time_or_blank(entry.failed_at),
            "retried at": time_or_blank(entry.retried_at),
            "unreadable": entry.problem,
            "error": entry.error if "\n" in entry.error else None,
        }
        for name, value in details.items():
            if value:
                # The whole text, as it can be copied: the terminal wraps it.
                text = shown(value, keep="\n")
                click.echo(f"  {name}: {indent(text)}")
        for line in entry.backtrace:
            say(f"    {line}")
        click.echo()
