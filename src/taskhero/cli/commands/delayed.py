"""``taskhero delayed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import click

from taskhero.cli.formatting import job_json, job_name, pluralize, time_or_blank
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import compact, iso, json_option, listing_options, print_json, print_table, progress, say
from taskhero.cli.parameters import confirm, json_value, limit_option, require_confirmation, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.engine.task.signature import wire_args
from taskhero.engine.time.instants import to_datetime
from taskhero.wire.jobs import decode_job, is_nothing, payload_queue, same_meaning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from taskhero.app import TaskHero
    from taskhero.backends.records.inspection import StoredDelayedJob
    from taskhero.models import Job

__all__ = ["delayed", "delete"]

#: Number of entries that one call of the store reads.
_SEARCH = 5000
#: Number of entries that one call of the store removes.
_BATCH = 200
#: The latest Unix time that a datetime can represent; later due times are shown as this one.
_LATEST = 253_402_300_799

_queue_option = click.option("--queue", "-q", metavar="NAME", help="Only jobs of this queue.")
_task_option = click.option("--task", "-t", metavar="NAME", help="Only jobs of this task.")


@click.group(cls=ListingGroup, short_help="List delayed jobs with their due times, and delete some.")
@_queue_option
@_task_option
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="Position of the first entry.")
@limit_option
@target_options
@listing_options
def delayed(
    *,
    queue: str | None,
    task: str | None,
    start: int,
    limit: int,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """List delayed jobs with their due times, the earliest first. `delayed delete` deletes some.

    \b
    Examples:
      taskhero delayed --app shop:app
      taskhero delayed --queue mail --task send_mail --app shop:app
      taskhero delayed delete --task send_mail --args '{"to": "ann"}' --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)
    page = run_connected(target, lambda app: _read(app, _Filter(queue, task), start, limit))
    if as_json:
        entries = [_as_json(position, entry) for position, entry in page.entries]
        print_json({"total": page.total, "start": start, "delayed": entries, "next": page.next_start})
        return
    rows = []
    for position, entry in page.entries:
        job = _job(entry.raw)
        rows.append(
            (position, time_or_blank(_due_time(entry)), job_name(job), job.queue, job.problem or compact(job.args))
        )
    title = pluralize(page.total, "delayed job") if page.total else "no delayed jobs"
    print_table(title, ("#position", "@due at", "task", "queue", "args"), rows)
    if page.next_start is not None:
        say(f"Next page: --start {page.next_start}")


@delayed.command(short_help="Delete delayed jobs.")
@_queue_option
@_task_option
@click.option("--args", "arguments", callback=json_value, metavar="JSON", help="Only jobs with these arguments.")
@click.option("--all", "everything", is_flag=True, help="All delayed jobs.")
@yes_option
@target_options
@json_option
def delete(
    *,
    queue: str | None,
    task: str | None,
    arguments: Any,
    everything: bool,
    yes: bool,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Delete the delayed jobs of a task, of a queue, or all. Equivalent payloads of other programs match, too.

    The next run of a periodic task is a delayed job, too. After a deletion the scheduler schedules it again. To stop
    the task, use taskhero tasks stop NAME.

    \b
    Examples:
      taskhero delayed delete --task send_mail --app shop:app
      taskhero delayed delete --task send_mail --args '{"to": "ann"}' --yes --app shop:app
      taskhero delayed delete --queue mail --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    if arguments is not None and task is None:
        raise click.UsageError("--args needs a task: pass --task NAME as well")
    if everything == (queue is not None or task is not None):
        raise click.UsageError("pass --task NAME, --queue NAME or both, or --all for all delayed jobs")
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    found = run_connected(target, lambda app: _find(app, _build_filter(app, queue, task, arguments)))
    if found:
        confirm(f"Delete {pluralize(len(found), 'delayed job')}?", yes=yes)
    deleted = run_connected(target, lambda app: _remove(app, found)) if found else 0
    if as_json:
        print_json({"deleted": deleted})
    else:
        say(f"deleted {pluralize(deleted, 'delayed job')}")


@attrs.frozen
class _Filter:
    """A filter of delayed jobs. A job must meet all conditions.

    Attributes:
        queue: The job's queue, or None for any.
        task: The task's name, or None for any.
        meanings: The arguments in each equivalent form, or None for any.
    """

    queue: str | None = None
    task: str | None = None
    meanings: tuple[list[Any], ...] | None = None

    def fits(self, entry: StoredDelayedJob) -> bool:
        """Return whether the entry meets the conditions."""
        if self.queue is None and self.task is None:
            return True
        job = _job(entry.raw)
        if self.queue not in {None, job.queue} or self.task not in {None, job.name}:
            return False
        return self.meanings is None or any(same_meaning(entry.raw, job.name, args) for args in self.meanings)


def _build_filter(app: TaskHero, queue: str | None, task: str | None, arguments: Any) -> _Filter:
    if arguments is None or task is None:
        return _Filter(queue, task)
    args = wire_args(arguments)
    declared = app.tasks.get(task)
    if declared is not None and declared.signature.takes_nothing and is_nothing(args):
        return _Filter(queue, task, ([], [None], [{}]))
    return _Filter(queue, task, (args,))


@attrs.frozen
class _Page:
    """A page of delayed jobs.

    Attributes:
        total: Number of all delayed jobs.
        entries: The jobs of the page with their positions among all.
        next_start: Position at which the next page begins, or None.
    """

    total: int
    entries: list[tuple[int, StoredDelayedJob]]
    next_start: int | None


async def _all_delayed(app: TaskHero) -> AsyncIterator[StoredDelayedJob]:
    after = None
    while True:
        page = await app.backend.search_delayed(limit=_SEARCH, after=after)
        for entry in page.entries:
            yield entry
        after = page.after
        if after is None:
            return


async def _read(app: TaskHero, condition: _Filter, start: int, limit: int) -> _Page:
    total = sum(count for _, count in await app.backend.due_times())
    found: list[tuple[int, StoredDelayedJob]] = []
    at = 0
    async for entry in _all_delayed(app):
        if len(found) == limit:
            return _Page(total, found, at)
        if at >= start and condition.fits(entry):
            found.append((at, entry))
        at += 1
    return _Page(total, found, None)


async def _find(app: TaskHero, condition: _Filter) -> list[StoredDelayedJob]:
    """Return the entries that meet the condition, with all copies."""
    found: list[StoredDelayedJob] = []
    with progress("reading delayed jobs", sum(count for _, count in await app.backend.due_times())) as advance:
        async for entry in _all_delayed(app):
            if condition.fits(entry):
                found.append(entry)
            advance(1)
    return found


async def _remove(app: TaskHero, found: list[StoredDelayedJob]) -> int:
    """Remove all copies of these payloads, and return the number removed."""
    deleted = 0
    distinct = list(dict.fromkeys(found))
    with progress("deleting delayed jobs", len(distinct)) as advance:
        for start in range(0, len(distinct), _BATCH):
            batch = distinct[start : start + _BATCH]
            deleted += sum(await app.backend.remove_delayed(batch))
            advance(len(batch))
    return deleted


def _job(raw: str) -> Job:
    return decode_job(raw, payload_queue(raw) or "")


def _due_time(entry: StoredDelayedJob) -> datetime:
    return to_datetime(min(entry.at, _LATEST))


def _as_json(position: int, entry: StoredDelayedJob) -> dict[str, Any]:
    job = _job(entry.raw)
    due_at = iso(_due_time(entry))
    return {"position": position, "at": due_at, "job": job_json(job), "problem": job.problem, "raw": entry.raw}
