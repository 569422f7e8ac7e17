"""Check the options of a task's declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict

from taskhero._internal.display import short_repr
from taskhero._internal.suggestions import suggestion
from taskhero.engine.task.functions import description_in
from taskhero.engine.time.cron import CronSchedule
from taskhero.engine.time.instants import duration_of, frequency_of
from taskhero.engine.time.misfires import misfire_of
from taskhero.engine.time.recurrence import Recurrence
from taskhero.errors import InvalidMoment, InvalidSchedule, InvalidTask

if TYPE_CHECKING:
    from datetime import timedelta, tzinfo

    from taskhero.engine.task.signature import TaskSignature, Wire
    from taskhero.engine.time.misfires import Misfire

__all__ = [
    "RunIn",
    "TaskOptions",
    "check_known",
    "check_name",
    "description_of",
    "name_of",
    "plugin_options_of",
    "plugins_of",
    "recurrence_of",
    "run_in_of",
    "timeout_of",
]

#: Maximum timeout in seconds: a year.
_MAX_TIMEOUT: Final = 366 * 24 * 3600

RunIn: TypeAlias = Literal["loop", "thread", "process"]


class TaskOptions(TypedDict, total=False):
    """The options of a task's declaration, the only definition of them. `TaskDecorators.task` describes each."""

    name: str | None
    queue: str
    description: str | None
    plugins: Iterable[object]
    plugin_options: Mapping[str, Mapping[str, Any]] | None
    timeout: timedelta | float | None
    run_in: RunIn | None
    wire: Wire | None
    frequency: timedelta | float | None
    reenqueue_on_error: bool
    cron: str | None
    timezone: str | tzinfo | None
    misfire: Misfire | None


def check_known(options: TaskOptions) -> None:
    """Check that a declaration has no other options.

    Raises:
        TypeError: There is no such option.
    """
    known = list(TaskOptions.__annotations__)
    for name in options:
        if name not in known:
            raise TypeError(f"task() has no option {name!r}{suggestion(name, known)} (known: {', '.join(known)})")


def name_of(function: object, given: object) -> str:
    """Return the task's name: the given one, or the function's name.

    Raises:
        InvalidTask: The name is invalid, or *function* is not a function with a name.
    """
    name = getattr(function, "__name__", None) if given is None else given
    if given is None and not callable(function) and not isinstance(function, classmethod):
        raise InvalidTask(
            f"{function!r} is not a function: write the decorator bare, @app.task, or pass its options by name, as in "
            "@app.task(queue='mail')"
        )
    if given is None and (name is None or name == "<lambda>"):
        raise InvalidTask(f"{function!r} has no name: pass name='...'")
    return check_name(name)


def check_name(name: object) -> str:
    """Return *name* if it is valid as a task's name.

    Raises:
        InvalidTask: The name is not a str, empty, or has spaces around it or unprintable characters.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidTask(f"{short_repr(name)} is not a valid task name: pass a str that is not empty")
    if name != name.strip() or not name.isprintable():
        raise InvalidTask(
            f"{short_repr(name)} is not a valid task name: remove line breaks, control characters and spaces around it"
        )
    return name


def description_of(function: object, given: object, name: str) -> str:
    """Return the given description, or the first paragraph of the docstring in one line.

    Raises:
        InvalidTask: The description is not a str, or is blank.
    """
    if given is not None:
        if not isinstance(given, str):
            raise InvalidTask(f"task {name!r}: description={short_repr(given)} is not a str: pass a str")
        if not given.strip():
            raise InvalidTask(f"task {name!r}: description={short_repr(given)} is blank: omit it, or describe the task")
        return given
    return description_in(function)


def run_in_of(given: object, name: str, *, is_async: bool) -> RunIn:
    """Return where a task runs: by default an ``async def`` on the loop and a ``def`` in a thread.

    Raises:
        InvalidTask: The value is invalid, or does not fit the function.
    """
    if given is None:
        return "loop" if is_async else "thread"
    if given not in ("loop", "thread", "process"):
        raise InvalidTask(f"task {name!r}: run_in={given!r} is invalid: pass None or 'process'")
    if is_async and given == "thread":
        raise InvalidTask(f"task {name!r} is an async def and runs on the event loop: run_in='thread' needs a def")
    if not is_async and given == "loop":
        raise InvalidTask(f"task {name!r} is a def and would block the event loop: run_in='loop' needs an async def")
    return given


def timeout_of(given: timedelta | float | None, name: str) -> float | None:
    """Return the timeout in seconds, or None.

    Raises:
        InvalidTask: The value is not a duration, zero, or more than a year.
    """
    if given is None:
        return None
    try:
        seconds = duration_of(given, "timeout")
    except InvalidMoment as error:
        raise InvalidTask(f"task {name!r}: {error}") from None
    if not seconds:
        raise InvalidTask(f"task {name!r}: timeout=0 leaves no time to run: pass more, or None for no timeout")
    if seconds > _MAX_TIMEOUT:
        raise InvalidTask(
            f"task {name!r}: timeout={short_repr(given)} is more than a year: pass seconds, or None for no timeout"
        )
    return seconds


def plugins_of(given: object, name: str) -> tuple[object, ...]:
    """Return the plugins as a tuple.

    Raises:
        InvalidTask: The value is not an iterable of plugins.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        example = "JobLock()" if given is None or isinstance(given, (int, float)) else repr(given)
        raise InvalidTask(f"task {name!r}: plugins={given!r} is not a sequence: pass a tuple, such as ({example},)")
    return tuple(given)


