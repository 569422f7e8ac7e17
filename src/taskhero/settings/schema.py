"""The settings and their bounds. `Settings()` reads neither the environment nor files; `Settings.load()` reads both.

Durations are given as seconds or `timedelta`, and read as seconds (a float). A value out of its bounds, such as one in
milliseconds, raises an error that names the setting, the value, the bound and the unit.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from taskhero._internal.suggestions import snake, suggestion
from taskhero.errors import InvalidSettings
from taskhero.settings.log_levels import SCHEDULER_EVENTS, WORKER_EVENTS, Levels, scheduler_levels, worker_levels

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SCHEDULER_EVENTS", "WORKER_EVENTS", "Levels", "QueueNames", "QueuesGiven", "Settings", "Validator"]

QueueNames: TypeAlias = str | Iterable[str]
QueuesGiven: TypeAlias = QueueNames | Callable[[], QueueNames | Awaitable[QueueNames]]
Validator: TypeAlias = "Callable[[Any, attrs.Attribute[Any], Any], None]"

_ELSEWHERE: Final[Mapping[str, str]] = {
    "check_timeout": "it is check_interval here, in seconds",
    "to_disconnect_processors": "it has no counterpart: processors share connections here, so there is none to end",
    "resque_overrides": "give them to the app: TaskHero(queue=..., scheduler=..., multi_worker=...)",
    "redis": "give the URL to the app: TaskHero('redis://localhost:6379/0')",
    "connection_options": "give the URL to the app: TaskHero('redis://...'), and namespace to Settings",
    "backend": "give it to the app: TaskHero('redis://localhost:6379/0')",
    "plugins": "give them to the app: TaskHero(plugins=...)",
    "looping": "it is not needed: an app processes jobs while it is running",
    "queue": "it is queues here, in priority order",
}


# --- converters: they pass wrong values on to the validators -----------------------------------------------------


def _to_seconds(given: timedelta | float) -> float:
    if isinstance(given, timedelta):
        return given.total_seconds()
    if isinstance(given, int) and not isinstance(given, bool):
        try:
            return float(given)
        except OverflowError:
            return math.inf if given > 0 else -math.inf
    return given


def _to_queues(given: QueuesGiven) -> tuple[str, ...] | Callable[[], QueueNames | Awaitable[QueueNames]]:
    if isinstance(given, str):
        return (given,)
    if callable(given):
        return given
    try:
        return tuple(given)
    except TypeError:
        raise InvalidSettings(
            f"queues={given!r} is not a list of queues: pass a name, a tuple of names in priority order, or a callable"
        ) from None


# --- the bounds --------------------------------------------------------------------------------------------------


def _seconds(*, most: float, zero: bool = False) -> Validator:
    """Return a validator for a duration in seconds, up to *most*. 0 is valid only with *zero*."""

    def check(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, float):
            raise InvalidSettings(f"{field.name}={value!r} is not a duration: pass seconds as a number, or a timedelta")
        if not math.isfinite(value):
            raise InvalidSettings(f"{field.name}={value!r} is not finite: pass seconds, at most {most:g}")
        if value < 0 or (value == 0 and not zero):
            bound = "0 seconds or more" if zero else "more than 0 seconds"
            raise InvalidSettings(f"{field.name}={value:g} is too small: pass {bound}, at most {most:g}")
        if value > most:
            raise InvalidSettings(
                f"{field.name}={value:g} is beyond its maximum of {most:g} seconds; pass seconds, not milliseconds"
            )

    return check


def _whole(*, least: int, most: int) -> Validator:
    def check(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidSettings(f"{field.name}={value!r} is not a whole number: pass one from {least} to {most}")
        if not least <= value <= most:
            raise InvalidSettings(f"{field.name}={value} is out of its bounds: pass a number from {least} to {most}")

    return check


def _yes_or_no(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidSettings(f"{field.name}={value!r} is neither True nor False: pass one of them")


def _to_names(given: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    try:
        return tuple(given)
    except TypeError:
        raise InvalidSettings(f"filtered_params={given!r} is not a list of names: pass a tuple of names") from None


def _names_of_values(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    for name in value:
        if not isinstance(name, str) or not all(part.strip() for part in name.split(".")):
            raise InvalidSettings(f"{field.name} holds {name!r}, which is not a name: pass names such as ('password',)")
        if "," in name:
            raise InvalidSettings(f"{field.name} holds {name!r}: pass separate names, as {tuple(name.split(','))!r}")


def _queue_names(_settings: Any, _field: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value):
        _check_queues(value)


def _check_queues(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise InvalidSettings("queues is empty: name at least one queue, or '*' for all")
    for name in names:
        given: object = name
        if not isinstance(given, str) or not name.strip():
            raise InvalidSettings(f"queues holds {name!r}, which is not a queue's name: pass non-empty str")
        if "," in name:
            raise InvalidSettings(f"queues holds {name!r}: pass separate names, as {tuple(name.split(','))!r}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidSettings(f"queues names {twice[0]!r} twice: name each queue once, in priority order")
    return names


def _name(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or any(letter.isspace() or not letter.isprintable() for letter in value):
        raise InvalidSettings(f"{field.name}={value!r} is not a name: pass a str without white space, such as 'resque'")


def _namespace(settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    _name(settings, field, value)
    if value.endswith(":"):
        raise InvalidSettings(f"{field.name}={value!r} ends in a colon: leave the colon out, taskhero adds it")


class _Derived(int):
    """A derived number, which a copy of the settings derives again."""


class _Given:
    """Records which settings were given. The app chooses the others by where it runs."""

    __slots__ = ("_given",)

    @property
    def given(self) -> frozenset[str]:
        """Return the names of the settings that were given, including those with their default values."""
        return getattr(self, "_given", frozenset())


@attrs.frozen(kw_only=True)
class Settings(_Given):
    """The configuration of an app. It is frozen, and validated when it is created.

    Attributes:
        scheduler: Run a scheduler in this process. It promotes delayed jobs and enqueues periodic tasks. If it is not
            given, one runs beside task processors on an embedded backend such as ``memory://``.
        queues: The queues to process, in priority order. ``"*"`` means all, sorted by name. A str is one queue. A
            callable, sync or async, is called when the app starts.
        min_task_processors: Minimum number of task processors. 0 with a maximum above it becomes 1.
        max_task_processors: Maximum number of task processors, which is the maximum number of concurrent jobs. 0
            disables them.
        check_interval: Seconds between two decisions to add or remove task processors (ActionHero's
            ``checkTimeout``).
        max_event_loop_delay: Delay of the event loop in seconds above which task processors are removed.
        timeout: Seconds between two checks of the queues and the schedule while no wake-up arrives.
        worker_logging: Log level by event of workers. Other events keep their defaults. ``"off"`` or None disables an
            event.
        scheduler_logging: Log level by event of the scheduler, in the same form.
        stuck_worker_timeout: Heartbeat age in seconds above which another program's worker counts as stuck.
        retry_stuck_jobs: Whether jobs of stuck workers are retried instead of listed as failed.
        heartbeat_interval: Seconds between two heartbeats of this process.
        rescue_after: Seconds without a heartbeat after which other processes rescue this process's jobs.
        rescue_limit: Number of crashes during exclusive runs of a job after which it is listed as failed.
        leader_lock_timeout: Seconds after which another process can lead if the leader died.
        grace: Seconds for which a stopping app waits for its running jobs. Then it releases them.
        filtered_params: Names of values that log lines hide, such as ``("password", "card.number")``. In args of jobs
            and in results, at any depth, these values are ``"[FILTERED]"``. A dot separates the keys of a path. Values
            in a list have the names of the task's parameters.
        namespace: The prefix of all Redis keys, without its colon; ``""`` for none.
        resque_scheduler_prefix: The value of ``RESQUE_SCHEDULER_MASTER_LOCK_PREFIX`` of Ruby's resque-scheduler on the
            same Redis, with colons. It is part of the name of its leader lock. taskhero does not promote while that
            lock is held.
        ignore_dead_master_lock: Whether taskhero promotes again once that lock has had no lifetime and has not changed
            for 10 minutes. A scheduler leaves such a lock if it dies between two commands.

    There is no counterpart of ActionHero's ``toDisconnectProcessors``: processors share connections.

    Raises:
        InvalidSettings: A setting is unknown, has the wrong type or is out of its bounds.
    """

    scheduler: bool = attrs.field(default=False, validator=_yes_or_no)
    queues: tuple[str, ...] | Callable[[], QueueNames | Awaitable[QueueNames]] = attrs.field(
        default=("*",), converter=_to_queues, validator=_queue_names
    )
    min_task_processors: int = attrs.field(default=0, validator=_whole(least=0, most=10_000))
    max_task_processors: int = attrs.field(default=0, validator=_whole(least=0, most=10_000))
    check_interval: float = attrs.field(default=0.5, converter=_to_seconds, validator=_seconds(most=60))
    max_event_loop_delay: float = attrs.field(default=0.05, converter=_to_seconds, validator=_seconds(most=1))
    timeout: float = attrs.field(default=5.0, converter=_to_seconds, validator=_seconds(most=300))
    worker_logging: Levels = attrs.field(default=None, converter=worker_levels)
    scheduler_logging: Levels = attrs.field(default=None, converter=scheduler_levels)
    stuck_worker_timeout: float = attrs.field(default=3600.0, converter=_to_seconds, validator=_seconds(most=604_800))
    retry_stuck_jobs: bool = attrs.field(default=False, validator=_yes_or_no)
    heartbeat_interval: float = attrs.field(default=3.0, converter=_to_seconds, validator=_seconds(most=60))
    rescue_after: float = attrs.field(default=12.0, converter=_to_seconds, validator=_seconds(most=3600))
    rescue_limit: int = attrs.field(default=3, validator=_whole(least=1, most=1000))
    leader_lock_timeout: float = attrs.field(default=15.0, converter=_to_seconds, validator=_seconds(most=3600))
    grace: float = attrs.field(default=25.0, converter=_to_seconds, validator=_seconds(most=21_600, zero=True))
    filtered_params: tuple[str, ...] = attrs.field(default=(), converter=_to_names, validator=_names_of_values)
    namespace: str = attrs.field(default="resque", validator=_namespace)
    resque_scheduler_prefix: str = attrs.field(default="", validator=_name)
    ignore_dead_master_lock: bool = attrs.field(default=True, validator=_yes_or_no)

    def __new__(cls, *_args: object, **given: object) -> Self:
        """Reject unknown settings before attrs does, with a better message."""
        known = {field.name for field in attrs.fields(cls)}
        for name in given:
            if name not in known:
                raise InvalidSettings(_unknown(name, known))
        settings = super().__new__(cls)
        # attrs.evolve passes all fields, including derived ones.
        names = (name for name, value in given.items() if not isinstance(value, _Derived))
        object.__setattr__(settings, "_given", frozenset(names))
        return settings

    def __attrs_post_init__(self) -> None:
        least, most = self.min_task_processors, self.max_task_processors
        if isinstance(least, _Derived):
            least = 0
            object.__setattr__(self, "min_task_processors", 0)
        if least > most:
            raise InvalidSettings(
                f"min_task_processors={least} is above max_task_processors={most}: "
                f"pass max_task_processors={least} or more"
            )
        if not least and most:
            object.__setattr__(self, "min_task_processors", _Derived(1))
        if self.rescue_after < 2 * self.heartbeat_interval:
            raise InvalidSettings(
                f"rescue_after={self.rescue_after:g} is less than twice heartbeat_interval="
                f"{self.heartbeat_interval:g} (seconds): live processes would count as dead; pass more"
            )

    @classmethod
    def load(cls, base: Settings | None = None) -> Settings:
        """Return the settings from the environment and ``pyproject.toml``.

        A variable ``TASKHERO_<KEY>`` beats the table ``[tool.taskhero]`` of the ``pyproject.toml`` in the working
        directory or a directory above it, which beats *base*. Durations are seconds, lists are separated by commas, and
        log levels are a JSON object or a table.

        Args:
            base: The settings for keys that have no other value, by default the defaults.

        Raises:
            InvalidSettings: A setting is unknown, has the wrong type or is out of its bounds. The message names the
                variable, or the file and the key, and the value.
        """
        from taskhero.settings.loading import load_settings

        return load_settings(cls() if base is None else base)

    async def resolve_queues(self) -> tuple[str, ...]:
        """Return the queues' names in priority order. Call `queues` if it is a callable.

        Raises:
            InvalidSettings: The callable did not return a list of queues.
        """
        if not callable(self.queues):
            return self.queues
        answer = self.queues()
        if inspect.isawaitable(answer):
            answer = await answer
        names = _to_queues(answer)
        if callable(names):
            raise InvalidSettings(f"queues returned {answer!r}, which is not a list of names")
        return _check_queues(names)


def _unknown(name: str, known: set[str]) -> str:
    """Return the message for an unknown setting, with the name to use instead, also for ActionHero's spelling."""
    key = snake(name)
    if key in _ELSEWHERE:
        return f"there is no setting {name!r}: {_ELSEWHERE[key]}"
    if key in known:
        return f"there is no setting {name!r}: it is {key} here, durations in seconds"
    return f"there is no setting {name!r}{suggestion(key, known, otherwise='known')}"
