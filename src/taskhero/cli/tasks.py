"""``taskhero tasks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.apps import app_option, load_app, needed
from taskhero.cli.output import console, json_option, print_json, table

if TYPE_CHECKING:
    from taskhero.engine.tasks import Task

__all__ = ["tasks"]


@click.command(short_help="List the tasks that an app declares.")
@app_option
@json_option
def tasks(app: str | None, *, as_json: bool) -> None:
    """List the tasks that an app declares, and how they are called. Nothing is connected.

    \b
    Examples:
      taskhero tasks --app shop:app
      TASKHERO_APP=shop:app taskhero tasks --json
    """  # noqa: D301 - click's mark of text that keeps its lines
    found = sorted(load_app(needed(app)).tasks, key=lambda task: task.name)
    if as_json:
        print_json({"tasks": [_as_json(task) for task in found]})
        return
    rows = [(_call(task), task.queue, task.run_in, _limit(task), _summary(task)) for task in found]
    console().print(table(f"{len(found)} tasks", ("task", "queue", "runs in", "timeout", "what it does"), rows))


def _as_json(task: Task[Any, Any]) -> dict[str, Any]:
    return {
        "name": task.name,
        "queue": task.queue,
        "signature": str(task.signature),
        "run_in": task.run_in,
        "timeout": task.timeout,
        "description": task.description,
        "where": task.where,
    }


def _call(task: Task[Any, Any]) -> str:
    return str(task.signature)


def _limit(task: Task[Any, Any]) -> str:
    return "" if task.timeout is None else f"{task.timeout:g} s"


def _summary(task: Task[Any, Any]) -> str:
    lines = (task.description or "").splitlines()
    return lines[0] if lines else ""
