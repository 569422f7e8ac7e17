"""The jobs that a verb works on: those of an app, or those in the store that a URL names."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from taskhero.app import TaskHero
from taskhero.cli.app_loader import app_option, load_app
from taskhero.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["is_private", "note_if_private", "open_target", "run_connected", "target_options"]

_Command = TypeVar("_Command", bound="Callable[..., Any]")
_Result = TypeVar("_Result")

#: Schemes of stores that no other process can read.
_PRIVATE = ("memory://", "fakeredis://")

_backend_option = click.option(
    "--backend",
    "-b",
    envvar="TASKHERO_BACKEND",
    show_envvar=True,
    metavar="URL",
    help="The store of the jobs, if no app names it, such as redis://localhost:6379/0.",
)


def target_options(command: _Command) -> _Command:
    """Give a command the options ``--app`` and ``--backend``, as `app` and `backend` for `open_target`."""
    return app_option(_backend_option(command))


def open_target(app: str | None, backend: str | None) -> TaskHero:
    """Return the app that is named, or an app without tasks on the backend that is named.

    An option beats the environment. The options may also come before a sub-verb such as ``failed retry``.

    Raises:
        click.UsageError: Neither is named, or both.
        click.ClickException: The app cannot be imported.
        UnknownBackend: No driver accepts the URL.
        InvalidSettings: The environment or ``pyproject.toml`` has a wrong setting.
    """
    context = click.get_current_context()
    named = _named(context)
    if not named and context.parent is not None and (named := _named(context.parent)):
        app, backend = context.parent.params["app"], context.parent.params["backend"]
    if len(named) > 1:
        raise click.UsageError("pass --app or --backend, not both: an app has its own backend")
    if app and named != ["backend"]:
        return load_app(app)
    if backend:
        return TaskHero(backend, settings=Settings.load())
    raise click.UsageError(
        "no app and no backend is named: pass --app MODULE:ATTR, such as --app shop:app, or --backend URL, such as "
        "--backend redis://localhost:6379/0 (or set TASKHERO_APP or TASKHERO_BACKEND)"
    )


def _named(context: click.Context) -> list[str]:
    return [name for name in ("app", "backend") if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]


def run_connected(app: TaskHero, work: Callable[[TaskHero], Awaitable[_Result]]) -> _Result:
    """Connect the app, await *work* with it in a new event loop, and close the app.

    Raises:
        BackendUnavailable: The backend cannot be reached.
    """

    async def main() -> _Result:
        async with app:
            return await work(app)

    return asyncio.run(main())


def is_private(app: TaskHero) -> bool:
    """Return whether no other process can read the app's jobs."""
    return app.backend.location.startswith(_PRIVATE)


def note_if_private(app: TaskHero) -> None:
    """Print a note on the standard error output if the store is private, so that its lists are empty here."""
    if is_private(app):
        click.echo(
            f"Note: jobs in {app.backend.location} exist only in the process that runs the app, "
            "and this is another one. Use a store that processes share, such as redis://localhost:6379/0.",
            err=True,
        )
