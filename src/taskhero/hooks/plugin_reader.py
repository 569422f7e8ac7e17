"""Read the hooks of a plugin, and raise an error for each likely mistake."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

import pluggy

from taskhero._internal.suggestions import suggestion
from taskhero.errors import PluginError
from taskhero.hooks import specs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["AROUND_A_JOB", "HOOKS", "OVERRIDES", "label", "read_plugin", "unknown_hook"]

#: The hooks with the names of their arguments.
HOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(inspect.signature(getattr(specs, name)).parameters)
    for name in specs.__all__
    if name.startswith(f"{specs.NAME}_")
}

#: The hooks that a task's own plugin may have.
AROUND_A_JOB: Final = frozenset(name for name in HOOKS if "job" in HOOKS[name])

#: The hooks that replace a part of the app.
OVERRIDES: Final = frozenset(name for name in HOOKS if name.startswith(f"{specs.NAME}_make_"))

#: The hooks that may be ``async def``.
_AWAITED: Final = AROUND_A_JOB - {"taskhero_guards", "taskhero_needs"}

# It only reads the marks of functions. No plugin is registered in it.
_marks: Final = pluggy.PluginManager(specs.NAME)


def label(plugin: object) -> str:
    """Return the plugin's name in messages: that of its module or class."""
    if inspect.ismodule(plugin):
        return plugin.__name__
    return getattr(type(plugin), "__qualname__", repr(plugin))


def unknown_hook(here: str, hook: str, known: Collection[str]) -> str:
    """Return the message for *hook*, which no specification declares."""
    return f"{here} is not a hook of taskhero{suggestion(hook, known, cutoff=0.5, otherwise='known')}"


def read_plugin(
    plugin: object, *, task: str | None = None, known: Collection[str] = HOOKS
) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Return the marked functions of *plugin* by attribute, each with the name of its hook.

    Args:
        plugin: A plugin of *task* or, without a task, of the app.
        task: The name of a task.
        known: The names of all hooks.

    Raises:
        PluginError: It is a class, has no hooks, or has a hook that is unknown or has a wrong signature.
    """
    if inspect.isclass(plugin):
        raise PluginError(f"{plugin.__qualname__} is a class: pass an instance, {plugin.__name__}(...)")
    name = label(plugin)
    functions: dict[str, tuple[str, Callable[..., Any]]] = {}
    for attribute in dir(plugin):
        if attribute.startswith("__"):
            continue
        options: Mapping[str, Any] | None = _marks.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            _check_unmarked(plugin, name, attribute)
            continue
        hook, function = options.get("specname") or attribute, getattr(plugin, attribute)
        # An optional hook may exist in another version of taskhero only.
        if hook in known or not options["optionalhook"]:
            _check_marked(function, f"{name}.{attribute}", hook, options, task=task, known=known)
        functions[attribute] = (hook, function)
    if not any(hook in known for hook, _ in functions.values()):
        raise PluginError(f"{name} has no hooks: mark functions with @hookimpl (known: {', '.join(known)})")
    return functions


def _check_unmarked(plugin: object, name: str, attribute: str) -> None:
    if attribute in HOOKS and not hasattr(getattr(plugin, attribute), f"{specs.NAME}_spec"):
        raise PluginError(f"{name}.{attribute} has the name of a hook but is not marked: put @hookimpl above it")


def _check_marked(
    function: Callable[..., Any],
    here: str,
    hook: str,
    options: Mapping[str, Any],
    *,
    task: str | None,
    known: Collection[str],
) -> None:
    """Raise `PluginError` for a hook that is misspelt, in the wrong place or has a wrong signature."""
    if hook not in known:
        raise PluginError(unknown_hook(here, hook, known))
    if task is not None and hook not in AROUND_A_JOB:
        raise PluginError(f"{here} works app-wide only: pass the plugin to TaskHero(plugins=...), not to task {task!r}")
    if options["wrapper"] or options["hookwrapper"]:
        _check_wrapper(function, here, options)
    elif hook in HOOKS and hook not in _AWAITED and inspect.iscoroutinefunction(function):
        raise PluginError(f"{here} is async, but this hook is not awaited: write it with a plain def")
    if hook in HOOKS:
        _check_parameters(function, here, hook)


def _check_wrapper(function: Callable[..., Any], here: str, options: Mapping[str, Any]) -> None:
    if options["wrapper"] and options["hookwrapper"]:
        raise PluginError(f"{here} is marked as wrapper and as hookwrapper: keep wrapper=True")
    if not inspect.isgeneratorfunction(function):
        raise PluginError(f"{here} is a wrapper without a yield: write it with a plain def and one yield")


def _check_parameters(function: Callable[..., Any], here: str, hook: str) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in HOOKS[hook]:
            raise PluginError(
                f"{here} takes {parameter.name!r}, which {hook} does not pass (it passes: {', '.join(HOOKS[hook])})"
            )
        if parameter.default is not parameter.empty:
            raise PluginError(
                f"{here} has a default for {parameter.name!r}: remove the default, the argument is always passed"
            )
