"""The extension points of taskhero, and the types that hooks receive.

`specs` declares every hook, `contexts` the records that hooks receive, and `needs` the records that `taskhero_needs`
returns. `plugin_reader` reads and checks the hooks of one plugin. `scope` orders the hooks of an app or a task and
calls them. `manager` loads the installed plugins and fills the registries: `plugin_registry` for names of plugins,
`command_registry` for verbs, and `taskhero.backends.registry` for URL schemes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero._internal.lazy import lazy_names

if TYPE_CHECKING:
    from taskhero.backends.registry import BackendRegistry
    from taskhero.hooks.command_registry import CommandRegistry
    from taskhero.hooks.contexts import EnqueueContext, OverrideContext, PerformContext
    from taskhero.hooks.plugin_registry import PluginRegistry
    from taskhero.hooks.specs import hookimpl

__all__ = [
    "BackendRegistry",
    "CommandRegistry",
    "EnqueueContext",
    "OverrideContext",
    "PerformContext",
    "PluginRegistry",
    "hookimpl",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BackendRegistry": "taskhero.backends.registry",
        "CommandRegistry": "taskhero.hooks.command_registry",
        **dict.fromkeys(("EnqueueContext", "OverrideContext", "PerformContext"), "taskhero.hooks.contexts"),
        "PluginRegistry": "taskhero.hooks.plugin_registry",
        "hookimpl": "taskhero.hooks.specs",
    },
)
