"""The command `taskhero` and its verbs."""

from __future__ import annotations

import asyncio
import os
import sys

import click

import taskhero as package
from taskhero.cli.work import work

__all__ = ["demo", "taskhero"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package.__version__, prog_name="taskhero")
def taskhero() -> None:
    """Background jobs for Python, on the Resque wire."""


@taskhero.command()
@click.option("--color/--no-color", default=None, help="Colours, or none; by default as the terminal has them.")
@click.option("--live/--plain", default=None, help="Redraw tables, or print lines; by default lines in a pipe.")
def demo(*, color: bool | None, live: bool | None) -> None:
    """Show a few seconds of jobs being enqueued, delayed, worked and failing, in memory."""
    from taskhero.cli.demo.show import new_console, perform

    if live is None:
        live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    asyncio.run(perform(new_console(color=color), live=live))


taskhero.add_command(work)
