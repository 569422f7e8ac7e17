"""``taskhero enqueue``."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from taskhero._internal.display import time_text
from taskhero.cli.completion import complete_tasks
from taskhero.cli.hints import HintingCommand
from taskhero.cli.output import compact, iso, json_option, print_json, say, utc_option
from taskhero.cli.parameters import duration, json_value
from taskhero.cli.targets import is_private, open_target, run_connected, target_options
from taskhero.engine.time.instants import due_time_after, instant_of, to_datetime
from taskhero.errors import AlreadyScheduled, InvalidMoment

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.models import Job

__all__ = ["enqueue"]


def _due_time(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return instant_of(_parse_time(value))
    except InvalidMoment as error:
        raise click.BadParameter(str(error)) from None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a time: pass 2027-01-15T08:00:00Z, or Unix seconds") from None


def _parse_time(text: str) -> datetime | float:
    try:
        return float(text)
    except ValueError:
        when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        naive = when.isoformat()
        raise InvalidMoment(f"{text!r} has no time zone: write {naive}Z for UTC, or an offset such as {naive}+01:00")
    return when


class _Enqueue(HintingCommand):
    def advice(self, params: dict[str, Any], extra: list[str]) -> str:  # noqa: ARG002 - the words suffice
        """See `HintingCommand.advice`."""
        return f"pass arguments as JSON, --args '{_guess(extra)}'"


def _guess(words: list[str]) -> str:
    """Return the JSON that the words may mean."""
    if all("=" in word for word in words):
        return compact(dict(word.lstrip("-").split("=", 1) for word in words))
    return "[" + ", ".join(word if word.lstrip("-").isdecimal() else compact(word) for word in words) + "]"


@click.command(cls=_Enqueue, short_help="Enqueue a job, now or later.")
@click.argument("name", shell_complete=complete_tasks)
@click.option("--args", "arguments", callback=json_value, default="[]", metavar="JSON", help="The arguments, in JSON.")
@click.option("--queue", "-q", help="The queue. Default: the task's queue.")
@click.option(
    "--in",
    "delay",
    callback=duration,
    metavar="SECONDS",
    help="Delay the job, for example 90 (seconds), 15m, 2h or 10d.",
)
@click.option(
    "--at", "due_at", callback=_due_time, metavar="TIME", help="Due time: ISO 8601 with a time zone, or Unix seconds."
)
@target_options
@utc_option()
@json_option
def enqueue(
    *,
    name: str,
    arguments: Any,
    queue: str | None,
    delay: float | None,
    due_at: float | None,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Enqueue a job of the task NAME, now or later.

    With --app the task's queue is the default, and the arguments must fit the task's signature. With --backend no app
    is imported, and --queue is required.

    \b
    Examples:
      taskhero enqueue add --args '[1, 2]' --app shop:app
      taskhero enqueue send_mail --args '{"to": "ann@example.com"}' --app shop:app
      taskhero enqueue clean_up --in 15m --app shop:app
      taskhero enqueue report --at 2027-01-15T08:00:00+01:00 --app shop:app
      taskhero enqueue add --args '[1, 2]' --queue math --backend redis://localhost:6379/0
    """  # noqa: D301 - \b tells click to keep the lines
    if delay is not None and due_at is not None:
        raise click.UsageError("pass --in or --at, not both")
    target = open_target(app, backend)
    if queue is None and not len(target.tasks):
        raise click.UsageError("the app declares no tasks, so a queue is required: pass --queue NAME")
    if is_private(target):
        raise click.ClickException(
            f"jobs in {target.backend.location} exist only in the process that runs the app, "
            "so this job would be lost: use a store that processes share, such as redis://localhost:6379/0"
        )
    job = _job(target, name, arguments, queue)
    # The output uses this machine's clock, while the store computes due times with its own clock.
    at = due_time_after(delay, time.time()) if delay is not None else due_at
    stored = run_connected(target, lambda app: _push(app, job, delay, due_at))
    when = None if at is None or at <= time.time() else to_datetime(math.ceil(at))
    if as_json:
        print_json({"stored": stored, "job": {"name": job.name, "args": job.args, "queue": job.queue}, "at": iso(when)})
    elif stored:
        later = "" if when is None else f" for {time_text(when, separator='T')}"
        say(f"enqueued {job.name} {compact(job.args)} in queue {job.queue}{later}")
    if not stored:
        raise click.ClickException(f"a plugin refused the job {job.name} {compact(job.args)}; nothing was stored")


def _job(app: TaskHero, name: str, arguments: Any, queue: str | None) -> Job:
    try:
        return app.queue.job(name, arguments, queue)
    except TypeError as error:
        raise click.ClickException(str(error)) from None


async def _push(app: TaskHero, job: Job, delay: float | None, due_at: float | None) -> bool:
    try:
        if delay is not None:
            return await app.queue.push_in(timedelta(seconds=delay), job)
        if due_at is not None:
            return await app.queue.push_at(due_at, job)
    except AlreadyScheduled as error:
        raise click.ClickException(str(error).partition(";")[0]) from None
    return await app.queue.push(job)
