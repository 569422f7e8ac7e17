"""What can be set, with its bounds. `Settings()` reads nothing from outside; `Settings.load()` does.

Durations are seconds or `timedelta`, and seconds (a float) when read. What can only be a mistake, above all a value in
milliseconds, is refused with a sentence that names the setting, the value, the bound and the unit.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from taskhero._internal.suggestions import closest_name, snake
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
    "looping": "it is not needed: an app works while it is running",
    "queue": "it is queues here, in priority order",
}


# --- turning what was given into what is kept: what is wrong passes here and is refused by the validators ----------


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
            f"queues={given!r} is no list of queues: pass a name, a tuple of names in priority order, or a callable"
        ) from None


# --- the bounds --------------------------------------------------------------------------------------------------


def _seconds(*, most: float, zero: bool = False) -> Validator:
    """Check a duration in seconds, up to *most*; none at all is allowed only with *zero*."""

    def check(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, float):
            raise InvalidSettings(f"{field.name}={value!r} is no duration: pass seconds as a number, or a timedelta")
        if not math.isfinite(value):
            raise InvalidSettings(f"{field.name}={value!r} is not finite: pass seconds, at most {most:g}")
        if value < 0 or (value == 0 and not zero):
            bound = "0 seconds or more" if zero else "more than 0 seconds"
            raise InvalidSettings(f"{field.name}={value:g} is too little: pass {bound}, at most {most:g}")
        if value > most:
            raise InvalidSettings(
                f"{field.name}={value:g} is beyond its maximum of {most:g} seconds; it is in seconds, not milliseconds"
            )

    return check


def _whole(*, least: int, most: int) -> Validator:
    def check(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidSettings(f"{field.name}={value!r} is no whole number: pass one from {least} to {most}")
        if not least <= value <= most:
            raise InvalidSettings(f"{field.name}={value} is out of its bounds: pass a number from {least} to {most}")

    return check


def _yes_or_no(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidSettings(f"{field.name}={value!r} is neither True nor False")


def _to_names(given: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    try:
        return tuple(given)
    except TypeError:
        raise InvalidSettings(f"filtered_params={given!r} is no list of names: pass a tuple of names") from None


def _names_of_values(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    for name in value:
        if not isinstance(name, str) or not all(part.strip() for part in name.split(".")):
            raise InvalidSettings(f"{field.name} holds {name!r}, which is no name: pass such as ('password',)")
        if "," in name:
            raise InvalidSettings(f"{field.name} holds {name!r}: pass the names apart, as {tuple(name.split(','))!r}")


def _queue_names(_settings: Any, _field: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value):
        _check_queues(value)


def _check_queues(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise InvalidSettings("queues is empty: name at least one queue, or '*' for all")
    for name in names:
        given: object = name
        if not isinstance(given, str) or not name.strip():
            raise InvalidSettings(f"queues holds {name!r}, which is no queue's name")
        if "," in name:
            raise InvalidSettings(f"queues holds {name!r}: pass the names apart, as {tuple(name.split(','))!r}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidSettings(f"queues names {twice[0]!r} twice: name each queue once, the most urgent first")
    return names


def _name(_settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or any(letter.isspace() or not letter.isprintable() for letter in value):
        raise InvalidSettings(f"{field.name}={value!r} is no name: pass a str without white space, such as 'resque'")


def _namespace(settings: Any, field: attrs.Attribute[Any], value: Any) -> None:
    _name(settings, field, value)
    if value.endswith(":"):
        raise InvalidSettings(f"{field.name}={value!r} ends in a colon: leave it out, it is put behind the name anyway")


class _Derived(int):
    """A number that nobody gave, so that a copy of the settings derives it anew."""


class _Given:
    """Knows which settings were given, since what was not given may be decided by where the app runs."""

    __slots__ = ("_given",)

    @property
    def given(self) -> frozenset[str]:
        """Names of the settings that were given, even if they were given their defaults."""
        return getattr(self, "_given", frozenset())


@attrs.frozen(kw_only=True)
class Settings(_Given):
    """What an app is told, frozen and checked when it is made.

    Attributes:
        scheduler: Run a scheduler here, which moves delayed jobs to their queues when their time comes.
        queues: The queues to work, the most urgent first; ``"*"`` means all, sorted by name. A str is one queue; a
            callable, sync or async, is asked when the app starts.
        min_task_processors: How many jobs can always be worked at once. 0 with a maximum above it becomes 1.
        max_task_processors: How many jobs can be worked at once when there is much to do; 0 works none here.
        check_interval: Seconds between two looks at whether more or fewer processors are due (ActionHero's
            ``checkTimeout``).
        max_event_loop_delay: Seconds of delay of the event loop above which processors are taken away.
        timeout: Seconds between two looks at the queues and at the schedule when nothing wakes the process earlier.
        worker_logging: Level by event of the workers; what is not given keeps its default, ``"off"`` or None is not
            logged.
        scheduler_logging: Level by event of the scheduler, likewise.
        stuck_worker_timeout: Seconds without a sign of life after which another program's worker counts as stuck.
        retry_stuck_jobs: Whether jobs of stuck workers are tried again rather than listed as failed.
        heartbeat_interval: Seconds between two signs of life of this process.
        rescue_after: Seconds without a sign of life after which this process's jobs are taken over by others.
        rescue_limit: How often a job may bring down its process, while it runs alone in it, before it is listed as
            failed.
        leader_lock_timeout: Seconds after which another process may lead when the leader has died.
        grace: Seconds that running jobs get to end when the app stops; then they are given back.
        filtered_params: Names of values that no log line may show, such as ``("password", "card.number")``: in the args
            of jobs and in results, at any depth, their values are ``"[FILTERED]"``. A dot leads into an object. Values
            in a list have the names of the task's parameters.
        namespace: What stands before each key in Redis, without its colon; ``""`` for nothing.
        resque_scheduler_prefix: What ``RESQUE_SCHEDULER_MASTER_LOCK_PREFIX`` is for Ruby's resque-scheduler on the same
            Redis, colons included: part of the name of the lock that it leads by, while which nothing is promoted here.
        ignore_dead_master_lock: Whether that lock stops nothing once it has had no lifetime and has not changed for 10
            minutes, as a scheduler leaves it that died between two commands.

    There is no counterpart of ActionHero's ``toDisconnectProcessors``: processors share connections.

    Raises:
        InvalidSettings: A setting is unknown, of the wrong type or out of its bounds.
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
        """Refuse what is no setting before attrs does, with a better sentence."""
        known = {field.name for field in attrs.fields(cls)}
        for name in given:
            if name not in known:
                raise InvalidSettings(_unknown(name, known))
        made = super().__new__(cls)
        # A copy by attrs.evolve is given all fields, those too that were derived.
        named = (name for name, value in given.items() if not isinstance(value, _Derived))
        object.__setattr__(made, "_given", frozenset(named))
        return made

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
                f"{self.heartbeat_interval:g} (seconds): living processes would be taken for dead"
            )

    @classmethod
    def load(cls, base: Settings | None = None) -> Settings:
        """The settings that the environment and ``pyproject.toml`` give; needs the package typed-settings.

        A variable ``TASKHERO_<KEY>`` beats the table ``[tool.taskhero]`` of the ``pyproject.toml`` that is found in the
        working directory or above, and that beats *base*. Durations are seconds, lists are separated by commas, and
        levels of the log are an object in JSON, or a table.

        Args:
            base: The settings that hold where nothing else is given; the defaults if none are.

        Raises:
            InvalidSettings: A setting is unknown, of the wrong type or out of its bounds; the message names the
                variable, or the file and the key, and the value.
            ModuleNotFoundError: typed-settings is not installed.
        """
        from taskhero.settings.loading import load_settings

        return load_settings(cls() if base is None else base)

    async def resolve_queues(self) -> tuple[str, ...]:
        """The queues' names in priority order; a callable is asked now.

        Raises:
            InvalidSettings: The callable returned what is no list of queues.
        """
        if not callable(self.queues):
            return self.queues
        answer = self.queues()
        if inspect.isawaitable(answer):
            answer = await answer
        names = _to_queues(answer)
        if callable(names):
            raise InvalidSettings(f"queues returned {answer!r}, which is no list of names")
        return _check_queues(names)


def _unknown(name: str, known: set[str]) -> str:
    """Say what to write instead of a setting that does not exist, whoever's spelling it is."""
    ours = snake(name)
    if ours in _ELSEWHERE:
        return f"there is no setting {name!r}: {_ELSEWHERE[ours]}"
    if ours in known:
        return f"there is no setting {name!r}: it is {ours} here, durations in seconds"
    return f"there is no setting {name!r}{closest_name(ours, known)}"
