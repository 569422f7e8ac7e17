"""``taskhero failed retry`` and ``taskhero failed remove``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.failure_selection import build_filter, read_positions, which_options
from taskhero.cli.formatting import error_line, job_json, job_line, pluralize
from taskhero.cli.output import json_option, print_json, progress, say
from taskhero.cli.parameters import confirm, positions, require_confirmation, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.errors import BackendError, CannotRetry, NotConnected, NotInFailures
from taskhero.models import FailedJobOutcome, FailedJobResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from taskhero.app import TaskHero
    from taskhero.engine.queue.failed import FailedWhere
    from taskhero.models import FailedJob

__all__ = ["remove", "retry"]

#: Number of failed jobs whose reason is shown, at most.
_MAX_REASONS = 20

_all_option = click.option("--all", "everything", is_flag=True, help="All jobs that match, instead of positions.")
_settings = {"ignore_unknown_options": True}


def _selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments and options of both verbs."""
    command = click.argument("positions", nargs=-1, metavar="[POSITION...]", callback=positions)(command)
    for option in (json_option, target_options, yes_option, which_options, _all_option):
        command = option(command)
    return command


@click.command(short_help="Enqueue failed jobs again.", context_settings=_settings)
@_selection_options
def retry(**params: Any) -> None:
    """Put the failed jobs at these positions, or all that match, at the end of their queues again.

    `taskhero failed` shows the positions. The command reads the entries at its start and retries exactly those. One
    step removes the entry from the list and enqueues its job. A job that a plugin refuses stays in the list.

    \b
    Examples:
      taskhero failed retry 0 --app shop:app
      taskhero failed retry 0 3 7 --yes --app shop:app
      taskhero failed retry --all --app shop:app
      taskhero failed retry --all --task add --exception ConnectionError --younger-than 2h --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    _apply("retry", "retried", **params)


@click.command(short_help="Remove failed jobs permanently.", context_settings=_settings)
@_selection_options
def remove(**params: Any) -> None:
    """Remove the failed jobs at these positions, or all that match, permanently.

    \b
    Examples:
      taskhero failed remove 0 --app shop:app
      taskhero failed remove --all --older-than 30d --yes --app shop:app
    """  # noqa: D301 - \b tells click to keep the lines
    _apply("remove", "removed", **params)


def _apply(
    verb: str,
    done_word: str,
    *,
    positions: list[int],
    everything: bool,
    source: str,
    yes: bool,
    app: str | None,
    backend: str | None,
    as_json: bool,
    **conditions: Any,
) -> None:
    condition = build_filter(**conditions)
    if bool(positions) == everything:
        raise click.UsageError("pass the positions that `taskhero failed` shows, or --all")
    if condition is not None and positions:
        raise click.UsageError(
            "--queue, --task, --exception, --older-than and --younger-than filter --all: pass no positions with them"
        )
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    if positions:
        report = _apply_to_positions(target, verb, positions, source, yes=yes)
    else:
        where: FailedWhere = {**conditions, "source": source}  # type: ignore[typeddict-item] # the options are its keys
        report = _apply_to_all(target, verb, where, yes=yes)
    report.show(done_word, as_json=as_json)


class _Report:
    """The results of a command: the number of jobs for each outcome, and some jobs that are still listed or missing.

    Args:
        by_position: Whether the command names positions. It then shows each job, and a missing job is a failure.
    """

    def __init__(self, *, by_position: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.by_position = by_position
        self.shown: list[FailedJobResult] = []

    def add(self, result: FailedJobResult) -> None:
        self.counts["done" if result.done else result.outcome] += 1
        if (self.by_position or not result.done) and len(self.shown) < _MAX_REASONS:
            self.shown.append(result)

    def show(self, done_word: str, *, as_json: bool) -> None:
        """Print the report. Exit with 1 if a job stays in the list, or if a job at a position was gone."""
        counts = {name: self.counts[name] for name in ("done", "gone", "refused", "impossible")}
        stay = counts["refused"] + counts["impossible"]
        if as_json:
            left = [
                {
                    "job": job_json(result.failed.job),
                    "outcome": result.outcome,
                    "reason": result.reason,
                    "raw": result.failed.raw,
                }
                for result in self.shown
                if not result.done
            ]
            print_json({**counts, "left": left})
        else:
            self._print(done_word, counts)
        if stay or (self.by_position and counts["gone"]):
            click.get_current_context().exit(1)

    def _print(self, done_word: str, counts: dict[str, int]) -> None:
        for result in self.shown:
            job = job_line(result.failed.job)
            if result.done:
                say(f"{done_word} {job} of queue {result.failed.queue}")
            elif result.outcome == FailedJobOutcome.GONE:
                say(f"gone: {job}: another program retried or removed it", err=True)
            else:
                say(f"not {done_word}: {job}: {result.reason}", err=True)
        if not self.by_position:
            gone = f", {counts['gone']} were gone" if counts["gone"] else ""
            stay = counts["refused"] + counts["impossible"]
            click.echo(f"{done_word} {pluralize(counts['done'], 'failed job')}, {stay} not {done_word}{gone}")


# --- by position


def _apply_to_positions(target: TaskHero, verb: str, positions: list[int], source: str, *, yes: bool) -> _Report:
    found = run_connected(target, lambda app: read_positions(app, positions, source))
    if not yes:
        for position, entry in found:
            say(f"{position}  {job_line(entry.job)} in queue {entry.queue}: {error_line(entry)}", err=True)
        confirm(f"{verb.capitalize()} {pluralize(len(found), 'failed job')}?", yes=yes)

    async def apply(app: TaskHero) -> _Report:
        report = _Report(by_position=True)
        with progress("failed jobs", len(found)) as advance:
            for _, entry in found:
                report.add(await (_retry(app, entry) if verb == "retry" else _remove(app, entry)))
                advance(1)
        return report

    return run_connected(target, apply)


async def _remove(app: TaskHero, entry: FailedJob) -> FailedJobResult:
    return FailedJobResult(
        failed=entry,
        outcome=FailedJobOutcome.REMOVED if await app.queue.remove_failed(entry) else FailedJobOutcome.GONE,
    )


async def _retry(app: TaskHero, entry: FailedJob) -> FailedJobResult:
    reason = "a plugin refuses it, a guard does not hold, or the key of its queue is not a list"
    try:
        if await app.queue.retry_and_remove_failed(entry):
            return FailedJobResult(failed=entry, outcome=FailedJobOutcome.RETRIED)
    except NotInFailures:
        return FailedJobResult(failed=entry, outcome=FailedJobOutcome.GONE)
    except CannotRetry as error:
        return FailedJobResult(failed=entry, outcome=FailedJobOutcome.IMPOSSIBLE, reason=str(error))
    except (BackendError, NotConnected):
        raise
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        reason = f"{type(error).__name__}: {error}"
    return FailedJobResult(failed=entry, outcome=FailedJobOutcome.REFUSED, reason=reason)


# --- all that match


def _apply_to_all(target: TaskHero, verb: str, where: FailedWhere, *, yes: bool) -> _Report:
    if not yes:
        number = run_connected(target, lambda app: _count(app, where))
        if not number:
            return _Report(by_position=False)
        confirm(f"{verb.capitalize()} {pluralize(number, 'failed job')}?", yes=yes)

    async def apply(app: TaskHero) -> _Report:
        report = _Report(by_position=False)
        looked = 0
        with progress("failed jobs", None) as advance:
            async for result in _apply_each(app, verb, where):
                report.add(result)
                advance(result.looked - looked, result.total)
                looked = result.looked
        return report

    return run_connected(target, apply)


def _apply_each(app: TaskHero, verb: str, where: FailedWhere) -> AsyncIterator[FailedJobResult]:
    return app.queue.retry_all_failed(**where) if verb == "retry" else app.queue.remove_all_failed(**where)


async def _count(app: TaskHero, where: FailedWhere) -> int:
    number = 0
    with progress("reading failed jobs", None) as advance:
        async for _ in app.queue.each_failed(**where):
            number += 1
            advance(1)
    return number
