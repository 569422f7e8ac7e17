"""Find a task's function in a child process: by its module and its name, or by the declaration of the task."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.engine.task.declarations import MAIN, declared_tasks, is_main_only
from taskhero.engine.task.task import Task
from taskhero.errors import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType

__all__ = ["FunctionReference", "check_processable"]


def check_processable(task: Task[Any, Any]) -> None:
    """Check that a child process can find the task's function.

    Raises:
        InvalidTask: Neither its name nor its declaration leads to it.
    """
    if task.declared_in is None:
        _reference_by_name(task.function)


@attrs.frozen
class FunctionReference:
    """The place of a task's function.

    Attributes:
        module: The name of the module that defines or declares it.
        name: Its name in the module, with the names of enclosing classes; or the name of the task.
        shape: Descriptions of the object at that place, of what it wraps, and so on, down to the function.
        file: The file of the module, for modules that cannot be imported by name; None if there is none.
        folders: The folders of its topmost package, for the same case; empty if it is not in a package.
        is_declaration: Whether `name` is the name of the task, whose declaration has the function.
    """

    module: str
    name: str
    shape: tuple[str, ...]
    file: str | None
    folders: tuple[str, ...] = ()
    is_declaration: bool = attrs.field(default=False, kw_only=True)

    @classmethod
    def of(cls, task: Task[Any, Any]) -> FunctionReference:
        """Return the reference of a task's function.

        Raises:
            InvalidTask: It has none.
        """
        try:
            return _reference_by_name(task.function)
        except InvalidTask:
            if task.declared_in is None:
                raise
        shape = tuple(map(_describe, _chain(task.function)))
        return cls(task.declared_in, task.name, shape, *_files(task.declared_in), is_declaration=True)

    def find(self) -> Callable[..., Any]:
        """Return the function itself, in this process.

        Raises:
            InvalidTask: There is no function at this place, or another one than in the process of the reference.
            Exception: The import of its module raised it.
        """
        module = _module(self)
        return self._declared(module.__name__) if self.is_declaration else self._named(module)

    def _named(self, module: ModuleType) -> Callable[..., Any]:
        found = _chain(_lookup(module, self.name))[: len(self.shape)]
        if not found:
            raise InvalidTask(
                f"module {self.module} does not define {self.name} when a child process imports it: {_ADVICE}"
            )
        shape = tuple(map(_describe, found))
        if shape != self.shape:
            raise InvalidTask(
                f"{self.module}.{self.name} is another function when a child process imports its module: "
                f"{' of '.join(shape)}, not {' of '.join(self.shape)}: define it without conditions"
            )
        function: Callable[..., Any] = found[-1]
        return function

    def _declared(self, module: str) -> Callable[..., Any]:
        functions = {
            id(task.function): task.function
            for task in declared_tasks(module, self.name)
            if tuple(map(_describe, _chain(task.function))) == self.shape
        }
        if len(functions) != 1:
            number = "more than one" if functions else "no"
            raise InvalidTask(
                f"module {self.module} declares {number} task {self.name!r} with {' of '.join(self.shape)} "
                f"when a child process imports it: {_ADVICE}"
            )
        return functions.popitem()[1]


_ADVICE = (
    "a task with run_in='process' is found by its module and its name, so define it with def at the top of a module, "
    "outside of any function and of `if __name__ == '__main__':`"
)
#: Longest chain of wrappers that is followed.
_LONGEST_CHAIN = 100


def _reference_by_name(function: Callable[..., Any]) -> FunctionReference:
    """Return the reference of a function that its name leads to.

    Raises:
        InvalidTask: Its name does not lead to it, or not in a child process.
    """
    module, name = _place(function)
    found = _chain(_lookup(sys.modules.get(module), name))
    if not found:
        raise InvalidTask(f"module {module} does not define {name} any more: {_ADVICE}")
    index = _index(function, found)
    if index is None:
        raise InvalidTask(
            f"{module}.{name} is {_describe(found[0])}, not the function of this task, so a child process would call "
            "another function: give the task's function that name, with the decorators above its def"
        )
    code = getattr(inspect.unwrap(function), "__code__", None)
    if module in MAIN and code is not None and is_main_only(module, code.co_firstlineno):
        raise InvalidTask(f"{name} is defined only in the main process: {_ADVICE}")
    return FunctionReference(module, name, tuple(map(_describe, found[: index + 1])), *_files(module))


def _files(module: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the file of a module, and the folders of its topmost package."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return file, tuple(getattr(sys.modules.get(module.partition(".")[0]), "__path__", ()))


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the module of a function, and its name there.

    Raises:
        InvalidTask: It has none.
    """
    owner = function.__self__ if inspect.ismethod(function) else None
    if isinstance(owner, type):
        # The class of the call, which may inherit the method.
        module: object = owner.__module__
        qualname: object = f"{owner.__qualname__}.{function.__name__}"
    else:
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        raise InvalidTask(f"{function!r} is not a function: {_ADVICE}")
    if inspect.ismethod(function) and not isinstance(owner, type):
        raise InvalidTask(f"{qualname} is bound to an object, which a child process does not have: {_ADVICE}")
    if "<lambda>" in qualname or "<locals>" in qualname:
        kind = "a lambda" if "<lambda>" in qualname else "defined inside a function"
        raise InvalidTask(f"{module}.{qualname} is {kind}: {_ADVICE}")
    return module, qualname


def _lookup(module: ModuleType | None, qualname: str) -> Any:
    """Return the object of this name in a module, or None."""
    found: Any = module
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _chain(found: Any) -> list[Any]:
    """Return an object, the function that it wraps, the function that this one wraps, and so on."""
    chain: list[Any] = []
    while found is not None and len(chain) < _LONGEST_CHAIN:
        chain.append(found)
        if isinstance(found, Task):
            found = found.function
        elif inspect.ismethod(found):
            found = found.__func__
        elif isinstance(found, functools.partial):
            found = found.func
        else:
            found = getattr(found, "__wrapped__", None)
    return chain


def _index(function: Callable[..., Any], found: list[Any]) -> int | None:
    """Return the position of a function in the chain at its place, or None if it is not there."""
    for index, link in enumerate(found):
        if link is function or (inspect.ismethod(link) and link == function):
            return index
    # The module was reloaded: all functions are new, with the same code.
    codes = _codes(_chain(function))
    for index, link in enumerate(found):
        if not isinstance(link, Task) and codes == _codes(_chain(link)) and None not in codes:
            shared = {id(wrapped) for wrapped in _chain(function)} & {id(wrapped) for wrapped in _chain(link)}
            return None if shared else index
    return None


def _codes(chain: list[Any]) -> list[CodeType | None]:
    return [getattr(link, "__code__", None) for link in chain]


def _describe(link: Any) -> str:
    code = getattr(link, "__code__", None)
    return (
        f"task {link.name}" if isinstance(link, Task) else type(link).__qualname__ if code is None else code.co_qualname
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
