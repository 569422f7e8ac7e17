"""``taskhero plugins``."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group

from taskhero._internal.logs import get_logger
from taskhero.backends.registry import found_backends
from taskhero.cli.app_loader import app_option, load_app
from taskhero.cli.formatting import pluralize
from taskhero.cli.output import console, listing_options, print_json
from taskhero.cli.tables import Table
from taskhero.hooks.installed import SWITCH
from taskhero.hooks.manager import PluginManager
from taskhero.plugins import shipped_plugins as shipped_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from taskhero.app import TaskHero
    from taskhero.backends.registry import FoundBackend
    from taskhero.hooks.command_registry import CommandRegistry
    from taskhero.hooks.installed import FoundPlugin
    from taskhero.hooks.registered_plugin import RegisteredPlugin

__all__ = ["plugins"]


@click.command(short_help="List installed plugins and backends, and what is wrong with them.")
@app_option
@listing_options
@click.pass_context
def plugins(context: click.Context, app: str | None, *, as_json: bool) -> None:
    """List installed plugins and backends with their distribution, their state, and the reason if one failed.

    With --app, list the app's plugins as well: those for all its tasks and those of each task, in the order in which
    their hooks are called. The verb does not connect to the store. The exit code is 0 even if some plugins failed.

    \b
    Examples:
      taskhero plugins
      taskhero plugins --app shop:app --json
      TASKHERO_PLUGINS=none taskhero plugins
      TASKHERO_PLUGINS=retry,office-hours taskhero plugins
    """  # noqa: D301 - \b tells click to keep the lines
    with _without_log():
        target = load_app(app) if app else None
        manager = PluginManager(shipped=(shipped_names,))
        commands = manager.commands(_builtin_verbs(context))
        backends = found_backends()
        app_plugins = None if target is None else _app_json(target)
    if as_json:
        print_json(
            {
                "switch": os.environ.get(SWITCH) or None,
                "plugins": [_plugin_json(plugin, commands) for plugin in manager.found],
                "backends": [_backend_json(backend) for backend in backends],
                "app": app_plugins,
            }
        )
        return
    parts = [_plugins_table(manager.found, commands), _backends_table(backends)]
    if app_plugins is not None:
        parts += _app_tables(app_plugins)
    console().print(Group(*parts))


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Disable the log of plugins while the block runs, because the tables show the same."""
    logger = get_logger("taskhero.plugins")
    disabled_before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled_before


def _builtin_verbs(context: click.Context) -> list[str]:
    group = context.parent.command if context.parent is not None else None
    return [*getattr(group, "import_paths", ()), *getattr(group, "commands", ())]


# --- as JSON


def _plugin_json(found: FoundPlugin, commands: CommandRegistry) -> dict[str, Any]:
    return {
        "name": found.name,
        "distribution": found.origin.name or None,
        "version": found.origin.version or None,
        "state": found.state,
        "error": found.error or None,
        "hooks": list(found.hooks),
        "commands": list(commands.of(found.label)) if found.label else [],
    }


def _backend_json(found: FoundBackend) -> dict[str, Any]:
    return {
        "scheme": found.scheme,
        "distribution": found.origin.name or None,
        "version": found.origin.version or None,
        "state": found.state,
        "error": found.error or None,
    }


def _app_json(app: TaskHero) -> dict[str, Any]:
    app.plugins.load()
    tasks = sorted(task.name for task in app.tasks)
    return {
        "plugins": _registered_json(app.plugins.app_wide()),
        "tasks": [{"name": task, "plugins": _registered_json(app.plugins.of_task(task))} for task in tasks],
    }


def _registered_json(plugins: Iterable[RegisteredPlugin]) -> list[dict[str, Any]]:
    return [{"name": one.name, "plugin": _describe(one), "hooks": list(one.hooks)} for one in plugins]


def _describe(registered: RegisteredPlugin) -> str:
    """Return a plugin with its options, or a module's name."""
    text = repr(registered.plugin)
    return registered.label if text.startswith("<") else text


# --- as tables


def _plugins_table(found: list[FoundPlugin], commands: CommandRegistry) -> RenderableType:
    rows = [
        (
            plugin.name,
            plugin.origin,
            plugin.state,
            plugin.error
            or ", ".join([*_short(plugin.hooks), *(f"command {verb}" for verb in commands.of(plugin.label))]),
        )
        for plugin in found
    ]
    return Table(f"{_count(rows, 'installed plugin')}", ("plugin", "from", "state", "hooks, or the error"), rows)


def _backends_table(found: list[FoundBackend]) -> RenderableType:
    rows = [(f"{backend.scheme}://", backend.origin, backend.state, backend.error) for backend in found]
    return Table(f"{_count(rows, 'installed backend')}", ("backend", "from", "state", "error"), rows)


def _app_tables(app: dict[str, Any]) -> list[RenderableType]:
    app_wide = [(plugin["name"], plugin["plugin"], ", ".join(_short(plugin["hooks"]))) for plugin in app["plugins"]]
    of_tasks = [
        (task["name"], position, plugin["name"], plugin["plugin"], ", ".join(_short(plugin["hooks"])))
        for task in app["tasks"]
        for position, plugin in enumerate(task["plugins"], 1)
    ]
    return [
        Table(f"{_count(app_wide, 'plugin')} of the app, for all its tasks", ("name", "plugin", "hooks"), app_wide),
        Table(f"{_count(of_tasks, 'plugin')} of single tasks", ("task", "#order", "name", "plugin", "hooks"), of_tasks),
    ]


def _short(hooks: Iterable[str]) -> list[str]:
    return [hook.removeprefix("taskhero_") for hook in hooks]


def _count(rows: list[Any], noun: str) -> str:
    return pluralize(len(rows), noun)
