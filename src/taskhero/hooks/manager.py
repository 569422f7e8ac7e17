"""App-wide plugins: those given to the app and those that installed distributions bring."""

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

#: The environment variable that says which installed plugins are loaded: ``none``, or names with commas between.
SWITCH: Final = "TASKHERO_PLUGINS"

_logger = logging.getLogger("taskhero.plugins")


@attrs.frozen(kw_only=True)
class FoundPlugin:
    """An installed plugin.

    Attributes:
        name: The name of its entry point.
        origin: The distribution that brings it.
        state: Whether it is loaded, switched off or failed.
        error: Why it failed, or which part of it, else ``""``.
        label: How messages call it, ``""`` unless it is loaded.
        hooks: Its hooks, sorted.
    """

    name: str
    origin: Origin
    state: Literal["loaded", "off", "failed"]
    error: str = ""
    label: str = ""
    hooks: tuple[str, ...] = ()


class PluginManager:
    """The app's plugins. Installed ones are loaded when the app first needs them, not on import.

    Args:
        plugins: The plugins given to the app, in their order.
        shipped: What registers the names of the plugins that come with taskhero; `SWITCH` does not concern it.

    Attributes:
        scope: The app-wide hooks.
        registry: The plugins that have names.
        backends: The URL schemes that plugins answer to.
        plugins: The app-wide plugins in their order.
        found: The installed plugins, once they were looked for.

    Raises:
        PluginError: A plugin cannot be used as given.
    """

    def __init__(self, plugins: Iterable[object] = (), *, shipped: Iterable[object] = ()) -> None:
        self.scope = HookScope()
        self.registry = PluginRegistry()
        self.backends = BackendRegistry(fill=self.load)
        self.plugins: list[object] = []
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
                self.plugins.append(built)

    def load(self) -> None:
        """Load the installed plugins, sorted by name; one that is broken is logged, noted in `found` and left out."""
        if self._loaded:
            return
        self._loaded = True
        wanted = _switch()
        points = entry_points_of(NAME)
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

    def commands(self, taken: Collection[str] = ()) -> CommandRegistry:
        """The commands of the plugins; those of one that is broken are left out, which is logged and noted in `found`.

        Args:
            taken: The verbs that no plugin may have.
        """
        self.load()
        registry = CommandRegistry(taken)
        for impl in self.scope.of("taskhero_register_commands"):
            its = registry.copy(impl.plugin)
            try:
                impl.call(its)
            except BROKEN as error:
                _logger.warning("The commands of %s are left out: %s", impl.plugin, error_reason(error))
                self._note(impl.plugin, f"its commands are left out: {error_reason(error)}")
            else:
                registry.adopt(its)
        return registry

    def _note(self, plugin: str, error: str) -> None:
        self.found = [attrs.evolve(one, error=error) if one.label == plugin else one for one in self.found]

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
        """Take a plugin in, whole or not at all; return its hooks."""
        hooks = read_plugin(plugin)
        names, backends = self.registry.copy(), self.backends.copy()
        for hook, registry in (("taskhero_register_plugins", names), ("taskhero_register_backends", backends)):
            if hook in hooks:
                hooks[hook].call(registry)
        self.scope.add((plugin,))
        self.registry.adopt(names)
        self.backends.adopt(backends)
        return tuple(sorted(hooks))


def _switch() -> set[str] | None:
    """The names of the installed plugins to load, or None for all."""
    given = os.environ.get(SWITCH, "").strip()
    if not given:
        return None
    return set() if given.lower() == "none" else {name.strip() for name in given.split(",") if name.strip()}
