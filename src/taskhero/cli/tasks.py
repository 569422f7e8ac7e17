"""``taskhero tasks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.apps import app_option, load_app, needed
from taskhero.cli.output import console, json_option, print_json, table
from taskhero.cli.targets import is_private, run_connected
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskhero.app import TaskHero
    from taskhero.engine.tasks import Task

__all__ = ["tasks"]


@click.command(short_help="List the tasks that an app declares.")
@app_option
@json_option
def tasks(app: str | None, *, as_json: bool) -> None:
    """List the tasks that an app declares, and how they are called.

    If some are periodic, the store is asked which of them are stopped; if it cannot be reached, that is left open.

    \b
    Examples:
      taskhero tasks --app shop:app
      TASKHERO_APP=shop:app taskhero tasks --json
    """  # noqa: D301 - click's mark of text that keeps its lines
    loaded = load_app(needed(app))
    found = sorted(loaded.tasks, key=lambda task: task.name)
    periodic = any(task.recurrence is not None for task in found)
    stopped = _stopped(loaded) if periodic else None
    if as_json:
        print_json({"tasks": [_as_json(task, stopped) for task in found]})
        return
    columns = ("task", "queue", "runs in", "timeout", *(["runs by itself"] if periodic else []), "what it does")
    rows = [
        (
            *(_call(task), task.queue, task.run_in, _limit(task)),
            *([_when(task, stopped)] if periodic else []),
            _summary(task),
        )
        for task in found
    ]
    console().print(table(f"{len(found)} tasks", columns, rows))


def _stopped(app: TaskHero) -> Mapping[str, str] | None:
    """Why tasks are stopped, by name; None if nobody can tell."""
    if is_private(app):
        return None

    async def ask(app: TaskHero) -> Mapping[str, str]:
        return (await app.backend.periodic()).stopped

    try:
        return run_connected(app, ask)
    except BackendError:
        return None


def _as_json(task: Task[Any, Any], stopped: Mapping[str, str] | None) -> dict[str, Any]:
    recurrence = task.recurrence
    schedule = None if recurrence is None else recurrence.schedule
    return {
        "name": task.name,
        "queue": task.queue,
        "signature": str(task.signature),
        "run_in": task.run_in,
        "timeout": task.timeout,
        "frequency": task.frequency,
        "cron": task.cron,
        "timezone": None if schedule is None else schedule.timezone,
        "stopped": None if recurrence is None or stopped is None else task.name in stopped,
        "description": task.description,
        "where": task.where,
    }


def _call(task: Task[Any, Any]) -> str:
    return str(task.signature)


def _limit(task: Task[Any, Any]) -> str:
    return "" if task.timeout is None else f"{task.timeout:g} s"


def _when(task: Task[Any, Any], stopped: Mapping[str, str] | None) -> str:
    if task.recurrence is None:
        return ""
    schedule = task.recurrence.schedule
    when = f"every {task.frequency:g} s" if schedule is None else str(schedule)
    why = {"failed": "stopped by a failure", "asked": "stopped"}.get((stopped or {}).get(task.name, ""))
    return f"{when}, {why}" if why else when


def _summary(task: Task[Any, Any]) -> str:
    lines = (task.description or "").splitlines()
    return lines[0] if lines else ""
