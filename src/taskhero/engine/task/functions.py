"""Accept what can be declared as a task: functions, partials, static and class methods, and callable objects."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import attrs

from taskhero.errors import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EnclosingClass", "TaskFunction", "body_of", "description_in", "is_async", "where_of"]

_CACHE: Final = type(functools.lru_cache(lambda: None))
#: Longest chain of callables that is followed to the function at its end.
_LONGEST_CHAIN: Final = 100


@attrs.frozen
class TaskFunction:
    """The functions of a task.

    Attributes:
        run: What a job calls, without the class of a class method.
        direct: What a call of the task calls.
        enclosing: The class that `run` passes on, or None.
    """

    run: Callable[..., Any]
    direct: Callable[..., Any]
    enclosing: EnclosingClass | None = None

    @classmethod
    def of(cls, given: Any, name: object) -> TaskFunction:
        """Return the functions for a declared object. *name* is for messages.

        Raises:
            InvalidTask: It is a method of instances, or its class cannot be found.
        """
        if isinstance(given, staticmethod):
            return cls.of(given.__func__, name)
        if isinstance(given, classmethod):
            run, enclosing = _bound_to_class(given.__func__, name)
            return cls(run, run, enclosing)
        first = _first_parameter_in_class(given)
        if first == "self":
            raise InvalidTask(
                f"task {name!r} is a method of instances, and a job has no value for 'self': write @staticmethod or "
                "@classmethod below @app.task, or declare the method of one object, app.task(obj.method)"
            )
        if first != "cls":
            return cls(given, given)
        # @classmethod is above @app.task, or is missing: both pass the class.
        run, enclosing = _bound_to_class(given, name)
        if not enclosing.can_be_found:
            raise InvalidTask(
                f"task {name!r} is a method of a class that is defined inside a function: write @app.task above "
                "@classmethod"
            )
        return cls(run, given, enclosing)


class EnclosingClass:
    """The class in whose body a task is declared. It exists only after the declaration.

    Args:
        module: The name of its module.
        qualname: Its name in the module, with the names of enclosing classes.
    """

    __slots__ = ("_class", "_module", "_qualname")

    def __init__(self, module: str, qualname: str) -> None:
        self._module = module
        self._qualname = qualname
        self._class: type | None = None

    @property
    def can_be_found(self) -> bool:
        """Return whether the class can be found by its name."""
        return "<locals>" not in self._qualname

    def set(self, cls: type) -> None:
        """Record the class, when Python has created it. Later calls change nothing."""
        if self._class is None:
            self._class = cls

    def get(self) -> type:
        """Return the class.

        Raises:
            InvalidTask: The module does not define it.
        """
        if self._class is None:
            found: Any = sys.modules.get(self._module)
            for part in self._qualname.split("."):
                found = getattr(found, part, None)
            if not isinstance(found, type):
                raise InvalidTask(f"module {self._module} does not define the class {self._qualname}")
            self._class = found
        return self._class


def _bound_to_class(function: Callable[..., Any], name: object) -> tuple[Callable[..., Any], EnclosingClass]:
    """Return *function* without its first parameter, and the class that it gets there."""
    qualname = getattr(function, "__qualname__", "")
    enclosing = EnclosingClass(getattr(function, "__module__", ""), qualname.rpartition(".")[0])
    signature = _signature(function, name)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind in {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}:
        raise InvalidTask(f"task {name!r} is a class method without a parameter for its class: add cls")
    call: Any
    if is_async(function, name):

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await function(enclosing.get(), *args, **kwargs)
    else:

        def call(*args: Any, **kwargs: Any) -> Any:
            return function(enclosing.get(), *args, **kwargs)

    functools.update_wrapper(call, function)
    takes_more = parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
    call.__signature__ = signature.replace(parameters=parameters if takes_more else parameters[1:])
    return call, enclosing


def _signature(function: Callable[..., Any], name: object) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise InvalidTask(f"task {name!r}: its signature cannot be read: {error}") from error


def _first_parameter_in_class(function: object) -> str | None:
    """Return the name of the first positional parameter of a function in the body of a class, or None."""
    if not isinstance(function, FunctionType):
        return None
    parent = function.__qualname__.rpartition(".")[0]
    if not parent or parent.endswith("<locals>"):
        return None
    first = next(iter(inspect.signature(function).parameters.values()), None)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return first.name if first is not None and first.kind in positional else None


# --- what runs ---------------------------------------------------------------------------------------------------


def is_async(function: object, name: object) -> bool:
    """Check that a function can run as a task, and return whether it is async.

    Raises:
        InvalidTask: It is a class, not callable, or runs nothing when called.
    """
    if inspect.isclass(function):
        raise InvalidTask(f"task {name!r} is a class: declare a function")
    if not callable(function):
        raise InvalidTask(f"task {name!r} is {function!r}, which is not callable: declare a function")
    chain = _chain(function)
    body = chain[-1]
    is_coroutine = any(map(inspect.iscoroutinefunction, chain))
    if any(map(_is_context_manager, chain)):
        raise InvalidTask(
            f"task {name!r} is a context manager, which runs nothing when called: remove @contextmanager, or call it "
            "in a with statement of another function"
        )
    if inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        raise InvalidTask(f"task {name!r} is a generator function, which runs nothing when called: remove yield")
    if is_coroutine and any(isinstance(link, _CACHE) for link in chain):
        raise InvalidTask(
            f"task {name!r} is an async def below functools.cache, whose second run would await the same coroutine "
            "again: remove the cache"
        )
    return is_coroutine


def body_of(function: object) -> object:
    """Return the function that a call of *function* runs."""
    return _chain(function)[-1]


def where_of(function: object) -> str:
    """Return the file and line of a function."""
    body = body_of(function)
    code = getattr(inspect.unwrap(body) if callable(body) else body, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)


def description_in(function: object) -> str:
    """Return the first paragraph of a function's docstring in one line, or an empty str."""
    text = inspect.getdoc(function) if hasattr(function, "__name__") else body_of(function).__doc__
    return " ".join(inspect.cleandoc(text or "").split("\n\n", 1)[0].split())


def _chain(function: object) -> list[Any]:
    """Return *function* and the callables that it calls with its own arguments, down to the function that runs."""
    chain = [function]
    while len(chain) < _LONGEST_CHAIN and (called := _called(chain[-1])) is not None:
        chain.append(called)
    return chain


def _called(function: Any) -> object | None:
    if isinstance(function, functools.partial):
        return function.func
    if inspect.ismethod(function):
        return function.__func__
    if isinstance(function, _CACHE) or _is_context_manager(function):
        return function.__wrapped__  # type: ignore[no-any-return]
    if isinstance(function, FunctionType) or inspect.isclass(function):
        return None
    call = getattr(type(function), "__call__", None)  # noqa: B004 -- the method itself is returned
    return call if isinstance(call, FunctionType) else None


def _is_context_manager(function: object) -> bool:
    """Return whether ``contextlib.contextmanager`` or ``asynccontextmanager`` made the function."""
    return (
        isinstance(function, FunctionType)
        and function.__globals__ is vars(contextlib)
        and hasattr(function, "__wrapped__")
    )
