"""``taskhero workers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.formatting import ago, doing, heartbeat_text, job_line, local, pluralize, worker_json
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import json_option, print_json, print_table, printable, progress
from taskhero.cli.parameters import confirm, duration, require_confirmation, suggest, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.models import CleanedWorker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from taskhero.app import TaskHero
    from taskhero.models import WorkerState

__all__ = ["clean", "retry_stuck", "worker_rows", "workers"]


@click.group(cls=ListingGroup, short_help="List workers with what they do, and clean those that are stuck.")
@click.option("--busy", is_flag=True, help="Only those that work a job.")
@target_options
@json_option
def workers(*, busy: bool, app: str | None, backend: str | None, as_json: bool) -> None:
    """List the workers, of whatever program, each with what it does and since when; or clean those that are stuck.

    Dead workers of taskhero need no cleaning: others take over their jobs within seconds.

    \b
    Examples:
      taskhero workers --app shop:app
      taskhero workers --busy --backend redis://localhost:6379/0
      taskhero workers clean --age 1h --app shop:app         those without a sign of life for an hour
      taskhero workers clean old-host:17+1 --app shop:app    this one
      taskhero workers retry-stuck --app shop:app            the jobs that were cleaned so
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)
    details = run_connected(target, lambda app: app.queue.details())
    found = [worker for worker in details.workers if worker.working is not None or not busy]
    if as_json:
        print_json({"workers": [worker_json(worker) for worker in found], "paused": details.paused})
        return
    print_table(
        pluralize(len(found), "worker"),
        ("worker", "queues", "does", "#for", "started", "life"),
        worker_rows(found, details.now),
    )
    if details.paused:
        click.echo("All workers are paused: they claim no jobs (pause-all-workers).")


def worker_rows(workers: Iterable[WorkerState], now: datetime) -> list[tuple[object, ...]]:
    """Rows of a table of workers: name, queues, what it does and for how long, since when it is there, sign of life."""
    rows: list[tuple[object, ...]] = []
    for worker in workers:
        life = "; ".join(part for part in (heartbeat_text(worker, now), worker.problem) if part)
        rows.append((worker.name, worker.queues, *doing(worker, now), local(worker.started_at), life))
    return rows


@workers.command(short_help="Take stuck workers from view; their jobs are listed as failed.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--age", callback=duration, metavar="SECONDS", help="Those without a sign of life for so long, such as 90 or 1h."
)
@yes_option
@target_options
@json_option
def clean(
    *, names: tuple[str, ...], age: float | None, yes: bool, app: str | None, backend: str | None, as_json: bool
) -> None:
    """Take workers from view that are stuck, and list their jobs as failed, where they can be retried.

    With --age those that gave no sign of life for so long. Of another program's worker that is known from looks like
    this one, or from a scheduler that leads: the first look only begins to watch. With NAME exactly that worker, even
    if it lives: then its job may be worked twice.

    \b
    Examples:
      taskhero workers clean --age 1h --app shop:app
      taskhero workers clean old-host:17+1 --yes --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    if bool(names) == (age is not None):
        raise click.UsageError(
            "pass the NAMEs of workers, or --age SECONDS for all that gave no sign of life for so long"
        )
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    if age is not None:
        confirm(f"Clean all workers that gave no sign of life for {ago(age)}?", yes=yes)
        cleaned = run_connected(target, lambda app: app.queue.sweep_workers(age))
    else:
        cleaned = _clean_some(target, names, yes=yes)
    if as_json:
        print_json({"cleaned": [_as_json(worker, named=bool(names)) for worker in cleaned]})
        return
    for worker in cleaned:
        what = "was idle" if worker.failed is None else f"{job_line(worker.failed.job)} is listed as failed"
        click.echo(f"cleaned {printable(worker.name).plain}: {printable(what).plain}")
    if age is not None and not cleaned:
        click.echo(f"no worker is known to have been silent for {ago(age)}")


@workers.command("retry-stuck", short_help="Retry the jobs that failed since their worker was stuck.")
@click.option("--limit", type=click.IntRange(1), help="How many, at most.")
@yes_option
@target_options
@json_option
def retry_stuck(*, limit: int | None, yes: bool, app: str | None, backend: str | None, as_json: bool) -> None:
    """Put the jobs into their queues again that failed since their worker was stuck and cleaned.

    \b
    Examples:
      taskhero workers retry-stuck --app shop:app
      taskhero workers retry-stuck --limit 100 --yes --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    confirm("Retry the jobs of stuck workers?", yes=yes)

    async def retry(app: TaskHero) -> int:
        with progress("looking through the failures", None):
            return await app.queue.retry_stuck_jobs(limit)

    retried = run_connected(target, retry)
    if as_json:
        print_json({"retried": retried})
    else:
        click.echo(f"retried {pluralize(retried, 'job')} of stuck workers")


def _clean_some(target: TaskHero, names: tuple[str, ...], *, yes: bool) -> list[CleanedWorker]:
    details = run_connected(target, lambda app: app.queue.details())
    meant: list[WorkerState] = []
    for name in dict.fromkeys(names):
        found = [worker for worker in details.workers if name in {worker.name, f"{worker.name}:{worker.queues}"}]
        if not found:
            known = [worker.name for worker in details.workers]
            raise click.ClickException(
                f"no worker {name!r} is in view{suggest(name, known)}; taskhero workers lists them"
            )
        meant += found
    if not yes:
        for worker in meant:
            what, since = doing(worker, details.now)
            told = (what, since and f"for {since}", heartbeat_text(worker, details.now))
            click.echo(printable(f"{worker.name}: {', '.join(part for part in told if part)}").plain, err=True)
        confirm(f"Clean {pluralize(len(meant), 'worker')}?", yes=yes)

    async def force(app: TaskHero) -> list[CleanedWorker]:
        cleaned = []
        for worker in meant:
            worker_id = f"{worker.name}:{worker.queues}" if worker.queues else worker.name
            failed = await app.queue.force_clean_worker(worker_id)
            cleaned.append(CleanedWorker(name=worker.name, queues=worker.queues, failed=failed))
        return cleaned

    return run_connected(target, force)


def _as_json(worker: CleanedWorker, *, named: bool) -> dict[str, Any]:
    failed = worker.failed
    return {
        "name": worker.name,
        "queues": worker.queues.split(",") if worker.queues else [],
        "silent_for": None if named else worker.silent_for,
        "job": None if failed is None else {"name": failed.job.name, "args": failed.job.args, "queue": failed.queue},
    }
