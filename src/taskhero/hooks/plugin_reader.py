"""Read the hooks of a plugin, and raise an error for each likely mistake."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any, Final

import attrs
import pluggy

from taskhero._internal.suggestions import suggestion
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
        plugin: The plugin's name in messages.
        call: A function of all arguments of the hook, which passes on those that the implementation declares.
        rank: The position among app-wide plugins: -1 for tryfirst, 1 for trylast, else 0.
    """

    plugin: str
    call: Callable[..., Any]
    rank: int = 0


def label(plugin: object) -> str:
    """Return the plugin's name in messages: that of its module or class."""
    if inspect.ismodule(plugin):
        return plugin.__name__
    return getattr(type(plugin), "__qualname__", repr(plugin))


def read_plugin(plugin: object, *, task: str | None = None) -> dict[str, HookImplementation]:
    """Return the hooks of *plugin*, a plugin of *task* or, without a task, of the app.

    Raises:
        PluginError: It is a class, has no hooks, or has a hook that is unknown or has a wrong signature.
    """
    if inspect.isclass(plugin):
        raise PluginError(f"{plugin.__qualname__} is a class: pass an instance, {plugin.__name__}(...)")
    name = label(plugin)
    for attribute in dir(plugin):
        if not attribute.startswith("__"):
            _check_attribute(plugin, name, attribute, task)
    hooks = {hook: _impl(name, hook, impl) for hook, impl in _registered(plugin, name)}
    if not hooks:
        raise PluginError(f"{name} has no hooks: mark functions with @hookimpl (known: {', '.join(HOOKS)})")
    return hooks


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(specs.NAME)
    manager.add_hookspecs(specs)
    return manager


# It has one plugin at a time, while that is read, so that equal plugins do not collide. `HookScope` orders the hooks.
_manager = _new_manager()
_reading = threading.Lock()


def _registered(plugin: object, name: str) -> list[tuple[str, pluggy.HookImpl]]:
    """Return the hook implementations that pluggy finds in a plugin."""
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
            raise PluginError(f"{name} is not a valid plugin: {error}") from error
        finally:
            if _manager.has_plugin(name):
                _manager.unregister(name=name)


def _impl(plugin: str, hook: str, impl: pluggy.HookImpl) -> HookImplementation:
    parameters = HOOKS[hook]
    wanted = tuple(parameters.index(name) for name in impl.argnames)
    rank = -1 if impl.tryfirst else int(impl.trylast)
    return HookImplementation(plugin, _with_all_arguments(impl.function, wanted, len(parameters)), rank)


def _with_all_arguments(function: Callable[..., Any], wanted: tuple[int, ...], count: int) -> Callable[..., Any]:
    """Return a function of all *count* arguments that passes on those at the positions *wanted*."""
    if wanted == tuple(range(count)):
        return function
    if len(wanted) == 1:
        (position,) = wanted
        return lambda *values: function(values[position])
    return lambda *values: function(*[values[position] for position in wanted])


def _check_attribute(plugin: object, name: str, attribute: str, task: str | None) -> None:
    """Raise `PluginError` for a hook that is misspelt, unmarked, in the wrong place or has a wrong signature."""
    options = _manager.parse_hookimpl_opts(plugin, attribute)
    here = f"{name}.{attribute}"
    if options is None:
        if attribute in HOOKS and not hasattr(getattr(plugin, attribute), f"{specs.NAME}_spec"):
            raise PluginError(f"{here} has the name of a hook but is not marked: put @hookimpl above it")
        return
    hook = options.get("specname") or attribute
    if hook not in HOOKS:
        if options["optionalhook"]:
            # The hook exists in another version of taskhero.
            return
        hint = suggestion(hook, HOOKS, cutoff=0.5, otherwise="known")
        raise PluginError(f"{here} is not a hook of taskhero{hint}")
    if options["wrapper"] or options["hookwrapper"]:
        raise PluginError(f"{here} is a wrapper, which taskhero does not support: use a before and an after hook")
    if task is not None:
        if hook not in _AROUND_A_JOB:
            raise PluginError(f"{here} works app-wide only: pass the plugin to TaskHero(plugins=...), not to {task}")
        if options["tryfirst"] or options["trylast"]:
            raise PluginError(
                f"{here} has tryfirst or trylast, which are for app-wide plugins: order plugins= of {task} instead"
            )
    _check_function(getattr(plugin, attribute), here, hook)


def _check_function(function: Callable[..., Any], here: str, hook: str) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in HOOKS[hook]:
            raise PluginError(
                f"{here} takes {parameter.name!r}, which {hook} does not pass (it passes: {', '.join(HOOKS[hook])})"
            )
        if parameter.default is not parameter.empty:
            raise PluginError(
                f"{here} has a default for {parameter.name!r}: remove the default, the argument is always passed"
            )
    if hook not in _AWAITED and inspect.iscoroutinefunction(function):
        raise PluginError(f"{here} is async, but this hook is not awaited: write it with a plain def")
