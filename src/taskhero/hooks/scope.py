"""The hooks of one task in their order: those of app-wide plugins first, then the task's own in the order written."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from taskhero.hooks.calls import HookCalls
from taskhero.hooks.hook_implementation import HookImplementation
from taskhero.hooks.plugin_reader import AROUND_A_JOB, HOOKS, OVERRIDES
from taskhero.hooks.specs import NAME
from taskhero.hooks.wrappers import awaited_inside, called_inside, monitoring, wrapper_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskhero.hooks.calls import EqualJobs
    from taskhero.hooks.wrappers import Monitor

__all__ = ["HookScope"]

_CALLED = AROUND_A_JOB | OVERRIDES


class HookScope(HookCalls):
    """The hooks of one task, or of the whole app. Its plugin manager arranges them after each change of the plugins.

    Args:
        alike: A rule that says which jobs count as equal in guards and needs, or None.

    Attributes:
        enqueues: Whether there is any enqueue hook or guard. Without one, an enqueue calls nothing.
        prepares: Whether there is any guard or need. Without one, a claimed job needs no preparation.
        performs: Whether there is any perform hook.
    """

    __slots__ = ("_ordered", "enqueues", "performs", "prepares")

    def __init__(self, *, alike: EqualJobs | None = None) -> None:
        super().__init__({}, alike=alike)
        self.arrange({}, ())

    def of(self, hook: str) -> tuple[HookImplementation, ...]:
        """Return all implementations of *hook*, in order, without wrappers."""
        return self._ordered[hook]

    def arrange(self, implementations: Mapping[str, Sequence[HookImplementation]], monitors: Sequence[Monitor]) -> None:
        """Replace the hooks.

        Args:
            implementations: The implementations and the wrappers by hook, in order.
            monitors: The monitors of hook calls, the outermost first.
        """
        self._ordered = {
            hook: tuple(one for one in implementations.get(hook, ()) if not _is_wrapper(one)) for hook in HOOKS
        }
        self._hooks = {
            hook: _composed(hook, implementations.get(hook, ()), self._ordered[hook], monitors) for hook in _CALLED
        }
        used = {hook for hook, impls in self._hooks.items() if impls}
        self.enqueues = bool(used & {"taskhero_before_enqueue", "taskhero_after_enqueue", "taskhero_guards"})
        self.prepares = bool(used & {"taskhero_guards", "taskhero_needs"})
        self.performs = bool(used & {"taskhero_before_perform", "taskhero_after_perform"})


def _composed(
    hook: str,
    all_of_it: Sequence[HookImplementation],
    inside: tuple[HookImplementation, ...],
    monitors: Sequence[Monitor],
) -> tuple[HookImplementation, ...]:
    """Return the implementations, or one that calls them inside their wrappers and monitors.

    Without wrappers and monitors a call costs nothing more.
    """
    if not all_of_it or (len(all_of_it) == len(inside) and not monitors):
        return inside
    around = [wrapper_of(one) for one in all_of_it if _is_wrapper(one)]
    label = " and ".join(one.plugin for one in around)
    impls = [one.impl for one in all_of_it if one.impl is not None]
    around[:0] = [monitoring(monitor, hook, impls) for monitor in monitors]
    calls = HookCalls({hook: inside})
    call: Callable[..., Any] = (
        partial(calls.part, hook) if hook in OVERRIDES else getattr(calls, hook.removeprefix(f"{NAME}_"))
    )
    surround = awaited_inside if inspect.iscoroutinefunction(call) else called_inside
    return (HookImplementation(label or around[0].plugin, surround(around, call)),)


def _is_wrapper(implementation: HookImplementation) -> bool:
    impl = implementation.impl
    return impl is not None and bool(impl.wrapper or impl.hookwrapper)
