"""Which jobs a verb is about: those of an app, or those in a store that a URL names."""

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

#: Schemes of stores that no other process sees.
_PRIVATE = ("memory://", "fakeredis://")

_backend_option = click.option(
    "--backend",
    "-b",
    envvar="TASKHERO_BACKEND",
    show_envvar=True,
    metavar="URL",
    help="Where the jobs are, if there is no app to say so: such as redis://localhost:6379/0.",
)


def target_options(command: _Command) -> _Command:
    """Give a command the options ``--app`` and ``--backend``, as `app` and `backend` for `open_target`."""
    return app_option(_backend_option(command))


def open_target(app: str | None, backend: str | None) -> TaskHero:
    """The app that was named, or one without tasks for the backend that was named; an option beats the environment.

    Where a verb of a verb is run, such as ``failed retry``, the options may stand before it, too.

    Raises:
        click.UsageError: None was named, or both.
        click.ClickException: The app cannot be found.
        UnknownBackend: No driver knows the URL.
        InvalidSettings: The environment or ``pyproject.toml`` give a wrong setting.
    """
    context = click.get_current_context()
    typed = _typed(context)
    if not typed and context.parent is not None and (typed := _typed(context.parent)):
        app, backend = context.parent.params["app"], context.parent.params["backend"]
    if len(typed) > 1:
        raise click.UsageError("pass --app or --backend, not both: an app knows where its jobs are")
    if app and typed != ["backend"]:
        return load_app(app)
    if backend:
        return TaskHero(backend, settings=Settings.load())
    raise click.UsageError(
        "which jobs? Pass --app MODULE:ATTR, such as --app shop:app, or --backend URL, such as "
        "--backend redis://localhost:6379/0 (or set TASKHERO_APP or TASKHERO_BACKEND)"
    )


def _typed(context: click.Context) -> list[str]:
    return [name for name in ("app", "backend") if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]


def run_connected(app: TaskHero, work: Callable[[TaskHero], Awaitable[_Result]]) -> _Result:
    """Connect the app, do something with it in a new event loop, and close it.

    Raises:
        BackendUnavailable: It cannot be reached.
    """

    async def main() -> _Result:
        async with app:
            return await work(app)

    return asyncio.run(main())


def is_private(app: TaskHero) -> bool:
    """Whether no other process can see the app's jobs."""
    return app.backend.location.startswith(_PRIVATE)


def note_if_private(app: TaskHero) -> None:
    """Say, if it is so, that what follows can only be empty; on the error output, so that programs need not mind."""
    if is_private(app):
        click.echo(
            f"Note: jobs in {app.backend.location} are seen by their own process only, and this is another one. "
            "A store that processes share is redis://...",
            err=True,
        )