def plugin_options_of(given: object, name: str) -> dict[str, Mapping[str, Any]]:
    """Return the options of the plugins that are given by name.

    Raises:
        InvalidTask: The value is not a mapping of mappings.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(options, Mapping) for options in given.values()):
        raise InvalidTask(
            f"task {name!r}: plugin_options={given!r} is invalid: pass a mapping for each plugin, such as "
            "{'retry': {'limit': 3}}"
        )
    return dict(given)


def recurrence_of(options: TaskOptions, name: str, signature: TaskSignature) -> Recurrence | None:
    """Return when the task runs periodically according to its options, or None if it does not.

    Raises:
        InvalidTask: The options contradict each other, or the task needs arguments.
        InvalidSchedule: The cron expression, its time zone or the misfire policy is invalid.
    """
    cron, frequency = options.get("cron"), options.get("frequency")
    reenqueue_on_error = options.get("reenqueue_on_error", True)
    if cron is not None and frequency is not None:
        raise InvalidTask(f"task {name!r} has frequency= and cron=: keep one of them")
    if cron is None:
        _reject_cron_options(options, name)
    if not isinstance(reenqueue_on_error, bool):
        raise InvalidTask(
            f"task {name!r}: reenqueue_on_error={short_repr(reenqueue_on_error)} is not a bool: pass True or False"
        )
    if frequency is None and not reenqueue_on_error:
        raise InvalidTask(
            f"task {name!r}: reenqueue_on_error=False applies only to a task with frequency="
            + (
                "; a cron task always runs at its next fire time: omit the option"
                if cron is not None
                else ": pass frequency=, or omit the option"
            )
        )
    if cron is None and frequency is None:
        return None
    if signature.needed:
        what = "frequency" if cron is None else "cron"
        raise InvalidTask(
            f"task {name!r} has {what}=, so it runs without arguments, but {', '.join(signature.needed)} "
            f"{'is' if len(signature.needed) == 1 else 'are'} required: add a default to each"
        )
    args: list[Any] = [{}] if signature.takes_nothing else []
    if frequency is not None:
        return Recurrence(
            name=name,
            args=args,
            frequency=frequency_of(frequency, name),
            reenqueue_on_error=reenqueue_on_error,
        )
    timezone, given = options.get("timezone"), options.get("misfire")
    try:
        schedule = CronSchedule(cron, "UTC" if timezone is None else timezone)
        misfire = misfire_of("once" if given is None else given)
    except InvalidSchedule as error:
        raise InvalidSchedule(f"task {name!r}: {error}") from None
    return Recurrence(name=name, args=args, schedule=schedule, misfire=misfire)


def _reject_cron_options(options: TaskOptions, name: str) -> None:
    for option in ("timezone", "misfire"):
        given = options.get(option)
        if given is not None:
            raise InvalidTask(f"task {name!r}: {option}={short_repr(given)} needs cron=: pass cron= too, or omit it")
