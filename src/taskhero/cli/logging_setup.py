"""The log of a verb: text lines for people, or one JSON object for each line for programs.

A verb uses it like this::

    @log_options
    def verb(log_format: str, log_level: str) -> None:
        set_up_logging(log_format, log_level)
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

from taskhero._internal.display import time_text
from taskhero._internal.escaping import escape, indent
from taskhero.cli.streams import discard
from taskhero.runtime.process.shutdown import set_exit_message_format

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["JsonFormatter", "TextFormatter", "is_own_handler", "log_options", "own_handler", "set_up_logging"]

_Command = TypeVar("_Command", bound="Callable[..., Any]")

_python = logging.getLogger("python")

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error", "critical")

#: Attributes of every log record; the others come from `extra`.
_STANDARD_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS: Final = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_MAX_ARGS: Final = 200
#: The end of a line, with the indentation that taskhero's own loggers add to the next one.
_FURTHER_LINE: Final = re.compile(r"\n(?:    )?")


def log_options(command: _Command) -> _Command:
    """Give a command the options ``--log-format`` and ``--log-level``, as `log_format` and `log_level`."""
    level = click.option(
        "--log-level",
        type=click.Choice(LEVELS, case_sensitive=False),
        default="info",
        show_default=True,
        envvar="TASKHERO_LOG_LEVEL",
        show_envvar=True,
        help="The lowest level that is logged. worker_logging and scheduler_logging set the level of each event.",
    )
    form = click.option(
        "--log-format",
        type=click.Choice(FORMATS, case_sensitive=False),
        default="text",
        show_default=True,
        envvar="TASKHERO_LOG_FORMAT",
        show_envvar=True,
        help="Text lines for people, or one JSON object for each line.",
    )
    return form(level(command))


def set_up_logging(log_format: str = "text", log_level: str = "info", *, stream: TextIO | None = None) -> None:
    """Log everything of this program to the standard error output; a second call replaces the first set-up.

    Handlers that the program itself added to the root logger stay. With JSON, Python's warnings and unhandled errors
    of any thread are logged as JSON too.

    Args:
        log_format: ``"text"`` or ``"json"``.
        log_level: The lowest level that is logged.
        stream: The stream to log to instead.
    """
    root = logging.getLogger()
    for handler_before in filter(is_own_handler, list(root.handlers)):
        root.removeHandler(handler_before)
    root.addHandler(own_handler(log_format, stream))
    root.setLevel(log_level.upper())
    _log_python_errors(log_format == "json")


def own_handler(log_format: str = "text", stream: TextIO | None = None) -> logging.Handler:
    """Return a handler that writes lines of this format to the standard error output or another stream."""
    stream = sys.stderr if stream is None else stream
    if stream is None:  # the program has no standard error output
        return _Silent()
    handler = _Handler(stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(color=_has_colour(stream)))
    return handler


def is_own_handler(handler: logging.Handler) -> bool:
    """Return whether `own_handler` returned this handler."""
    return isinstance(handler, (_Handler, _Silent))


def _log_python_errors(enabled: bool) -> None:
    """Log Python's warnings and unhandled errors, or leave them to Python. Hooks of other programs stay."""
    logging.captureWarnings(enabled)
    set_exit_message_format(_exit_message if enabled else None)
    for module, name, default, logging_hook in (
        (sys, "excepthook", sys.__excepthook__, _log_last_error),
        (threading, "excepthook", threading.__excepthook__, _log_thread_error),
    ):
        old, new = (default, logging_hook) if enabled else (logging_hook, default)
        if getattr(module, name) is old:
            setattr(module, name, new)


def _log_last_error(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _python.critical("the program ends with %s", kind.__name__, exc_info=(kind, error, traceback))


def _log_thread_error(hook_args: threading.ExceptHookArgs) -> None:
    if issubclass(hook_args.exc_type, SystemExit):
        return
    name = hook_args.thread.name if hook_args.thread else "unknown"
    error = hook_args.exc_value or hook_args.exc_type()
    _python.error(
        "thread %r ended with %s",
        name,
        hook_args.exc_type.__name__,
        exc_info=(hook_args.exc_type, error, hook_args.exc_traceback),
    )


def _exit_message(text: str) -> str:
    """Return the last message of a process as JSON. It bypasses the log, whose lock may be held."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "critical"}
    return json.dumps({**line, "logger": "taskhero.worker", "message": text})


class _Handler(logging.StreamHandler[TextIO]):
    """A handler that continues if its stream lacks a character or has lost its reader."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with the characters escaped that the stream lacks."""
        encoding = getattr(self.stream, "encoding", None)
        line = super().format(record)
        return line.encode(encoding, "backslashreplace").decode(encoding) if encoding else line

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of logging
        """Discard the rest of the log if the stream cannot be written. The jobs matter more."""
        if isinstance(sys.exception(), OSError):
            discard(self.stream)
        else:
            super().handleError(record)


class _Silent(logging.NullHandler):
    """The handler of a program without a standard error output."""


def _has_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


class TextFormatter(logging.Formatter):
    """``2027-01-15 10:32:04.123+01:00 INFO     taskhero.worker  task 'add' from queue 'math' succeeded in 0.003 s``.

    Further lines are indented and control characters are escaped, so that a job's data cannot imitate a log line.

    Args:
        color: Whether to colour the level.
    """

    def __init__(self, *, color: bool = False) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        created = time_text(datetime.fromtimestamp(record.created, UTC), "milliseconds")
        level = f"{record.levelname:<8}"
        if self._color:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        text = _message(record)
        if "job_args" in vars(record):
            args = _encoded(vars(record)["job_args"])
            text += f" args={args if len(args) <= _MAX_ARGS else args[:_MAX_ARGS] + '...'}"
        text = _FURTHER_LINE.sub("\n    ", escape(text, keep="\n"))
        if traceback := _traceback(record, self):
            shown = indent(escape(traceback, keep="\n"))
            text += f"\n    {shown}"
        return f"{created} {level} {escape(record.name)}  {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object for each line, in ASCII.

    It has `time` (ISO 8601, UTC), `level` (in lower case), `logger` and `message`, then the record's `extra`, and
    `traceback` if there is one. A value that JSON cannot represent is written as its `repr`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        fields |= {
            name: value
            for name, value in vars(record).items()
            if name not in _STANDARD_ATTRIBUTES and name not in fields
        }
        if traceback := _traceback(record, self):
            fields["traceback"] = traceback
        return "{" + ", ".join(f"{json.dumps(name)}: {_encoded(value)}" for name, value in fields.items()) + "}"


def _message(record: logging.LogRecord) -> str:
    """Return the record's text, or its message and arguments if they do not fit."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a wrong log call must not lose the line
        text = record.msg if isinstance(record.msg, str) else _safe_repr(record.msg)
        return f"{text} {_safe_repr(record.args)} (the arguments do not fit: {type(error).__name__})"


def _traceback(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else record.exc_text or ""


def _encoded(value: Any) -> str:
    try:
        return json.dumps(value, default=_safe_repr, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(_safe_repr(value))


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a user's repr may raise anything
        return f"<a {type(value).__name__} whose repr raises {type(error).__name__}>"
