"""Plugins of installed distributions, found by their entry points and imported when an app needs them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

import attrs

from taskhero._internal.entry_points import BROKEN, Origin, entry_points_of, error_reason, origin_of
from taskhero._internal.logs import get_logger
from taskhero.hooks.specs import NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from taskhero.hooks.registered_plugin import RegisteredPlugin

__all__ = ["SWITCH", "FoundPlugin", "load_installed"]

#: The environment variable that selects the installed plugins: ``none``, or names separated by commas.
SWITCH: Final = "TASKHERO_PLUGINS"

_logger = get_logger("taskhero.plugins")


@attrs.frozen(kw_only=True)
class FoundPlugin:
    """An installed plugin.

    Attributes:
        name: The name of its entry point.
        origin: The distribution that contains it.
        state: Whether it is loaded, off (by `SWITCH`, blocked or unregistered) or failed.
        error: Why the plugin or its commands failed, else ``""``.
        registered: The name under which it is registered, ``""`` unless it is loaded.
        label: The plugin's name in messages, ``""`` unless it is loaded.
        hooks: Its hooks, sorted.
    """

    name: str
    origin: Origin
    state: Literal["loaded", "off", "failed"]
    error: str = ""
    registered: str = ""
    label: str = ""
    hooks: tuple[str, ...] = ()


def load_installed(
    is_blocked: Callable[[str], bool], register: Callable[[object, str], RegisteredPlugin]
) -> list[FoundPlugin]:
    """Register the installed plugins, sorted by name. Skip a blocked one. Skip and log a broken one.

    Args:
        is_blocked: Returns whether the plugin of a name must not be registered.
        register: Registers a plugin under the name of its entry point.
    """
    wanted = _selected_names()
    points = entry_points_of(NAME)
    found = []
    for point in points:
        if is_blocked(point.name) or (wanted is not None and point.name not in wanted):
            found.append(FoundPlugin(name=point.name, origin=origin_of(point), state="off"))
        else:
            found.append(_load(point, register))
    for name in sorted((wanted or set()) - {point.name for point in points}):
        _logger.warning("%s names %r, but no such plugin is installed", SWITCH, name)
    return found


def _load(point: EntryPoint, register: Callable[[object, str], RegisteredPlugin]) -> FoundPlugin:
    origin = origin_of(point)
    try:
        registered = register(point.load(), point.name)
    except BROKEN as error:
        _logger.warning(
            "The plugin %r of %s cannot be used: %s",
            point.name,
            origin,
            error_reason(error),
            extra={"plugin": point.name},
        )
        return FoundPlugin(name=point.name, origin=origin, state="failed", error=error_reason(error))
    return FoundPlugin(
        name=point.name,
        origin=origin,
        state="loaded",
        registered=registered.name,
        label=registered.label,
        hooks=registered.hooks,
    )


def _selected_names() -> set[str] | None:
    """Return the names of the installed plugins to load, or None for all."""
    value = os.environ.get(SWITCH, "").strip()
    if not value:
        return None
    return set() if value.lower() == "none" else {name.strip() for name in value.split(",") if name.strip()}
