"""Plugins and parts of a user's own, as mypy sees them."""

from __future__ import annotations

from typing import assert_type

import attrs
import click

from taskhero import (
    EnqueueContext,
    Job,
    Load,
    MultiWorker,
    MultiWorkerContext,
    Outcome,
    PerformContext,
    Postponed,
    Queue,
    QueueContext,
    Scheduler,
    SchedulerContext,
    Success,
    TaskHero,
    hookimpl,
)
from taskhero.backends.redis import RedisBackend
from taskhero.hooks import BackendRegistry, CommandRegistry, PluginRegistry


@attrs.frozen(eq=False)
class OfficeHours:
    """A plugin of a user's own."""

    start: int = 9

    @hookimpl
    def taskhero_before_enqueue(self, job: Job) -> bool:
        """Takes fewer arguments than the hook has."""
        return job.name != "never"

    @hookimpl
    async def taskhero_before_perform(self, ctx: PerformContext) -> Outcome | None:
        """May be async."""
        return Postponed(60) if ctx.queue == "day" else None

    @hookimpl
    def taskhero_after_perform(self, job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome | None:
        """May replace how the job ended."""
        return None if isinstance(outcome, Success) else Success()

    @hookimpl
    async def taskhero_after_enqueue(self, job: Job, ctx: EnqueueContext) -> None:
        """Learns of a stored job."""
        ctx.logger.info("stored %s", job.name)


class Registering:
    """Replaces parts, and registers; the types of what it is given come from the top and from `taskhero.hooks`."""

    @hookimpl
    def taskhero_make_queue(self, ctx: QueueContext) -> Queue | None:
        """One hook for each part."""
        return Queue(ctx)

    @hookimpl
    def taskhero_make_scheduler(self, ctx: SchedulerContext) -> Scheduler | None:
        """None decides nothing."""
        return QuietScheduler(ctx) if ctx.settings.scheduler else None

    @hookimpl
    def taskhero_make_multi_worker(self, ctx: MultiWorkerContext) -> MultiWorker | None:
        """Or a class of one's own."""
        return SteadyMultiWorker(ctx)

    @hookimpl
    def taskhero_register_plugins(self, registry: PluginRegistry) -> None:
        """Names."""
        registry.add("office-hours", OfficeHours, "OfficeHours")

    @hookimpl
    def taskhero_register_backends(self, registry: BackendRegistry) -> None:
        """Schemes."""
        registry.add("mine", RedisBackend)

    @hookimpl
    def taskhero_register_commands(self, registry: CommandRegistry) -> None:
        """Verbs."""
        registry.add(verb)
        registry.add(click.Group("verbs"), "more-verbs")


@click.command()
def verb() -> None:
    """A command of click."""


class QuietScheduler(Scheduler):
    """A scheduler of one's own."""

    async def promote(self) -> float:
        """Promote at most once a second."""
        return max(await super().promote(), 1.0)


class SteadyMultiWorker(MultiWorker):
    """A multi-worker of one's own."""

    def decide(self, load: Load) -> int:
        """Add one by one."""
        return 1 if load.backlog and load.workers < load.maximum else 0


parts = TaskHero(scheduler=QuietScheduler, multi_worker=SteadyMultiWorker, plugins=(Registering(),))
TaskHero(scheduler=SteadyMultiWorker)  # type: ignore[arg-type]
assert_type(parts.scheduler, Scheduler | None)
