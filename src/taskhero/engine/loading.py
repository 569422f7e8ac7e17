"""Find the tasks in the files of a folder."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zlib
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskhero.engine.tasks import Task
from taskhero.errors import InvalidTask

if TYPE_CHECKING:
    import os
    from types import ModuleType

__all__ = ["find_tasks"]


def find_tasks(where: str | os.PathLike[str]) -> list[tuple[Path, Task[Any, Any]]]:
    """Import the Python files of a folder and of its subfolders, by name, and collect their tasks.

    A file that the program could import itself is imported under that name, so that there is one module of it. Files
    for tests, and what starts with ``_`` or ``.``, are left out.

    Args:
        where: The folder, or a single file; a relative one counts from the current directory.

    Returns:
        The tasks, each with the file in which it stands, each once.

    Raises:
        InvalidTask: There is no such folder, or a file of it cannot be imported.
    """
    root = Path(where).resolve()
    if not root.exists():
        raise InvalidTask(f"there is no folder {str(where)!r} to load tasks from ({root})")
    found: dict[int, tuple[Path, Task[Any, Any]]] = {}
    for file in [root] if root.is_file() else _files(root):
        for value in list(vars(_load(file, root)).values()):
            if isinstance(value, Task):
                found.setdefault(id(value), (file, value))
    return list(found.values())


def _files(root: Path) -> list[Path]:
    def wanted(file: Path) -> bool:
        parts = file.relative_to(root).parts
        hidden = any(part.startswith((".", "_")) and part != "__init__.py" for part in parts)
        test = file.stem.startswith("test_") or file.stem.endswith("_test") or file.stem == "conftest"
        return not hidden and not test

    return sorted(file for file in root.rglob("*.py") if wanted(file))


def _load(file: Path, root: Path) -> ModuleType:
    try:
        return importlib.import_module(_importable(file) or _name_within(file, root))
    except (Exception, SystemExit) as error:
        raise InvalidTask(f"the tasks of {file} cannot be loaded: {type(error).__name__}: {error}") from error


def _importable(file: Path) -> str | None:
    """The name under which the program itself would import *file*, if it can."""
    names = []
    for entry in sys.path:
        folder = Path(entry or ".").resolve()
        if file.is_relative_to(folder):
            parts = list(file.relative_to(folder).with_suffix("").parts)
            names.append(parts[:-1] if parts[-1] == "__init__" else parts)
    # The longest is that of the project's own folder, rather than that of a folder within.
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
    """A name for a file that the program could not import, in a package of its folder's own."""
    folder = root.parent if root.is_file() else root
    package = f"taskhero_tasks_{zlib.crc32(str(folder).encode()):08x}"
    if package not in sys.modules:
        spec = ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    parts = file.relative_to(folder).with_suffix("").parts
    return ".".join((package, *parts))
