"""Describe an exception for the failed list. No function here raises, whatever the exception does."""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING, Any, Final

from taskhero.errors import JobTimeout
from taskhero.wire.failures import Description, encode_failure

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Sequence
    from types import FrameType, TracebackType

__all__ = [
    "RemoteTraceback",
    "describe",
    "failure_entry",
    "has_short_traceback",
    "stack_lines",
    "strip",
    "task_lines",
    "text_of",
    "timed_out",
]

#: Longest text, longest backtrace, and longest line of a backtrace, in characters.
MAX_TEXT: Final = 64 * 1024
MAX_BACKTRACE: Final = 64 * 1024
MAX_LINE: Final = 4 * 1024
#: Longest traceback that the log shows. The failed entry has a shortened one.
MAX_LOGGED: Final = 256 * 1024

_OURS: Final = ("taskhero.runtime.", "taskhero.hooks.", "taskhero.engine.")


class RemoteTraceback(Exception):
    """The cause of an exception from a child process: its description there."""

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.description = description

    def __str__(self) -> str:
        text = "\n".join(self.description.backtrace)
        return f'\n"""\n{text}\n"""'


def timed_out(task: str, timeout: float) -> JobTimeout:
    """Return the error of a task that ran longer than *timeout* seconds."""
    return JobTimeout(f"task {task!r} ran longer than its timeout of {timeout:g} s")


def describe(error: BaseException) -> Description:
    """Return the description of *error*; for an error of a child process, the description made there."""
    with contextlib.suppress(BaseException):  # attributes of an exception may raise
        cause = error.__cause__
        if type(cause) is RemoteTraceback:
            return cause.description
    return Description(_valid(type(error).__name__), text_of(error), _backtrace(error))


def failure_entry(error: BaseException, *, raw: str, queue: str, worker: str, failed_at: float) -> str:
    """Return the entry of the failed list for a job that ended with *error*. See `encode_failure`."""
    return encode_failure(describe(error), raw=raw, queue=queue, worker=worker, failed_at=failed_at)


def strip(error: BaseException) -> None:
    """Remove the frames of taskhero from the top of the exception's traceback, so that it starts in the task."""
    with contextlib.suppress(BaseException):  # a class may forbid the assignment, and the frames stay
        error.__traceback__ = _task_frames(error.__traceback__)


def has_short_traceback(error: BaseException) -> bool:
    """Return whether the error has a traceback, or a cause, that `logging` can format and that is not huge."""
    try:
        if error.__traceback__ is None and error.__cause__ is None:
            return False
        return sum(map(len, traceback.format_exception(error))) <= MAX_LOGGED
    except BaseException:  # noqa: BLE001 -- methods of its class may raise anything
        return False


def stack_lines(frame: FrameType) -> list[str]:
    """Return the lines of code that led to *frame*, outermost first, without the frames of taskhero above the task."""
    stack = [(entry, line) for entry, line in traceback.walk_stack(frame)][::-1]
    while stack and (_is_ours(stack[0][0]) or stack[0][0].f_globals.get("__name__") == "threading"):
        del stack[0]
    return _split(traceback.StackSummary.extract(iter(stack)).format())


def task_lines(task: asyncio.Task[Any]) -> list[str]:
    """Return the lines of code at which a suspended asyncio task waits, as `stack_lines` does."""
    stack: list[tuple[FrameType, int]] = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            stack.append((frame, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    while stack and _is_ours(stack[0][0]):
        del stack[0]
    return _split(traceback.StackSummary.extract(iter(stack)).format())


def _is_ours(frame: FrameType) -> bool:
    """Return whether this is a frame of taskhero above the task."""
    return str(frame.f_globals.get("__name__", "")).startswith(_OURS)


def _task_frames(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_ours(tb.tb_frame):
        tb = tb.tb_next
    return tb


def text_of(error: BaseException) -> str:
    """Return the exception's message, shortened and made valid Unicode if needed."""
    try:
        text = str.__str__(str(error))
    except BaseException as broken:  # noqa: BLE001 -- as above
        return f"(its text cannot be shown: str() raised {_valid(type(broken).__name__)})"
    return _cut(_valid(text), MAX_TEXT)


def _backtrace(error: BaseException) -> list[str]:
    try:
        return _shortened([_cut(_valid(line), MAX_LINE) for line in _lines(error)])
    except BaseException as broken:  # noqa: BLE001 -- as above
        return [f"(its traceback cannot be shown: {_valid(type(broken).__name__)})"]


def _lines(error: BaseException) -> list[str]:
    start = _task_frames(error.__traceback__)
    report = traceback.TracebackException(type(error), error, start, compact=True)
    return _split(report.format())


def _split(parts: Iterable[str]) -> list[str]:
    return [line for part in parts for line in part.rstrip("\n").split("\n")]


def _shortened(lines: list[str]) -> list[str]:
    """Leave out lines in the middle if there are too many: the first show the origin, the last the error."""
    if sum(map(len, lines)) <= MAX_BACKTRACE:
        return lines
    head, tail = _count_fitting(lines, MAX_BACKTRACE // 4), _count_fitting(lines[::-1], MAX_BACKTRACE * 3 // 4)
    left_out = len(lines) - head - tail
    return [*lines[:head], f"  ... {left_out} lines left out ...", *lines[len(lines) - tail :]]


def _count_fitting(lines: Sequence[str], room: int) -> int:
    """Return how many of the first lines fit into *room* characters."""
    for count, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            return count
    return len(lines)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} more characters)"


def _valid(text: str) -> str:
    """Return the text as valid Unicode: lone surrogates become visible escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
