"""Output of the verbs: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

__all__ = [
    "Advance",
    "compact",
    "console",
    "iso",
    "json_option",
    "print_json",
    "print_table",
    "printable",
    "progress",
    "table",
]

#: Columns of the output if it is not a terminal, so that nothing is cut or wrapped.
_PIPE_WIDTH = 10_000


def _json_wanted(context: click.Context, _option: click.Parameter, value: bool) -> bool:
    """Return whether the option is given, to this verb or before it."""
    return value or bool(context.parent is not None and context.parent.params.get("as_json"))


#: The option ``--json``, as `as_json`.
json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_json_wanted, help="Print one JSON object, for programs."
)


def console() -> Console:
    """Return a console on the current standard output."""
    color = bool(os.environ.get("FORCE_COLOR"))
    return Console(
        force_terminal=True if color else None,
        color_system="standard" if color else "auto",
        highlight=False,
        width=None if sys.stdout.isatty() else _PIPE_WIDTH,
    )


def print_json(value: object) -> None:
    """Print a value as JSON in one line of ASCII, and flush it."""
    click.echo(json.dumps(value))


def compact(value: object) -> str:
    """Return a value as JSON for people, with all characters as they are."""
    return json.dumps(value, ensure_ascii=False)


def iso(when: datetime | None) -> str | None:
    """Return an instant in ISO 8601."""
    return None if when is None else when.isoformat()


def printable(text: object) -> Text:
    """Return text from a store with control characters escaped and without any markup."""
    return Text("".join(char if _is_printable(char) else repr(char)[1:-1] for char in str(text)))


def _is_printable(char: str) -> bool:
    return char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a table. A column whose name begins with ``#`` has numbers and is aligned to the right."""
    result = Table(
        title=Text(title) if title else None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for name in columns:
        result.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", overflow="fold")
    for row in rows:
        result.add_row(*(printable("" if cell is None else cell) for cell in row))
    return result


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a `table`, or only its title without rows."""
    cells = list(rows)
    console().print(table(title, columns, cells) if cells else Text(title, style="bold"))


class Advance(Protocol):
    """A function that moves a progress bar."""

    def __call__(self, steps: int, total: int | None = None) -> None:
        """Add *steps*, and set a new *total* if it is given."""
        ...


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Advance]:
    """Show a progress bar on the standard error output while the block runs, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    out = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        bar_task = bar.add_task(title, total=total)

        def advance(steps: int, total: int | None = None) -> None:
            bar.update(bar_task, advance=steps, total=total)

        yield advance
