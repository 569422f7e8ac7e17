"""Find the event classes of a name, and adapt a handler to the fields that it accepts."""

from __future__ import annotations

import inspect
from inspect import Parameter
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from taskhero._internal.suggestions import snake, suggestion
from taskhero.errors import InvalidHandler, UnknownEvent
from taskhero.events import scheduler_events, worker_events
from taskhero.events.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["EVENTS", "fit", "kinds_of"]

#: All event classes: those of workers, of the multi-worker and of the scheduler.
EVENTS: Final[tuple[type[Event], ...]] = tuple(
    kind
    for module in (worker_events, scheduler_events)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
)


def kinds_of(event: str | type[Event]) -> tuple[type[Event], ...]:
    """Return the classes of *event*: one, or one for each source that has an event of this name.

    Raises:
        UnknownEvent: No event has this name.
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
    # ActionHero's names are in camel case, such as multiWorkerAction.
    return (
        f"no event is called {event!r}{suggestion(snake(str(event)), names) or '.'} There are {'; '.join(_listing())}."
    )


def _listing() -> Iterator[str]:
    for source in dict.fromkeys(kind.source for kind in EVENTS):
        yield f"of {source}: {', '.join(kind.name for kind in EVENTS if kind.source == source)}"


def fit(handler: Callable[..., Any], kind: type[Event]) -> Callable[[Event], Any]:
    """Return a function of the event that calls *handler* with the fields that it accepts.

    Raises:
        InvalidHandler: The handler accepts neither fields of the event nor the event as its only argument.
    """
    if not callable(handler):
        raise InvalidHandler(f"{handler!r} is not callable: pass a sync or async function")
    try:
        parameters = tuple(inspect.signature(handler).parameters.values())
    except (ValueError, TypeError):  # some built-ins have no signature
        return handler
    if not parameters:
        return lambda _event: handler()
    fields = kind.field_names()
    wanted = tuple(parameter.name for parameter in parameters if _nameable(parameter) and parameter.name in fields)
    everything = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters)
    if (wanted or everything) and all(_optional(parameter) or parameter.name in wanted for parameter in parameters):
        return _with_fields(handler, fields if everything else wanted)
    if _takes_one(parameters):
        return handler
    raise InvalidHandler(
        f"handler {getattr(handler, '__qualname__', handler)}{inspect.signature(handler)} does not fit the event "
        f"{kind.source}.{kind.name}: declare one parameter for the event, or some of these parameters: "
        f"{', '.join(fields)}"
    )


def _nameable(parameter: Parameter) -> bool:
    return parameter.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}


def _optional(parameter: Parameter) -> bool:
    """Return whether a call may omit this parameter."""
    starred = parameter.kind in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    return starred or parameter.default is not Parameter.empty


def _takes_one(parameters: Sequence[Parameter]) -> bool:
    """Return whether a function with these parameters accepts one positional argument."""
    if not parameters or parameters[0].kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD}:
        return False
    return all(_optional(parameter) for parameter in parameters[1:])


def _with_fields(handler: Callable[..., Any], names: tuple[str, ...]) -> Callable[[Event], Any]:
    if len(names) == 1:
        (name,) = names
        value = attrgetter(name)
        return lambda event: handler(**{name: value(event)})
    values = attrgetter(*names)
    return lambda event: handler(**dict(zip(names, values(event), strict=True)))
