"""Finding a task's function again in another process, by its module and its name."""

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
    """Check that another process can find *function*: it must stand in a module, under its own name.

    Raises:
        InvalidTask: It cannot be found there.
    """
    FunctionReference.of(function)


@attrs.frozen
class FunctionReference:
    """Where a function is.

    Attributes:
        module: The name of its module.
        qualname: Its name there, with those of classes around it.
        file: The module's file, for modules that cannot be imported by their name; None if there is none.
        folders: Where the modules of its topmost package are, likewise; none if it is in no package.
    """

    module: str
    qualname: str
    file: str | None
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, function: Callable[..., Any]) -> FunctionReference:
        """The function's address.

        Raises:
            InvalidTask: It has none.
        """
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(qualname, str):
            raise InvalidTask(f"{function!r} is no function: {_REMEDY}")
        if inspect.ismethod(function) and not inspect.isclass(function.__self__):
            raise InvalidTask(f"{qualname} is bound to an object, which the process does not have: {_REMEDY}")
        if "<lambda>" in qualname or "<locals>" in qualname:
            what = "a lambda" if "<lambda>" in qualname else "defined inside a function"
            raise InvalidTask(f"{module}.{qualname} is {what}: {_REMEDY}")
        file = getattr(sys.modules.get(module), "__file__", None)
        folders = getattr(sys.modules.get(module.partition(".")[0]), "__path__", ())
        return cls(module, qualname, file, tuple(folders))

    def find(self) -> Callable[..., Any]:
        """The function itself, in this process.

        Raises:
            InvalidTask: There is none at this address.
            Exception: Whatever its module raises when it is imported.
        """
        found: Any = _module(self)
        try:
            for name in self.qualname.split("."):
                found = getattr(found, name)
        except AttributeError:
            raise InvalidTask(f"there is no {self.qualname} in module {self.module} any more: {_REMEDY}") from None
        # Where it was declared as a task, its name stands for the task.
        function = found if inspect.isroutine(found) else getattr(found, "function", found)
        if not callable(function):
            raise InvalidTask(f"{self.module}.{self.qualname} is {found!r}, not a function: {_REMEDY}")
        return function


_REMEDY = (
    "a task with run_in='process' is found by its module and its name, so define it with def at the top of a module, "
    "outside of any function"
)


def _module(address: FunctionReference) -> ModuleType:
    name, file = address.module, address.file
    if name in sys.modules:
        return sys.modules[name]
    top = name.partition(".")[0]
    if address.folders and top not in sys.modules and not _spec(top):
        # A folder of tasks that was loaded as a package of its own.
        spec = ModuleSpec(top, None, is_package=True)
        spec.submodule_search_locations = list(address.folders)
        sys.modules[top] = importlib.util.module_from_spec(spec)
    if file is None or _is_importable(name, file):
        return importlib.import_module(name)
    return _load(name, file)


def _load(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InvalidTask(f"module {name} cannot be loaded from {file}: {_REMEDY}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_importable(name: str, file: str) -> bool:
    """Whether ``import name`` would load this file."""
    spec = _spec(name)
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == Path(file).resolve()


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
