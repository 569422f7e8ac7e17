"""The demo on a terminal as tables that are redrawn, in a pipe as lines, with a summary at the end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from rich.live import Live

from taskhero.cli.demo import shop, tables
from taskhero.cli.demo.board import Board
from taskhero.cli.output import Console

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from taskhero.cli.demo.board import Line

__all__ = ["new_console", "run_demo"]

FRAME_INTERVAL = 0.1  #: seconds between two redraws
TIMEOUT = 25.0  #: seconds after which the demo fails


def new_console(*, color: bool | None) -> Console:
    """Return a console on the standard output.

    Args:
        color: Whether to use colours. None: as the terminal and FORCE_COLOR or NO_COLOR decide.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may lack a character
    if color is None and os.environ.get("NO_COLOR"):
        color = False
    if color or (color is None and os.environ.get("FORCE_COLOR")):
        return Console(force_terminal=True, color_system="standard", highlight=False)
    return Console(color_system=None if color is False else "auto", highlight=False)


async def run_demo(console: Console, *, live: bool) -> None:
    """Run the demo.

    Args:
        console: The console to draw on.
        live: Whether to redraw tables in place instead of printing lines.

    Raises:
        TimeoutError: Not all jobs ended within `TIMEOUT` seconds.
        BrokenPipeError: The reader of the output has ended.
    """
    running = asyncio.current_task()
    broken: list[BrokenPipeError] = []

    def print_line(event: Line) -> None:
        try:
            console.print(tables.line(event), soft_wrap=True)
        except BrokenPipeError as error:
            # An event's handler cannot end the program.
            broken.append(error)
            if running is not None and len(broken) == 1:
                running.cancel()

    board = Board(None if live else print_line)
    board.listen(shop.app)
    console.print(tables.title())
    try:
        async with asyncio.timeout(TIMEOUT), shop.app, shop.app.running(), _drawn(board, console, live=live):
            await shop.open_shop(board)
            board.script_ended()
            await board.finished.wait()
            summary = await tables.summary(shop.app, board)
    except asyncio.CancelledError:
        if broken:
            raise broken[0] from None
        raise
    console.print(summary)


@contextlib.asynccontextmanager
async def _drawn(board: Board, console: Console, *, live: bool) -> AsyncIterator[None]:
    """Redraw the board while the block runs, if *live* is set."""
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
        await asyncio.sleep(FRAME_INTERVAL)
