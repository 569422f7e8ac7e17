"""``taskhero failed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.output import compact, console, iso, json_option, print_json, shown, table
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.models import FailedJob

__all__ = ["failed"]


@click.command(short_help="List failed jobs with their errors.")
@target_options
@click.option("--start", type=int, default=0, show_default=True, help="Position of the first; -20 is the last but 19.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, at most.")
@click.option("--verbose", "-v", is_flag=True, help="Show args, worker and traceback too.")
@json_option
def failed(app: str | None, backend: str | None, start: int, limit: int, *, verbose: bool, as_json: bool) -> None:
    """List the jobs that failed, the oldest first, page by page.

    \b
    Examples:
      taskhero failed --app shop:app                  the first 20
      taskhero failed --app shop:app --start 20       the next 20
      taskhero failed --app shop:app --start -1 -v    the latest one, with its traceback
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)

    async def read(app: TaskHero) -> tuple[int, int, list[FailedJob]]:
        total = await app.queue.failed_count()
        first = max(0, total + start) if start < 0 else start
        return total, first, await app.queue.failed(first, first + limit - 1)

    total, first, found = run_connected(target, read)
    if as_json:
        entries = [_as_json(at, entry) for at, entry in enumerate(found, first)]
        print_json({"total": total, "start": first, "failed": entries})
    elif verbose:
        _print_details(first, found)
    else:
        rows = [_row(at, entry) for at, entry in enumerate(found, first)]
        console().print(
            table(_title(total, first, len(found)), ("#position", "task", "queue", "failed at", "error"), rows)
        )
    end = first + len(found)
    if found and end < total and not as_json:
        click.echo(f"The next: --start {end}")


def _title(total: int, first: int, count: int) -> str:
    if not count:
        return f"{total} failed jobs, none from position {first}" if total else "no failed jobs"
    return f"{total} failed jobs, here {first} to {first + count - 1}"


def _row(at: int, entry: FailedJob) -> tuple[object, ...]:
    return at, _name(entry), entry.queue, _when(entry), _error(entry)


def _name(entry: FailedJob) -> str:
    return entry.job.name or "(unreadable)"


def _when(entry: FailedJob) -> str:
    return "" if entry.failed_at is None else f"{entry.failed_at.astimezone():%Y-%m-%d %H:%M:%S}"


def _error(entry: FailedJob) -> str:
    lines = entry.error.splitlines()
    told = ": ".join(part for part in (entry.exception, lines[0] if lines else "") if part)
    return told or entry.problem or ""


def _print_details(first: int, found: list[FailedJob]) -> None:
    out = console()
    for at, entry in enumerate(found, first):
        out.print(shown(f"{at}  {_name(entry)} in queue {entry.queue}: {_error(entry)}"), style="bold")
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
                out.print(shown(f"  {name}: {value}"))
        for line in entry.backtrace:
            out.print(shown(f"    {line}"))
        out.print()


def _as_json(at: int, entry: FailedJob) -> dict[str, Any]:
    return {
        "position": at,
        "job": {"name": entry.job.name, "args": entry.job.args, "queue": entry.job.queue},
        "queue": entry.queue,
        "worker": entry.worker,
        "exception": entry.exception,
        "error": entry.error,
        "backtrace": entry.backtrace,
        "failed_at": iso(entry.failed_at),
        "retried_at": iso(entry.retried_at),
        "problem": entry.problem,
        "raw": entry.raw,
    }
