"""Find a task's function in a child process, by its module and its name."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.errors import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["FunctionReference", "check_processable"]


def check_processable(function: Callable[..., Any]) -> None:
    """Check that a child process can find *function*: it must be defined in a module, under its own name.

    Raises:
        InvalidTask: It cannot be found there.
    """
    FunctionReference.of(function)


@attrs.frozen
class FunctionReference:
    """The place of a function.

    Attributes:
        module: The name of its module.
        qualname: Its name in the module, with the names of enclosing classes.
        file: The file of the module, for modules that cannot be imported by name; None if there is none.
        folders: The folders of its topmost package, for the same case; empty if it is not in a package.
    """

    module: str
    qualname: str
    file: str | None
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, function: Callable[..., Any]) -> FunctionReference:
        """Return the reference of a function.

        Raises:
            InvalidTask: It has none.
        """
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(qualname, str):
            raise InvalidTask(f"{function!r} is not a function: {_ADVICE}")
        if inspect.ismethod(function) and not inspect.isclass(function.__self__):
            raise InvalidTask(f"{qualname} is bound to an object, which a child process does not have: {_ADVICE}")
        if "<lambda>" in qualname or "<locals>" in qualname:
            kind = "a lambda" if "<lambda>" in qualname else "defined inside a function"
            raise InvalidTask(f"{module}.{qualname} is {kind}: {_ADVICE}")
        file = getattr(sys.modules.get(module), "__file__", None)
        folders = getattr(sys.modules.get(module.partition(".")[0]), "__path__", ())
        return cls(module, qualname, file, tuple(folders))

    def find(self) -> Callable[..., Any]:
        """Return the function itself, in this process.

        Raises:
            InvalidTask: There is no function at this place.
            Exception: The import of its module raised it.
        """
        found: Any = _module(self)
        try:
            for name in self.qualname.split("."):
                found = getattr(found, name)
        except AttributeError:
            raise InvalidTask(f"module {self.module} does not define {self.qualname} any more: {_ADVICE}") from None
        # After the decorator, its name refers to the task.
        function = found if inspect.isroutine(found) else getattr(found, "function", found)
        if not callable(function):
            raise InvalidTask(f"{self.module}.{self.qualname} is {found!r}, not a function: {_ADVICE}")
        return function


_ADVICE = (
    "a task with run_in='process' is found by its module and its name, so define it with def at the top of a module, "
    "outside of any function"
)


def _module(reference: FunctionReference) -> ModuleType:
    name, file = reference.module, reference.file
    if name in sys.modules:
        return sys.modules[name]
    top = name.partition(".")[0]
    if reference.folders and top not in sys.modules and not _spec(top):
        # The folder of tasks was loaded as a package.
        spec = ModuleSpec(top, None, is_package=True)
        spec.submodule_search_locations = list(reference.folders)
        sys.modules[top] = importlib.util.module_from_spec(spec)
    if file is None or _is_importable(name, file):
        return importlib.import_module(name)
    return _load(name, file)


def _load(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InvalidTask(f"module {name} cannot be loaded from {file}: {_ADVICE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_importable(name: str, file: str) -> bool:
    """Return whether ``import name`` would load this file."""
    spec = _spec(name)
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == Path(file).resolve()


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
