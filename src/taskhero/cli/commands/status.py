"""``taskhero status``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import attrs
import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from taskhero.cli.commands.queues import length_rows
from taskhero.cli.commands.workers import worker_rows
from taskhero.cli.formatting import ago, local, pluralize, worker_json
from taskhero.cli.output import console, iso, json_option, print_json, printable, table
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from taskhero.app import TaskHero
    from taskhero.models import Details, SchedulerLock

__all__ = ["Look", "look", "status"]

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
#: So many workers that are busy are shown; `taskhero workers` lists all.
_MOST = 15


@click.command(short_help="Show queues, workers, counters, failures and the leader.")
@target_options
@click.option("--watch", "-w", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two looks of --watch.",
)
@json_option
def status(app: str | None, backend: str | None, interval: float, *, watch: bool, as_json: bool) -> None:
    """Show how things stand: queues, busy workers, what was processed, has failed and is delayed, who leads.

    With --watch also how many jobs a second were processed and failed between two looks.

    \b
    Examples:
      taskhero status --app shop:app
      taskhero status --app shop:app --watch
      taskhero status --backend redis://localhost:6379/0 --json
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)
    if not watch:
        found = run_connected(target, look)
        if as_json:
            print_json(found.told)
        else:
            console().print(_picture(found))
        return
    # Ctrl-C is how this ends.
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            run_connected(target, lambda app: _watch(app, interval, lambda found: print_json(found.told)))
        elif (out := console()).is_terminal:
            with Live(console=out, auto_refresh=False) as screen:
                run_connected(target, lambda app: _watch(app, interval, lambda found: _draw(screen, found)))
        else:
            run_connected(target, lambda app: _watch(app, interval, lambda found: out.print(_picture(found))))


@attrs.frozen
class Look:
    """How things stand.

    Attributes:
        told: As ``--json`` prints it.
        details: As `Queue.details` tells it; None if the store could not be asked yet.
    """

    told: dict[str, Any]
    details: Details | None = None


async def look(app: TaskHero, before: Details | None = None) -> Look:
    """How things stand; with rates, if there was a look before."""
    details = await app.queue.details()
    told = {
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
    return Look(told, details)


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


def _lock_lines(lock: SchedulerLock) -> list[Text]:
    """What another program's scheduler does to delayed jobs, in short lines."""
    since = "" if lock.since is None else f" since {local(lock.since)}"
    life = "no TTL" if lock.expires_in is None else f"TTL {ago(lock.expires_in)}"
    what, style = "no delayed jobs are promoted here: another program's scheduler leads", "bold red"
    if lock.dead:
        what, style = "a lock of another program's scheduler counts as dead and stops nothing", "bold yellow"
    lines = (what, f"  lock: {printable(lock.key).plain}", f"  holder: {printable(lock.holder).plain}{since}, {life}")
    return [Text(line, style) for line in lines]


def _rates(before: Details, details: Details) -> dict[str, float] | None:
    """Jobs a second, by the store's clock; None if it does not go, and not below 0 where somebody cleared a counter."""
    seconds = (details.now - before.now).total_seconds()
    if seconds <= 0:
        return None
    grown = {name: max(details.stats[name] - before.stats[name], 0) for name in ("processed", "failed")}
    return {name: round(count / seconds, 3) for name, count in grown.items()}


async def _watch(app: TaskHero, interval: float, show: Callable[[Look], None]) -> None:
    """Show it again and again; while the store is away, the last look with the reason."""
    last = Look({**dict.fromkeys(_FIELDS), "backend": app.backend.location})
    while True:
        try:
            last = await look(app, last.details)
        except BackendError as error:
            last = attrs.evolve(last, told={**last.told, "error": str(error)})
        show(last)
        await asyncio.sleep(interval)


def _draw(screen: Live, found: Look) -> None:
    screen.update(_picture(found), refresh=True)


def _picture(found: Look) -> RenderableType:
    """What a terminal may have no room for comes last."""
    told, details = found.told, found.details
    parts: list[RenderableType] = []
    if found.told["error"]:
        parts.append(Text.assemble(("as it was; now: ", "bold red"), printable(found.told["error"])))
    if details is None:
        return Group(*parts)
    busy = [worker for worker in details.workers if worker.working is not None]
    parts.insert(0, Text.assemble((printable(told["backend"]).plain, "bold")))
    parts += _summary(told, details, len(busy))
    parts.append(table("", ("queue", "#jobs"), length_rows(details.queues) or [("(no queues)", "")]))
    if busy:
        # Those that are at it for longest come first; what cannot be read has no age.
        busy.sort(key=lambda worker: iso(worker.working.run_at) or "" if worker.working is not None else "")
        rows = [(row[0], row[2], row[3]) for row in worker_rows(busy[:_MOST], details.now)]
        parts.append(table("", ("worker", "does", "#for"), rows))
    if len(busy) > _MOST:
        parts.append(printable(f"{len(busy) - _MOST} more are busy: taskhero workers --busy"))
    return Group(*parts)


def _summary(told: dict[str, Any], details: Details, busy: int) -> list[RenderableType]:
    """A line for each number."""
    lines: list[RenderableType] = [
        printable(f"{pluralize(len(details.workers), 'worker')}, {busy} busy"),
        printable(f"processed {told['processed']}, failed {told['failed']}, listed as failed {told['failed_jobs']}"),
    ]
    if told["rates"] is not None:
        rates = told["rates"]
        lines.append(printable(f"a second: processed {rates['processed']:.1f}, failed {rates['failed']:.1f}"))
    lines += [printable(f"delayed {told['delayed']}"), printable(f"leader: {told['leader'] or 'none'}")]
    if details.scheduler_lock is not None:
        lines += _lock_lines(details.scheduler_lock)
    if details.paused:
        lines.append(Text("all workers are paused: they claim no jobs (pause-all-workers)", "bold red"))
    return lines
