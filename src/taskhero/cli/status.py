"""``taskhero status``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from taskhero.cli.output import console, json_option, print_json, shown, table
from taskhero.cli.queues import lengths
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from taskhero.app import TaskHero

__all__ = ["look", "status"]

_FIELDS = ("backend", "queues", "processed", "failed", "failed_jobs", "leader", "error")


@click.command(short_help="Show queues, counters, failures and the leader.")
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
    """Show how things stand: the queues with their lengths, what was processed, what failed, and who leads.

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
            print_json(found)
        else:
            console().print(_picture(found))
        return
    # Ctrl-C is how this ends.
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            run_connected(target, lambda app: _watch(app, interval, print_json))
        else:
            with Live(console=console(), auto_refresh=False) as screen:
                run_connected(target, lambda app: _watch(app, interval, lambda found: _draw(screen, found)))


async def look(app: TaskHero) -> dict[str, Any]:
    """How things stand, as ``--json`` prints it."""
    stats = await app.queue.stats()
    return {
        "backend": app.backend.location,
        "queues": [{"name": name, "length": length} for name, length in (await lengths(app)).items()],
        "processed": stats.get("processed", 0),
        "failed": stats.get("failed", 0),
        "failed_jobs": await app.queue.failed_count(),
        "leader": await app.backend.leader(),
        "error": None,
    }


async def _watch(app: TaskHero, interval: float, show: Callable[[dict[str, Any]], None]) -> None:
    """Show it again and again; while the store is away, the last look with the reason."""
    last = {**dict.fromkeys(_FIELDS), "backend": app.backend.location}
    while True:
        try:
            last = await look(app)
        except BackendError as error:
            last = {**last, "error": str(error)}
        show(last)
        await asyncio.sleep(interval)


def _draw(screen: Live, found: dict[str, Any]) -> None:
    screen.update(_picture(found), refresh=True)


def _picture(found: dict[str, Any]) -> RenderableType:
    parts: list[RenderableType] = []
    if found["queues"] is not None:
        rows = [(queue["name"], queue["length"]) for queue in found["queues"]]
        parts += [
            Text.assemble((shown(found["backend"]).plain, "bold")),
            table("", ("queue", "#jobs"), rows or [("(no queues)", "")]),
            shown(f"processed {found['processed']}, failed {found['failed']}, listed as failed {found['failed_jobs']}"),
            shown(f"leader: {found['leader'] or 'none'}"),
        ]
    if found["error"]:
        parts.append(Text.assemble(("as it was; now: ", "bold red"), shown(found["error"])))
    return Group(*parts)
