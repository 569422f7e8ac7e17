"""Finding the app that a command is about: ``module:attribute``, as ``--app`` or ``TASKHERO_APP``.

For any verb::

    @app_option
    def verb(app: str | None) -> None:
        found = load_app(needed(app))

What goes wrong is a `click.ClickException` of one or two lines: exit code 1, or 2 where no app was named.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskhero.app import TaskHero
from taskhero.cli.groups import error_text
from taskhero.errors import TaskheroError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

__all__ = ["app_option", "load_app", "needed", "search_here", "top_module"]

_EXAMPLE = "such as --app shop:app for the `app` of shop.py"

_ABSENT = object()

#: The option ``--app``, which ``TASKHERO_APP`` stands in for; its parameter is called `app`.
app_option = click.option(
    "--app",
    "-A",
    envvar="TASKHERO_APP",
    show_envvar=True,
    metavar="MODULE:ATTR",
    help="The app: a module that can be imported from here, and the TaskHero in it.",
)


def needed(where: str | None) -> str:
    """The app that was named.

    Raises:
        click.UsageError: None was.
    """
    if not where:
        raise click.UsageError(f"no app is named: pass --app MODULE:ATTR or set TASKHERO_APP, {_EXAMPLE}")
    return where


def search_here() -> None:
    """Let the current directory be the first in which modules are looked for, as `python -m` does."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def top_module(where: str) -> str:
    """The first part of the module's name, which can be looked for without importing anything."""
    return where.partition(":")[0].partition(".")[0]


def load_app(where: str) -> TaskHero:
    """Import the app that *where* names, ``module:attribute``; ``module`` alone will do where it holds only one app.

    The current directory is looked in first, as `python -m` does.

    Raises:
        click.ClickException: There is no such module or attribute, the import fails, or what is found is no app.
    """
    search_here()
    name, _, attribute = where.partition(":")
    module = _import(name, where)
    if not attribute:
        return _only_app(module, where)
    found: Any = module
    for part in attribute.split("."):
        owner, found = found, getattr(found, part, _ABSENT)
        if found is _ABSENT:
            raise click.ClickException(_no_attribute(owner, part, where))
    if not isinstance(found, TaskHero):
        advice = _near(_apps(module), attribute)
        if not advice and inspect.isroutine(found):
            advice = f"; write what it returns into a name of the module, such as app = {attribute}()"
        raise click.ClickException(f"--app {where}: {attribute!r} is {_a(found)}, not a TaskHero{advice}")
    return found


def _import(name: str, where: str) -> ModuleType:
    if name.endswith(".py") or "/" in name or "\\" in name:
        dotted = name.removesuffix(".py").removeprefix("./").replace("\\", ".").replace("/", ".")
        rest = where.partition(":")[2] or "app"
        raise click.ClickException(f"--app {where}: a module is meant, not a file: write --app {dotted}:{rest}")
    if not all(part.isidentifier() for part in name.split(".")):
        raise click.ClickException(f"--app {where}: {name!r} is no module's name: pass MODULE:ATTR, {_EXAMPLE}")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise click.ClickException(_no_module(error.name, where)) from None
        raise _failed(name, where, error) from None
    except TaskheroError as error:
        raise click.ClickException(f"--app {where}: {error_text(error)} {_place(error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the module does when it is imported
        raise _failed(name, where, error) from None


def _failed(name: str, where: str, error: BaseException) -> click.ClickException:
    why = f"{type(error).__name__}: {error} {_place(error)}".rstrip()
    return click.ClickException(f"--app {where}: module {name!r} cannot be imported: {why}")


def _place(error: BaseException) -> str:
    """The file and line where the user's code stood: the innermost outside taskhero and the import system."""
    if isinstance(error, SyntaxError) and error.filename:
        return ""  # its text says it
    ours = str(Path(__file__).parents[1])
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((ours, "<")) and "importlib" not in frame.filename:
            return f"({frame.filename}, line {frame.lineno})"
    return ""


def _no_module(name: str, where: str) -> str:
    parent, _, last = name.rpartition(".")
    if parent and parent in sys.modules and not hasattr(sys.modules[parent], "__path__"):
        return f"--app {where}: module {parent!r} is no package; did you mean --app {parent}:{last}?"
    folders = list(sys.modules[parent].__path__) if parent in sys.modules else [str(Path.cwd()), *sys.path]
    guess = _near((each.name for each in pkgutil.iter_modules(folders)), last)
    inside = f"the package {parent!r}" if parent else str(Path.cwd())
    return f"--app {where}: there is no module {last!r} in {inside}{guess}"


def _no_attribute(owner: object, part: str, where: str) -> str:
    what = f"module {owner.__name__!r}" if hasattr(owner, "__name__") else f"{_a(owner)}"
    apps = _apps(owner)
    names = [name for name in dir(owner) if not name.startswith("_")]
    guess = _near(names, part)
    if not guess and apps:
        guess = f"; its apps are {', '.join(apps)}"
    return f"--app {where}: {what} has no {part!r}{guess}"


def _only_app(module: ModuleType, where: str) -> TaskHero:
    apps = _apps(module)
    found = {id(getattr(module, name)): name for name in reversed(apps)}
    if len(found) == 1:
        app = getattr(module, apps[0])
        assert isinstance(app, TaskHero)  # noqa: S101 - _apps says so
        return app
    if not apps:
        raise click.ClickException(f"--app {where}: module {module.__name__!r} holds no TaskHero: pass MODULE:ATTR")
    raise click.ClickException(
        f"--app {where}: module {module.__name__!r} holds several apps: say which one: "
        + " or ".join(f"--app {module.__name__}:{name}" for name in sorted(found.values()))
    )


def _apps(owner: object) -> list[str]:
    return [name for name in dir(owner) if isinstance(getattr(owner, name, None), TaskHero)]


def _near(names: Iterable[str], wrong: str) -> str:
    close = difflib.get_close_matches(wrong, sorted(set(names)), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _a(value: object) -> str:
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
