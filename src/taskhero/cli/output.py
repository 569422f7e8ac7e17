"""Output of the verbs: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click
import rich.console

from taskhero._internal.display import display_utc
from taskhero._internal.escaping import escape
from taskhero.cli.tables import Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

__all__ = [
    "Advance",
    "Console",
    "compact",
    "console",
    "encoding",
    "iso",
    "json_option",
    "listing_options",
    "print_json",
    "print_table",
    "progress",
    "say",
    "shown",
    "utc_option",
]

_Command = TypeVar("_Command", bound="Callable[..., Any]")

#: Columns of an output that is not cut, for example in a pipe.
_UNLIMITED = 100_000
_LINES = 25
#: Keys of values that a verb and the verb before it share.
_WIDE, _UTC = "taskhero: --wide", "taskhero: --utc"


def _json_wanted(context: click.Context, _option: click.Parameter, value: bool) -> bool:
    """Return whether the option is given, to this verb or before it."""
    return value or bool(context.parent is not None and context.parent.params.get("as_json"))


def _set_wide(context: click.Context, _option: click.Parameter, value: bool) -> None:
    context.meta[_WIDE] = value or context.meta.get(_WIDE, False)


def _set_utc(context: click.Context, _option: click.Parameter, value: bool) -> bool:
    context.meta[_UTC] = value or context.meta.get(_UTC, False)
    display_utc(context.meta[_UTC])
    return bool(context.meta[_UTC])


def utc_option(*, exposed: bool = False) -> Callable[[_Command], _Command]:
    """Return the option ``--utc``, which all times of the program follow; only *exposed* it is the argument `utc`."""
    text = "Show times in UTC. Default: in the time zone of this machine."
    return click.option("--utc", is_flag=True, callback=_set_utc, expose_value=exposed, help=text)


#: The option ``--json``, as `as_json`.
json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_json_wanted, help="Print one JSON object, for programs."
)
_wide_option = click.option(
    "--wide",
    is_flag=True,
    callback=_set_wide,
    expose_value=False,
    help="Truncate nothing. Default: a table fits the terminal.",
)


def listing_options(command: _Command) -> _Command:
    """Give a command that lists entries ``--wide`` and ``--utc``, which need no argument, and `json_option`."""
    return _wide_option(utc_option()(json_option(command)))


class Console(rich.console.Console):
    """A console that ends the program, or is silent, if the reader of its stream has ended."""

    def on_broken_pipe(self) -> None:
        """See `rich.console.Console.on_broken_pipe`."""
        if not self.stderr:
            raise  # noqa: PLE0704 - rich calls this function in the handler of the error
        self.quiet = True


def console(*, live: bool = False) -> Console:
    """Return a console on the current standard output.

    Args:
        live: Whether it redraws its text in place, which must fit the terminal.
    """
    width, height = _size(live=live)
    styled = not os.environ.get("NO_COLOR")
    color = bool(os.environ.get("FORCE_COLOR"))
    return Console(
        force_terminal=True if color and styled else None,
        color_system=("standard" if color else "auto") if styled else None,
        highlight=False,
        width=width,
        height=height,
    )


def _size(*, live: bool) -> tuple[int | None, int | None]:
    """Return columns and lines of the output, or None for those of the terminal."""
    context = click.get_current_context(silent=True)
    wide = not live and context is not None and context.meta.get(_WIDE)
    if wide or not sys.stdout.isatty():
        # A pipe has no width, even if COLUMNS is set: programs and files get everything.
        return _UNLIMITED, _LINES
    return None, None


def print_json(value: object) -> None:
    """Print a value as JSON in one line of ASCII, and flush it."""
    click.echo(json.dumps(value))


def compact(value: object) -> str:
    """Return a value as JSON for people, with all characters as they are."""
    return json.dumps(value, ensure_ascii=False)


def iso(when: datetime | None) -> str | None:
    """Return an instant in ISO 8601 and UTC, for JSON."""
    return None if when is None else when.astimezone(UTC).isoformat()


def encoding() -> str:
    """Return the encoding of the standard output."""
    return getattr(sys.stdout, "encoding", None) or "utf-8"


def shown(text: object, *, keep: str = "") -> str:
    """Return text from a store as the standard output can show it, in one line unless *keep* has the line feed."""
    return escape(str(text), keep=keep, encoding=encoding())


def say(text: object, *, err: bool = False) -> None:
    """Print one line of text, escaped, on the standard output or error output."""
    click.echo(shown(text), err=err)


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a `Table`, or only its title without rows."""
    cells = list(rows)
    out = console()
    out.print(Table(title, columns, cells) if cells else Paragraph(title, "bold"))


class Advance(Protocol):
    """A function that moves a progress bar."""

    def __call__(self, steps: int, total: int | None = None) -> None:
        """Add *steps*, and set a new *total* if it is given."""
        ...


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Advance]:
    """Show a progress bar on the standard error output while the block runs, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    out = Console(stderr=True, color_system=None if os.environ.get("NO_COLOR") else "auto")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        bar_task = bar.add_task(title, total=total)

        def advance(steps: int, total: int | None = None) -> None:
            bar.update(bar_task, advance=steps, total=total)

        yield advance
