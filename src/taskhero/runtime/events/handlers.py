"""How a handler wants its event: whole, or some of its fields by name."""

from __future__ import annotations

import inspect
from inspect import Parameter
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from taskhero.errors import InvalidHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.runtime.events.base import Event

__all__ = ["fit"]


def fit(handler: Callable[..., Any], kind: type[Event]) -> Callable[[Event], Any]:
    """Make a function of the event that calls *handler* with what it asks for.

    Raises:
        InvalidHandler: It cannot be called with fields of the event, nor with the event alone.
    """
    if not callable(handler):
        raise InvalidHandler(f"{handler!r} cannot be called: pass a function, sync or async")
    try:
        parameters = tuple(inspect.signature(handler).parameters.values())
    except (ValueError, TypeError):  # some built-ins do not tell
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
        f"{kind.source}.{kind.name}: let it take the event as its only argument, or any of {', '.join(fields)} by name"
    )


def _nameable(parameter: Parameter) -> bool:
    return parameter.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}


def _optional(parameter: Parameter) -> bool:
    """Whether a call may leave this parameter out."""
    starred = parameter.kind in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    return starred or parameter.default is not Parameter.empty


def _takes_one(parameters: Sequence[Parameter]) -> bool:
    """Whether it can be called with one argument by position."""
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
