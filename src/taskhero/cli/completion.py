"""Completion of the names of tasks and queues in the shell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from taskhero.cli.app_loader import load_app
from taskhero.errors import TaskheroError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from taskhero.app import TaskHero

__all__ = ["complete_queues", "complete_tasks"]

#: Seconds after which the completion of queues gives up.
_TIMEOUT = 1.0


def complete_tasks(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """Return the names of the app's tasks, or none if the app is not known."""
    app = _app(ctx)
    return [] if app is None else sorted(task.name for task in app.tasks if task.name.startswith(incomplete))


def complete_queues(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """Return the names of the queues, or none if the store does not answer within `_TIMEOUT`."""
    app = _app(ctx)
    if app is None:
        return []

    async def read() -> list[str]:
        async with asyncio.timeout(_TIMEOUT), app:
            return await app.queue.queues()

    try:
        return [name for name in asyncio.run(read()) if name.startswith(incomplete)]
    except (TaskheroError, TimeoutError):
        return []


def _app(ctx: click.Context) -> TaskHero | None:
    """Return the app that the command line or the environment names, else an app on the backend that they name."""
    from taskhero.app import TaskHero

    app, backend = _param(ctx, "app"), _param(ctx, "backend")
    try:
        if app:
            return load_app(app)
        return TaskHero(backend) if backend else None
    except (click.ClickException, TaskheroError):
        return None


def _param(ctx: click.Context, name: str) -> str | None:
    inherited = None if ctx.parent is None else ctx.parent.params.get(name)
    return ctx.params.get(name) or inherited
