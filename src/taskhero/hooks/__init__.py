"""The extension points of taskhero, and the types that hooks receive.

`specs` declares every hook, `contexts` the records that hooks receive, and `needs` the records that `taskhero_needs`
returns. `manager` has the app's plugin manager, a `pluggy.PluginManager` in which every plugin stays registered.

- `plugin_reader` reads and checks the hooks of one plugin, and `registered_plugin` is what pluggy gets to register.
- `installed` loads the plugins of installed distributions.
- `scope` keeps the hooks of a task, or of the app, in their order. The manager arranges them after each change of the
  plugins. `calls` calls them, `hook_implementation` is one of them, and `wrappers` runs wrappers and monitors around.
- The registries: `plugin_registry` for names of plugins, `command_registry` for verbs, and
  `taskhero.backends.registry` for URL schemes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero._internal.lazy import lazy_names

if TYPE_CHECKING:
    from taskhero.backends.registry import BackendRegistry
    from taskhero.hooks.command_registry import CommandRegistry
    from taskhero.hooks.contexts import EnqueueContext, OverrideContext, PerformContext
    from taskhero.hooks.manager import PluginManager
    from taskhero.hooks.plugin_registry import PluginRegistry
    from taskhero.hooks.registered_plugin import RegisteredPlugin
    from taskhero.hooks.specs import hookimpl

__all__ = [
    "BackendRegistry",
    "CommandRegistry",
    "EnqueueContext",
    "OverrideContext",
    "PerformContext",
    "PluginManager",
    "PluginRegistry",
    "RegisteredPlugin",
    "hookimpl",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BackendRegistry": "taskhero.backends.registry",
        "CommandRegistry": "taskhero.hooks.command_registry",
        **dict.fromkeys(("EnqueueContext", "OverrideContext", "PerformContext"), "taskhero.hooks.contexts"),
        "PluginManager": "taskhero.hooks.manager",
        "PluginRegistry": "taskhero.hooks.plugin_registry",
        "RegisteredPlugin": "taskhero.hooks.registered_plugin",
        "hookimpl": "taskhero.hooks.specs",
    },
)
