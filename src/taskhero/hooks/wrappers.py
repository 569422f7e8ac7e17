"""Wrappers around the call of a hook: those of plugins, and monitors. The call may be one that is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pluggy

from taskhero.errors import PluginError
from taskhero.hooks.hook_implementation import HookImplementation, add_plugin_note
from taskhero.hooks.plugin_reader import HOOKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

    #: A wrapper that runs: it is at its yield, which returns the result of what it wraps.
    _Steps: TypeAlias = Generator[None, Any, Any]

__all__ = ["Monitor", "awaited_inside", "called_inside", "monitoring", "wrapper_of"]


@attrs.frozen(eq=False)
class Monitor:
    """The two functions of one `PluginManager.add_hookcall_monitoring`."""

    before: Callable[[str, Sequence[pluggy.HookImpl], dict[str, Any]], Any]
    after: Callable[[pluggy.Result[Any], str, Sequence[pluggy.HookImpl], dict[str, Any]], Any]


def wrapper_of(implementation: HookImplementation) -> HookImplementation:
    """Return a wrapper in the form that receives a result from its yield and returns one."""
    if implementation.impl is None or not implementation.impl.hookwrapper:
        return implementation
    old_style = implementation.call

    def steps(*values: Any) -> _Steps:
        inner = old_style(*values)
        try:
            next(inner)
        except StopIteration:
            return None
        try:
            outcome = pluggy.Result((yield), None)
        except BaseException as error:  # noqa: BLE001 - get_result raises it
            outcome = pluggy.Result(None, error)
        try:
            inner.send(outcome)
        except StopIteration:
            return outcome.get_result()
        raise _second_yield(implementation.plugin)

    return attrs.evolve(implementation, call=steps)


def monitoring(monitor: Monitor, hook: str, impls: Sequence[pluggy.HookImpl]) -> HookImplementation:
    """Return a wrapper that calls a monitor before and after *hook*."""

    def steps(*values: Any) -> _Steps:
        arguments = dict(zip(HOOKS[hook], values, strict=True))
        monitor.before(hook, impls, arguments)
        try:
            outcome = pluggy.Result((yield), None)
        except BaseException as error:  # noqa: BLE001 - get_result raises it
            outcome = pluggy.Result(None, error)
        monitor.after(outcome, hook, impls, arguments)
        return outcome.get_result()

    return HookImplementation("a monitor of hook calls", steps)


def called_inside(wrappers: Sequence[HookImplementation], call: Callable[..., Any]) -> Callable[..., Any]:
    """Return *call* inside wrappers, the outermost first."""

    def run(*values: Any) -> Any:
        entered = _EnteredWrappers()
        try:
            entered.enter(wrappers, values)
            outcome = pluggy.Result(call(*values), None)
        except BaseException as error:  # noqa: BLE001 - the wrappers get it, and it is raised after them
            outcome = pluggy.Result(None, error)
        return entered.leave(outcome)

    return run


def awaited_inside(
    wrappers: Sequence[HookImplementation], call: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    """Return *call*, which is awaited, inside wrappers, the outermost first."""

    async def run(*values: Any) -> Any:
        entered = _EnteredWrappers()
        try:
            entered.enter(wrappers, values)
            outcome = pluggy.Result(await call(*values), None)
        except BaseException as error:  # noqa: BLE001 - the wrappers get it, and it is raised after them
            outcome = pluggy.Result(None, error)
        return entered.leave(outcome)

    return run


class _EnteredWrappers:
    """The wrappers of one call, from their start to their end."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: list[tuple[HookImplementation, _Steps]] = []

    def enter(self, wrappers: Sequence[HookImplementation], values: tuple[Any, ...]) -> None:
        """Run each wrapper up to its yield, the outermost first."""
        for wrapper in wrappers:
            steps: _Steps = wrapper.call(*values)
            try:
                next(steps)
            except StopIteration:
                raise PluginError(f"{wrapper.plugin}: a wrapper returned before its yield: let it yield once") from None
            except Exception as error:
                add_plugin_note(error, wrapper.plugin)
                raise
            self._running.append((wrapper, steps))

    def leave(self, outcome: pluggy.Result[Any]) -> Any:
        """Run the wrappers to their ends, the innermost first. Each gets the outcome of those inside it."""
        for wrapper, steps in reversed(self._running):
            inner_error = outcome.exception
            try:
                if inner_error is None:
                    steps.send(outcome.get_result())
                else:
                    steps.throw(inner_error)
            except StopIteration as end:
                outcome = pluggy.Result(end.value, None)
            except BaseException as error:  # noqa: BLE001 - the wrappers around this one get it
                if error is not inner_error:
                    add_plugin_note(error, wrapper.plugin)
                outcome = pluggy.Result(None, error)
            else:
                steps.close()
                outcome = pluggy.Result(None, _second_yield(wrapper.plugin))
        return outcome.get_result()


def _second_yield(plugin: str) -> PluginError:
    return PluginError(f"{plugin}: a wrapper has a second yield: let it yield once")
