"""Read settings from environment variables and ``pyproject.toml``, each with its source for error messages."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from taskhero._internal.suggestions import snake, suggestion
from taskhero.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OTHER_VARIABLES", "PREFIX", "SECTION", "load_settings"]

#: The prefix of environment variables of settings.
PREFIX: Final = "TASKHERO_"
#: The table of ``pyproject.toml``.
SECTION: Final = "tool.taskhero"
#: Variables with the prefix that are not settings: options of the command line, the switch of installed plugins, and
#: what a supervisor passes to worker processes.
OTHER_VARIABLES: Final = frozenset(
    {
        "TASKHERO_APP",
        "TASKHERO_BACKEND",
        "TASKHERO_LOG_CONFIG",
        "TASKHERO_LOG_FORMAT",
        "TASKHERO_LOG_LEVEL",
        "TASKHERO_PARENT_PIPE",
        "TASKHERO_PLUGINS",
    }
)

#: Variables that Kubernetes sets in all containers for a service whose name begins with "taskhero".
_OF_SERVICES: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)$")

_FILE: Final = "pyproject.toml"
#: A folder with one of these is the root of a repository.
_REPOSITORIES: Final = (".git", ".hg")
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})

_Settings = TypeVar("_Settings", bound=attrs.AttrsInstance)


@attrs.frozen
class _Given:
    """A value, and its source as messages name it."""

    value: Any
    source: str


def load_settings(base: _Settings) -> _Settings:
    """Return *base* with the settings that the environment and ``pyproject.toml`` give.

    Raises:
        InvalidSettings: A setting is unknown, has the wrong type or is out of its bounds. The message names the source.
    """
    fields = {field.name: field for field in attrs.fields(type(base))}
    given = {**_from_file(fields), **_from_environment(fields)}
    for key, setting in given.items():
        _check(fields[key], setting)
    # Settings that the base was not given are derived again from those that are given now.
    base_keys = getattr(base, "given", fields.keys())
    values = {key: getattr(base, key) for key in base_keys} | {key: setting.value for key, setting in given.items()}
    try:
        return type(base)(**values)
    except InvalidSettings as error:
        # Each value is valid, so two contradict each other: name both sources.
        sources = dict.fromkeys(setting.source for key, setting in given.items() if key in str(error))
        raise InvalidSettings(f"{' and '.join(sources)}: {error}") from None


def _check(field: attrs.Attribute[Any], given: _Given) -> None:
    """Check a value with the setting's converter and validator, and name its source if it is invalid."""
    try:
        value = given.value
        if field.converter is not None:
            value = cast("Callable[[Any], Any]", field.converter)(value)
        if field.validator is not None:
            field.validator(None, field, value)
    except InvalidSettings as error:
        raise InvalidSettings(f"{given.source}: {error}") from None


# --- the environment ---------------------------------------------------------------------------------------------


def _from_environment(fields: dict[str, attrs.Attribute[Any]]) -> dict[str, _Given]:
    variables = {f"{PREFIX}{key.upper()}" for key in fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in variables | OTHER_VARIABLES and not _OF_SERVICES.search(name):
            near = suggestion(name, variables | OTHER_VARIABLES, otherwise="known")
            raise InvalidSettings(f"environment variable {name}: there is no such setting{near}")
    given = {}
    for key, field in fields.items():
        text = os.environ.get(f"{PREFIX}{key.upper()}")
        if text is None:
            continue
        source = f"environment variable {PREFIX}{key.upper()}={text!r}"
        try:
            given[key] = _Given(_READERS[type(field.default)](text), source)
        except ValueError as error:
            raise InvalidSettings(f"{source}: {error}") from None
    return given


def _yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise ValueError("pass true or false (or yes, no, on, off, 1, 0)")
    return word in _YES


def _number(kind: type[int | float]) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            return kind(text)
        except ValueError:
            return text  # the setting's validator has the better message

    return read


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")] if text.strip() else []


def _levels(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"""this is not a JSON object such as {{"failure": "error"}}: {error}""") from None


#: Converts a variable's text, by the type of the setting's default.
_READERS: Final[dict[type, Callable[[str], object]]] = {
    bool: _yes_or_no,
    int: _number(int),
    float: _number(float),
    str: str,
    tuple: _names,
    type(None): _levels,
}


# --- the file ----------------------------------------------------------------------------------------------------


def _find_file() -> Path | None:
    """Return the file in the working directory or the nearest folder above it, up to the root of its repository."""
    folder = Path.cwd()
    for parent in (folder, *folder.parents):
        if (parent / _FILE).exists():
            return parent / _FILE if (parent / _FILE).is_file() else None
        if any((parent / name).exists() for name in _REPOSITORIES):
            return None
    return None


def _read_table(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            tool = tomllib.load(file).get("tool", {})
    except (OSError, ValueError) as error:  # also a file that is not TOML, or not UTF-8
        raise InvalidSettings(f"{path} cannot be read: {error}") from error
    if not isinstance(tool, Mapping):
        raise InvalidSettings(f"{path} cannot be read: [tool] is {tool!r}, not a table")
    table = tool.get("taskhero", {})
    if not isinstance(table, Mapping):
        raise InvalidSettings(f"{path}, [{SECTION}] is {table!r}, not a table of settings")
    return table


def _from_file(fields: dict[str, attrs.Attribute[Any]]) -> dict[str, _Given]:
    path = _find_file()
    if path is None:
        return {}
    given = {}
    for written, value in _read_table(path).items():
        key = written.replace("-", "_")
        if key not in fields and isinstance(value, str) and "://" in value:
            # It may hold a password.
            raise InvalidSettings(
                f"{path}, [{SECTION}] {written}: there is no such setting; give the URL of the backend to the app, "
                "with --backend or with the variable TASKHERO_BACKEND"
            )
        source = f"{path}, [{SECTION}] {written} = {value!r}"
        if key not in fields:
            raise InvalidSettings(
                f"{source}: there is no such setting{suggestion(snake(key), fields, otherwise='known')}"
            )
        is_list = isinstance(value, str) and isinstance(fields[key].default, tuple)
        given[key] = _Given(_names(value) if is_list else value, source)
    return given
