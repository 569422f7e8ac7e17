"""What the plugin manager registers with pluggy instead of a plugin itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.hooks.plugin_reader import HOOKS, label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RegisteredPlugin"]


class RegisteredPlugin:
    """A plugin under a name of its own. It has the plugin's hooks, where pluggy finds them.

    pluggy refuses a plugin that is equal to a registered one. This object compares by identity, so one plugin, or two
    equal ones, can be registered for the app and for several tasks.

    Args:
        plugin: The plugin.
        name: The name under which it is registered.
        task: The name of the task whose plugin it is, or None for an app-wide plugin.
        functions: The plugin's marked functions, as `read_plugin` returns them.
        position: Its position in the order of registration.

    Attributes:
        plugin: The plugin.
        name: The name under which it is registered.
        task: The task's name, or None.
        label: The plugin's name in messages: that of its class or module.
        hooks: The names of those of its hooks that taskhero declares, sorted.
        position: Its position in the order of registration.
    """

    __slots__ = ("__dict__", "__weakref__", "hooks", "label", "name", "plugin", "position", "task")

    def __init__(
        self,
        plugin: object,
        name: str,
        task: str | None,
        functions: Mapping[str, tuple[str, Callable[..., Any]]],
        position: int,
    ) -> None:
        self.plugin = plugin
        self.name = name
        self.task = task
        self.label = label(plugin)
        self.hooks = tuple(sorted({hook for hook, _ in functions.values() if hook in HOOKS}))
        self.position = position
        for attribute, (hook, function) in functions.items():
            # A function with a specname may have any name. The colon keeps it apart from the attributes above.
            vars(self)[attribute if attribute == hook else f"{attribute}:{hook}"] = function

    def __repr__(self) -> str:
        return f"<RegisteredPlugin {self.name!r}: {self.plugin!r}>"
