"""``taskhero queues``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero._internal.suggestions import suggestion
from taskhero.cli.completion import complete_queues
from taskhero.cli.formatting import job_json, job_name, pluralize
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import compact, json_option, listing_options, print_json, print_table, progress, say, shown
from taskhero.cli.parameters import confirm, json_value, limit_option, require_confirmation, start_option, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.errors import WrongType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskhero.app import TaskHero
    from taskhero.models import Job

__all__ = ["delete", "length_rows", "queues", "show"]


@click.group(cls=ListingGroup, short_help="List queues with their lengths, show and delete their jobs.")
@target_options
@listing_options
def queues(*, app: str | None, backend: str | None, as_json: bool) -> None:
    """List the queues with their lengths. Sub-verbs show and delete the jobs of one queue.

    \b
    Examples:
      taskhero queues --app shop:app
      taskhero queues --backend redis://localhost:6379/0 --json
      taskhero queues show mail --app shop:app
      taskhero queues delete mail --task send_mail --args '{"to": "ann"}' --app shop:app
      taskhero queues delete mail --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)
    found = run_connected(target, _lengths)
    if as_json:
        print_json({"queues": [{"name": name, "length": length} for name, length in found.items()]})
    else:
        print_table(pluralize(len(found), "queue"), ("queue", "#jobs"), length_rows(found))


@queues.command(short_help="Show the jobs of a queue, the next one first.")
@click.argument("name", shell_complete=complete_queues)
@start_option
@limit_option
@target_options
@listing_options
def show(*, name: str, start: int, limit: int, app: str | None, backend: str | None, as_json: bool) -> None:
    """Show the jobs of the queue NAME in pages, the next one first.

    \b
    Examples:
      taskhero queues show mail --app shop:app
      taskhero queues show mail --start -1 --app shop:app       the latest job
      taskhero queues show mail --json --backend redis://localhost:6379/0
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)

    async def read(app: TaskHero) -> tuple[int | None, int, list[Job]]:
        total = await _length_of(app, name)
        first = max(0, (total or 0) + start) if start < 0 else start
        return total, first, await app.queue.queued(name, first, first + limit - 1)

    total, first, jobs = run_connected(target, read)
    end = first + len(jobs)
    next_start = end if jobs and end < (total or 0) else None
    if as_json:
        entries = [{"position": position, **_entry(job)} for position, job in enumerate(jobs, first)]
        print_json({"queue": name, "length": total, "start": first, "jobs": entries, "next": next_start})
        return
    rows = [(position, job_name(job), job.problem or compact(job.args)) for position, job in enumerate(jobs, first)]
    size = (
        "unreadable"
        if total is None
        else pluralize(total, "job") + ("" if jobs or not total else f", none from {first}")
    )
    print_table(f"queue {name}: {size}", ("#position", "task", "args"), rows)
    if next_start is not None:
        say(f"Next page: --start {next_start}")


@queues.command(short_help="Delete a queue with all its jobs, or some of its jobs.")
@click.argument("name", shell_complete=complete_queues)
@click.option("--task", "-t", metavar="NAME", help="Only jobs of this task.")
@click.option("--args", "arguments", callback=json_value, metavar="JSON", help="Only jobs with these arguments.")
@yes_option
@target_options
@json_option
def delete(
    *,
    name: str,
    task: str | None,
    arguments: Any,
    yes: bool,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Delete the queue NAME with all its jobs or, with --task, only the jobs of that task.

    Equivalent payloads of other programs match, too. The queue locks of deleted jobs are released. Jobs that run
    already continue.

    \b
    Examples:
      taskhero queues delete mail --app shop:app
      taskhero queues delete mail --task send_mail --yes --app shop:app
      taskhero queues delete mail --task send_mail --args '{"to": "ann"}' --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    if arguments is not None and task is None:
        raise click.UsageError("--args needs a task: pass --task NAME as well")
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    length = run_connected(target, lambda app: _length_of(app, name))
    confirm(_question(name, length, task, arguments), yes=yes)

    async def remove(app: TaskHero) -> int:
        with progress(f"deleting from {shown(name)}", None):
            if task is None:
                return await app.queue.delete_queue(name)
            if arguments is None:
                return await app.queue.delete_by_name(name, task)
            return await app.queue.delete(name, task, arguments)

    deleted = run_connected(target, remove)
    if as_json:
        print_json({"queue": name, "deleted": deleted})
    else:
        result = f"deleted {pluralize(deleted, 'job')}"
        say(f"{result} of queue {name}" + (", and the queue" if task is None else ""))


def length_rows(lengths: Mapping[str, int | None]) -> list[tuple[str, object]]:
    """Return the queues with their lengths, as rows of a table."""
    return [(name, "(unreadable)" if length is None else length) for name, length in lengths.items()]


async def _lengths(app: TaskHero) -> Mapping[str, int | None]:
    return (await app.backend.overview()).lengths


async def _length_of(app: TaskHero, name: str) -> int | None:
    """Return the queue's length, or None if its key is not a list.

    Raises:
        click.ClickException: The queue does not exist.
    """
    try:
        length = await app.queue.length(name)
    except WrongType:
        return None
    if not length and name not in (known := await app.queue.queues()):
        raise click.ClickException(f"there is no queue {name!r}{suggestion(name, known)}")
    return length


def _question(name: str, length: int | None, task: str | None, arguments: Any) -> str:
    if task is None:
        return f"Delete queue {name} with all its jobs ({'unreadable' if length is None else length})?"
    suffix = "" if arguments is None else f" with {compact(arguments)}"
    return f"Delete all jobs of {task}{suffix} from queue {name}?"


def _entry(job: Job) -> dict[str, Any]:
    return {"job": job_json(job), "problem": job.problem, "raw": job.raw}
