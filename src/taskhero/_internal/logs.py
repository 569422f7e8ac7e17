"""The loggers of taskhero. Whatever handler and formatter a program has, their lines contain no control character.

A job's name, a worker's name or an exception's text can come from any program. `get_logger` returns a logger that
shows such values escaped in messages and tracebacks. The values themselves stay in the record for structured handlers.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from taskhero._internal.display import time_text
from taskhero._internal.escaping import escape, indent

__all__ = ["LoggedText", "LoggedValue", "get_logger"]


def get_logger(name: str) -> logging.Logger:
    """Return the logger of this name, whose lines are escaped."""
    logger = logging.getLogger(name)
    if not any(isinstance(found, _Escaping) for found in logger.filters):
        logger.addFilter(_Escaping())
    return logger


class LoggedText(str):
    """A text of a record: equal to the original, and escaped as soon as a message contains it."""

    __slots__ = ()

    def __str__(self) -> str:
        return escape(str.__str__(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class LoggedValue:
    """Any other value of a message, such as an exception: its text is escaped, and a date has the displayed zone."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __str__(self) -> str:
        value = self.value
        return escape(time_text(value) if isinstance(value, datetime) else _text(value, str))

    def __repr__(self) -> str:
        return escape(_text(self.value, repr))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class _Escaping(logging.Filter):
    """Makes a record's message, fields and traceback safe. It lets every record through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter.filter`."""
        if isinstance(record.msg, str):
            record.msg = indent(escape(record.msg, keep="\n"))
        if isinstance(record.args, Mapping):
            record.args = {name: _safe(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(_safe(value) for value in record.args)
        for name, value in vars(record).items():
            if isinstance(value, str) and name not in {"msg", "exc_text"} and not value.isprintable():
                setattr(record, name, LoggedText(value))
        if record.exc_info and not record.exc_text:
            record.exc_text = _traceback(record.exc_info[1])
        return True


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else LoggedText(value)
    return value if value is None or isinstance(value, (int, float)) else LoggedValue(value)


def _text(value: object, convert: Any) -> str:
    try:
        return str.__str__(convert(value))
    except Exception as error:  # noqa: BLE001 - a user's class may raise anything, and the line matters more
        return f"<a {type(value).__name__} whose text raises {type(error).__name__}>"


def _traceback(error: BaseException | None) -> str | None:
    """Return the traceback with its unsafe characters escaped and all its lines indented."""
    if error is None:
        return None
    try:
        lines = "".join(traceback.format_exception(error)).rstrip("\n")
    except Exception as problem:  # noqa: BLE001 - as above
        lines = f"{type(error).__name__} (its traceback cannot be shown: {type(problem).__name__})"
    return "    " + indent(escape(lines, keep="\n"))
