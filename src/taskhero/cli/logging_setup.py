"""How a program of ours writes its log: lines for people, or one JSON object a line for programs.

For any verb::

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

from taskhero.runtime.process.shutdown import set_exit_message_format

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["JsonFormatter", "TextFormatter", "log_options", "set_up_logging"]

_Command = TypeVar("_Command", bound="Callable[..., Any]")

_python = logging.getLogger("python")

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error", "critical")

#: What every record has; all else in it was given as `extra`.
_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS: Final = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_LONGEST_ARGS: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def log_options(command: _Command) -> _Command:
    """Give a command the options ``--log-format`` and ``--log-level``, as `log_format` and `log_level`."""
    level = click.option(
        "--log-level",
        type=click.Choice(LEVELS, case_sensitive=False),
        default="info",
        show_default=True,
        envvar="TASKHERO_LOG_LEVEL",
        show_envvar=True,
        help="The least that is logged; worker_logging and scheduler_logging give each event its level.",
    )
    form = click.option(
        "--log-format",
        type=click.Choice(FORMATS, case_sensitive=False),
        default="text",
        show_default=True,
        envvar="TASKHERO_LOG_FORMAT",
        show_envvar=True,
        help="Lines for people, or one JSON object a line.",
    )
    return form(level(command))


def set_up_logging(log_format: str = "text", log_level: str = "info", *, stream: TextIO | None = None) -> None:
    """Log everything of this program to the standard error output; a second call replaces what the first set up.

    Handlers that the program itself has given to the root logger stay. In JSON so are Python's warnings and the errors
    that nobody handles, in any thread, which else would be lines of other forms.

    Args:
        log_format: ``"text"`` or ``"json"``.
        log_level: The least that is logged.
        stream: Where to log instead.
    """
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(color=_has_colour(handler.stream)))
    root = logging.getLogger()
    for other in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(log_level.upper())
    # It tells of each variable that it does not find.
    logging.getLogger("typed_settings").setLevel(max(logging.INFO, root.level))
    _log_what_python_says(log_format == "json")


def _log_what_python_says(wanted: bool) -> None:
    """Log warnings and errors that nobody handles, or leave them to Python again; another's hooks are not touched."""
    logging.captureWarnings(wanted)
    set_exit_message_format(_last_line if wanted else None)
    for module, name, before, ours in (
        (sys, "excepthook", sys.__excepthook__, _log_last_error),
        (threading, "excepthook", threading.__excepthook__, _log_error_of_thread),
    ):
        old, new = (before, ours) if wanted else (ours, before)
        if getattr(module, name) is old:
            setattr(module, name, new)


def _log_last_error(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _python.critical("the program ends with %s", kind.__name__, exc_info=(kind, error, traceback))


def _log_error_of_thread(ended: threading.ExceptHookArgs) -> None:
    if issubclass(ended.exc_type, SystemExit):
        return
    name = ended.thread.name if ended.thread else "unknown"
    error = ended.exc_value or ended.exc_type()
    _python.error(
        "thread %r ended with %s", name, ended.exc_type.__name__, exc_info=(ended.exc_type, error, ended.exc_traceback)
    )


def _last_line(text: str) -> str:
    """What a process says that ends at once: made here, since a lock of the log may be held."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "critical"}
    return json.dumps({**line, "logger": "taskhero.worker", "message": text})


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that it can be told from those of the user."""


def _has_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


class TextFormatter(logging.Formatter):
    """``10:32:04.123 INFO  taskhero.worker  task 'add' succeeded in 0.003 s, from queue 'math' args=[1, 2]``.

    The time is local. Further lines are indented, and control characters are shown as escapes, so that no text of a job
    can pass for a line of the log.

    Args:
        color: Whether to colour the level.
    """

    def __init__(self, *, color: bool = False) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        moment = datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname:<8}"
        if self._color:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        text = _message(record)
        if "job_args" in vars(record):
            args = _encoded(vars(record)["job_args"])
            text += f" args={args if len(args) <= _LONGEST_ARGS else args[:_LONGEST_ARGS] + '...'}"
        text += _traceback(record, self, before="\n")
        return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03} {level} {record.name}  {_safe(text)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII.

    It has `time` (ISO 8601, UTC), `level` (in lower case), `logger` and `message`, then whatever the record was given
    as `extra`, and `traceback` if there is one. What JSON cannot hold is given as its `repr`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _PLAIN and name not in fields}
        if traceback := _traceback(record, self):
            fields["traceback"] = traceback
        return "{" + ", ".join(f"{json.dumps(name)}: {_encoded(value)}" for name, value in fields.items()) + "}"


def _message(record: logging.LogRecord) -> str:
    """The record's text; what it was given, if that does not make one."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a line is written, whatever was logged
        text = record.msg if isinstance(record.msg, str) else _shown(record.msg)
        return f"{text} {_shown(record.args)} (the arguments do not fit: {type(error).__name__})"


def _traceback(record: logging.LogRecord, formatter: logging.Formatter, before: str = "") -> str:
    if record.exc_info:
        return before + formatter.formatException(record.exc_info)
    return before + record.exc_text if record.exc_text else ""


def _encoded(value: Any) -> str:
    try:
        return json.dumps(value, default=_shown, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(_shown(value))


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a log line is written, whatever a user's repr does
        return f"<a {type(value).__name__} whose repr raises {type(error).__name__}>"


def _safe(text: str) -> str:
    escaped = _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8").replace("\n", "\n    ")
