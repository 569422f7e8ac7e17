"""``taskhero workers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero._internal.suggestions import suggestion
from taskhero.cli.formatting import ago, doing, heartbeat_text, job_line, pluralize, time_or_blank, worker_json
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import json_option, listing_options, print_json, print_table, progress, say
from taskhero.cli.parameters import confirm, duration, require_confirmation, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.models import CleanedWorker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from taskhero.app import TaskHero
    from taskhero.models import WorkerState

__all__ = ["clean", "retry_stuck", "worker_rows", "workers"]


@click.group(cls=ListingGroup, short_help="List workers with their jobs, and clean up stuck ones.")
@click.option("--busy", is_flag=True, help="Only workers that run a job.")
@target_options
@listing_options
def workers(*, busy: bool, app: str | None, backend: str | None, as_json: bool) -> None:
    """List the workers of all programs, each with its job and for how long it runs. Sub-verbs clean up stuck ones.

    Dead workers of taskhero need no cleaning: other processes rescue their jobs within seconds.

    \b
    Examples:
      taskhero workers --app shop:app
      taskhero workers --busy --backend redis://localhost:6379/0
      taskhero workers clean --age 1h --app shop:app         without a heartbeat for an hour
      taskhero workers clean old-host:17+1 --app shop:app    this worker
      taskhero workers retry-stuck --app shop:app            the jobs of cleaned workers
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)
    details = run_connected(target, lambda app: app.queue.details())
    found = [worker for worker in details.workers if worker.working is not None or not busy]
    if as_json:
        print_json({"workers": [worker_json(worker) for worker in found], "paused": details.paused})
        return
    print_table(
        pluralize(len(found), "worker"),
        ("worker", "queues", "job", "#for", "@started", "heartbeat"),
        worker_rows(found, details.now),
    )
    if details.paused:
        say("All workers are paused: they claim no jobs (pause-all-workers).")


def worker_rows(workers: Iterable[WorkerState], now: datetime) -> list[tuple[object, ...]]:
    """Return the rows of a table of workers: name, queues, job, for how long, start time, heartbeat."""
    rows: list[tuple[object, ...]] = []
    for worker in workers:
        heartbeat = "; ".join(part for part in (heartbeat_text(worker, now), worker.problem) if part)
        rows.append((worker.name, worker.queues, *doing(worker, now), time_or_blank(worker.started_at), heartbeat))
    return rows


@workers.command(short_help="Deregister stuck workers, and list their jobs as failed.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--age",
    callback=duration,
    metavar="SECONDS",
    help="Workers without a heartbeat for this long, for example 90 (seconds) or 1h.",
)
@yes_option
@target_options
@json_option
def clean(
    *, names: tuple[str, ...], age: float | None, yes: bool, app: str | None, backend: str | None, as_json: bool
) -> None:
    """Deregister stuck workers and put their jobs into the failed list, where they can be retried.

    With --age, clean workers without a heartbeat for that time. The age of another program's worker is known from a
    leading scheduler or from earlier calls of this verb: the first call only starts to measure. With NAME, clean
    exactly that worker even if it is alive: its job may then run twice.

    \b
    Examples:
      taskhero workers clean --age 1h --app shop:app
      taskhero workers clean old-host:17+1 --yes --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    if bool(names) == (age is not None):
        raise click.UsageError(
            "pass the names of workers, or --age SECONDS for all workers without a heartbeat for that time"
        )
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    if age is not None:
        confirm(f"Clean all workers without a heartbeat for {ago(age)}?", yes=yes)
        cleaned = run_connected(target, lambda app: app.queue.sweep_workers(age))
    else:
        cleaned = _clean_some(target, names, yes=yes)
    if as_json:
        print_json({"cleaned": [_as_json(worker, named=bool(names)) for worker in cleaned]})
        return
    for worker in cleaned:
        result = "was idle" if worker.failed is None else f"{job_line(worker.failed.job)} is listed as failed"
        say(f"cleaned {worker.name}: {result}")
    if age is not None and not cleaned:
        say(f"found no worker without a heartbeat for {ago(age)}")


@workers.command("retry-stuck", short_help="Retry the jobs that failed because their worker was stuck.")
@click.option("--limit", type=click.IntRange(1), help="Number of jobs, at most.")
@yes_option
@target_options
@json_option
def retry_stuck(*, limit: int | None, yes: bool, app: str | None, backend: str | None, as_json: bool) -> None:
    """Retry the jobs that failed because their worker was stuck and then cleaned.

    \b
    Examples:
      taskhero workers retry-stuck --app shop:app
      taskhero workers retry-stuck --limit 100 --yes --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    confirm("Retry the jobs of stuck workers?", yes=yes)

    async def retry(app: TaskHero) -> int:
        with progress("reading failed jobs", None):
            return await app.queue.retry_stuck_jobs(limit)

    retried = run_connected(target, retry)
    if as_json:
        print_json({"retried": retried})
    else:
        say(f"retried {pluralize(retried, 'job')} of stuck workers")


def _clean_some(target: TaskHero, names: tuple[str, ...], *, yes: bool) -> list[CleanedWorker]:
    details = run_connected(target, lambda app: app.queue.details())
    chosen: list[WorkerState] = []
    for name in dict.fromkeys(names):
        found = [worker for worker in details.workers if name in {worker.name, f"{worker.name}:{worker.queues}"}]
        if not found:
            known = [worker.name for worker in details.workers]
            raise click.ClickException(
                f"no worker {name!r} is registered{suggestion(name, known)}; taskhero workers lists them"
            )
        chosen += found
    if not yes:
        for worker in chosen:
            job, age_of_run = doing(worker, details.now)
            parts = (job, age_of_run and f"for {age_of_run}", heartbeat_text(worker, details.now))
            say(f"{worker.name}: {', '.join(part for part in parts if part)}", err=True)
        confirm(f"Clean {pluralize(len(chosen), 'worker')}?", yes=yes)

    async def force(app: TaskHero) -> list[CleanedWorker]:
        cleaned = []
        for worker in chosen:
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
