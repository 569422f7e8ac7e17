"""The declarations of all hooks.

A plugin is an object or a module with functions that are marked with `hookimpl`. A function declares those arguments
of its hook that it needs, by name and without defaults. The hooks of a job may be ``def`` or ``async def``. taskhero
awaits them one at a time: first those of app-wide plugins, then those of the task's own plugins in the order written.
A wrapper (``hookimpl(wrapper=True)``) is a plain ``def`` with one ``yield``, also around hooks that are awaited.

The fields of a plugin are its options. It keeps no state of a single job. Write plugin classes with
``@attrs.frozen(eq=False)``, because two plugins with equal options are still two plugins.

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

#: The project name for pluggy, and the entry-point group of plugins.
NAME: Final = "taskhero"

hookspec = pluggy.HookspecMarker(NAME)
hookimpl = pluggy.HookimplMarker(NAME)


# --- hooks of a job: app-wide plugins or plugins of a task ---------------------------------------------------------


@hookspec
async def taskhero_before_enqueue(job: Job, ctx: EnqueueContext) -> bool | None:
    """Decide whether *job* may be stored, now or for later.

    False refuses the job and ends the chain: nothing is stored, and the enqueue returns False. Any other value accepts
    it. An exception reaches the caller of the enqueue.
    """


@hookspec
async def taskhero_after_enqueue(job: Job, ctx: EnqueueContext) -> None:
    """React to the storing of *job*. An exception is logged and has no other effect."""


@hookspec
def taskhero_guards(job: Job) -> Sequence[Guard] | None:
    """Return the guards of *job*: conditions that the storing step itself checks and takes.

    It must be a pure function of the job and a plain ``def``. taskhero calls it again when the job is promoted, claimed
    or deleted.
    """


@hookspec
def taskhero_needs(job: Job) -> Sequence[Need] | None:
    """Return what *job* needs while it runs, such as ``HoldLock(...)``. The engine provides it before the run's hooks.

    It must be a pure function of the job and a plain ``def``.
    """


@hookspec
async def taskhero_before_perform(job: Job, ctx: PerformContext) -> bool | Outcome | None:
    """Decide whether *job* may run now.

    None or True accepts the job. False refuses it: the job is removed and not counted. An `Outcome`, such as
    ``Postponed(5)``, ends the job without a run. The first decision that ends the job ends the chain. An exception
    fails the job.
    """


@hookspec
async def taskhero_after_perform(job: Job, ctx: PerformContext, outcome: Outcome) -> Outcome | None:
    """React to the outcome of *job*, and return an `Outcome` to replace it or None. An exception fails the job."""


# --- overrides of parts: app-wide, plain functions, at most one result ------------------------------------------------


@hookspec(firstresult=True)
def taskhero_make_queue(ctx: OverrideContext) -> Any:
    """Return a queue that replaces the default one, or None.

    *ctx* is a `QueueContext`. Pass it on to a class derived from `Queue`. The hook is called once, when the queue is
    first needed.
    """


@hookspec(firstresult=True)
def taskhero_make_scheduler(ctx: OverrideContext) -> Any:
    """Return a scheduler that replaces the default one, or None.

    *ctx* is a `SchedulerContext`. Pass it on to a class derived from `Scheduler`. The hook is called each time that the
    app starts a scheduler.
    """


@hookspec(firstresult=True)
def taskhero_make_multi_worker(ctx: OverrideContext) -> Any:
    """Return a multi-worker that replaces the default one, or None.

    *ctx* is a `MultiWorkerContext`. Pass it on to a class derived from `MultiWorker`. The hook is called each time that
    the app starts a multi-worker.
    """


# --- registrations: app-wide, plain functions ------------------------------------------------------------------------


@hookspec
def taskhero_register_plugins(registry: PluginRegistry) -> None:
    """Register names of plugins for uses such as ``plugins=("retry",)``."""


@hookspec
def taskhero_register_backends(registry: BackendRegistry) -> None:
    """Register URL schemes for the app's backend: ``registry.add("mine", MyBackend)``.

    A driver without a plugin uses the entry-point group ``taskhero.backends`` instead, and is imported only when a URL
    names it.
    """


@hookspec
def taskhero_register_commands(registry: CommandRegistry) -> None:
    """Register verbs of the command line: ``registry.add(command)`` with a command of click.

    Only the command line calls it, on installed plugins, for its help and for a verb that is not built in. Import click
    and the command inside this function.
    """
