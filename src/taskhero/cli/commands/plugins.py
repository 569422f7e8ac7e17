"""``taskhero plugins``."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group

from taskhero.backends.registry import found_backends
from taskhero.cli.app_loader import app_option, load_app
from taskhero.cli.output import console, json_option, print_json, table
from taskhero.hooks.manager import SWITCH, PluginManager
from taskhero.hooks.plugin_reader import label, read_plugin
from taskhero.plugins import shipped_plugins as shipped_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from taskhero.app import TaskHero
    from taskhero.backends.registry import FoundBackend
    from taskhero.hooks.command_registry import CommandRegistry
    from taskhero.hooks.manager import FoundPlugin

__all__ = ["plugins"]


@click.command(short_help="List what is installed to extend taskhero, and what failed.")
@app_option
@json_option
@click.pass_context
def plugins(context: click.Context, app: str | None, *, as_json: bool) -> None:
    """List the installed plugins and backends: from which distribution, whether they work, and if not, why.

    With an app, its own plugins as well: those for all its tasks and those of each task, in the order in which they are
    asked. Nothing is connected. The exit code is 0 also if some of them are broken.

    \b
    Examples:
      taskhero plugins
      taskhero plugins --app shop:app --json
      TASKHERO_PLUGINS=none taskhero plugins
      TASKHERO_PLUGINS=retry,office-hours taskhero plugins
    """  # noqa: D301 - click's mark of text that keeps its lines
    with _silence():
        target = load_app(app) if app else None
        manager = PluginManager(shipped=(shipped_names,))
        commands = manager.commands(_own_verbs(context))
        backends = found_backends()
        mine = None if target is None else _of_app(target)
    if as_json:
        print_json(
            {
                "switch": os.environ.get(SWITCH) or None,
                "plugins": [_plugin(one, commands) for one in manager.found],
                "backends": [_backend(one) for one in backends],
                "app": mine,
            }
        )
        return
    parts = [_installed(manager.found, commands), _stores(backends)]
    if mine is not None:
        parts += _app_tables(mine)
    console().print(Group(*parts))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What is shown in the tables is not logged as well."""
    logger = logging.getLogger("taskhero.plugins")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _own_verbs(context: click.Context) -> list[str]:
    group = context.parent.command if context.parent is not None else None
    return [*getattr(group, "places", ()), *getattr(group, "commands", ())]


# --- as data


def _plugin(found: FoundPlugin, commands: CommandRegistry) -> dict[str, Any]:
    return {
        "name": found.name,
        "distribution": found.origin.name or None,
        "version": found.origin.version or None,
        "state": found.state,
        "error": found.error or None,
        "hooks": list(found.hooks),
        "commands": list(commands.of(found.label)) if found.label else [],
    }


def _backend(found: FoundBackend) -> dict[str, Any]:
    return {
        "scheme": found.scheme,
        "distribution": found.origin.name or None,
        "version": found.origin.version or None,
        "state": found.state,
        "error": found.error or None,
    }


def _of_app(app: TaskHero) -> dict[str, Any]:
    app.plugins.load()
    tasks = sorted(app.tasks, key=lambda task: task.name)
    return {
        "plugins": _listed(app.plugins.plugins),
        "tasks": [
            {"name": task.name, "plugins": _listed(app.plugins.build(task.plugins, task.plugin_options))}
            for task in tasks
        ],
    }


def _listed(plugins: Iterable[object]) -> list[dict[str, Any]]:
    return [{"plugin": _shown(plugin), "hooks": sorted(read_plugin(plugin))} for plugin in plugins]


def _shown(plugin: object) -> str:
    """A plugin with its options, or a module's name."""
    text = repr(plugin)
    return label(plugin) if text.startswith("<") else text


# --- as tables


def _installed(found: list[FoundPlugin], commands: CommandRegistry) -> RenderableType:
    rows = [
        (
            one.name,
            one.origin,
            one.state,
            one.error or ", ".join([*_short(one.hooks), *(f"command {verb}" for verb in commands.of(one.label))]),
        )
        for one in found
    ]
    return table(f"{_count(rows, 'installed plugin')}", ("plugin", "from", "state", "hooks, or what is wrong"), rows)


def _stores(found: list[FoundBackend]) -> RenderableType:
    rows = [(f"{one.scheme}://", one.origin, one.state, one.error) for one in found]
    return table(f"{_count(rows, 'installed backend')}", ("backend", "from", "state", "what is wrong"), rows)


def _app_tables(app: dict[str, Any]) -> list[RenderableType]:
    wide = [(one["plugin"], ", ".join(_short(one["hooks"]))) for one in app["plugins"]]
    own = [
        (task["name"], position, one["plugin"], ", ".join(_short(one["hooks"])))
        for task in app["tasks"]
        for position, one in enumerate(task["plugins"], 1)
    ]
    return [
        table(f"{_count(wide, 'plugin')} of the app, for all its tasks", ("plugin", "hooks"), wide),
        table(f"{_count(own, 'plugin')} of single tasks", ("task", "#order", "plugin", "hooks"), own),
    ]


def _short(hooks: Iterable[str]) -> list[str]:
    return [hook.removeprefix("taskhero_") for hook in hooks]


def _count(rows: list[Any], what: str) -> str:
    return f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}"
