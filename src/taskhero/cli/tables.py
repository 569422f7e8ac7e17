"""Tables that fit their terminal: a row is one line, and a cell that has no room ends with an ellipsis."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

from taskhero._internal.escaping import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions

__all__ = ["Paragraph", "Table", "ellipsis_of", "sign", "truncated"]

_MARGIN: Final = " "
_GAP: Final = "   "
#: Widths that text columns keep, each with whether times may take two lines. The first that fits counts.
_STEPS: Final = ((20, False), (12, True), (0, True))
#: Width of a text column in a terminal that is too narrow even for the headings.
_LEAST: Final = 3


def ellipsis_of(encoding: str) -> str:
    """Return the sign for omitted text in an encoding."""
    return sign("…", "...", encoding)


def sign(preferred: str, otherwise: str, encoding: str) -> str:
    """Return a sign that an encoding has."""
    try:
        preferred.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return otherwise
    return preferred


def truncated(text: str, width: int, ellipsis: str) -> str:
    """Return the text, or its beginning with an ellipsis, in at most *width* cells.

    The beginning ends after a word, unless the last word is long.
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room <= 0:
        return ellipsis[:width]
    kept = set_cell_size(text, room).rstrip()
    if not text[len(kept) :].startswith(" "):
        whole = kept.rpartition(" ")[0].rstrip()
        kept = whole if cell_len(whole) > room // 2 else kept
    return kept + ellipsis


class Paragraph:
    """Escaped text whose lines end after a word; a word that is longer than a line ends with an ellipsis."""

    def __init__(self, text: object, style: str = "") -> None:
        self._text = str(text)
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Yield the lines for the width and the encoding of a console."""
        text, width = escape(self._text, encoding=console.encoding), options.max_width
        style = console.get_style(self._style)
        for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]:
            yield Segment(truncated(line, width, ellipsis_of(console.encoding)), style)
            yield Segment.line()


class Table:
    """A table of escaped text for `rich.console.Console.print`.

    Args:
        title: The line above it, or an empty str.
        columns: The headings. ``#`` before one marks numbers, which are aligned to the right. ``@`` marks times, which
            take two lines in a narrow terminal. Neither is truncated.
        rows: The cells of each row. None is an empty cell.
    """

    def __init__(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        self._title = title
        headings = list(columns)
        self._kinds = [heading[0] if heading[0] in "#@" else "" for heading in headings]
        self._headings = [heading.lstrip("#@") for heading in headings]
        self._rows = [["" if cell is None else str(cell) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Yield the lines of the table for the width and the encoding of a console."""
        encoding, width = console.encoding, options.max_width
        ellipsis = ellipsis_of(encoding)
        bold = console.get_style("bold")
        # A cell has at least one sign in four of its characters, so this is more than fits.
        rows = [[escape(cell[: 4 * width], encoding=encoding) for cell in row] for row in self._rows]
        if self._title:
            yield Segment(truncated(escape(self._title, encoding=encoding), width, ellipsis), bold)
            yield Segment.line()
        room = width - len(_MARGIN)
        widths = self._widths(rows, room)
        yield Segment(self._line(self._headings, widths, ellipsis), bold)
        yield Segment.line()
        length = sum(widths) + len(_GAP) * (len(widths) - 1)
        yield Segment(_MARGIN + sign("─", "-", encoding) * min(length, room))
        yield Segment.line()
        for row in rows:
            for cells in zip_longest(*map(self._lines, row, self._kinds, widths), fillvalue=""):
                yield Segment(self._line(cells, widths, ellipsis))
                yield Segment.line()

    def _widths(self, rows: Sequence[Sequence[str]], available: int) -> list[int]:
        """Return the width of each column: what its cells need, or less of the widest ones until the table fits."""
        columns = list(zip(self._headings, *rows, strict=True))
        natural = [max(map(cell_len, column)) for column in columns]
        room = available - len(_GAP) * (len(columns) - 1)
        if sum(natural) <= room:
            return natural
        floors: list[int] = []
        for kept, narrow in _STEPS:
            floors = [
                need if kind == "#" or (kind == "@" and not narrow) else min(need, self._floor(at, columns[at], kept))
                for at, (kind, need) in enumerate(zip(self._kinds, natural, strict=True))
            ]
            if sum(floors) <= room:
                return _shrunk(natural, floors, room)
        least = [floor if kind else min(floor, _LEAST) for floor, kind in zip(floors, self._kinds, strict=True)]
        return _shrunk(natural, least, room)

    def _floor(self, at: int, column: Sequence[str], kept: int) -> int:
        """Return the least width of a column: of its longest word for times, otherwise of its heading."""
        if self._kinds[at] == "@":
            return max(cell_len(word) for cell in column for word in (cell.split() or [""]))
        return max(kept, cell_len(self._headings[at]))

    def _line(self, cells: Iterable[str], widths: Sequence[int], ellipsis: str) -> str:
        """Return the cells, each at its width, as one line."""
        parts = []
        for cell, kind, width in zip(cells, self._kinds, widths, strict=True):
            text = truncated(cell, width, ellipsis)
            pad = " " * (width - cell_len(text))
            parts.append(pad + text if kind == "#" else text + pad)
        return (_MARGIN + _GAP.join(parts)).rstrip()

    def _lines(self, cell: str, kind: str, width: int) -> list[str]:
        """Return the lines of a cell: one, or for a time in a narrow column one for each group of words that fits."""
        if kind != "@" or cell_len(cell) <= width:
            return [cell]
        lines: list[str] = []
        for word in cell.split():
            if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        return lines


def _shrunk(natural: Sequence[int], floors: Sequence[int], room: int) -> list[int]:
    """Return the widths after the widest columns gave up cells, down to their floors."""
    widths = [min(need, max(floor, room)) for need, floor in zip(natural, floors, strict=True)]
    while sum(widths) > room:
        above = [at for at, width in enumerate(widths) if width > floors[at]]
        if not above:
            break
        widths[max(above, key=lambda at: widths[at])] -= 1
    return widths
