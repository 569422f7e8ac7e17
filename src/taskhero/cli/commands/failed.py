"""``taskhero failed``: the list of failures; what mends them stands in `taskhero.cli.commands.failed_actions`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.commands.failed_actions import remove, retry
from taskhero.cli.failure_selection import build_filter, read_positions, source_option, which_options
from taskhero.cli.formatting import error_line, failed_json, job_name, local, pluralize
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import compact, console, iso, json_option, print_json, print_table, printable
from taskhero.cli.parameters import positions
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.engine.queue.failed import FailedFilter
    from taskhero.models import FailedJob

__all__ = ["failed", "show"]

#: How many failures are read at once where only some fit.
_PAGE = 1000


@click.group(cls=ListingGroup, short_help="List failed jobs, show why, retry and remove them.")
@target_options
@click.option("--start", type=int, default=0, show_default=True, help="Position of the first; -20 is the last but 19.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, at most.")
@which_options
@click.option("--verbose", "-v", is_flag=True, help="Show args, worker and traceback too.")
@json_option
def failed(
    *,
    app: str | None,
    backend: str | None,
    start: int,
    limit: int,
    source: str,
    verbose: bool,
    as_json: bool,
    **which: Any,
) -> None:
    """List the jobs that failed, the oldest first, page by page; or show, retry and remove some.

    \b
    Examples:
      taskhero failed --app shop:app                                the first 20
      taskhero failed --app shop:app --start 20                     the next 20
      taskhero failed --app shop:app --task add --older-than 1d     those of add, from before yesterday
      taskhero failed show -1 --app shop:app                        all about the latest one
      taskhero failed retry 0 3 --app shop:app                      put two into their queues again
      taskhero failed retry --all --exception ConnectionError --app shop:app
      taskhero failed remove --all --older-than 30d --yes --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)
    where = build_filter(**which)

    async def read(app: TaskHero) -> _Page:
        return await _read(app, source, start, limit, where)

    page = run_connected(target, read)
    if as_json:
        told = [failed_json(at, entry) for at, entry in page.entries]
        print_json({"total": page.total, "start": page.first, "failed": told, "next": page.then, "list": source})
        return
    if verbose:
        _print_details(page.entries)
    else:
        rows = [
            (at, job_name(each.job), each.queue, local(each.failed_at), error_line(each)) for at, each in page.entries
        ]
        print_table(page.title(), ("#position", "task", "queue", "failed at", "error"), rows)
    for name, count in page.others.items():
        click.echo(f"Another list of failures: --list {printable(name).plain} ({pluralize(count, 'entry')})")
    if page.then is not None:
        click.echo(f"The next: --start {page.then}")


@failed.command(
    short_help="Show all about failures: error, traceback, args, worker.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("positions", nargs=-1, required=True, metavar="POSITION...", callback=positions)
@source_option
@target_options
@json_option
def show(*, positions: list[int], source: str, app: str | None, backend: str | None, as_json: bool) -> None:
    """Show all that is known of the failures at these positions: error, traceback, arguments, worker.

    Positions are those that `taskhero failed` shows; -1 is the latest failure.

    \b
    Examples:
      taskhero failed show 0 --app shop:app
      taskhero failed show -1 --app shop:app
      taskhero failed show 0 --json --backend redis://localhost:6379/0
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)
    found = run_connected(target, lambda app: read_positions(app, positions, source))
    if as_json:
        print_json({"failed": [failed_json(at, entry) for at, entry in found]})
    else:
        _print_details(found)


failed.add_command(retry)
failed.add_command(remove)


class _Page:
    """A page of failures.

    Attributes:
        total: How many the list holds.
        first: The position at which the page begins.
        entries: Those that fit, with their positions.
        then: Where the next page begins, or None.
        filtered: Whether some may have been left out.
        others: The other lists of failures, with their lengths.
    """

    def __init__(self, total: int, first: int, *, filtered: bool) -> None:
        self.total = total
        self.first = first
        self.filtered = filtered
        self.entries: list[tuple[int, FailedJob]] = []
        self.then: int | None = None
        self.others: dict[str, int] = {}

    def title(self) -> str:
        """What a table of it is called."""
        jobs = pluralize(self.total, "failed job")
        if self.filtered:
            return (
                f"{jobs}, here {len(self.entries)} that fit, from position {self.first}"
                if self.total
                else "no failed jobs"
            )
        if not self.entries:
            return f"{jobs}, none from position {self.first}" if self.total else "no failed jobs"
        return f"{jobs}, here {self.first} to {self.entries[-1][0]}"


async def _read(app: TaskHero, source: str, start: int, limit: int, where: FailedFilter | None) -> _Page:
    total = await app.queue.failed_count(source)
    page = _Page(total, max(0, total + start) if start < 0 else start, filtered=where is not None)
    size = limit if where is None else _PAGE
    at, now = page.first, time.time()
    while len(page.entries) < limit:
        found = await app.queue.failed(at, at + size - 1, source)
        for entry in found:
            if len(page.entries) < limit:
                if where is None or where.fits(entry, now):
                    page.entries.append((at, entry))
                at += 1
        if len(found) < size:
            break
    page.then = at if page.entries and at < total else None
    for name in await app.queue.failed_lists():
        if name != source and (count := await app.queue.failed_count(name)):
            page.others[name] = count
    return page


def _print_details(found: list[tuple[int, FailedJob]]) -> None:
    out = console()
    for at, entry in found:
        out.print(printable(f"{at}  {job_name(entry.job)} in queue {entry.queue}: {error_line(entry)}"), style="bold")
        details = {
            "args": compact(entry.job.args),
            "worker": entry.worker,
            "failed at": iso(entry.failed_at),
            "retried at": iso(entry.retried_at),
            "unreadable": entry.problem,
            "error": entry.error if "\n" in entry.error else None,
        }
        for name, value in details.items():
            if value:
                out.print(printable(f"  {name}: {value}"))
        for line in entry.backtrace:
            out.print(printable(f"    {line}"))
        out.print()
