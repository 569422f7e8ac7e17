"""``taskhero status``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

import attrs
import click
from rich.console import Group
from rich.live import Live

from taskhero.cli.commands.queues import length_rows
from taskhero.cli.commands.workers import worker_rows
from taskhero.cli.formatting import ago, pluralize, time_or_blank, worker_json
from taskhero.cli.output import console, iso, listing_options, print_json
from taskhero.cli.tables import Paragraph, Table
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from taskhero.app import TaskHero
    from taskhero.models import Details, SchedulerLock

__all__ = ["Snapshot", "status", "take_snapshot"]

#: The keys of ``--json``, in their order.
_FIELDS = (
    "backend",
    "queues",
    "processed",
    "failed",
    "failed_jobs",
    "leader",
    "scheduler_lock",
    "error",
    "delayed",
    "paused",
    "workers",
    "rates",
    "now",
)
#: Number of busy workers that are shown, at most; `taskhero workers` lists all.
_MAX_BUSY = 15


@click.command(short_help="Show queues, workers, counters, failed jobs and the leader.")
@target_options
@click.option("--watch", "-w", is_flag=True, help="Refresh until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two refreshes of --watch.",
)
@listing_options
def status(app: str | None, backend: str | None, interval: float, *, watch: bool, as_json: bool) -> None:
    """Show queues, busy workers, the counters, the number of failed and delayed jobs, and the leader.

    With --watch, also show the jobs processed and failed for each second since the last refresh.

    \b
    Examples:
      taskhero status --app shop:app
      taskhero status --app shop:app --watch
      taskhero status --backend redis://localhost:6379/0 --json
    """  # noqa: D301 - \b tells click to keep the lines
    target = open_target(app, backend)
    note_if_private(target)
    if not watch:
        snapshot = run_connected(target, take_snapshot)
        if as_json:
            print_json(snapshot.values)
        else:
            console().print(_render(snapshot))
        return
    on_terminal = sys.stdout.isatty()
    out = console(live=on_terminal)
    # Ctrl-C is the normal end.
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            run_connected(target, lambda app: _watch(app, interval, lambda snapshot: print_json(snapshot.values)))
        elif on_terminal and not out.is_dumb_terminal:
            with Live(console=out, auto_refresh=False) as screen:
                run_connected(target, lambda app: _watch(app, interval, lambda snapshot: _draw(screen, snapshot)))
        else:
            run_connected(target, lambda app: _watch(app, interval, lambda snapshot: out.print(_render(snapshot))))


@attrs.frozen
class Snapshot:
    """The state of queues and workers at one instant.

    Attributes:
        values: The state as ``--json`` prints it.
        details: The result of `Queue.details`, or None if the store has not answered yet.
    """

    values: dict[str, Any]
    details: Details | None = None


async def take_snapshot(app: TaskHero, before: Details | None = None) -> Snapshot:
    """Return the current state, with rates if *before* has the details of the last snapshot."""
    details = await app.queue.details()
    values = {
        "backend": app.backend.location,
        "queues": [{"name": name, "length": length} for name, length in details.queues.items()],
        "processed": details.stats["processed"],
        "failed": details.stats["failed"],
        "failed_jobs": details.failed,
        "leader": details.leader,
        "scheduler_lock": _lock_json(details.scheduler_lock),
        "error": None,
        "delayed": details.delayed,
        "paused": details.paused,
        "workers": [worker_json(worker) for worker in details.workers],
        "rates": None if before is None else _rates(before, details),
        "now": iso(details.now),
    }
    return Snapshot(values, details)


def _lock_json(lock: SchedulerLock | None) -> dict[str, Any] | None:
    if lock is None:
        return None
    return {
        "key": lock.key,
        "holder": lock.holder,
        "since": iso(lock.since),
        "expires_in": None if lock.expires_in is None else round(lock.expires_in, 3),
        "dead": lock.dead,
    }


def _lock_lines(lock: SchedulerLock) -> list[RenderableType]:
    """Return lines that describe another scheduler's lock and its effect on delayed jobs."""
    since = "" if lock.since is None else f" since {time_or_blank(lock.since)}"
    ttl = "no TTL" if lock.expires_in is None else f"TTL {ago(lock.expires_in)}"
    effect, style = "taskhero promotes no delayed jobs: another program's scheduler leads", "bold red"
    if lock.dead:
        effect, style = "a lock of another program's scheduler counts as dead and has no effect", "bold yellow"
    lines = (effect, f"  lock: {lock.key}", f"  holder: {lock.holder}{since}, {ttl}")
    return [Paragraph(line, style) for line in lines]


