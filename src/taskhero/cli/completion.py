"""Names that the shell completes, looked up where the jobs are."""

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

#: Whoever presses the tab key waits for no longer, in seconds.
_PATIENCE = 1.0


def complete_tasks(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """The names of the app's tasks, if it is known."""
    app = _app(ctx)
    return [] if app is None else sorted(task.name for task in app.tasks if task.name.startswith(incomplete))


def complete_queues(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """The names of the queues, if the store answers at once."""
    app = _app(ctx)
    if app is None:
        return []

    async def ask() -> list[str]:
        async with asyncio.timeout(_PATIENCE), app:
            return await app.queue.queues()

    try:
        return [name for name in asyncio.run(ask()) if name.startswith(incomplete)]
    except (TaskheroError, TimeoutError):
        return []


def _app(ctx: click.Context) -> TaskHero | None:
    """The app that is named in the command or the environment, or one on the backend that is."""
    from taskhero.app import TaskHero

    app, backend = _given(ctx, "app"), _given(ctx, "backend")
    try:
        if app:
            return load_app(app)
        return TaskHero(backend) if backend else None
    except (click.ClickException, TaskheroError):
        return None


def _given(ctx: click.Context, name: str) -> str | None:
    before = None if ctx.parent is None else ctx.parent.params.get(name)
    return ctx.params.get(name) or before
