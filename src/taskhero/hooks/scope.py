"""The hooks of one task in their order: those of app-wide plugins first, then the task's own as written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from taskhero.backends.protocol import Guard, NotDelayed, QueueLockGuard
from taskhero.errors import PluginError
from taskhero.hooks.needs import HoldLock, Need
from taskhero.hooks.plugin_reader import HOOKS, HookImplementation, read_plugin
from taskhero.models import Outcome, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskhero.hooks.contexts import EnqueueContext, PerformContext
    from taskhero.models import Job

__all__ = ["HookScope"]

_Stated = TypeVar("_Stated")


class _EqualJobs(Protocol):
    """Which jobs of a task count as one, however programs write them."""

    def one_of(self, job: Job) -> Job:
        """The job that stands for all that are alike *job*."""
        ...

    def equivalent_payloads(self, job: Job) -> tuple[str, ...]:
        """The texts of all that are alike *job*; none if it stands for itself only."""
        ...


class HookScope:
    """The hooks that hold for one task, or for the whole app.

    Args:
        plugins: Plugin objects in their order.
        parent: The app's scope, whose hooks come first, for a task's scope.
        task: How messages call the task; None for the app's scope.
        alike: Which jobs count as one when plugins state guards and needs.

    Attributes:
        alike: As given.
        enqueues: Whether any hook or guard is there for enqueueing, so that without plugins nothing is called.
        prepares: Whether any guard or need is there, so that a claimed job may have to be prepared.
        performs: Whether any hook is there for performing.
        children: The scopes that have this one as their parent.

    Raises:
        PluginError: A plugin cannot be used as given.
    """

    __slots__ = ("_hooks", "_own", "_parent", "_task", "alike", "children", "enqueues", "performs", "prepares")

    def __init__(
        self,
        plugins: Iterable[object] = (),
        parent: HookScope | None = None,
        *,
        task: str | None = None,
        alike: _EqualJobs | None = None,
    ) -> None:
        self.alike = alike
        self._task = task
        self._parent = parent
        self.children: list[HookScope] = []
        self._own: dict[str, list[HookImplementation]] = {hook: [] for hook in HOOKS}
        self._hooks: dict[str, tuple[HookImplementation, ...]] = {}
        self.enqueues = False
        self.prepares = False
        self.performs = False
        if parent is not None:
            parent.children.append(self)
        self.add(plugins)

    def add(self, plugins: Iterable[object]) -> None:
        """Put plugins behind those that are here; the scopes of the app's tasks get them too."""
        read = [read_plugin(plugin, task=self._task) for plugin in plugins]
        for hooks in read:
            for hook, impl in hooks.items():
                self._own[hook].append(impl)
        self.refresh()

    def of(self, hook: str) -> tuple[HookImplementation, ...]:
        """All implementations of *hook*, in order."""
        return self._hooks[hook]

    def refresh(self) -> None:
        """Put the order together anew, since the plugins of this scope or of its parent changed."""
        for hook, own in self._own.items():
            inherited = () if self._parent is None else self._parent.of(hook)
            # Stable: a wish to be first or last only moves app-wide plugins, tasks' plugins may have none.
            self._hooks[hook] = (*inherited, *sorted(own, key=lambda impl: impl.rank))
        there = {hook for hook, impls in self._hooks.items() if impls}
        self.enqueues = bool(there & {"taskhero_before_enqueue", "taskhero_after_enqueue", "taskhero_guards"})
        self.prepares = bool(there & {"taskhero_guards", "taskhero_needs"})
        self.performs = bool(there & {"taskhero_before_perform", "taskhero_after_perform"})
        for child in self.children:
            child.refresh()

    # enqueueing

    async def before_enqueue(self, job: Job, ctx: EnqueueContext) -> bool:
        """Whether every plugin lets *job* be stored; the first that does not ends the list."""
        for impl in self._hooks["taskhero_before_enqueue"]:
            try:
                answer = impl.call(job, ctx)
                if answer is not None and hasattr(answer, "__await__"):
                    answer = await answer
            except Exception as error:
                _note(error, impl)
                raise
            if answer is False:
                return False
        return True

    async def after_enqueue(self, job: Job, ctx: EnqueueContext) -> None:
        """Tell every plugin that *job* was stored; what one raises is logged, since the job is stored."""
        for impl in self._hooks["taskhero_after_enqueue"]:
            try:
                answer = impl.call(job, ctx)
                if answer is not None and hasattr(answer, "__await__"):
                    await answer
            except Exception:
                ctx.logger.exception(
                    "A plugin failed after an enqueue",
                    extra={"plugin": impl.plugin, "task": job.name, "queue": ctx.queue},
                )

    def guards(self, job: Job) -> tuple[Guard, ...]:
        """All conditions on storing *job*, in the plugins' order; of two on one lock, the later plugin's counts.

        Raises:
            PluginError: A plugin gave something else. What it raises comes through.
        """
        guards: list[Guard] = []
        equivalents: tuple[str, ...] = ()
        if self.alike is not None:
            job, equivalents = self.alike.one_of(job), self.alike.equivalent_payloads(job)
        for impl in self._hooks["taskhero_guards"]:
            for guard in _several(impl, "taskhero_guards", job):
                if not isinstance(guard, Guard):
                    raise PluginError(f"{impl.plugin}: taskhero_guards gave {guard!r}, which is no guard")
                if equivalents and isinstance(guard, NotDelayed):
                    guards.append(NotDelayed(equivalents, guard.meaning))
                else:
                    guards.append(guard)
        return tuple(guards) if len(guards) < 2 else _last_of_each(guards, QueueLockGuard)

    # performing

    def needs(self, job: Job) -> tuple[Need, ...]:
        """All that *job* needs while it runs, in the plugins' order; of two of one lock, the later plugin's counts.

        Raises:
            PluginError: A plugin gave something else. What it raises comes through.
        """
        needs: list[Need] = []
        if self.alike is not None:
            job = self.alike.one_of(job)
        for impl in self._hooks["taskhero_needs"]:
            for need in _several(impl, "taskhero_needs", job):
                if not isinstance(need, Need):
                    raise PluginError(f"{impl.plugin}: taskhero_needs gave {need!r}, which is no need")
                needs.append(need)
        return tuple(needs) if len(needs) < 2 else _last_of_each(needs, HoldLock)

    async def before_perform(self, job: Job, ctx: PerformContext) -> Outcome | None:
        """How *job* ends without running, or None if every plugin lets it run; the first that does not ends it."""
        for impl in self._hooks["taskhero_before_perform"]:
            try:
                decision = impl.call(job, ctx)
                if decision is not None and hasattr(decision, "__await__"):
                    decision = await decision
            except Exception as error:
                _note(error, impl)
                raise
            if decision is False:
                return Refused()
            if decision is not None and decision is not True:
                return _outcome(impl, decision, "True, False, None or an Outcome")
        return None

    async def after_perform(self, job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome:
        """How *job* really ended: each plugin sees what those before it made of it, and may replace it."""
        for impl in self._hooks["taskhero_after_perform"]:
            try:
                replaced = impl.call(job, ctx, outcome)
                if replaced is not None and hasattr(replaced, "__await__"):
                    replaced = await replaced
            except Exception as error:
                _note(error, impl)
                raise
            if replaced is not None:
                outcome = _outcome(impl, replaced, "an Outcome or None")
        return outcome


def _several(impl: HookImplementation, hook: str, job: Job) -> Iterable[object]:
    """What a plugin states of a job: nothing, or several in a sequence."""
    try:
        stated = impl.call(job)
    except Exception as error:
        _note(error, impl)
        raise
    if stated is None:
        return ()
    if not isinstance(stated, (tuple, list)):
        raise PluginError(f"{impl.plugin}: {hook} gave {stated!r}: return a tuple, even of one, or None")
    return stated


def _last_of_each(stated: list[_Stated], lock: type[QueueLockGuard | HoldLock]) -> tuple[_Stated, ...]:
    """All but the locks of which one of the same name follows: an app-wide QueueLock and one of the task's own."""
    each: dict[str | int, _Stated] = {}
    for place, one in enumerate(stated):
        each[one.key if isinstance(one, lock) else place] = one
    return tuple(each.values())


def _outcome(impl: HookImplementation, decision: object, allowed: str) -> Outcome:
    if isinstance(decision, Outcome):
        return decision
    raise PluginError(f"{impl.plugin} returned {decision!r}: return {allowed}")


def _note(error: Exception, impl: HookImplementation) -> None:
    error.add_note(f"raised by the plugin {impl.plugin}")
