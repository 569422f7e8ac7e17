"""What verbs print: tables for people, JSON for programs."""

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

#: Nothing is cut or wrapped where no terminal is.
_WIDE = 10_000


def _json_there_too(context: click.Context, _option: click.Parameter, given: bool) -> bool:
    """Whether the option stands here, or before this verb."""
    return given or bool(context.parent is not None and context.parent.params.get("as_json"))


#: The option ``--json``, as `as_json`.
json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_json_there_too, help="Print one JSON object, for programs."
)


def console() -> Console:
    """A console on the standard output, as it is now."""
    color = bool(os.environ.get("FORCE_COLOR"))
    return Console(
        force_terminal=True if color else None,
        color_system="standard" if color else "auto",
        highlight=False,
        width=None if sys.stdout.isatty() else _WIDE,
    )


def print_json(value: object) -> None:
    """Print a value as JSON in one line of ASCII, at once."""
    click.echo(json.dumps(value))


def compact(value: object) -> str:
    """A value as JSON for people."""
    return json.dumps(value, ensure_ascii=False)


def iso(moment: datetime | None) -> str | None:
    """A moment as ISO 8601."""
    return None if moment is None else moment.isoformat()


def printable(text: object) -> Text:
    """Text from a store as people may see it: what would steer the terminal is escaped, nothing in it is a style."""
    return Text("".join(sign if _is_harmless(sign) else repr(sign)[1:-1] for sign in str(text)))


def _is_harmless(sign: str) -> bool:
    return sign == "\n" or unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """A table; columns whose name begins with ``#`` hold numbers."""
    made = Table(
        title=Text(title) if title else None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for name in columns:
        made.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", overflow="fold")
    for row in rows:
        made.add_row(*(printable("" if cell is None else cell) for cell in row))
    return made


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a `table`, or its title alone where there are no rows."""
    found = list(rows)
    console().print(table(title, columns, found) if found else Text(title, style="bold"))


class Advance(Protocol):
    """Tells a progress bar that some more is done, and perhaps anew of how much."""

    def __call__(self, some: int, total: int | None = None) -> None:
        """*some* more are done, of *total*."""
        ...


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Advance]:
    """Show on the error output how far a long work is, if that is a terminal; nothing is left of it at the end."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    out = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        shown_task = bar.add_task(what, total=total)

        def advance(some: int, total: int | None = None) -> None:
            bar.update(shown_task, advance=some, total=total)

        yield advance
