"""Report a coroutine that is dropped before it was awaited, or that is used as a truth value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from inspect import currentframe
from types import CodeType, CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from taskhero._internal.interpreter import mark_async

if TYPE_CHECKING:
    import logging
    from collections.abc import Generator

__all__ = ["ReportedCoroutine", "reports_unawaited"]

T = TypeVar("T")
Verb = TypeVar("Verb", bound=Callable[..., Coroutine[Any, Any, Any]])

_ADVICE = (
    "write `await` before it; in synchronous code, pass it to the event loop of the app, "
    "asyncio.run_coroutine_threadsafe(..., loop).result()"
)


class ReportedCoroutine(Coroutine[Any, Any, T]):
    """A coroutine that logs an error if it is dropped before its first step, and that has no truth value.

    Args:
        coroutine: The coroutine.
        title: Returns the call for messages.
        logger: The logger of the error.
        call: The code that made the call, and the index of the call in it. None if the interpreter cannot say: then
            nothing is reported.
    """

    __slots__ = ("__weakref__", "_call", "_coroutine", "_logger", "_title")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        title: Callable[[], str],
        logger: logging.Logger,
        call: tuple[CodeType, int] | None,
    ) -> None:
        self._coroutine = coroutine
        self._title = title
        self._logger = logger
        self._call = call

    # `inspect.iscoroutine`, and libraries that use it, accept only this type.
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return CoroutineType

    def __await__(self) -> Generator[Any, Any, T]:
        self._call = None
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        """Continue the coroutine."""
        self._call = None
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in the coroutine."""
        self._call = None
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Close the coroutine. This reports nothing."""
        self._call = None
        self._coroutine.close()

    def __bool__(self) -> bool:
        """Raise `TypeError`: without ``await`` the result does not exist yet."""
        raise TypeError(f"{self._title()} has no truth value, because it is not awaited: {_ADVICE}")

    def __repr__(self) -> str:
        return f"<coroutine {self._title()}>"

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the coroutine, such as ``cr_frame``, for debuggers and event loops."""
        return getattr(self._coroutine, name)

    def __del__(self) -> None:
        if self._call is None:
            return
        code, instruction = self._call
        with suppress(Exception):  # the interpreter may be at its end
            self._coroutine.close()
            self._logger.error(
                "%s at %s:%s was not awaited, so nothing is stored: %s",
                self._title(),
                code.co_filename,
                _line(code, instruction),
                _ADVICE,
            )


def reports_unawaited(logger: logging.Logger, owner_title: Callable[[Any], str]) -> Callable[[Verb], Verb]:
    """Return a decorator for an async method whose coroutines are reported if they are dropped before they are awaited.

    Args:
        logger: The logger of the error.
        owner_title: Returns the object of the method for messages.
    """

    def decorate(verb: Verb) -> Verb:
        name = verb.__name__

        @functools.wraps(verb)
        def call(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
            frame = currentframe()
            caller = frame.f_back if frame is not None else None
            return ReportedCoroutine(
                verb(*args, **kwargs),
                lambda: f"{owner_title(args[0])}.{name}(...)",
                logger,
                None if caller is None else (caller.f_code, caller.f_lasti),
            )

        mark_async(call)
        return cast("Verb", call)

    return decorate


def _line(code: CodeType, instruction: int) -> int | None:
    # Two bytes for each instruction.
    positions = list(code.co_positions())
    return positions[instruction // 2][0] if 0 <= instruction // 2 < len(positions) else code.co_firstlineno
