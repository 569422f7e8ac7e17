"""``taskhero generate``: new files to begin with."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import click

from taskhero.cli.commands.task_template import NewTask, module_of, write_new
from taskhero.engine.time.instants import frequency_of
from taskhero.errors import InvalidQueueName, InvalidTask
from taskhero.wire.jobs import check_queue_name

__all__ = ["generate", "task"]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")


def _name(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    if given is None:
        return None
    try:
        module_of(given)
    except InvalidTask as error:
        raise click.BadParameter(str(error)) from None
    return given


def _queue(_context: click.Context, _option: click.Parameter, given: str) -> str:
    try:
        return check_queue_name(given)
    except InvalidQueueName as error:
        raise click.BadParameter(str(error)) from None


def _description(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    if given is None:
        return None
    text = " ".join(given.split())
    if not text or not text.isprintable():
        raise click.BadParameter(f"{given!r} is no description: say in a line what the task does")
    return text


def _frequency(_context: click.Context, _option: click.Parameter, given: str | None) -> float | None:
    found = None if given is None else _DURATION.fullmatch(given)
    if given is None or (found is not None and not float(found[1])):
        return None
    if found is None:
        raise click.BadParameter(f"{given!r} is no frequency: pass seconds such as 90 or 1.5, or 15m, 2h, 10d")
    number = float(found[1]) * _UNITS[found[2]]
    try:
        return frequency_of(timedelta(seconds=min(number, 10**9)) if found[2] else number, "of this name")
    except InvalidTask as error:
        raise click.BadParameter(str(error).partition(": ")[2]) from None


@click.group(short_help="Write a new task and its test.")
def generate() -> None:
    """Write new files to begin with. What is there already is never overwritten.

    \b
    Examples:
      taskhero generate task send_mail
      taskhero generate task --name=send_mail --queue mail
    """  # noqa: D301 - click's mark of text that keeps its lines


@generate.command(short_help="Write a task and its test.")
@click.argument("given", metavar="NAME", required=False, callback=_name)
@click.option("--name", "-n", callback=_name, help="The task's name, if it does not stand alone.")
@click.option("--queue", "-q", default="default", show_default=True, callback=_queue, help="The queue of its jobs.")
@click.option("--description", "-d", callback=_description, metavar="TEXT", help="What it does.")
@click.option(
    "--frequency",
    "-f",
    callback=_frequency,
    metavar="SECONDS",
    help="Run it by itself so often, such as every 90, 15m, 2h or 10d; 0 for not at all.",
)
@click.option(
    "--tasks",
    type=click.Path(file_okay=False, path_type=Path),
    default="tasks",
    show_default=True,
    metavar="DIR",
    help="Where tasks are.",
)
@click.option(
    "--tests",
    type=click.Path(file_okay=False, path_type=Path),
    default="tests",
    show_default=True,
    metavar="DIR",
    help="Where tests are.",
)
def task(
    *,
    given: str | None,
    name: str | None,
    queue: str,
    description: str | None,
    tasks: Path,
    tests: Path,
    frequency: float | None = None,
) -> None:
    """Write a task NAME into tasks/NAME.py, and a test of it into tests/test_NAME.py.

    Both are ready to run. A name such as send-mail is that of the task, while its file and its function are called
    send_mail. If one of the files is there already, nothing is written.

    \b
    Examples:
      taskhero generate task send_mail
      taskhero generate task --name=send-mail --queue mail --description 'Send what waits in the outbox.'
      taskhero generate task report --tasks shop/tasks --tests tests/shop

    Exit code: 0 both were written, 1 one of them is there or cannot be written, 2 the command is written wrongly.
    """  # noqa: D301 - click's mark of text that keeps its lines
    if given and name and given != name:
        raise click.UsageError(f"which name, {given!r} or {name!r}? Pass one")
    chosen = given or name
    if not chosen:
        raise click.UsageError("what is the task called? Such as: taskhero generate task send_mail")
    new = NewTask(
        name=chosen,
        queue=queue,
        description=description or f"Do what {chosen} is for.",
        frequency=frequency,
        tasks=tasks,
        tests=tests,
    )
    try:
        write_new(new.texts())
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} is there already; nothing was written") from None
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be written: {error.strerror}; nothing was written"
        ) from None
    click.echo(f"wrote {new.task_file}\nwrote {new.test_file}")
    click.echo(f"To test it: python -m pytest {new.test_file}")
    click.echo(f"To work it: taskhero work --tasks {tasks} --backend redis://localhost:6379/0")
