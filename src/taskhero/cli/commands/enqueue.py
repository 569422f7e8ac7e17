"""``taskhero enqueue``."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.completion import complete_tasks
from taskhero.cli.hints import HintingCommand
from taskhero.cli.output import compact, iso, json_option, print_json
from taskhero.cli.parameters import duration, json_value
from taskhero.cli.targets import is_private, open_target, run_connected, target_options
from taskhero.engine.time.instants import due_time_after, instant_of, to_datetime
from taskhero.errors import AlreadyScheduled, InvalidMoment

if TYPE_CHECKING:
    from taskhero.app import TaskHero
    from taskhero.models import Job

__all__ = ["enqueue"]


def _moment(_context: click.Context, _option: click.Parameter, given: str | None) -> float | None:
    if given is None:
        return None
    try:
        return instant_of(_read_moment(given))
    except InvalidMoment as error:
        raise click.BadParameter(str(error)) from None
    except ValueError:
        raise click.BadParameter(f"{given!r} is no moment: pass 2027-01-15T08:00:00Z, or unix seconds") from None


def _read_moment(text: str) -> datetime | float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        whole = moment.isoformat()
        raise InvalidMoment(f"{text!r} has no time zone: write {whole}Z for UTC, or an offset such as {whole}+01:00")
    return moment


class _Enqueue(HintingCommand):
    def advice(self, given: dict[str, Any], more: list[str]) -> str:  # noqa: ARG002 - only the words count
        """See `HintingCommand.advice`."""
        return f"arguments are given in JSON: --args '{_guess(more)}'"


def _guess(words: list[str]) -> str:
    """What words may mean as JSON."""
    if all("=" in word for word in words):
        return compact(dict(word.lstrip("-").split("=", 1) for word in words))
    return "[" + ", ".join(word if word.lstrip("-").isdecimal() else compact(word) for word in words) + "]"


@click.command(cls=_Enqueue, short_help="Store a job, to be worked now or later.")
@click.argument("name", shell_complete=complete_tasks)
@click.option("--args", "arguments", callback=json_value, default="[]", metavar="JSON", help="Its arguments, in JSON.")
@click.option("--queue", "-q", help="The queue; the task's own if not given.")
@click.option("--in", "delay", callback=duration, metavar="SECONDS", help="After so long, such as 90, 15m, 2h or 10d.")
@click.option("--at", "moment", callback=_moment, metavar="TIME", help="At an ISO time with its zone, or unix seconds.")
@target_options
@json_option
def enqueue(
    *,
    name: str,
    arguments: Any,
    queue: str | None,
    delay: float | None,
    moment: float | None,
    app: str | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Store a job of the task NAME, to be worked as soon as a processor is free, or later.

    With --app the task's own queue is known, and the arguments are checked against its signature. With --backend
    alone no app is imported, and --queue is needed.

    \b
    Examples:
      taskhero enqueue add --args '[1, 2]' --app shop:app
      taskhero enqueue send_mail --args '{"to": "ann@example.com"}' --app shop:app
      taskhero enqueue clean_up --in 15m --app shop:app
      taskhero enqueue report --at 2027-01-15T08:00:00+01:00 --app shop:app
      taskhero enqueue add --args '[1, 2]' --queue math --backend redis://localhost:6379/0
    """  # noqa: D301 - click's mark of text that keeps its lines
    if delay is not None and moment is not None:
        raise click.UsageError("pass --in or --at, not both")
    target = open_target(app, backend)
    if queue is None and not len(target.tasks):
        raise click.UsageError("no tasks are known here, so say in which queue: --queue NAME")
    if is_private(target):
        raise click.ClickException(
            f"jobs in {target.backend.location} are seen by their own process only: this one would be gone at once. "
            "Use a store that processes share, such as redis://localhost:6379/0"
        )
    job = _job(target, name, arguments, queue)
    # What is shown is by the clock of this machine; the store counts a delay, and compares a moment, by its own.
    at = due_time_after(delay, time.time()) if delay is not None else moment
    stored = run_connected(target, lambda app: _push(app, job, delay, moment))
    when = None if at is None or at <= time.time() else to_datetime(math.ceil(at))
    if as_json:
        print_json({"stored": stored, "job": {"name": job.name, "args": job.args, "queue": job.queue}, "at": iso(when)})
    elif stored:
        later = "" if when is None else f" for {when.isoformat()}"
        click.echo(f"enqueued {job.name} {compact(job.args)} in queue {job.queue}{later}")
    if not stored:
        raise click.ClickException(f"a plugin refused the job {job.name} {compact(job.args)}; nothing was stored")


def _job(app: TaskHero, name: str, arguments: Any, queue: str | None) -> Job:
    try:
        return app.queue.job(name, arguments, queue)
    except TypeError as error:
        raise click.ClickException(str(error)) from None


async def _push(app: TaskHero, job: Job, delay: float | None, moment: float | None) -> bool:
    try:
        if delay is not None:
            return await app.queue.push_in(timedelta(seconds=delay), job)
        if moment is not None:
            return await app.queue.push_at(moment, job)
    except AlreadyScheduled as error:
        raise click.ClickException(str(error).partition(";")[0]) from None
    return await app.queue.push(job)
