"""Find the tasks in the files of a folder."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import zlib
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskhero.engine.task.task import Task
from taskhero.errors import InvalidTask

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from types import ModuleType

__all__ = ["called_from", "find_tasks", "is_task_file", "task_files"]

_PACKAGE = Path(__file__).resolve().parents[2]


def task_files(where: str | os.PathLike[str]) -> list[Path]:
    """Return the Python files of a folder and its subfolders, sorted by name; or *where* if it is a file.

    Args:
        where: The folder, or the file. A relative path starts at the current directory.

    Raises:
        InvalidTask: The folder does not exist.
    """
    root = Path(where).resolve()
    if not root.exists():
        raise InvalidTask(f"the folder {str(where)!r} does not exist ({root}): pass the folder of your tasks")
    if root.is_file():
        return [root]
    return sorted(file for file in root.rglob("*.py") if is_task_file(file.relative_to(root)))


def is_task_file(file: Path) -> bool:
    """Return whether a file in a folder of tasks is loaded. Test files and names with ``_`` or ``.`` first are not.

    Args:
        file: The file, relative to the folder.
    """
    hidden = any(part.startswith((".", "_")) and part != "__init__.py" for part in file.parts)
    test = file.stem.startswith("test_") or file.stem.endswith("_test") or file.stem == "conftest"
    return not hidden and not test


def find_tasks(where: str | os.PathLike[str], files: Iterable[Path] | None = None) -> list[tuple[Path, Task[Any, Any]]]:
    """Import the files of a folder, and collect their tasks.

    A file that the program has imported, or can import, is imported under that name, so that it has one module only.

    Args:
        where: The folder, or a single file.
        files: The files to import. Default: all that `task_files` returns.

    Returns:
        The tasks without duplicates, each with its file.

    Raises:
        InvalidTask: The folder does not exist, or a file cannot be imported.
    """
    root = Path(where).resolve()
    found: dict[int, tuple[Path, Task[Any, Any]]] = {}
    for file in task_files(where) if files is None else files:
        module = _load(file, root)
        for task in _tasks_in(module, module.__name__):
            found.setdefault(id(task), (file, task))
    return list(found.values())


def _tasks_in(scope: ModuleType | type, module: str) -> Iterator[Task[Any, Any]]:
    """Return the tasks of a module, and of the classes that it defines."""
    for value in list(vars(scope).values()):
        given = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if isinstance(given, Task):
            yield given
        elif isinstance(given, type) and given.__module__ == module and _is_within(given, scope):
            yield from _tasks_in(given, module)


def _is_within(cls: type, scope: ModuleType | type) -> bool:
    outer = f"{scope.__qualname__}." if isinstance(scope, type) else ""
    return cls.__qualname__ == f"{outer}{cls.__name__}"


def called_from(where: str | os.PathLike[str]) -> str:
    """Return the caller that loads *where*, for messages: a line of the program, or a command-line option."""
    frame = inspect.currentframe()
    while frame is not None and Path(frame.f_code.co_filename).is_relative_to(_PACKAGE):
        if frame.f_globals.get("__name__", "").startswith("taskhero.cli."):
            return f"--tasks {where}"
        frame = frame.f_back
    line = "" if frame is None else f" at {frame.f_code.co_filename}:{frame.f_lineno}"
    return f"load_tasks({str(where)!r}){line}"


def _load(file: Path, root: Path) -> ModuleType:
    known = _imported(file)
    if known is not None:
        return known
    try:
        return importlib.import_module(_importable(file) or _name_within(file, root))
    except (Exception, SystemExit) as error:
        raise InvalidTask(f"the tasks of {file} cannot be loaded: {type(error).__name__}: {error}") from error


def _imported(file: Path) -> ModuleType | None:
    """Return the module of *file* if it is already imported, under any name."""
    for module in list(sys.modules.values()):
        origin = getattr(module, "__file__", None)
        # The cheap comparison of names first: there may be thousands of modules, and `resolve` reads the disk.
        if isinstance(origin, str) and origin.endswith(file.name) and Path(origin).resolve() == file:
            return module
    return None


def _importable(file: Path) -> str | None:
    """Return the name under which the program can import *file*, or None."""
    names = []
    for entry in sys.path:
        folder = Path(entry or ".").resolve()
        if file.is_relative_to(folder):
            parts = list(file.relative_to(folder).with_suffix("").parts)
            names.append(parts[:-1] if parts[-1] == "__init__" else parts)
    # The longest name starts at the project's root folder, the shorter ones at folders within.
    for parts in sorted(names, key=len, reverse=True):
        name = ".".join(parts)
        if parts and all(part.isidentifier() for part in parts) and _is_module(name, file):
            return name
    return None


def _is_module(name: str, file: Path) -> bool:
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return False
        origin = None if spec is None else spec.origin
    return origin is not None and Path(origin).resolve() == file


def _name_within(file: Path, root: Path) -> str:
    """Return a module name for a file that the program cannot import, in a synthetic package for its folder."""
    folder = root.parent if root.is_file() else root
    package = f"taskhero_tasks_{zlib.crc32(str(folder).encode()):08x}"
    if package not in sys.modules:
        spec = ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    parts = file.relative_to(folder).with_suffix("").parts
    return ".".join((package, *parts))
