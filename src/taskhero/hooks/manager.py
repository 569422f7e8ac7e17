"""The plugins of an app: a plugin manager of pluggy, which also knows to which task a plugin belongs."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from taskhero._internal.entry_points import BROKEN, error_reason
from taskhero._internal.logs import get_logger
from taskhero.backends.registry import BackendRegistry
from taskhero.errors import PluginError
from taskhero.hooks import specs
from taskhero.hooks.command_registry import CommandRegistry
from taskhero.hooks.hook_implementation import HookImplementation, implementation_of
from taskhero.hooks.installed import load_installed
from taskhero.hooks.plugin_reader import HOOKS, label, read_plugin, unknown_hook
from taskhero.hooks.plugin_registry import PluginRegistry
from taskhero.hooks.registered_plugin import RegisteredPlugin
from taskhero.hooks.scope import HookScope
from taskhero.hooks.wrappers import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from taskhero.hooks.calls import EqualJobs
    from taskhero.hooks.contexts import OverrideContext
    from taskhero.hooks.installed import FoundPlugin

__all__ = ["PluginManager"]

_logger = get_logger("taskhero.plugins")


class PluginManager(pluggy.PluginManager):
    """The plugins of an app and of its tasks. All methods of `pluggy.PluginManager` work.

    Each plugin is registered as a `RegisteredPlugin`, under a name of its own. That name is the class or module of an
    app-wide plugin, the entry point of an installed one, and ``task:class`` for a plugin of a task. A number
    (``Retry#2``) distinguishes equal names. Methods that take a plugin accept the plugin itself, too.

    A plugin that is blocked or unregistered stops to act, and a plugin that is registered later acts, also for tasks
    that are declared already. Installed plugins are imported when the app first needs them.

    Args:
        plugins: The app's own plugins, in their order.
        shipped: Plugins that register the names of taskhero's own plugins. The switch for installed plugins does not
            apply to them.

    Attributes:
        scope: The app-wide hooks.
        registry: The plugins that have names.
        backends: The URL schemes that plugins register.
        found: The installed plugins, after `load`.

    Raises:
        PluginError: A plugin is not valid.
    """

    def __init__(self, plugins: Iterable[object] = (), *, shipped: Iterable[object] = ()) -> None:
        super().__init__(specs.NAME)
        self.add_hookspecs(specs)
        self.scope = HookScope()
        self.registry = PluginRegistry()
        self.backends = BackendRegistry(fill=self.load)
        self.found: list[FoundPlugin] = []
        self._scopes: dict[str, HookScope] = {}
        self._monitors: list[Monitor] = []
        self._positions = itertools.count()
        self._loaded = False
        if isinstance(plugins, str):
            raise PluginError(f"plugins={plugins!r} is not a sequence of plugins: pass a tuple, such as ({plugins!r},)")
        if not isinstance(plugins, Iterable):
            raise PluginError(f"plugins={plugins!r} is not a sequence of plugins: pass a tuple")
        self._shipped = tuple(shipped)
        for plugin in self._shipped:
            self.register(plugin)
        for plugin in plugins:
            for instance in self.build((plugin,)):
                self.register(instance)

    @property
    def plugins(self) -> list[object]:
        """The app-wide plugins in the order of their registration, without those of taskhero itself."""
        return [one.plugin for one in self.app_wide()]

    def app_wide(self) -> list[RegisteredPlugin]:
        """Return the registrations of `plugins`."""
        return [
            one
            for one in self._registered()
            if one.task is None and not any(one.plugin is shipped for shipped in self._shipped)
        ]

    def of_task(self, task: str) -> list[RegisteredPlugin]:
        """Return the own plugins of a task, in order."""
        return [one for one in self._registered() if one.task == task]

    # --- registration, as in pluggy

    def register(self, plugin: object, name: str | None = None, *, task: str | None = None) -> str | None:
        """Register a plugin for all tasks of the app or for one task, and return its name.

        Args:
            plugin: The plugin, or what `unregister` returned, which gets its name and task back.
            name: Its name, or None to let the manager choose one.
            task: The name of the only task whose jobs it acts on. The task may be declared later.

        Returns:
            The name, or None if this name is blocked. A blocked plugin is not registered.

        Raises:
            PluginError: The plugin is not valid. Then nothing is changed.
            ValueError: *name* is the name of another plugin.
        """
        if isinstance(plugin, RegisteredPlugin):
            name, task = name or plugin.name, task or plugin.task
            plugin = plugin.plugin
        if name is None:
            name = self._free_name(label(plugin) if task is None else f"{task}:{label(plugin)}")
        functions = read_plugin(plugin, task=task, known=self._known_hooks())
        registered = RegisteredPlugin(plugin, name, task, functions, next(self._positions))
        try:
            if super().register(registered, name) is None:
                return None
        except pluggy.PluginValidationError as error:
            # Older versions of pluggy keep the plugin after this error.
            super().unregister(name=name)
            raise PluginError(f"{label(plugin)} is not a valid plugin: {error}") from error
        try:
            with self.registry.transaction(), self.backends.transaction():
                for hook, registry in self._registries().items():
                    if hook in registered.hooks:
                        self._call(registered, hook, registry=registry)
        except BaseException:
            super().unregister(name=name)
            raise
        self._arrange(task)
        return name

    def unregister(self, plugin: object | None = None, name: str | None = None) -> Any:
        """Unregister a plugin. It stops to act at once. Locks and counters of its stored jobs expire.

        Args:
            plugin: The plugin. Without *name*, it is unregistered for the app and for each task.
            name: The name of one registration.

        Returns:
            The plugin, or None if no plugin has the name.

        Raises:
            PluginError: *plugin* is not registered, or not under this name.
        """
        names = [name]
        if plugin is not None:
            names = [one.name for one in self._registered() if _is(one, plugin) and name in (None, one.name)]
        if not names:
            raise PluginError(f"{plugin!r} is not registered{f' as {name!r}' if name else ''}: see list_name_plugin()")
        removed = None
        for one in names:
            removed = super().unregister(name=one)
            if isinstance(removed, RegisteredPlugin):
                self._forget(removed)
        return removed if plugin is None else plugin

    def get_name(self, plugin: object) -> str | None:
        """Return the name of a registered plugin, the first if it has several, or None."""
        return next((one.name for one in self._registered() if _is(one, plugin)), None)

    def is_registered(self, plugin: object) -> bool:
        """Return whether a plugin is registered, for the app or for a task."""
        return self.get_name(plugin) is not None

    def get_canonical_name(self, plugin: object) -> str:
        """Return the name that an app-wide plugin gets: that of its class or module."""
        return plugin.name if isinstance(plugin, RegisteredPlugin) else label(plugin)

    def get_hookcallers(self, plugin: object) -> list[pluggy.HookCaller] | None:
        """Return the hook callers of a plugin, or None if it is not registered."""
        name = self.get_name(plugin)
        return None if name is None else super().get_hookcallers(self.get_plugin(name))

    def check_pending(self) -> None:
        """Check that all hooks of all plugins are known, except those marked as ``optionalhook``.

        Raises:
            PluginValidationError: A hook is not known. The message suggests a known one. `register` refuses such a
                plugin already.
        """
        for name, caller in vars(self.hook).items():
            for impl in () if caller.has_spec() else caller.get_hookimpls():
                if not impl.optionalhook:
                    here = f"{impl.plugin_name}.{name}"
                    raise pluggy.PluginValidationError(impl.plugin, unknown_hook(here, name, self._known_hooks()))

    def add_hookcall_monitoring(self, before: Callable[..., Any], after: Callable[..., Any]) -> Callable[[], None]:
        """Call functions before and after each call of a hook, also of those that taskhero awaits.

        A call without any implementation is not monitored. Without monitoring, calls cost nothing more.

        Args:
            before: Called with the hook's name, its implementations and its arguments.
            after: Called with a `pluggy.Result` and the same. The result of an awaited hook is its decision.

        Returns:
            A function that ends the monitoring.
        """
        end = super().add_hookcall_monitoring(before, after)
        monitor = Monitor(before, after)
        self._monitors.insert(0, monitor)
        self._arrange()

        def undo() -> None:
            end()
            if monitor in self._monitors:
                self._monitors.remove(monitor)
                self._arrange()

        return undo

    # --- tasks

    def task_scope(self, task: str, plugins: Iterable[object], *, alike: EqualJobs | None = None) -> HookScope:
        """Register the own plugins of a task, and return the hooks of its jobs.

        Args:
            task: The task's name.
            plugins: Its own plugins, in order.
            alike: A rule that says which jobs count as equal in guards and needs, or None.

        Raises:
            PluginError: A plugin is not valid. Then none of them is registered.
        """
        names: list[str] = []
        try:
            for plugin in plugins:
                name = self.register(plugin, task=task)
                names += [] if name is None else [name]
        except BaseException:
            for name in names:
                self.unregister(name=name)
            raise
        scope = self._scopes[task] = HookScope(alike=alike)
        self._arrange(task)
        return scope

    # --- what taskhero asks of plugins

    def load(self) -> None:
        """Load the installed plugins, sorted by name. A broken one is skipped, logged and marked in `found`."""
        if self._loaded:
            return
        self._loaded = True
        self.found += load_installed(self.is_blocked, self.register_installed)

    def register_installed(self, plugin: object, name: str) -> RegisteredPlugin:
        """Register the plugin of an entry point, unless pluggy's own `load_setuptools_entrypoints` did so.

        Raises:
            PluginError: The plugin is not valid.
        """
        known: Any = self.get_plugin(name)
        if known is None or known.plugin is not plugin:
            name = self._free_name(name)
            self.register(plugin, name)
        return next(one for one in self._registered() if one.name == name)

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
        return self.scope.part(hook, context)

    def commands(self, taken: Collection[str] = ()) -> CommandRegistry:
        """Return the commands of the plugins. Broken ones are skipped, logged and marked in `found`.

        Args:
            taken: The built-in verbs, which no plugin may replace.
        """
        self.load()
        hook = "taskhero_register_commands"
        registry = CommandRegistry(taken)
        for one in self._registered():
            if hook not in one.hooks:
                continue
            registry.plugin = one.label
            try:
                with registry.transaction():
                    self._call(one, hook, registry=registry)
            except BROKEN as error:
                _logger.warning("The commands of %s are skipped: %s", one.label, error_reason(error))
                self._mark(one, error=f"its commands are skipped: {error_reason(error)}")
        return registry

    # --- internals

    def _registered(self) -> Iterator[RegisteredPlugin]:
        """Return all registered plugins, in the order of their registration."""
        return (plugin for _, plugin in self.list_name_plugin() if isinstance(plugin, RegisteredPlugin))

    def _known_hooks(self) -> dict[str, None]:
        """Return the hooks of taskhero, and those of specifications that a plugin added."""
        others = (name for name, caller in vars(self.hook).items() if caller.has_spec())
        return dict.fromkeys((*HOOKS, *others))

    def _free_name(self, name: str) -> str:
        """Return the name, or the name with a number if a plugin has it. A blocked name is returned as it is."""
        names = itertools.chain((name,), (f"{name}#{number}" for number in itertools.count(2)))
        return next(name for name in names if not self.has_plugin(name))

    def _registries(self) -> dict[str, PluginRegistry | BackendRegistry]:
        return {"taskhero_register_plugins": self.registry, "taskhero_register_backends": self.backends}

    def _call(self, registered: RegisteredPlugin, hook: str, **arguments: object) -> None:
        """Call a hook of one plugin."""
        self.subset_hook_caller(hook, self.get_plugins() - {registered})(**arguments)

    def _forget(self, registered: RegisteredPlugin) -> None:
        """Remove what an unregistered plugin added."""
        for hook, registry in self._registries().items():
            if hook in registered.hooks:
                # Another plugin may have registered the same entry, so the others are asked again.
                registry.clear()
                getattr(self.hook, hook)(registry=registry)
        self._mark(registered, state="off", registered="", error="", label="", hooks=())
        self._arrange(registered.task)

    def _mark(self, plugin: RegisteredPlugin, /, **fields: Any) -> None:
        """Change what `found` says of a plugin, if it is an installed one."""
        self.found = [
            attrs.evolve(found, **fields) if found.registered == plugin.name else found for found in self.found
        ]

    def _arrange(self, task: str | None = None) -> None:
        """Update the hooks of a task, or of the app and all its tasks, after a change of plugins or monitors."""
        by_task: defaultdict[str | None, dict[str, list[HookImplementation]]] = defaultdict(
            lambda: {hook: [] for hook in HOOKS}
        )
        for hook in HOOKS:
            for impl in getattr(self.hook, hook).get_hookimpls():
                owner = impl.plugin.task
                if task is None or owner in (None, task):
                    by_task[owner][hook].append(implementation_of(hook, impl))
        app_wide = _in_order(by_task[None])
        if task is None:
            self.scope.arrange(app_wide, self._monitors)
        for name in self._scopes if task is None else self._scopes.keys() & {task}:
            own = _in_order(by_task[name])
            self._scopes[name].arrange({hook: app_wide[hook] + own[hook] for hook in HOOKS}, self._monitors)


def _in_order(implementations: Mapping[str, Iterable[HookImplementation]]) -> dict[str, list[HookImplementation]]:
    return {hook: sorted(ones, key=lambda one: one.rank) for hook, ones in implementations.items()}


def _is(registered: RegisteredPlugin, plugin: object) -> bool:
    return registered is plugin or registered.plugin is plugin
