"""App-wide plugins: those given to the app and those that installed distributions bring."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from taskhero.errors import AmbiguousOverride, PluginError
from taskhero.hooks.reading import read_plugin
from taskhero.hooks.registry import PluginRegistry
from taskhero.hooks.scope import HookScope
from taskhero.hooks.specs import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskhero.hooks.contexts import OverrideContext

__all__ = ["SWITCH", "FoundPlugin", "PluginManager"]

#: The environment variable that says which installed plugins are loaded: ``none``, or names with commas between.
SWITCH: Final = "TASKHERO_PLUGINS"

_logger = logging.getLogger("taskhero.plugins")


@attrs.frozen(kw_only=True)
class FoundPlugin:
    """An installed plugin.

    Attributes:
        name: The name of its entry point.
        source: The distribution that brings it, with its version.
        state: Whether it is loaded, switched off or failed.
        error: Why it failed, else ``""``.
    """

    name: str
    source: str
    state: Literal["loaded", "off", "failed"]
    error: str = ""


class PluginManager:
    """The app's plugins. Installed ones are loaded when the app first needs them, not on import.

    Args:
        plugins: The plugins given to the app, in their order.
        shipped: What registers the names of the plugins that come with taskhero; `SWITCH` does not concern it.

    Attributes:
        scope: The app-wide hooks.
        registry: The plugins that have names.
        found: The installed plugins, once they were looked for.

    Raises:
        PluginError: A plugin cannot be used as given.
    """

    def __init__(self, plugins: Iterable[object] = (), *, shipped: Iterable[object] = ()) -> None:
        self.scope = HookScope()
        self.registry = PluginRegistry()
        self.found: list[FoundPlugin] = []
        self._loaded = False
        if isinstance(plugins, str):
            raise PluginError(f"plugins={plugins!r} is no sequence: pass a tuple, such as ({plugins!r},)")
        if not isinstance(plugins, Iterable):
            raise PluginError(f"plugins={plugins!r} is no sequence: pass a tuple of plugins")
        for plugin in shipped:
            self._install(plugin)
        for plugin in plugins:
            for built in self.build((plugin,)):
                self._install(built)

    def load(self) -> None:
        """Load the installed plugins, sorted by name; one that is broken is logged, noted in `found` and left out."""
        if self._loaded:
            return
        self._loaded = True
        wanted = _switch()
        points = sorted(metadata.entry_points(group=NAME), key=lambda point: (point.name, point.value))
        for point in points:
            self.found.append(self._load(point, wanted))
        for name in sorted((wanted or set()) - {point.name for point in points}):
            _logger.warning("%s names %r, but no such plugin is installed", SWITCH, name)

    def build(
        self, plugins: Iterable[object], options: Mapping[str, Mapping[str, Any]] | None = None
    ) -> tuple[object, ...]:
        """Make plugins of those that are names; installed plugins are loaded if a name is not known without them.

        Raises:
            UnknownPlugin: A name is not known.
            PluginError: Options do not fit.
        """
        given = tuple(plugins)
        named = [each for each in (*given, *(options or {})) if isinstance(each, str)]
        if any(name not in self.registry for name in named):
            self.load()
        return self.registry.build(given, options or {})

    def override(self, hook: str, context: OverrideContext) -> Any:
        """What the one plugin that answers *hook* makes, or None.

        Raises:
            AmbiguousOverride: Two plugins answer.
        """
        self.load()
        answers = [(impl.plugin, answer) for impl in self.scope.of(hook) if (answer := impl.call(context)) is not None]
        if len(answers) > 1:
            names = " and ".join(name for name, _ in answers)
            raise AmbiguousOverride(f"{names} each answer {hook}: use one of them, or give the part to TaskHero itself")
        return answers[0][1] if answers else None

    def _load(self, point: metadata.EntryPoint, wanted: set[str] | None) -> FoundPlugin:
        source = f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
        if wanted is not None and point.name not in wanted:
            return FoundPlugin(name=point.name, source=source, state="off")
        try:
            self._install(point.load())
        except Exception as error:  # noqa: BLE001 - a broken distribution must not stop the program
            _logger.warning(
                "The plugin %r of %s cannot be used: %r", point.name, source, error, extra={"plugin": point.name}
            )
            return FoundPlugin(name=point.name, source=source, state="failed", error=f"{type(error).__name__}: {error}")
        return FoundPlugin(name=point.name, source=source, state="loaded")

    def _install(self, plugin: object) -> None:
        register = read_plugin(plugin).get("taskhero_register_plugins")
        if register is not None:
            register.call(self.registry)
        self.scope.add((plugin,))


def _switch() -> set[str] | None:
    """The names of the installed plugins to load, or None for all."""
    given = os.environ.get(SWITCH, "").strip()
    if not given:
        return None
    return set() if given.lower() == "none" else {name.strip() for name in given.split(",") if name.strip()}
