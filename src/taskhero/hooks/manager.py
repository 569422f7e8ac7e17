"""App-wide plugins: those of the app, and those of installed distributions."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from taskhero._internal.entry_points import BROKEN, Origin, entry_points_of, error_reason, origin_of
from taskhero.backends.registry import BackendRegistry
from taskhero.errors import AmbiguousOverride, PluginError
from taskhero.hooks.command_registry import CommandRegistry
from taskhero.hooks.plugin_reader import label, read_plugin
from taskhero.hooks.plugin_registry import PluginRegistry
from taskhero.hooks.scope import HookScope
from taskhero.hooks.specs import NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from importlib.metadata import EntryPoint

    from taskhero.hooks.contexts import OverrideContext

__all__ = ["SWITCH", "FoundPlugin", "PluginManager"]

#: The environment variable that selects the installed plugins: ``none``, or names separated by commas.
SWITCH: Final = "TASKHERO_PLUGINS"

_logger = logging.getLogger("taskhero.plugins")


@attrs.frozen(kw_only=True)
class FoundPlugin:
    """An installed plugin.

    Attributes:
        name: The name of its entry point.
        origin: The distribution that contains it.
        state: Whether it is loaded, switched off or failed.
        error: Why the plugin or its commands failed, else ``""``.
        label: The plugin's name in messages, ``""`` unless it is loaded.
        hooks: Its hooks, sorted.
    """

    name: str
    origin: Origin
    state: Literal["loaded", "off", "failed"]
    error: str = ""
    label: str = ""
    hooks: tuple[str, ...] = ()


class PluginManager:
    """The app's plugins. Installed plugins are loaded when the app first needs them, not on import.

    Args:
        plugins: The app's own plugins, in their order.
        shipped: Plugins that register the names of taskhero's own plugins. `SWITCH` does not apply to them.

    Attributes:
        scope: The app-wide hooks.
        registry: The plugins that have names.
        backends: The URL schemes that plugins register.
        plugins: The app-wide plugins in their order.
        found: The installed plugins, after `load`.

    Raises:
        PluginError: A plugin is not valid.
    """

    def __init__(self, plugins: Iterable[object] = (), *, shipped: Iterable[object] = ()) -> None:
        self.scope = HookScope()
        self.registry = PluginRegistry()
        self.backends = BackendRegistry(fill=self.load)
        self.plugins: list[object] = []
        self.found: list[FoundPlugin] = []
        self._loaded = False
        if isinstance(plugins, str):
            raise PluginError(f"plugins={plugins!r} is not a sequence of plugins: pass a tuple, such as ({plugins!r},)")
        if not isinstance(plugins, Iterable):
            raise PluginError(f"plugins={plugins!r} is not a sequence of plugins: pass a tuple")
        for plugin in shipped:
            self._install(plugin)
        for plugin in plugins:
            for instance in self.build((plugin,)):
                self._install(instance)
                self.plugins.append(instance)

    def load(self) -> None:
        """Load the installed plugins, sorted by name. A broken one is skipped, logged and marked in `found`."""
        if self._loaded:
            return
        self._loaded = True
        wanted = _selected_names()
        points = entry_points_of(NAME)
        for point in points:
            self.found.append(self._load(point, wanted))
        for name in sorted((wanted or set()) - {point.name for point in points}):
            _logger.warning("%s names %r, but no such plugin is installed", SWITCH, name)

    def build(
        self, plugins: Iterable[object], options: Mapping[str, Mapping[str, Any]] | None = None
    ) -> tuple[object, ...]:
        """Replace names by plugins. Load the installed plugins if a name is not registered yet.

        Args:
            plugins: Plugins and names of plugins.
            options: The options of named plugins, by name.

        Raises:
            UnknownPlugin: A name is not registered.
            PluginError: The options of a plugin are not valid.
        """
        entries = tuple(plugins)
        names = [entry for entry in (*entries, *(options or {})) if isinstance(entry, str)]
        if any(name not in self.registry for name in names):
            self.load()
        return self.registry.build(entries, options or {})

    def override(self, hook: str, context: OverrideContext) -> Any:
        """Return the result of the one plugin whose *hook* returns a part, or None.

        Raises:
            AmbiguousOverride: Two plugins return a part.
        """
        self.load()
        answers = [(impl.plugin, answer) for impl in self.scope.of(hook) if (answer := impl.call(context)) is not None]
        if len(answers) > 1:
            names = " and ".join(name for name, _ in answers)
            raise AmbiguousOverride(
                f"{names} each answer {hook}: remove one of them, or pass the part to TaskHero itself"
            )
        return answers[0][1] if answers else None

    def commands(self, taken: Collection[str] = ()) -> CommandRegistry:
        """Return the commands of the plugins. Broken ones are skipped, logged and marked in `found`.

        Args:
            taken: The built-in verbs, which no plugin may replace.
        """
        self.load()
        registry = CommandRegistry(taken)
        for impl in self.scope.of("taskhero_register_commands"):
            extended = registry.copy(impl.plugin)
            try:
                impl.call(extended)
            except BROKEN as error:
                _logger.warning("The commands of %s are skipped: %s", impl.plugin, error_reason(error))
                self._set_error(impl.plugin, f"its commands are skipped: {error_reason(error)}")
            else:
                registry.adopt(extended)
        return registry

    def _set_error(self, plugin: str, error: str) -> None:
        self.found = [attrs.evolve(found, error=error) if found.label == plugin else found for found in self.found]

    def _load(self, point: EntryPoint, wanted: set[str] | None) -> FoundPlugin:
        origin = origin_of(point)
        if wanted is not None and point.name not in wanted:
            return FoundPlugin(name=point.name, origin=origin, state="off")
        try:
            plugin = point.load()
            hooks = self._install(plugin)
            self.plugins.append(plugin)
        except BROKEN as error:
            _logger.warning(
                "The plugin %r of %s cannot be used: %s",
                point.name,
                origin,
                error_reason(error),
                extra={"plugin": point.name},
            )
            return FoundPlugin(name=point.name, origin=origin, state="failed", error=error_reason(error))
        return FoundPlugin(name=point.name, origin=origin, state="loaded", label=label(plugin), hooks=hooks)

    def _install(self, plugin: object) -> tuple[str, ...]:
        """Add a plugin, or leave everything unchanged after an error. Return the names of its hooks."""
        hooks = read_plugin(plugin)
        names, backends = self.registry.copy(), self.backends.copy()
        for hook, registry in (("taskhero_register_plugins", names), ("taskhero_register_backends", backends)):
            if hook in hooks:
                hooks[hook].call(registry)
        self.scope.add((plugin,))
        self.registry.adopt(names)
        self.backends.adopt(backends)
        return tuple(sorted(hooks))


def _selected_names() -> set[str] | None:
    """Return the names of the installed plugins to load, or None for all."""
    value = os.environ.get(SWITCH, "").strip()
    if not value:
        return None
    return set() if value.lower() == "none" else {name.strip() for name in value.split(",") if name.strip()}
