"""Read the hooks of a plugin, and refuse what could only be a mistake."""

from __future__ import annotations

import difflib
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final

import attrs
import pluggy

from taskhero.errors import PluginError
from taskhero.hooks import specs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["HOOKS", "HookImplementation", "label", "read_plugin"]

#: The hooks with the names of their arguments.
HOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(inspect.signature(getattr(specs, name)).parameters)
    for name in specs.__all__
    if name.startswith(f"{specs.NAME}_")
}

#: The hooks that a task's own plugin may have.
_AROUND_A_JOB: Final = frozenset(name for name in HOOKS if "job" in HOOKS[name])

#: The hooks that may be ``async def``.
_AWAITED: Final = _AROUND_A_JOB - {"taskhero_guards", "taskhero_needs"}


@attrs.frozen(eq=False)
class HookImplementation:
    """One hook of one plugin.

    Attributes:
        plugin: How messages call the plugin.
        call: Calls it with all of the hook's arguments, of which it takes those that it wants.
        rank: -1 to come before plugins without a wish, 1 to come behind them.
    """

    plugin: str
    call: Callable[..., Any]
    rank: int = 0


def label(plugin: object) -> str:
    """How messages call a plugin: its module's or its class's name."""
    if inspect.ismodule(plugin):
        return plugin.__name__
    return getattr(type(plugin), "__qualname__", repr(plugin))


def read_plugin(plugin: object, *, task: str | None = None) -> dict[str, HookImplementation]:
    """Read the hooks of *plugin*, which is given to *task*, or app-wide.

    Raises:
        PluginError: It is a class, has no hooks or one that is unknown or cannot be called.
    """
    if inspect.isclass(plugin):
        raise PluginError(f"{plugin.__qualname__} is a class: give an instance, {plugin.__name__}(...)")
    name = label(plugin)
    for attribute in dir(plugin):
        if not attribute.startswith("__"):
            _check_attribute(plugin, name, attribute, task)
    hooks = {hook: _impl(name, hook, impl) for hook, impl in _registered(plugin, name)}
    if not hooks:
        raise PluginError(f"{name} has no hooks: mark functions with hookimpl (known: {', '.join(HOOKS)})")
    return hooks


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(specs.NAME)
    manager.add_hookspecs(specs)
    return manager


# It holds one plugin at a time, while that is read: plugins that compare equal do not meet in it, and the order of
# hooks is that of their scope.
_manager = _new_manager()
_reading = threading.Lock()


def _registered(plugin: object, name: str) -> list[tuple[str, pluggy.HookImpl]]:
    """The hooks of a plugin as pluggy has them."""
    with _reading:
        try:
            _manager.register(plugin, name)
            _manager.check_pending()
            return [
                (caller.name, impl)
                for caller in _manager.get_hookcallers(plugin) or ()
                for impl in caller.get_hookimpls()
                if caller.name in HOOKS
            ]
        except pluggy.PluginValidationError as error:
            raise PluginError(f"{name} is no valid plugin: {error}") from error
        finally:
            if _manager.has_plugin(name):
                _manager.unregister(name=name)


def _impl(plugin: str, hook: str, impl: pluggy.HookImpl) -> HookImplementation:
    given = HOOKS[hook]
    wanted = tuple(given.index(name) for name in impl.argnames)
    rank = -1 if impl.tryfirst else int(impl.trylast)
    return HookImplementation(plugin, _taking(impl.function, wanted, len(given)), rank)


def _taking(function: Callable[..., Any], wanted: tuple[int, ...], given: int) -> Callable[..., Any]:
    """A function of all of a hook's arguments that passes on the wanted ones."""
    if wanted == tuple(range(given)):
        return function
    if len(wanted) == 1:
        (only,) = wanted
        return lambda *values: function(values[only])
    return lambda *values: function(*[values[position] for position in wanted])


def _check_attribute(plugin: object, name: str, attribute: str, task: str | None) -> None:
    """Refuse a hook that is misspelt, unmarked, in the wrong place or of the wrong shape."""
    options = _manager.parse_hookimpl_opts(plugin, attribute)
    here = f"{name}.{attribute}"
    if options is None:
        if attribute in HOOKS and not hasattr(getattr(plugin, attribute), f"{specs.NAME}_spec"):
            raise PluginError(f"{here} is named as a hook but not marked: put @hookimpl above it")
        return
    hook = options.get("specname") or attribute
    if hook not in HOOKS:
        if options["optionalhook"]:
            # Meant for a version of taskhero that has this hook.
            return
        near = difflib.get_close_matches(hook, HOOKS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(HOOKS)}"
        raise PluginError(f"{here} is no hook of taskhero ({hint})")
    if options["wrapper"] or options["hookwrapper"]:
        raise PluginError(f"{here} is a wrapper, which no hook of taskhero can be: use a before and an after hook")
    if task is not None:
        if hook not in _AROUND_A_JOB:
            raise PluginError(f"{here} works app-wide only: give the plugin to TaskHero(plugins=...), not to {task}")
        if options["tryfirst"] or options["trylast"]:
            raise PluginError(
                f"{here} asks for tryfirst or trylast, but the order written in plugins= of {task} is the order"
            )
    _check_function(getattr(plugin, attribute), here, hook)


def _check_function(function: Callable[..., Any], here: str, hook: str) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in HOOKS[hook]:
            raise PluginError(
                f"{here} takes {parameter.name!r}, which {hook} does not give (it gives: {', '.join(HOOKS[hook])})"
            )
        if parameter.default is not parameter.empty:
            raise PluginError(f"{here} has a default for {parameter.name!r}: take it without one, it is always given")
    if hook not in _AWAITED and inspect.iscoroutinefunction(function):
        raise PluginError(f"{here} is async, but this hook is not awaited: write it as a plain def")
