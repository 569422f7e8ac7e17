"""``taskhero queues``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskhero.cli.output import console, json_option, print_json, table
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options

if TYPE_CHECKING:
    from taskhero.app import TaskHero

__all__ = ["lengths", "queues"]


@click.command(short_help="List the queues with their lengths.")
@target_options
@json_option
def queues(app: str | None, backend: str | None, *, as_json: bool) -> None:
    """List the queues, each with how many jobs wait in it.

    \b
    Examples:
      taskhero queues --app shop:app
      taskhero queues --backend redis://localhost:6379/0 --json
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = open_target(app, backend)
    note_if_private(target)
    found = run_connected(target, lengths)
    if as_json:
        print_json({"queues": [{"name": name, "length": length} for name, length in found.items()]})
    else:
        console().print(table(f"{len(found)} queues", ("queue", "#jobs"), found.items()))


async def lengths(app: TaskHero) -> dict[str, int]:
    """How many jobs wait, by queue."""
    return {name: await app.backend.length(name) for name in await app.queue.queues()}
