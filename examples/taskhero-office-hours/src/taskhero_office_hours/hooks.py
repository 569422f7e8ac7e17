"""What the entry point names: a plugin can be a module whose functions are hooks.

Installed, it does three things: tasks may name the plugin ``"office-hours"``, the command line has a verb for it, and
if ``OFFICE_HOURS`` says so, it holds for all tasks of all apps in that environment.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from taskhero import Outcome, Postponed, hookimpl
from taskhero_office_hours.plugin import OfficeHours

if TYPE_CHECKING:
    from taskhero import PerformContext
    from taskhero.hooks import CommandRegistry, PluginRegistry

__all__ = ["VARIABLE", "taskhero_before_perform", "taskhero_register_commands", "taskhero_register_plugins"]

#: Office hours of all tasks, such as ``9-17 mon-fri Europe/Berlin``; without it, only tasks that ask for it have any.
VARIABLE: Final = "OFFICE_HOURS"

#: Seconds after which a job looks again whether the variable can be read.
_LATER: Final = 60.0


@hookimpl
def taskhero_register_plugins(registry: PluginRegistry) -> None:
    """Let tasks say ``plugins=("office-hours",), plugin_options={"office-hours": {"start": 8}}``."""
    registry.add("office-hours", OfficeHours, "OfficeHours")


@hookimpl
def taskhero_register_commands(registry: CommandRegistry) -> None:
    """Add ``taskhero office-hours``; click is imported here, since only the command line needs it."""
    from taskhero_office_hours.command import office_hours

    registry.add(office_hours)


@hookimpl
def taskhero_before_perform(ctx: PerformContext) -> Outcome | None:
    """Hold for all tasks, if the environment says so."""
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        plugin = _plugin(text)
    except ValueError as error:
        # Neither may calls ring at night for a slip of the pen, nor may jobs fail for it.
        ctx.logger.error("%s cannot be read, so jobs wait: %s", VARIABLE, error)
        return Postponed(_LATER)
    return plugin.taskhero_before_perform(ctx)


@lru_cache(maxsize=8)
def _plugin(text: str) -> OfficeHours:
    return OfficeHours.parse(text)
