"""The log level of each event, for `Settings`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from taskhero._internal.suggestions import snake, suggestion
from taskhero.errors import InvalidSettings

__all__ = ["SCHEDULER_EVENTS", "WORKER_EVENTS", "Levels", "scheduler_levels", "worker_levels"]

#: The events of workers that are logged, each with its default level.
WORKER_EVENTS: Final[Mapping[str, str]] = {
    "failure": "error",
    "success": "info",
    "start": "info",
    "end": "info",
    "cleaning_worker": "info",
    "poll": "debug",
    "ping": "debug",
    "job": "debug",
    "pause": "debug",
    "retry": "warning",
    "re_enqueue": "debug",
    "refused": "debug",
    "given_back": "info",
    "gone": "warning",
    "rescue": "warning",
    "error": "error",
    "internal_error": "error",
    "outage": "error",
    "recovered": "info",
    "multi_worker_action": "debug",
}

#: The events of the scheduler that are logged, each with its default level.
SCHEDULER_EVENTS: Final[Mapping[str, str]] = {
    "start": "info",
    "end": "info",
    "poll": "debug",
    "leader": "info",
    "leader_lost": "info",
    "enqueue": "debug",
    "re_enqueue": "debug",
    "working_timestamp": "debug",
    "transferred_job": "debug",
    "merged": "debug",
    "yielded": "info",
    "clean_stuck_worker": "warning",
    "error": "error",
    "outage": "error",
    "recovered": "info",
}

#: ActionHero's name for the event `error`.
_ALIAS: Final = "internal_error"

_LEVELS: Final[Mapping[str, str]] = {
    **{level: level for level in ("debug", "info", "warning", "error", "critical", "off")},
    # The names that ActionHero's loggers also use.
    "notice": "info",
    "warn": "warning",
    "crit": "critical",
    "alert": "critical",
    "emerg": "critical",
}


class Levels(Mapping[str, str]):
    """An immutable mapping of event to log level."""

    __slots__ = ("_levels",)

    def __init__(self, levels: Mapping[str, str]) -> None:
        self._levels = dict(levels)

    def __getitem__(self, event: str) -> str:
        return self._levels[event]

    def __iter__(self) -> Iterator[str]:
        return iter(self._levels)

    def __len__(self) -> int:
        return len(self._levels)

    def __hash__(self) -> int:
        return hash(frozenset(self._levels.items()))

    def __repr__(self) -> str:
        return repr(self._levels)


def worker_levels(given: object) -> Levels:
    """Return the levels of all events of workers: those given, and the defaults of the others."""
    return _to_levels("worker_logging", WORKER_EVENTS, given)


def scheduler_levels(given: object) -> Levels:
    """Return the levels of all events of the scheduler: those given, and the defaults of the others."""
    return _to_levels("scheduler_logging", SCHEDULER_EVENTS, given)


def _to_levels(key: str, defaults: Mapping[str, str], given: object) -> Levels:
    if given is None:
        return Levels(defaults)
    if not isinstance(given, Mapping):
        raise InvalidSettings(f"{key}={given!r} is not a mapping: pass levels by event, such as {{'failure': 'error'}}")
    levels = dict(defaults)
    for event, level in given.items():
        name = snake(event) if isinstance(event, str) else repr(event)
        if name not in defaults:
            raise InvalidSettings(f"{key} has no event {event!r}{suggestion(name, defaults, otherwise='known')}")
        known = _LEVELS.get("off" if level is None else str(level).lower())
        if known is None:
            raise InvalidSettings(
                f"{key}[{event!r}]={level!r} is not a level: pass debug, info, warning, error, critical or off"
            )
        levels[name] = known
        if name == _ALIAS:
            levels["error"] = known
    if _ALIAS in levels:
        levels[_ALIAS] = levels["error"]
    return Levels(levels)
