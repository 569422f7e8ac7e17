"""The command `taskhero` and its verbs."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import click

import taskhero as package
from taskhero.cli.groups import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Collection

    from taskhero.hooks.command_registry import CommandRegistry

__all__ = ["demo", "taskhero"]

#: The import path of each verb, which is imported on its first use.
VERBS = {
    "delayed": "taskhero.cli.commands.delayed:delayed",
    "enqueue": "taskhero.cli.commands.enqueue:enqueue",
    "failed": "taskhero.cli.commands.failed:failed",
    "generate": "taskhero.cli.commands.generate:generate",
    "locks": "taskhero.cli.commands.locks:locks",
    "plugins": "taskhero.cli.commands.plugins:plugins",
    "queues": "taskhero.cli.commands.queues:queues",
    "status": "taskhero.cli.commands.status:status",
    "tasks": "taskhero.cli.commands.tasks:tasks",
    "work": "taskhero.cli.commands.work:work",
    "workers": "taskhero.cli.commands.workers:workers",
}


def _plugin_commands(taken: Collection[str]) -> CommandRegistry:
    from taskhero.hooks.manager import PluginManager
    from taskhero.plugins import shipped_plugins as shipped_names

    return PluginManager(shipped=(shipped_names,)).commands(taken)


@click.group(
    cls=LazyGroup,
    import_paths=VERBS,
    plugins=_plugin_commands,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package.__version__, "-V", "--version", prog_name="taskhero")
def taskhero() -> None:
    """Background jobs for Python, on the Resque wire.

    Most verbs need the store of the jobs: --app MODULE:ATTR names the TaskHero of your program, --backend URL names
    only the store. Each verb has its own help: taskhero enqueue --help.

    \b
    Examples:
      taskhero demo
      taskhero work --app shop:app
      taskhero enqueue add --args '[1, 2]' --app shop:app
      taskhero work --app shop:app
      taskhero status --app shop:app --watch
      taskhero failed --backend redis://localhost:6379/0
      taskhero failed show 0 --app shop:app
      taskhero failed retry 0 --app shop:app
      taskhero generate task send_mail

    Exit codes: 0 success, 1 failure, 2 an unknown verb or a wrong option.
    """  # noqa: D301 - \b tells click to keep the lines


@taskhero.command()
@click.option("--color/--no-color", default=None, help="Force colours, or turn them off. Default: as the terminal.")
@click.option("--live/--plain", default=None, help="Redraw tables, or print lines. Default: lines in a pipe.")
def demo(*, color: bool | None, live: bool | None) -> None:
    """Run a demo for a few seconds, in memory: jobs are enqueued, delayed, performed and retried, and some fail."""
    from taskhero.cli.demo.screen import new_console, run_demo

    if live is None:
        live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    asyncio.run(run_demo(new_console(color=color), live=live))
