"""Every point at which taskhero can be extended, and nothing else.

A plugin is an object, or a module, with functions marked `hookimpl`. A function takes those arguments of its hook that
it wants, by name and without defaults. The hooks around a job may be ``def`` or ``async def``; they are awaited one at
a time, first those of app-wide plugins, then those of the task's own in the order written. A plugin's fields are its
options; it holds nothing about a single job. Write such classes as ``@attrs.frozen(eq=False)``: two plugins with equal
options are still two plugins.

    @attrs.frozen(eq=False)
    class OfficeHours:
        start: int = 9

        @hookimpl
        def taskhero_before_perform(self, job: Job, ctx: PerformContext) -> Outcome | None:
            return Postponed(60) if datetime.now().hour < self.start else None
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Guard
    from taskhero.backends.registry import BackendRegistry
    from taskhero.hooks.command_registry import CommandRegistry
    from taskhero.hooks.contexts import EnqueueContext, OverrideContext, PerformContext
    from taskhero.hooks.needs import Need
    from taskhero.hooks.plugin_registry import PluginRegistry
    from taskhero.models import Job, Outcome

__all__ = [
    "NAME",
    "hookimpl",
    "hookspec",
    "taskhero_after_enqueue",
    "taskhero_after_perform",
    "taskhero_before_enqueue",
    "taskhero_before_perform",
    "taskhero_guards",
    "taskhero_make_multi_worker",
    "taskhero_make_queue",
    "taskhero_make_scheduler",
    "taskhero_needs",
    "taskhero_register_backends",
    "taskhero_register_commands",
    "taskhero_register_plugins",
]

#: The project's name for pluggy, and the group of entry points in which plugins are found.
NAME: Final = "taskhero"

hookspec = pluggy.HookspecMarker(NAME)
hookimpl = pluggy.HookimplMarker(NAME)


# --- around a job: app-wide plugins or those of a task -------------------------------------------------------------


@hookspec
async def taskhero_before_enqueue(job: Job, ctx: EnqueueContext) -> bool | None:
    """Decide whether *job* may be stored, now or for later.

    False refuses it and ends the list: nothing is stored, and the enqueue returns False. Anything else lets it
    through. An exception reaches whoever enqueues.
    """


@hookspec
async def taskhero_after_enqueue(job: Job, ctx: EnqueueContext) -> None:
    """Learn that *job* was stored. An exception is logged and changes nothing."""


@hookspec
def taskhero_guards(job: Job) -> Sequence[Guard] | None:
    """State the conditions on storing *job*, which are checked and taken in the storing step itself.

    Must be a pure function of the job, and a plain ``def``: it is asked again when the job is promoted, claimed or
    deleted.
    """


@hookspec
def taskhero_needs(job: Job) -> Sequence[Need] | None:
    """State what *job* needs while it runs, such as ``HoldLock(...)``; it is seen to before any other hook of the run.

    Must be a pure function of the job, and a plain ``def``.
    """


@hookspec
async def taskhero_before_perform(job: Job, ctx: PerformContext) -> bool | Outcome | None:
    """Decide whether *job* may run now.

    None or True goes on. False refuses it: it goes, and nothing is counted. An `Outcome`, such as ``Postponed(5)``, is
    carried out instead of running it. What ends the job ends the list. An exception fails the job.
    """


@hookspec
async def taskhero_after_perform(job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome | None:
    """Learn how *job* ended; return an `Outcome` to replace it. An exception fails the job."""


# --- replacing parts: app-wide, plain functions, at most one answer ------------------------------------------------


@hookspec
def taskhero_make_queue(ctx: OverrideContext) -> Any:
    """Return the queue to be used instead of the default one, or None.

    *ctx* is a `QueueContext`; pass it on to a class derived from `Queue`. It is asked once, when the queue is first
    needed.
    """


@hookspec
def taskhero_make_scheduler(ctx: OverrideContext) -> Any:
    """Return the scheduler to be used instead of the default one, or None.

    *ctx* is a `SchedulerContext`; pass it on to a class derived from `Scheduler`. It is asked each time that the app
    starts to run one.
    """


@hookspec
def taskhero_make_multi_worker(ctx: OverrideContext) -> Any:
    """Return the multi-worker to be used instead of the default one, or None.

    *ctx* is a `MultiWorkerContext`; pass it on to a class derived from `MultiWorker`. It is asked each time that the
    app starts to run one.
    """


# --- registering: app-wide, plain functions ------------------------------------------------------------------------


@hookspec
def taskhero_register_plugins(registry: PluginRegistry) -> None:
    """Add names under which plugins can be given, as in ``plugins=("retry",)``."""


@hookspec
def taskhero_register_backends(registry: BackendRegistry) -> None:
    """Add URL schemes that this app's backend may have, ``registry.add("mine", MyBackend)``.

    A driver that needs no plugin comes by the entry-point group ``taskhero.backends`` instead, and is imported only
    when a URL names it.
    """


@hookspec
def taskhero_register_commands(registry: CommandRegistry) -> None:
    """Add verbs to the command line, ``registry.add(command)`` with a command of click.

    Only installed plugins are asked, and only by the command line when it needs to know: for its help, and for a verb
    that is not its own. So import click, and the command, within this function.
    """
