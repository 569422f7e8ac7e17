"""What a task is declared with: what it means, and what is refused."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from taskhero._internal.display import short_repr
from taskhero.engine.time.instants import duration_of
from taskhero.errors import InvalidMoment, InvalidTask

if TYPE_CHECKING:
    from datetime import timedelta, tzinfo

    from taskhero.engine.task.signature import Wire
    from taskhero.engine.time.misfires import Misfire

__all__ = [
    "RunIn",
    "TaskOptions",
    "check_name",
    "description_of",
    "is_async",
    "name_of",
    "options_of",
    "plugin_options_of",
    "plugins_of",
    "run_in_of",
    "timeout_of",
    "where_of",
]

#: Seconds of a timeout at most: a year.
_LONGEST: Final = 366 * 24 * 3600

RunIn: TypeAlias = Literal["loop", "thread", "process"]


@attrs.frozen(kw_only=True)
class TaskOptions:
    """What a task is declared with; see `TaskHero.task`."""

    name: str | None = None
    queue: str = "default"
    description: str | None = None
    plugins: Iterable[object] = ()
    plugin_options: Mapping[str, Mapping[str, Any]] | None = None
    timeout: timedelta | float | None = None
    run_in: RunIn | None = None
    wire: Wire | None = None
    frequency: timedelta | float | None = None
    reenqueue_on_error: bool = True
    cron: str | None = None
    timezone: str | tzinfo | None = None
    misfire: Misfire | None = None


def name_of(function: object, given: object) -> str:
    """The task's name: the given one, or the function's own."""
    name = getattr(function, "__name__", None) if given is None else given
    if given is None and not callable(function):
        raise InvalidTask(
            f"{function!r} is no function: write the decorator bare, @app.task, or its options by name, such as "
            "@app.task(queue='mail')"
        )
    if given is None and (name is None or name == "<lambda>"):
        raise InvalidTask(f"{function!r} has no name of its own: pass name='...'")
    return check_name(name)


def check_name(name: object) -> str:
    """*name*, if a task can be called so.

    Raises:
        InvalidTask: It is no text, empty, or has what nobody would type.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidTask(f"a task cannot be called {short_repr(name)}: pass a str that is not empty")
    if name != name.strip() or not name.isprintable():
        raise InvalidTask(
            f"a task cannot be called {short_repr(name)}: leave out line breaks, control characters and spaces around "
            "it"
        )
    return name


def where_of(function: object) -> str:
    """File and line of a function."""
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)


def is_async(function: object, name: str) -> bool:
    """Refuse what cannot be run as a task; return whether it is async."""
    if inspect.isclass(function):
        raise InvalidTask(f"task {name!r} is a class: declare a function")
    if not callable(function):
        raise InvalidTask(f"task {name!r} is {function!r}, which cannot be called: declare a function")
    bodies = (function, getattr(function, "__call__", None))  # noqa: B004 - the method itself is looked at
    if any(inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body) for body in bodies):
        raise InvalidTask(f"task {name!r} is a generator, which does nothing when called: leave out yield")
    return any(inspect.iscoroutinefunction(body) for body in bodies)


def description_of(function: object, given: object, name: str) -> str:
    """The given description, or the first paragraph of the docstring, in one line."""
    if given is not None:
        if not isinstance(given, str):
            raise InvalidTask(f"task {name!r}: description={short_repr(given)} is no text: pass a str")
        if not given.strip():
            raise InvalidTask(
                f"task {name!r}: description={short_repr(given)} says nothing: leave it out, or describe it"
            )
        return given
    text = inspect.getdoc(function) if hasattr(function, "__name__") else None
    return " ".join((text or "").split("\n\n", 1)[0].split())


def run_in_of(given: object, name: str, *, is_async: bool) -> RunIn:
    """Where a task runs: an ``async def`` on the loop, a ``def`` in a thread; either in a process, if asked for."""
    if given is None:
        return "loop" if is_async else "thread"
    if given not in ("loop", "thread", "process"):
        raise InvalidTask(f"task {name!r}: run_in={given!r} is neither None nor 'process'")
    if is_async and given == "thread":
        raise InvalidTask(f"task {name!r} is an async def and runs on the event loop: run_in='thread' needs a def")
    if not is_async and given == "loop":
        raise InvalidTask(f"task {name!r} is a def and would hold up the event loop: run_in='loop' needs an async def")
    return given


def timeout_of(given: timedelta | float | None, name: str) -> float | None:
    """The timeout in seconds, or None."""
    if given is None:
        return None
    try:
        seconds = duration_of(given, "timeout")
    except InvalidMoment as error:
        raise InvalidTask(f"task {name!r}: {error}") from None
    if not seconds:
        raise InvalidTask(f"task {name!r}: timeout=0 leaves no time to run: pass more, or None for no limit")
    if seconds > _LONGEST:
        raise InvalidTask(
            f"task {name!r}: timeout={short_repr(given)} is more than a year: pass seconds, or None for no limit"
        )
    return seconds


def plugins_of(given: object, name: str) -> tuple[object, ...]:
    """The plugins as a tuple."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        such = "JobLock()" if given is None or isinstance(given, (int, float)) else repr(given)
        raise InvalidTask(f"task {name!r}: plugins={given!r} is no sequence: pass a tuple, such as ({such},)")
    return tuple(given)


def plugin_options_of(given: object, name: str) -> dict[str, Mapping[str, Any]]:
    """The options of plugins that are given by name."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(options, Mapping) for options in given.values()):
        raise InvalidTask(
            f"task {name!r}: plugin_options={given!r} are no options: pass a mapping for each plugin, such as "
            "{'retry': {'limit': 3}}"
        )
    return dict(given)


def options_of(given: dict[str, Any]) -> TaskOptions:
    """The options that a decorator was written with.

    Raises:
        TypeError: There is no such option.
    """
    known = [field.name for field in attrs.fields(TaskOptions)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"task() has no option {name!r}{guess} (known: {', '.join(known)})")
    return TaskOptions(**given)