def _rates(before: Details, details: Details) -> dict[str, float] | None:
    """Return jobs for each second of the store's clock, at least 0, or None if that clock has not advanced."""
    seconds = (details.now - before.now).total_seconds()
    if seconds <= 0:
        return None
    increase = {name: max(details.stats[name] - before.stats[name], 0) for name in ("processed", "failed")}
    return {name: round(count / seconds, 3) for name, count in increase.items()}


async def _watch(app: TaskHero, interval: float, show: Callable[[Snapshot], None]) -> None:
    """Show a snapshot every *interval* seconds. While the store is away, show the last one with the error."""
    last = Snapshot({**dict.fromkeys(_FIELDS), "backend": app.backend.location})
    while True:
        try:
            last = await take_snapshot(app, last.details)
        except BackendError as error:
            last = attrs.evolve(last, values={**last.values, "error": str(error)})
        show(last)
        await asyncio.sleep(interval)


def _draw(screen: Live, snapshot: Snapshot) -> None:
    screen.update(_render(snapshot), refresh=True)


def _render(snapshot: Snapshot) -> RenderableType:
    """Return the tables. The long ones come last, because a terminal may have no room for them."""
    values, details = snapshot.values, snapshot.details
    parts: list[RenderableType] = []
    if values["error"]:
        parts.append(Paragraph(f"last known state; now: {values['error']}", "bold red"))
    if details is None:
        return Group(*parts)
    busy = [worker for worker in details.workers if worker.working is not None]
    parts.insert(0, Paragraph(values["backend"], "bold"))
    parts += _summary(values, details, len(busy))
    parts.append(Table("", ("queue", "#jobs"), length_rows(details.queues) or [("(no queues)", "")]))
    if busy:
        # The longest runs come first. An undecodable entry has no start time.
        busy.sort(key=lambda worker: iso(worker.working.run_at) or "" if worker.working is not None else "")
        rows = [(row[0], row[2], row[3]) for row in worker_rows(busy[:_MAX_BUSY], details.now)]
        parts.append(Table("", ("worker", "job", "#for"), rows))
    if len(busy) > _MAX_BUSY:
        parts.append(Paragraph(f"{len(busy) - _MAX_BUSY} more are busy: taskhero workers --busy"))
    return Group(*parts)


def _summary(values: dict[str, Any], details: Details, busy: int) -> list[RenderableType]:
    """Return one line for each number."""
    lines: list[RenderableType] = [
        Paragraph(f"{pluralize(len(details.workers), 'worker')}, {busy} busy"),
        Paragraph(
            f"processed {values['processed']}, failed {values['failed']}, in the failed list {values['failed_jobs']}"
        ),
    ]
    if values["rates"] is not None:
        rates = values["rates"]
        lines.append(Paragraph(f"each second: processed {rates['processed']:.1f}, failed {rates['failed']:.1f}"))
    lines += [Paragraph(f"delayed {values['delayed']}"), Paragraph(f"leader: {values['leader'] or 'none'}")]
    if details.scheduler_lock is not None:
        lines += _lock_lines(details.scheduler_lock)
    if details.paused:
        lines.append(Paragraph("all workers are paused: they claim no jobs (pause-all-workers)", "bold red"))
    return lines
