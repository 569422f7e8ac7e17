"""One hook of one plugin, as the engine calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from taskhero.hooks.plugin_reader import HOOKS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pluggy

__all__ = ["HookImplementation", "add_plugin_note", "implementation_of"]

_NOTE: Final = "raised by the plugin "


@attrs.frozen(eq=False)
class HookImplementation:
    """One hook of one plugin.

    Attributes:
        plugin: The plugin's name in messages.
        call: A function of all arguments of the hook, which passes on those that the implementation declares.
        rank: Its position: first by tryfirst (-1), neither (0) and trylast (1), then in the order of registration.
        impl: The implementation as pluggy knows it, or None for a call that taskhero composed.
    """

    plugin: str
    call: Callable[..., Any]
    rank: tuple[int, int] = (0, 0)
    impl: pluggy.HookImpl | None = None


def implementation_of(hook: str, impl: pluggy.HookImpl) -> HookImplementation:
    """Return an implementation that pluggy holds, as the engine calls it."""
    registered: Any = impl.plugin
    parameters = HOOKS[hook]
    wanted = tuple(parameters.index(name) for name in impl.argnames)
    rank = (-1 if impl.tryfirst else int(impl.trylast), registered.position)
    call = _with_all_arguments(impl.function, wanted, len(parameters))
    return HookImplementation(registered.label, call, rank, impl)


def add_plugin_note(error: BaseException, plugin: str) -> None:
    """Note in an error which plugin raised it, unless that is noted already."""
    if not any(note.startswith(_NOTE) for note in getattr(error, "__notes__", ())):
        error.add_note(f"{_NOTE}{plugin}")


def _with_all_arguments(function: Callable[..., Any], wanted: tuple[int, ...], count: int) -> Callable[..., Any]:
    """Return a function of all *count* arguments that passes on those at the positions *wanted*."""
    if wanted == tuple(range(count)):
        return function
    if len(wanted) == 1:
        (position,) = wanted
        return lambda *values: function(values[position])
    return lambda *values: function(*[values[position] for position in wanted])
