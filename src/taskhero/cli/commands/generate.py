"""``taskhero generate`` writes new files from templates."""

from __future__ import annotations

from pathlib import Path

import click

from taskhero.cli.commands.task_template import NewTask, module_of, write_new
from taskhero.cli.parameters import parse_duration
from taskhero.engine.time.instants import frequency_of
from taskhero.errors import InvalidQueueName, InvalidTask
from taskhero.wire.jobs import check_queue_name

__all__ = ["generate", "task"]


def _name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        module_of(value)
    except InvalidTask as error:
        raise click.BadParameter(str(error)) from None
    return value


def _queue(_context: click.Context, _option: click.Parameter, value: str) -> str:
    try:
        return check_queue_name(value)
    except InvalidQueueName as error:
        raise click.BadParameter(str(error)) from None


def _description(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    text = " ".join(value.split())
    if not text or not text.isprintable():
        raise click.BadParameter(f"{value!r} is not a description: pass one line that says what the task does")
    return text


def _frequency(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    given = parse_duration(value)
    if given is None:
        raise click.BadParameter(f"{value!r} is not a frequency: pass seconds such as 90 or 1.5, or 15m, 2h, 10d")
    if not given:
        return None
    try:
        return frequency_of(given, "of this name")
    except InvalidTask as error:
        raise click.BadParameter(str(error).partition(": ")[2]) from None


@click.group(short_help="Write a new task and its test.")
def generate() -> None:
    """Write new files from templates. Existing files are never overwritten.

    \b
    Examples:
      taskhero generate task send_mail
      taskhero generate task --name=send_mail --queue mail
    """  # noqa: D301 - \b tells click to keep the lines


@generate.command(short_help="Write a task and its test.")
@click.argument("argument", metavar="NAME", required=False, callback=_name)
@click.option("--name", "-n", callback=_name, help="Task name (alternative to NAME).")
@click.option(
    "--queue", "-q", default="default", show_default=True, callback=_queue, help="The queue of the task's jobs."
)
@click.option("--description", "-d", callback=_description, metavar="TEXT", help="What the task does.")
@click.option(
    "--frequency",
    "-f",
    callback=_frequency,
    metavar="SECONDS",
    help="Run periodically, for example every 90 (seconds), 15m, 2h or 10d; 0 disables.",
)
@click.option(
    "--tasks",
    type=click.Path(file_okay=False, path_type=Path),
    default="tasks",
    show_default=True,
    metavar="DIR",
    help="The folder of the tasks.",
)
@click.option(
    "--tests",
    type=click.Path(file_okay=False, path_type=Path),
    default="tests",
    show_default=True,
    metavar="DIR",
    help="The folder of the tests.",
)
def task(
    *,
    argument: str | None,
    name: str | None,
    queue: str,
    description: str | None,
    tasks: Path,
    tests: Path,
    frequency: float | None = None,
) -> None:
    """Write the task NAME to tasks/NAME.py, and its test to tests/test_NAME.py.

    Both files are ready to run. The task send-mail has the file and the function send_mail. If one of the files exists,
    nothing is written.

    \b
    Examples:
      taskhero generate task send_mail
      taskhero generate task --name=send-mail --queue mail --description 'Send the mails in the outbox.'
      taskhero generate task report --tasks shop/tasks --tests tests/shop

    Exit codes: 0 both are written, 1 one of them exists or cannot be written, 2 a wrong name or option.
    """  # noqa: D301 - \b tells click to keep the lines
    if argument and name and argument != name:
        raise click.UsageError(f"two names are given, {argument!r} and {name!r}: pass one of them")
    task_name = argument or name
    if not task_name:
        raise click.UsageError("no name is given: pass one, such as taskhero generate task send_mail")
    new = NewTask(
        name=task_name,
        queue=queue,
        description=description or f"Do the work of {task_name}.",
        frequency=frequency,
        tasks=tasks,
        tests=tests,
    )
    try:
        write_new(new.files())
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} exists already; nothing was written") from None
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be written: {error.strerror}; nothing was written"
        ) from None
    click.echo(f"wrote {new.task_file}\nwrote {new.test_file}")
    click.echo(f"Test it: python -m pytest {new.test_file}")
    click.echo(f"Run it: taskhero work --tasks {tasks} --backend redis://localhost:6379/0")
