"""The log of `taskhero work`: as the app's module or ``--log-config`` configures it, or taskhero's own."""

from __future__ import annotations

import configparser
import json
import logging
import logging.config
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from taskhero.cli.app_loader import search_here
from taskhero.cli.logging_setup import is_own_handler, own_handler, set_up_logging

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WorkLog", "log_config_option"]

_NONE: Final = "none"
_INI: Final = {".ini", ".cfg", ".conf"}

log_config_option = click.option(
    "--log-config",
    metavar="none|FILE",
    envvar="TASKHERO_LOG_CONFIG",
    show_envvar=True,
    help="Configure the log by FILE: logging.config.dictConfig as JSON or TOML, or fileConfig as INI. "
    "none leaves the log to the app.",
)


class _Preset(int):
    """A level of the root logger that nothing but taskhero has set."""


class WorkLog:
    """Sets up the log around the import of the app's module, whose own configuration counts.

    An option that is given beats the module: ``--log-level`` sets the level, ``--log-format`` replaces handlers of the
    root logger that write to the terminal, and ``--log-config`` replaces everything.

    Args:
        context: The verb's context, which knows what is given.
    """

    def __init__(self, context: click.Context) -> None:
        params = context.params
        self.config: str | None = params["log_config"]
        self.format: str | None = params["log_format"] if _is_given(context, "log_format") else None
        self.level: str | None = params["log_level"] if _is_given(context, "log_level") else None
        if self.config and context.get_parameter_source("log_format") is ParameterSource.COMMANDLINE:
            raise click.UsageError("pass --log-config or --log-format, not both: the file defines the format", context)
        self._level: str = params["log_level"]

    @property
    def is_json(self) -> bool:
        """Whether each line is JSON."""
        return self.format == "json" and not self.config

    def around(self, load: Callable[[], Any]) -> Any:
        """Call *load*, which imports the app, and return its result. The log is set up when this function returns.

        Raises:
            click.UsageError: The file of ``--log-config`` cannot be used.
        """
        if self.config == _NONE:
            result = load()
        elif self.config:
            result = self._around_with_file(load, Path(self.config))
        elif self.format is not None:
            result = self._around_with_format(load, self.format)
        else:
            result = self._around_with_app(load)
        if self.level is not None:
            logging.getLogger().setLevel(self.level.upper())
        _enable_loggers()
        return result

    def _around_with_file(self, load: Callable[[], Any], path: Path) -> Any:
        search_here()  # the file may name a class of the program
        _apply_file(path)
        before = list(logging.getLogger().handlers)
        result = load()
        if logging.getLogger().handlers != before:
            _apply_file(path)
        return result

    def _around_with_format(self, load: Callable[[], Any], log_format: str) -> Any:
        root = logging.getLogger()
        set_up_logging(log_format, self._level)
        root.setLevel(preset := self._preset())
        result = load()
        self._use_own(log_format, preset, replaced=_writes_to_terminal)
        return result

    def _around_with_app(self, load: Callable[[], Any]) -> Any:
        root = logging.getLogger()
        root.setLevel(preset := self._preset())
        # A handler of the root logger would make `logging.basicConfig` do nothing.
        last_resort, logging.lastResort = logging.lastResort, own_handler()
        try:
            result = load()
        except BaseException:
            # The error is logged as well.
            self._use_own("text", preset, replaced=_is_bare)
            raise
        finally:
            logging.lastResort = last_resort
        if not _is_configured(preset):
            self._use_own("text", preset, replaced=_is_bare)
        return result

    def _preset(self) -> _Preset:
        return _Preset(logging.getLevelNamesMapping()[self._level.upper()])

    def _use_own(self, log_format: str, preset: _Preset, *, replaced: Callable[[logging.Handler], bool]) -> None:
        """Log as taskhero does, without the root logger's handlers that it replaces, at the level of the program."""
        root = logging.getLogger()
        level = root.level
        for handler in [found for found in root.handlers if replaced(found)]:
            root.removeHandler(handler)
        set_up_logging(log_format, self._level)
        if level is not preset:
            root.setLevel(level)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) in {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}


def _is_configured(preset: _Preset) -> bool:
    """Return whether the program has configured the root logger or the loggers of taskhero."""
    root = logging.getLogger()
    handlers = [handler for handler in root.handlers if not is_own_handler(handler)]
    if any(not _is_bare(handler) for handler in handlers) or (handlers and root.level is not preset):
        return True
    return any(logger.handlers for logger in _loggers())


def _is_bare(handler: logging.Handler) -> bool:
    """Return whether this is the handler that ``logging.info()`` adds if there is none. It expresses no wish."""
    form = handler.formatter
    probe = logging.makeLogRecord({"msg": "message", "name": "name", "levelname": "LEVEL"})
    return (
        type(handler) is logging.StreamHandler
        and handler.stream is sys.stderr
        and type(form) is logging.Formatter
        and form.format(probe) == logging.Formatter(logging.BASIC_FORMAT).format(probe)
    )


def _writes_to_terminal(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream in {sys.stderr, sys.stdout}


def _loggers() -> list[logging.Logger]:
    """Return the loggers of taskhero that exist."""
    found = logging.Logger.manager.loggerDict.items()
    return [
        logger for name, logger in found if isinstance(logger, logging.Logger) and name.partition(".")[0] == "taskhero"
    ]


def _enable_loggers() -> None:
    """Enable the loggers of taskhero. `dictConfig` disables all that exist, unless the program says otherwise."""
    for logger in _loggers():
        logger.disabled = False


def _apply_file(path: Path) -> None:
    try:
        text = path.read_text("utf-8")
        if path.suffix in _INI:
            _apply_ini(text)
        else:
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **_mapping(path, text)})
    except click.UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the file may name any class, which may raise anything
        cause = f": {error.__cause__}" if error.__cause__ is not None else ""
        raise click.UsageError(f"--log-config {path}: {_reason(error)}{cause}") from None


def _apply_ini(text: str) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    logging.config.fileConfig(parser, disable_existing_loggers=False)


def _mapping(path: Path, text: str) -> dict[str, Any]:
    found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text) if path.suffix == ".toml" else None
    if found is None:
        raise click.UsageError(
            f"--log-config {path}: the form of the file is not known: use the suffix .json, .toml or .ini, or pass none"
        )
    if not isinstance(found, dict):
        raise click.UsageError(f"--log-config {path}: the file must have one JSON object, as logging.config.dictConfig")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"the file cannot be read: {error.strerror}"
    return " ".join(f"{type(error).__name__}: {error}".split())
