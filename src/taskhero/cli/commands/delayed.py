"""``taskhero delayed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import click

from taskhero.cli.formatting import job_json, job_name, local, pluralize
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import compact, iso, json_option, print_json, print_table, progress
from taskhero.cli.parameters import confirm, json_value, require_confirmation, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.engine.task.signature import is_nothing, wire_args
from taskhero.engine.time.instants import to_datetime
from taskhero.wire.jobs import decode_job, payload_queue, same_meaning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from taskhero.app import TaskHero
    from taskhero.backends.records.inspection import DelayedEntry
    from taskhero.models import Job

__all__ = ["delayed", "delete"]

#: How many texts the store looks through at once.
_SEARCH = 5000
#: How many are removed at once.
_BATCH = 200
#: What lies beyond all that a datetime can say is shown as this.
_FARTHEST = 253_402_300_799

_queue_option = click.option("--queue", "-q", metavar="NAME", help="Only those of this queue.")
_task_option = click.option("--task", "-t", metavar="NAME", help="Only those of this task.")


@click.group(cls=ListingGroup, short_help="List delayed jobs with their moments, and delete some.")
@_queue_option
@_task_option
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="Position of the first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, at most.")
@target_options
@json_option
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
    """List delayed jobs, each with the moment at which it is queued, the earliest first; or delete some.

    \b
    Examples:
      taskhero delayed --app shop:app
      taskhero delayed --queue mail --task send_mail --app shop:app
      taskhero delayed delete --task send_mail --args '{"to": "ann"}' --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)
    page = run_connected(target, lambda app: _read(app, _Which(queue, task), start, limit))
    if as_json:
        told = [_as_json(at, entry) for at, entry in page.entries]
        print_json({"total": page.total, "start": start, "delayed": told, "next": page.then})
        return
    rows = []
    for at, entry in page.entries:
        job = _job(entry.raw)
        rows.append((at, local(_moment(entry)), job_name(job), job.queue, job.problem or compact(job.args)))
    title = pluralize(page.total, "delayed job") if page.total else "no delayed jobs"
    print_table(title, ("#position", "at", "task", "queue", "args"), rows)
    if page.then is not None:
        click.echo(f"The next: --start {page.then}")


@delayed.command(short_help="Delete delayed jobs.")
@_queue_option
@_task_option
@click.option("--args", "arguments", callback=json_value, metavar="JSON", help="Only those with these arguments.")
@click.option("--all", "everything", is_flag=True, help="All that is delayed.")
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
    """Delete the delayed jobs of a task, of a queue, or all; they are found by what they mean, whoever wrote them.

    The next run of a periodic task is delayed, too; the task goes on by itself. To stop it: taskhero tasks stop NAME.

    \b
    Examples:
      taskhero delayed delete --task send_mail --app shop:app
      taskhero delayed delete --task send_mail --args '{"to": "ann"}' --yes --app shop:app
      taskhero delayed delete --queue mail --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    if arguments is not None and task is None:
        raise click.UsageError("--args says which jobs of a task: pass --task NAME as well")
    if everything == (queue is not None or task is not None):
        raise click.UsageError("say which delayed jobs: --task NAME, --queue NAME or both; or --all")
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    found = run_connected(target, lambda app: _find(app, _which(app, queue, task, arguments)))
    if found:
        confirm(f"Delete {pluralize(len(found), 'delayed job')}?", yes=yes)
    deleted = run_connected(target, lambda app: _remove(app, found)) if found else 0
    if as_json:
        print_json({"deleted": deleted})
    else:
        click.echo(f"deleted {pluralize(deleted, 'delayed job')}")


@attrs.frozen
class _Which:
    """Which delayed jobs are meant; all that is given must hold.

    Attributes:
        queue: The job's queue.
        task: The task's name.
        meanings: The arguments, each way that means the same; None for any.
    """

    queue: str | None = None
    task: str | None = None
    meanings: tuple[list[Any], ...] | None = None

    def fits(self, entry: DelayedEntry) -> bool:
        """Whether this one is meant."""
        if self.queue is None and self.task is None:
            return True
        job = _job(entry.raw)
        if self.queue not in {None, job.queue} or self.task not in {None, job.name}:
            return False
        return self.meanings is None or any(same_meaning(entry.raw, job.name, meant) for meant in self.meanings)


def _which(app: TaskHero, queue: str | None, task: str | None, arguments: Any) -> _Which:
    if arguments is None or task is None:
        return _Which(queue, task)
    meant = wire_args(arguments)
    declared = app.tasks.get(task)
    if declared is not None and declared.signature.takes_nothing and is_nothing(meant):
        return _Which(queue, task, ([], [None], [{}]))
    return _Which(queue, task, (meant,))


@attrs.frozen
class _Page:
    """Delayed jobs with their positions among all, how many there are in all, and where the next page begins."""

    total: int
    entries: list[tuple[int, DelayedEntry]]
    then: int | None


async def _each(app: TaskHero) -> AsyncIterator[DelayedEntry]:
    after = None
    while True:
        page = await app.backend.search_delayed(limit=_SEARCH, after=after)
        for entry in page.entries:
            yield entry
        after = page.after
        if after is None:
            return


async def _read(app: TaskHero, which: _Which, start: int, limit: int) -> _Page:
    total = sum(count for _, count in await app.backend.due_times())
    found: list[tuple[int, DelayedEntry]] = []
    at = 0
    async for entry in _each(app):
        if len(found) == limit:
            return _Page(total, found, at)
        if at >= start and which.fits(entry):
            found.append((at, entry))
        at += 1
    return _Page(total, found, None)


async def _find(app: TaskHero, which: _Which) -> list[DelayedEntry]:
    """What is meant, with all copies."""
    found: list[DelayedEntry] = []
    with progress("looking through delayed jobs", sum(count for _, count in await app.backend.due_times())) as advance:
        async for entry in _each(app):
            if which.fits(entry):
                found.append(entry)
            advance(1)
    return found


async def _remove(app: TaskHero, found: list[DelayedEntry]) -> int:
    """Remove these texts from their seconds, all copies at once."""
    deleted = 0
    different = list(dict.fromkeys(found))
    with progress("deleting delayed jobs", len(different)) as advance:
        for start in range(0, len(different), _BATCH):
            batch = different[start : start + _BATCH]
            deleted += sum(await app.backend.remove_delayed(batch))
            advance(len(batch))
    return deleted


def _job(raw: str) -> Job:
    return decode_job(raw, payload_queue(raw) or "")


def _moment(entry: DelayedEntry) -> datetime:
    return to_datetime(min(entry.at, _FARTHEST))


def _as_json(position: int, entry: DelayedEntry) -> dict[str, Any]:
    job = _job(entry.raw)
    at = iso(_moment(entry))
    return {"position": position, "at": at, "job": job_json(job), "problem": job.problem, "raw": entry.raw}
