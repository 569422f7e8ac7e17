"""``taskhero failed retry`` and ``taskhero failed remove``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from taskhero.cli.failure_selection import build_filter, read_positions, which_options
from taskhero.cli.formatting import error_line, job_json, job_line, pluralize
from taskhero.cli.output import json_option, print_json, printable, progress
from taskhero.cli.parameters import confirm, positions, require_confirmation, yes_option
from taskhero.cli.targets import note_if_private, open_target, run_connected, target_options
from taskhero.errors import BackendError, CannotRetry, NotConnected, NotInFailures
from taskhero.models import MendedJob

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from taskhero.app import TaskHero
    from taskhero.engine.queue.failed import FailedWhere
    from taskhero.models import FailedJob

__all__ = ["remove", "retry"]

#: Of so many failures at most it is told why they stay.
_MAX_REASONS = 20

_all_option = click.option("--all", "everything", is_flag=True, help="All that fit, not those at some positions.")
_settings = {"ignore_unknown_options": True}


def _selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what both verbs take."""
    command = click.argument("positions", nargs=-1, metavar="[POSITION...]", callback=positions)(command)
    for option in (json_option, target_options, yes_option, which_options, _all_option):
        command = option(command)
    return command


@click.command(short_help="Put failed jobs into their queues again.", context_settings=_settings)
@_selection_options
def retry(**given: Any) -> None:
    """Put the failed jobs at these positions, or all that fit, at the end of their queues again.

    Positions are those that `taskhero failed` shows. What is retried is the very entry that is there when the command
    begins; it goes from the list in the same step. A job that a plugin refuses stays.

    \b
    Examples:
      taskhero failed retry 0 --app shop:app
      taskhero failed retry 0 3 7 --yes --app shop:app
      taskhero failed retry --all --app shop:app
      taskhero failed retry --all --task add --exception ConnectionError --younger-than 2h --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    _apply("retry", "retried", **given)


@click.command(short_help="Remove failed jobs for good.", context_settings=_settings)
@_selection_options
def remove(**given: Any) -> None:
    """Remove the failed jobs at these positions, or all that fit; they are gone for good.

    \b
    Examples:
      taskhero failed remove 0 --app shop:app
      taskhero failed remove --all --older-than 30d --yes --app shop:app
    """  # noqa: D301 - click's mark of text that keeps its lines
    _apply("remove", "removed", **given)


def _apply(
    verb: str,
    done: str,
    *,
    positions: list[int],
    everything: bool,
    source: str,
    yes: bool,
    app: str | None,
    backend: str | None,
    as_json: bool,
    **which: Any,
) -> None:
    where = build_filter(**which)
    if bool(positions) == everything:
        raise click.UsageError("pass the positions that `taskhero failed` shows, or --all")
    if where is not None and positions:
        raise click.UsageError("--queue, --task, --exception, --older-than and --younger-than are for --all")
    target = open_target(app, backend)
    require_confirmation(yes=yes)
    note_if_private(target)
    if positions:
        mended = _apply_to_some(target, verb, positions, source, yes=yes)
    else:
        meant: FailedWhere = {**which, "source": source}  # type: ignore[typeddict-item] # the options are its keys
        mended = _apply_to_all(target, verb, meant, yes=yes)
    mended.tell(done, as_json=as_json)


class _Report:
    """What became of failures: how many had which outcome, and some of those that stay or were gone."""

    def __init__(self, *, each: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.each = each
        self.shown: list[MendedJob] = []

    def add(self, mended: MendedJob) -> None:
        self.counts["done" if mended.done else mended.outcome] += 1
        if (self.each or not mended.done) and len(self.shown) < _MAX_REASONS:
            self.shown.append(mended)

    def tell(self, done: str, *, as_json: bool) -> None:
        """Print it; the exit code is 1 if one stays, or if one that was named was gone."""
        counts = {name: self.counts[name] for name in ("done", "gone", "refused", "impossible")}
        stay = counts["refused"] + counts["impossible"]
        if as_json:
            left = [
                {
                    "job": job_json(each.failed.job),
                    "outcome": each.outcome,
                    "reason": each.reason,
                    "raw": each.failed.raw,
                }
                for each in self.shown
                if not each.done
            ]
            print_json({**counts, "left": left})
        else:
            self._print(done, counts)
        if stay or (self.each and counts["gone"]):
            click.get_current_context().exit(1)

    def _print(self, done: str, counts: dict[str, int]) -> None:
        for each in self.shown:
            job = printable(job_line(each.failed.job)).plain
            if each.done:
                click.echo(f"{done} {job} of queue {printable(each.failed.queue).plain}")
            elif each.outcome == "gone":
                click.echo(f"gone: {job}: somebody else retried or removed it", err=True)
            else:
                click.echo(f"stays: {job}: {printable(each.reason).plain}", err=True)
        if not self.each:
            gone = f", {counts['gone']} were gone" if counts["gone"] else ""
            stay = counts["refused"] + counts["impossible"]
            click.echo(f"{done} {pluralize(counts['done'], 'failed job')}, {stay} stay{gone}")


# --- by position


def _apply_to_some(target: TaskHero, verb: str, positions: list[int], source: str, *, yes: bool) -> _Report:
    found = run_connected(target, lambda app: read_positions(app, positions, source))
    if not yes:
        for at, entry in found:
            click.echo(
                printable(f"{at}  {job_line(entry.job)} in queue {entry.queue}: {error_line(entry)}").plain, err=True
            )
        confirm(f"{verb.capitalize()} {pluralize(len(found), 'failed job')}?", yes=yes)

    async def mend(app: TaskHero) -> _Report:
        mended = _Report(each=True)
        with progress("failed jobs", len(found)) as advance:
            for _, entry in found:
                mended.add(await (_retried(app, entry) if verb == "retry" else _removed(app, entry)))
                advance(1)
        return mended

    return run_connected(target, mend)


async def _removed(app: TaskHero, entry: FailedJob) -> MendedJob:
    return MendedJob(failed=entry, outcome="removed" if await app.queue.remove_failed(entry) else "gone")


async def _retried(app: TaskHero, entry: FailedJob) -> MendedJob:
    reason = "a plugin does not let it be stored, or its queue cannot take it"
    try:
        if await app.queue.retry_and_remove_failed(entry):
            return MendedJob(failed=entry, outcome="retried")
    except NotInFailures:
        return MendedJob(failed=entry, outcome="gone")
    except CannotRetry as error:
        return MendedJob(failed=entry, outcome="impossible", reason=str(error))
    except (BackendError, NotConnected):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        reason = f"{type(error).__name__}: {error}"
    return MendedJob(failed=entry, outcome="refused", reason=reason)


# --- all that fit


def _apply_to_all(target: TaskHero, verb: str, where: FailedWhere, *, yes: bool) -> _Report:
    if not yes:
        number = run_connected(target, lambda app: _count(app, where))
        if not number:
            return _Report(each=False)
        confirm(f"{verb.capitalize()} {pluralize(number, 'failed job')}?", yes=yes)

    async def mend(app: TaskHero) -> _Report:
        mended = _Report(each=False)
        looked = 0
        with progress("failed jobs", None) as advance:
            async for each in _each(app, verb, where):
                mended.add(each)
                advance(each.looked - looked, each.total)
                looked = each.looked
        return mended

    return run_connected(target, mend)


def _each(app: TaskHero, verb: str, where: FailedWhere) -> AsyncIterator[MendedJob]:
    return app.queue.retry_all_failed(**where) if verb == "retry" else app.queue.remove_all_failed(**where)


async def _count(app: TaskHero, where: FailedWhere) -> int:
    number = 0
    with progress("looking through the failures", None) as advance:
        async for _ in app.queue.each_failed(**where):
            number += 1
            advance(1)
    return number
