"""All events that there are, by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from taskhero.errors import UnknownEvent
from taskhero.runtime.events import scheduling, working
from taskhero.runtime.events.base import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EVENTS", "kinds_of"]

#: All events that there are: those of workers, of the multi-worker and of the scheduler.
EVENTS: Final[tuple[type[Event], ...]] = tuple(
    kind
    for module in (working, scheduling)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
)


def kinds_of(event: str | type[Event]) -> tuple[type[Event], ...]:
    """The classes that *event* means: one, or one of each source that has an event of this name.

    Raises:
        UnknownEvent: No event is called so.
    """
    if isinstance(event, type) and issubclass(event, Event):
        kinds = tuple(kind for kind in EVENTS if issubclass(kind, event))
    else:
        kinds = tuple(kind for kind in EVENTS if event in {kind.name, f"{kind.source}.{kind.name}"})
    if not kinds:
        raise UnknownEvent(_unknown(event))
    return kinds


def _unknown(event: object) -> str:
    names = {kind.name for kind in EVENTS} | {f"{kind.source}.{kind.name}" for kind in EVENTS}
    near = difflib.get_close_matches(_snake(str(event)), sorted(names), n=1)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    return f"no event is called {event!r}{guess} There are {'; '.join(_listing())}."


def _snake(name: str) -> str:
    """ActionHero's ``multiWorkerAction`` as it is called here."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _listing() -> Iterator[str]:
    for source in dict.fromkeys(kind.source for kind in EVENTS):
        yield f"of {source}: {', '.join(kind.name for kind in EVENTS if kind.source == source)}"
