"""The demo's tables and panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from taskhero.cli.demo.board import call
from taskhero.cli.output import encoding
from taskhero.cli.tables import sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from taskhero import TaskHero
    from taskhero.cli.demo.board import Board, Line

__all__ = ["COLORS", "everything", "line", "summary", "title"]

COLORS: Final = {
    "enqueued": "cyan",
    "delayed": "magenta",
    "due": "magenta",
    "working": "blue",
    "succeeded": "green",
    "retried": "red",
    "failed": "bold red",
    "scaled": "yellow",
}
QUEUES: Final = ("high", "low")
BAR: Final = 20  #: width of the longest bar, in characters
ROWS: Final = 6  #: rows for processors, fixed so that the layout is stable
DELAYED: Final = 3  #: number of delayed jobs that are shown
ABOVE: Final = 14  #: lines above the event log


def title() -> RenderableType:
    """Return the title panel."""
    return Panel(
        "A shop's background jobs on [b]memory://[/b]: two queues, up to six task processors, a scheduler.",
        title="[b]taskhero demo[/b]",
        border_style="cyan",
    )


def line(event: Line) -> Text:
    """Return a line of the event log in the colour of its kind."""
    text = event.text.replace("→", sign("→", "->", encoding()))
    return Text.assemble((f"{event.at:5.1f} s  ", "dim"), (f"{event.kind:<10}", COLORS[event.kind]), text)


async def everything(app: TaskHero, board: Board, height: int) -> RenderableType:
    """Return all tables for a terminal of *height* lines."""
    top = Table.grid(expand=True)
    top.add_column(ratio=3)
    top.add_column(ratio=2)
    top.add_row(_processors(board), Group(await _queues(app), _delayed(board)))
    shown = min(max(height - ABOVE, 4), board.lines.maxlen or 0)
    events = Text("\n", no_wrap=True, overflow="ellipsis").join(line(event) for event in list(board.lines)[-shown:])
    events.no_wrap, events.overflow = True, "ellipsis"
    return Group(top, Panel(events, title="events", border_style="dim", height=shown + 2))


def _processors(board: Board) -> RenderableType:
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    table.add_column("#", justify="right")
    table.add_column("job", ratio=1, no_wrap=True)
    table.add_column("for", justify="right")
    table.add_column("succeeded", justify="right", style="green")
    table.add_column("failed", justify="right", style="red")
    rows = sorted(board.processors.values(), key=lambda processor: int(processor.label))
    for processor in rows:
        job, elapsed = Text("idle", style="dim"), ""
        if not processor.present:
            job = Text("ended", style="dim")
        elif processor.job is not None:
            job = Text(call(processor.job), style=COLORS["working"])
            elapsed = f"{board.now() - processor.since:.1f} s"
        table.add_row(processor.label, job, elapsed, str(processor.succeeded or ""), str(processor.failed or ""))
    return Panel(table, title=f"task processors: {len(board.present)}", border_style="dim", height=ROWS + 3)


async def _queues(app: TaskHero) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(width=BAR)
    table.add_column(justify="right")
    for name in QUEUES:
        length = await app.queue.length(name)
        table.add_row(name, Text(sign("█", "#", encoding()) * min(length, BAR), style=COLORS["enqueued"]), str(length))
    return Panel(table, title="queued jobs", border_style="dim", height=len(QUEUES) + 2)


def _delayed(board: Board) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for at, job in board.waiting[:DELAYED]:
        table.add_row(Text(call(job), style=COLORS["delayed"]), f"in {max(0.0, at - board.now()):.1f} s")
    return Panel(table, title="delayed", border_style="dim", height=DELAYED + 2)


async def summary(app: TaskHero, board: Board) -> RenderableType:
    """Return the summary of the demo."""
    stats = await app.queue.stats()
    totals = f"processed {stats['processed']}, failed {stats['failed']} in {board.now():.1f} s"
    return Group(
        Columns([_by_task(board), _by_processor(board)], padding=(0, 3)),
        await _failures(app),
        Text.assemble(("Total: ", "bold"), totals),
        Text("Next: the example in README.md, then the programs in examples/.", style="dim"),
    )


def _by_task(board: Board) -> RenderableType:
    rows = [
        (name, tally.succeeded, tally.failed, f"{tally.seconds / max(1, tally.succeeded + tally.failed):.2f} s")
        for name, tally in board.tasks.items()
    ]
    return _counts("tasks", "task", rows, last="mean time")


def _by_processor(board: Board) -> RenderableType:
    rows = [
        (processor.label, processor.succeeded, processor.failed, f"{processor.busy:.1f} s")
        for processor in board.processors.values()
    ]
    return _counts("task processors", "#", rows, last="busy for")


def _counts(title: str, first: str, rows: Sequence[tuple[str, int, int, str]], *, last: str) -> Table:
    table = _table(title)
    table.add_column(first)
    table.add_column("succeeded", justify="right", style="green")
    table.add_column("failed", justify="right", style="red")
    table.add_column(last, justify="right")
    for name, succeeded, failed, seconds in rows:
        table.add_row(name, str(succeeded or ""), str(failed or ""), seconds)
    return table


async def _failures(app: TaskHero) -> RenderableType:
    table = _table("failed list")
    table.add_column("job")
    table.add_column("queue")
    table.add_column("error", style="red")
    for entry in await app.queue.failed():
        table.add_row(Text(call(entry.job)), entry.queue, Text(f"{entry.exception}: {entry.error}"))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.ROUNDED, border_style="dim")
