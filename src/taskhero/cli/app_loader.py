"""Import the app that ``--app`` or ``TASKHERO_APP`` names as ``module:attribute``.

A verb uses it like this::

    @app_option
    def verb(app: str | None) -> None:
        target = load_app(require_app(app))

Each error is a `click.ClickException` of one or two lines, with exit code 1, or 2 if no app is named.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskhero._internal.suggestions import did_you_mean, suggestion
from taskhero.app import TaskHero
from taskhero.cli.groups import error_text
from taskhero.errors import TaskheroError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["app_option", "load_app", "require_app", "search_here", "top_module"]

_EXAMPLE = "such as --app shop:app for the `app` of shop.py"

_ABSENT = object()

#: The option ``--app`` with the environment variable ``TASKHERO_APP``; its parameter is `app`.
app_option = click.option(
    "--app",
    "-A",
    envvar="TASKHERO_APP",
    show_envvar=True,
    metavar="MODULE:ATTR",
    help="The app: an importable module and the TaskHero in it.",
)


def require_app(where: str | None) -> str:
    """Return *where*, the value of ``--app``.

    Raises:
        click.UsageError: It is None or empty.
    """
    if not where:
        raise click.UsageError(f"no app is named: pass --app MODULE:ATTR or set TASKHERO_APP, {_EXAMPLE}")
    return where


def search_here() -> None:
    """Put the current directory first in ``sys.path``, as `python -m` does."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def top_module(where: str) -> str:
    """Return the first part of the module's name, which can be found without an import."""
    return where.partition(":")[0].partition(".")[0]


def load_app(where: str) -> TaskHero:
    """Import the app that *where* names as ``module:attribute``, or as ``module`` if the module contains one app.

    The current directory comes first in the search path, as with `python -m`.

    Raises:
        click.ClickException: The module or attribute does not exist, the import fails, or the object is not an app.
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
        advice = suggestion(attribute, _apps(module))
        if not advice and inspect.isroutine(found):
            advice = f"; assign its result to a name of the module, such as app = {attribute}()"
        raise click.ClickException(f"--app {where}: {attribute!r} is {_with_article(found)}, not a TaskHero{advice}")
    return found


def _import(name: str, where: str) -> ModuleType:
    if name.endswith(".py") or "/" in name or "\\" in name:
        dotted = name.removesuffix(".py").removeprefix("./").replace("\\", ".").replace("/", ".")
        rest = where.partition(":")[2] or "app"
        raise click.ClickException(f"--app {where}: pass a module, not a file: --app {dotted}:{rest}")
    if not all(part.isidentifier() for part in name.split(".")):
        raise click.ClickException(f"--app {where}: {name!r} is not a module name: pass MODULE:ATTR, {_EXAMPLE}")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise click.ClickException(_no_module(error.name, where)) from None
        raise _import_error(name, where, error) from None
    except TaskheroError as error:
        raise click.ClickException(f"--app {where}: {error_text(error)} {_location(error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an import may raise anything
        raise _import_error(name, where, error) from None


def _import_error(name: str, where: str, error: BaseException) -> click.ClickException:
    why = f"{type(error).__name__}: {error} {_location(error)}".rstrip()
    return click.ClickException(f"--app {where}: module {name!r} cannot be imported: {why}")


def _location(error: BaseException) -> str:
    """Return the file and line of the innermost frame that is outside taskhero and the import system."""
    if isinstance(error, SyntaxError) and error.filename:
        return ""  # its text names the file and line
    ours = str(Path(__file__).parents[1])
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((ours, "<")) and "importlib" not in frame.filename:
            return f"({frame.filename}, line {frame.lineno})"
    return ""


def _no_module(name: str, where: str) -> str:
    parent, _, last = name.rpartition(".")
    if parent and parent in sys.modules and not hasattr(sys.modules[parent], "__path__"):
        return f"--app {where}: module {parent!r} is not a package{did_you_mean([f'{parent}:{last}'])}"
    folders = list(sys.modules[parent].__path__) if parent in sys.modules else [str(Path.cwd()), *sys.path]
    guess = suggestion(last, (module.name for module in pkgutil.iter_modules(folders)))
    inside = f"the package {parent!r}" if parent else str(Path.cwd())
    return f"--app {where}: there is no module {last!r} in {inside}{guess}"


def _no_attribute(owner: object, part: str, where: str) -> str:
    what = f"module {owner.__name__!r}" if hasattr(owner, "__name__") else f"{_with_article(owner)}"
    apps = _apps(owner)
    names = [name for name in dir(owner) if not name.startswith("_")]
    guess = suggestion(part, names)
    if not guess and apps:
        guess = f"; its apps are {', '.join(apps)}"
    return f"--app {where}: {what} has no {part!r}{guess}"


def _only_app(module: ModuleType, where: str) -> TaskHero:
    apps = _apps(module)
    found = {id(getattr(module, name)): name for name in reversed(apps)}
    if len(found) == 1:
        app = getattr(module, apps[0])
        assert isinstance(app, TaskHero)  # noqa: S101 - _apps returns apps only
        return app
    if not apps:
        raise click.ClickException(f"--app {where}: module {module.__name__!r} contains no TaskHero: pass MODULE:ATTR")
    raise click.ClickException(
        f"--app {where}: module {module.__name__!r} contains several apps: pass one of them: "
        + " or ".join(f"--app {module.__name__}:{name}" for name in sorted(found.values()))
    )


def _apps(owner: object) -> list[str]:
    return [name for name in dir(owner) if isinstance(getattr(owner, name, None), TaskHero)]


def _with_article(value: object) -> str:
    """Return the name of the value's type with "a" or "an"."""
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
