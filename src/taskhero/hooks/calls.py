"""The calls of the hooks of a job: in their order, one at a time, with what they decide and what their errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from taskhero.backends.protocol import Guard, NotDelayed, QueueLockGuard
from taskhero.errors import AmbiguousOverride, PluginError
from taskhero.hooks.hook_implementation import add_plugin_note
from taskhero.hooks.needs import HoldLock, Need
from taskhero.models import Outcome, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskhero.hooks.contexts import EnqueueContext, OverrideContext, PerformContext
    from taskhero.hooks.hook_implementation import HookImplementation
    from taskhero.models import Job

__all__ = ["EqualJobs", "HookCalls"]

_Record = TypeVar("_Record")


class EqualJobs(Protocol):
    """A rule that says which jobs of a task count as equal, in any form that programs write."""

    def one_of(self, job: Job) -> Job:
        """Return the representative of the jobs that are equal to *job*."""
        ...

    def equivalent_payloads(self, job: Job) -> tuple[str, ...]:
        """Return the payloads of all jobs that are equal to *job*, or none if only the job itself is."""
        ...


class HookCalls:
    """Calls hooks of one task, or of the whole app.

    Args:
        hooks: The implementations by hook, in order.
        alike: A rule that says which jobs count as equal in guards and needs, or None.

    Attributes:
        alike: The rule.
    """

    __slots__ = ("_hooks", "alike")

    def __init__(self, hooks: Mapping[str, tuple[HookImplementation, ...]], *, alike: EqualJobs | None = None) -> None:
        self._hooks = hooks
        self.alike = alike

    # enqueue hooks

    async def before_enqueue(self, job: Job, ctx: EnqueueContext) -> bool:
        """Return whether *job* may be stored. The first plugin that refuses it ends the chain."""
        for impl in self._hooks["taskhero_before_enqueue"]:
            try:
                answer = impl.call(job, ctx)
                if answer is not None and hasattr(answer, "__await__"):
                    answer = await answer
            except Exception as error:
                add_plugin_note(error, impl.plugin)
                raise
            if answer is False:
                return False
        return True

    async def after_enqueue(self, job: Job, ctx: EnqueueContext) -> None:
        """Notify every plugin that *job* is stored. Log the errors of plugins, because the job stays stored."""
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
        """Return the guards of *job* in the plugins' order. Of two for one lock, that of the later plugin counts.

        Raises:
            PluginError: A plugin returns something else. Errors of a plugin pass through.
        """
        guards: list[Guard] = []
        equivalents: tuple[str, ...] = ()
        if self.alike is not None:
            job, equivalents = self.alike.one_of(job), self.alike.equivalent_payloads(job)
        for impl in self._hooks["taskhero_guards"]:
            for guard in _records(impl, "taskhero_guards", job):
                if not isinstance(guard, Guard):
                    raise PluginError(f"{impl.plugin}: taskhero_guards returned {guard!r}: return a tuple of guards")
                if equivalents and isinstance(guard, NotDelayed):
                    guards.append(NotDelayed(equivalents, guard.meaning))
                else:
                    guards.append(guard)
        return tuple(guards) if len(guards) < 2 else _without_duplicates(guards, QueueLockGuard)

    # perform hooks

    def needs(self, job: Job) -> tuple[Need, ...]:
        """Return the needs of *job* in the plugins' order. Of two for one lock, that of the later plugin counts.

        Raises:
            PluginError: A plugin returns something else. Errors of a plugin pass through.
        """
        needs: list[Need] = []
        if self.alike is not None:
            job = self.alike.one_of(job)
        for impl in self._hooks["taskhero_needs"]:
            for need in _records(impl, "taskhero_needs", job):
                if not isinstance(need, Need):
                    raise PluginError(f"{impl.plugin}: taskhero_needs returned {need!r}: return a tuple of needs")
                needs.append(need)
        return tuple(needs) if len(needs) < 2 else _without_duplicates(needs, HoldLock)

    async def before_perform(self, job: Job, ctx: PerformContext) -> Outcome | None:
        """Return how *job* ends without a run, or None if it may run. The first plugin that decides ends the chain."""
        for impl in self._hooks["taskhero_before_perform"]:
            try:
                decision = impl.call(job, ctx)
                if decision is not None and hasattr(decision, "__await__"):
                    decision = await decision
            except Exception as error:
                add_plugin_note(error, impl.plugin)
                raise
            if decision is False:
                return Refused()
            if decision is not None and decision is not True:
                return _outcome(impl, decision, "True, False, None or an Outcome")
        return None

    async def after_perform(self, job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome:
        """Return the final outcome of *job*. Each plugin may replace the outcome of the plugins before it."""
        for impl in self._hooks["taskhero_after_perform"]:
            try:
                replaced = impl.call(job, ctx, outcome)
                if replaced is not None and hasattr(replaced, "__await__"):
                    replaced = await replaced
            except Exception as error:
                add_plugin_note(error, impl.plugin)
                raise
            if replaced is not None:
                outcome = _outcome(impl, replaced, "an Outcome or None")
        return outcome

    # overrides

    def part(self, hook: str, context: OverrideContext) -> Any:
        """Return the part of the one plugin whose *hook* returns one, or None.

        Raises:
            AmbiguousOverride: Two plugins return a part.
        """
        answers = [(impl.plugin, part) for impl in self._hooks[hook] if (part := impl.call(context)) is not None]
        if len(answers) > 1:
            names = " and ".join(name for name, _ in answers)
            raise AmbiguousOverride(
                f"{names} each answer {hook}: remove one of them, or pass the part to TaskHero itself"
            )
        return answers[0][1] if answers else None


def _records(impl: HookImplementation, hook: str, job: Job) -> Iterable[object]:
    """Return the guards or needs of a job that one plugin returns."""
    try:
        records = impl.call(job)
    except Exception as error:
        add_plugin_note(error, impl.plugin)
        raise
    if records is None:
        return ()
    if not isinstance(records, (tuple, list)):
        raise PluginError(f"{impl.plugin}: {hook} returned {records!r}: return a tuple, even of one item, or None")
    return records


def _without_duplicates(records: list[_Record], lock: type[QueueLockGuard | HoldLock]) -> tuple[_Record, ...]:
    """Keep the last record of each lock, such as a task's own QueueLock instead of an app-wide one."""
    kept: dict[str | int, _Record] = {}
    for position, record in enumerate(records):
        kept[record.key if isinstance(record, lock) else position] = record
    return tuple(kept.values())


def _outcome(impl: HookImplementation, decision: object, allowed: str) -> Outcome:
    if isinstance(decision, Outcome):
        return decision
    raise PluginError(f"{impl.plugin} returned {decision!r}: return {allowed}")
