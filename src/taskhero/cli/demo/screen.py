"""Shows the demo: tables that are redrawn on a terminal, lines in a pipe, and a summary at the end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from taskhero.cli.demo import shop, tables
from taskhero.cli.demo.board import Board

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["new_console", "perform"]

FRAME = 0.1  #: seconds between two pictures
TOO_LONG = 25.0  #: seconds after which something is wrong


def new_console(*, color: bool | None) -> Console:
    """A console on the standard output.

    Args:
        color: Whether to use colours; None for what the terminal and FORCE_COLOR or NO_COLOR say.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot draw a sign shows another
    if color or (color is None and os.environ.get("FORCE_COLOR")):
        return Console(force_terminal=True, color_system="standard", highlight=False)
    return Console(no_color=True if color is False else None, highlight=False)


async def perform(console: Console, *, live: bool) -> None:
    """Run the demo from its beginning to its end.

    Args:
        console: Where to show it.
        live: Redraw tables in place instead of printing lines.

    Raises:
        TimeoutError: Not all jobs ended in a time in which they should.
    """
    board = Board(None if live else lambda line: console.print(tables.line(line), soft_wrap=True))
    board.listen(shop.app)
    console.print(tables.title())
    async with asyncio.timeout(TOO_LONG), shop.app, shop.app.running(), _shown(board, console, live=live):
        await shop.open_shop(board)
        board.told()
        await board.finished.wait()
        summary = await tables.summary(shop.app, board)
    console.print(summary)


@contextlib.asynccontextmanager
async def _shown(board: Board, console: Console, *, live: bool) -> AsyncIterator[None]:
    """Keep a live picture of the board up to date meanwhile, if that is wanted."""
    if not live:
        yield
        return
    with Live(console=console, auto_refresh=False) as screen:
        drawing = asyncio.create_task(_draw(board, screen), name="taskhero-demo-drawing")
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.wait([drawing])
        screen.update(await tables.everything(shop.app, board, screen.console.height), refresh=True)


async def _draw(board: Board, screen: Live) -> None:
    while True:
        screen.update(await tables.everything(shop.app, board, screen.console.height), refresh=True)
        await asyncio.sleep(FRAME)
