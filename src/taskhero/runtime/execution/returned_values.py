"""Check that a returned value is a result: no work of the task remains to be done in it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Coroutine
from itertools import starmap
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from taskhero._internal.unawaited import ReportedCoroutine

__all__ = ["result_of"]

#: Types of results that cannot contain work. Most jobs return one of these, so this check comes first.
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})
#: The attribute that is None when a function with `yield` or `await` has ended.
_ENDS: Final = {CoroutineType: "cr_frame", GeneratorType: "gi_frame", AsyncGeneratorType: "ag_frame"}
_LAZY: Final = (map, filter, starmap)
_AWAIT: Final = "declare the task with async def, and await it there"
_CONSUME: Final = "consume it in the task, or return a list"


def result_of(value: Any, task: str) -> Any:
    """Return the result of the task that returned *value*; the result of a future that is done.

    Raises:
        TypeError: The value is a coroutine, a generator, a future or another object whose work has not been done. It
            is closed or cancelled, so that a retry does not run beside it.
        BaseException: The value is a future that ended with this exception.
    """
    while type(value) not in _PLAIN:
        if issubclass(type(value), (asyncio.Future, concurrent.futures.Future)):
            if not value.done():
                _cancel(value)
                raise TypeError(f"task {task!r} returned {_named(value)} that is not done: {_AWAIT}")
            value = value.result()
            continue
        problem = _remaining_work(value)
        if problem is None:
            return value
        _close(value)
        raise TypeError(f"task {task!r} returned {_named(value)} {problem}")
    return value


def _remaining_work(value: Any) -> str | None:
    """Return why this is not a result, as the end of a sentence; None for a result.

    It looks at the type only, because `isinstance` reads an attribute that may raise.
    """
    kind = type(value)
    if kind in _ENDS and getattr(value, _ENDS[kind]) is None:
        return None
    if issubclass(kind, (GeneratorType, AsyncGeneratorType, *_LAZY)):
        return f"that is not consumed: {_CONSUME}"
    return f"that is not awaited: {_AWAIT}" if hasattr(kind, "__await__") else None


def _named(value: Any) -> str:
    """Return what the value is, without its repr, which may raise."""
    kinds: dict[type, str] = {
        CoroutineType: "a coroutine",
        ReportedCoroutine: "a coroutine",
        GeneratorType: "a generator",
        AsyncGeneratorType: "an async generator",
    }
    kind = kinds.get(type(value))
    if kind is not None:
        return f"{kind}, {value.__qualname__}(),"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def _close(value: Any) -> None:
    """End a coroutine or a generator, so that Python does not warn that it was never awaited."""
    if issubclass(type(value), (Coroutine, GeneratorType)):
        with contextlib.suppress(BaseException):  # its cleanup may raise anything
            value.close()


def _cancel(future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
    """Cancel a future, in its own event loop if it has one."""
    if not isinstance(future, asyncio.Future):
        future.cancel()
        return
    with contextlib.suppress(RuntimeError):  # its loop is closed, so it never continues
        future.get_loop().call_soon_threadsafe(future.cancel)
