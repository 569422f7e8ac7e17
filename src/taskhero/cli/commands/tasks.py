"""``taskhero tasks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.app_loader import app_option, load_app, needed
from taskhero.cli.completion import complete_tasks
from taskhero.cli.formatting import pluralize
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import json_option, print_json, print_table, printable
from taskhero.cli.targets import is_private, note_if_private, open_target, run_connected, target_options
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.engine.task.task import Task

__all__ = ["start", "stop", "tasks"]

#: What `KnownPeriodicTask.stopped` says, as ``--json`` says it.
_STATES = {None: "active", "asked": "stopped", "failed": "failed"}
_TOLD = {"active": "", "stopped": "stopped", "failed": "stopped by a failure", None: "no process keeps it going"}


@click.group(cls=ListingGroup, short_help="List the tasks that an app declares, stop and start periodic ones.")
@app_option
@json_option
def tasks(*, app: str | None, as_json: bool) -> None:
    """List the tasks that an app declares, how they are called, and when they run by themselves.

    Only where there are periodic tasks, the store is asked whether they are stopped.

    \b
    Examples:
      taskhero tasks --app shop:app
      TASKHERO_APP=shop:app taskhero tasks --json
      taskhero tasks stop clean_up --app shop:app
      taskhero tasks start clean_up --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = load_app(needed(app))
    found = sorted(target.tasks, key=lambda task: task.name)
    states = _states(target, found)
    if as_json:
        print_json({"tasks": [_as_json(task, states.get(task.name)) for task in found]})
        return
    rows = [
        (str(task.signature), task.queue, task.run_in, _limit(task), _runs(task, states), _summary(task))
        for task in found
    ]
    columns = ("task", "queue", "runs in", "timeout", "runs", "what it does")
    print_table(pluralize(len(found), "task"), columns, rows)


@tasks.command(short_help="Stop a periodic task, until it is started.")
@click.argument("name", shell_complete=complete_tasks)
@target_options
@json_option
def stop(*, name: str, app: str | None, backend: str | None, as_json: bool) -> None:
    """Stop the periodic task NAME, across restarts too, until it is started; a run that is under way is the last one.

    \b
    Examples:
      taskhero tasks stop clean_up --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = _with_periodic(name, app, backend)
    removed = run_connected(target, lambda app: app.queue.stop_recurrent(name))
    if as_json:
        print_json({"task": name, "removed": removed})
    else:
        click.echo(f"stopped {name}; removed {pluralize(removed, 'queued or delayed job')}")


@tasks.command(short_help="Start a periodic task that was stopped.")
@click.argument("name", shell_complete=complete_tasks)
@target_options
@json_option
def start(*, name: str, app: str | None, backend: str | None, as_json: bool) -> None:
    """Start the periodic task NAME anew, whether it was asked to stop or stopped by a failure.

    One with a frequency runs when that is over, one by cron at its next slot.

    \b
    Examples:
      taskhero tasks start clean_up --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    target = _with_periodic(name, app, backend)
    started = run_connected(target, lambda app: app.queue.enqueue_recurrent(name))
    if as_json:
        print_json({"task": name, "started": started})
    else:
        click.echo(f"started {name}; it runs {_rhythm(target.tasks[name])}")


def _with_periodic(name: str, app: str | None, backend: str | None) -> TaskHero:
    target = open_target(app, backend)
    if target.tasks[name].recurrence is None:
        raise click.ClickException(f"task {name!r} is not periodic: it has neither frequency= nor cron=")
    note_if_private(target)
    return target


def _states(app: TaskHero, found: list[Task[Any, Any]]) -> dict[str, str | None]:
    """Whether each periodic task is stopped, None if no process keeps it going; nothing if the store cannot tell."""
    names = {task.name for task in found if task.recurrence is not None}
    if not names or is_private(app):
        return {}

    async def ask(app: TaskHero) -> dict[str, str | None]:
        periodic = await app.backend.declare_periodic()
        known = {each.task.name: "active" for each in periodic.tasks}
        # A task stays stopped, whether a process declares it just now or not.
        known.update({name: _STATES.get(why, "stopped") for name, why in periodic.stopped.items()})
        return {name: known.get(name) for name in names}

    try:
        return run_connected(app, ask)
    except BackendError as error:
        click.echo(f"Note: whether periodic tasks are stopped is not known: {printable(error).plain}", err=True)
        return {}


def _as_json(task: Task[Any, Any], state: str | None) -> dict[str, Any]:
    recurrence = task.recurrence
    schedule = None if recurrence is None else recurrence.schedule
    return {
        "name": task.name,
        "queue": task.queue,
        "signature": str(task.signature),
        "run_in": task.run_in,
        "timeout": task.timeout,
        "description": task.description,
        "where": task.where,
        "frequency": None if recurrence is None else recurrence.frequency,
        "cron": None if schedule is None else schedule.expression,
        "timezone": None if schedule is None else schedule.timezone,
        "state": state,
    }


def _limit(task: Task[Any, Any]) -> str:
    return "" if task.timeout is None else f"{task.timeout:g} s"


def _rhythm(task: Task[Any, Any]) -> str:
    recurrence = task.recurrence
    if recurrence is None:
        return ""
    if recurrence.schedule is not None:
        return f"{recurrence.schedule.expression} ({recurrence.schedule.timezone})"
    return f"every {recurrence.frequency:g} s"


def _runs(task: Task[Any, Any], states: dict[str, str | None]) -> str:
    rhythm = _rhythm(task)
    if task.name not in states:
        return rhythm
    told = _TOLD[states[task.name]]
    return f"{rhythm}: {told}" if told else rhythm


def _summary(task: Task[Any, Any]) -> str:
    lines = (task.description or "").splitlines()
    return lines[0] if lines else ""
