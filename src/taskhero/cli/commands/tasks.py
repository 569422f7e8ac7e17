"""``taskhero tasks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskhero.backends.protocol import StopReason
from taskhero.cli.app_loader import app_option, load_app, require_app
from taskhero.cli.completion import complete_tasks
from taskhero.cli.formatting import pluralize
from taskhero.cli.groups import ListingGroup
from taskhero.cli.output import json_option, listing_options, print_json, print_table, say
from taskhero.cli.targets import is_private, note_if_private, open_target, run_connected, target_options
from taskhero.errors import BackendError

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.engine.task.task import Task

__all__ = ["start", "stop", "tasks"]

#: The value of `state` in ``--json`` for each reason why a task is stopped.
_STATES = {StopReason.ASKED: "stopped", StopReason.FAILED: "failed"}
_STATE_TEXTS = {"active": "", "stopped": "stopped", "failed": "stopped by a failure", None: "no process schedules it"}


@click.group(cls=ListingGroup, short_help="List the tasks of an app, stop and start periodic tasks.")
@app_option
@listing_options
def tasks(*, app: str | None, as_json: bool) -> None:
    """List the tasks that an app declares, with their signatures and, for periodic tasks, when they run.

    The verb connects to the store only if there are periodic tasks, to show which of them are stopped.

    \b
    Examples:
      taskhero tasks --app shop:app
      TASKHERO_APP=shop:app taskhero tasks --json
      taskhero tasks stop clean_up --app shop:app
      taskhero tasks start clean_up --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = load_app(require_app(app))
    found = sorted(target.tasks, key=lambda task: task.name)
    states = _states(target, found)
    if as_json:
        print_json({"tasks": [_as_json(task, states.get(task.name)) for task in found]})
        return
    rows = [
        (str(task.signature), task.queue, task.run_in, _limit(task), _runs(task, states), _summary(task))
        for task in found
    ]
    columns = ("task", "queue", "runs in", "timeout", "runs", "description")
    print_table(pluralize(len(found), "task"), columns, rows)


@tasks.command(short_help="Stop a periodic task until it is started.")
@click.argument("name", shell_complete=complete_tasks)
@target_options
@json_option
def stop(*, name: str, app: str | None, backend: str | None, as_json: bool) -> None:
    """Stop the periodic task NAME until it is started, even across restarts. A current run is the last one.

    \b
    Examples:
      taskhero tasks stop clean_up --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = _with_periodic(name, app, backend)
    removed = run_connected(target, lambda app: app.queue.stop_recurrent(name))
    if as_json:
        print_json({"task": name, "removed": removed})
    else:
        say(f"stopped {name}; removed {pluralize(removed, 'queued or delayed job')}")


@tasks.command(short_help="Start a periodic task that was stopped.")
@click.argument("name", shell_complete=complete_tasks)
@target_options
@json_option
def start(*, name: str, app: str | None, backend: str | None, as_json: bool) -> None:
    """Start the periodic task NAME again after `tasks stop` or after a failure that stopped it.

    A task with a frequency runs one period from now, a task with a cron expression at its next fire time.

    \b
    Examples:
      taskhero tasks start clean_up --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    target = _with_periodic(name, app, backend)
    started = run_connected(target, lambda app: app.queue.enqueue_recurrent(name))
    if as_json:
        print_json({"task": name, "started": started})
    else:
        say(f"started {name}; it runs {_schedule(target.tasks[name])}")


def _with_periodic(name: str, app: str | None, backend: str | None) -> TaskHero:
    target = open_target(app, backend)
    if target.tasks[name].recurrence is None:
        raise click.ClickException(f"task {name!r} is not periodic: it has neither frequency= nor cron=")
    note_if_private(target)
    return target


def _states(app: TaskHero, found: list[Task[Any, Any]]) -> dict[str, str | None]:
    """Return the state of each periodic task, None for one that no process schedules. Return {} without an answer."""
    names = {task.name for task in found if task.recurrence is not None}
    if not names or is_private(app):
        return {}

    async def read(app: TaskHero) -> dict[str, str | None]:
        periodic = await app.backend.declare_periodic()
        known = {entry.task.name: "active" for entry in periodic.tasks}
        # A task stays stopped even if no process declares it now.
        known.update({name: _STATES[reason] for name, reason in periodic.stopped.items()})
        return {name: known.get(name) for name in names}

    try:
        return run_connected(app, read)
    except BackendError as error:
        say(f"Note: the states of periodic tasks are unknown: {error}", err=True)
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


def _schedule(task: Task[Any, Any]) -> str:
    recurrence = task.recurrence
    if recurrence is None:
        return ""
    if recurrence.schedule is not None:
        return f"{recurrence.schedule.expression} ({recurrence.schedule.timezone})"
    return f"every {recurrence.frequency:g} s"


def _runs(task: Task[Any, Any], states: dict[str, str | None]) -> str:
    schedule = _schedule(task)
    if task.name not in states:
        return schedule
    state = _STATE_TEXTS[states[task.name]]
    return f"{schedule}: {state}" if state else schedule


def _summary(task: Task[Any, Any]) -> str:
    lines = (task.description or "").splitlines()
    return lines[0] if lines else ""
