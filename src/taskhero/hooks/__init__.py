"""Where taskhero can be extended, and the types that hooks are given."""

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
