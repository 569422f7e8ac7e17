"""Derive the wire form of a task's arguments from its signature, and bind a job's args to the signature.

With keyword-only parameters, a job's args are one object, ``[{"to": "a"}]``. With positional parameters they are a
list, ``[1, 2]``. With both kinds they are a list with one object last, ``[1, 2, {"to": "a"}]``, which is stored even if
it is empty. Without parameters they are ``[]``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from taskhero.errors import ArgumentsMismatch, InvalidTask
from taskhero.wire.jobs import is_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BoundArguments", "TaskSignature", "Wire", "wire_args"]

Wire: TypeAlias = Literal["object", "list"]

#: The wire forms: those of `Wire`, and a list with one object last, which only a signature with both kinds implies.
_WireForm: TypeAlias = Literal["object", "list", "both"]

#: The positional and keyword arguments of a call.
BoundArguments: TypeAlias = tuple[list[Any], dict[str, Any]]

_BY_POSITION: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_MAX_SHOWN: Final = 300
# The types into which the codec decodes arrays and objects.
_CONTAINERS: Final = frozenset((list, dict))


def wire_args(args: object) -> list[Any]:
    """Return a job's args for an enqueue by name: a mapping is one object, a list or tuple is the list."""
    if isinstance(args, Mapping):
        return [dict(args)]
    return list(args) if isinstance(args, (list, tuple)) else [args]


class TaskSignature:
    """The signature of a task's function, read once.

    Args:
        function: The task's function.
        name: The task's name, for messages.
        wire: The wire form, to override the one that the signature implies.

    Attributes:
        wire: ``"object"``, ``"list"``, ``"both"`` (a list with one object last), or None for a task without parameters.
        needed: The parameters without a default, in order.
        takes_nothing: Whether ``[]``, ``[null]`` and ``[{}]`` all mean a job without arguments.

    Raises:
        InvalidTask: The signature cannot be read, or does not fit the wire form.
    """

    __slots__ = (
        "_all",
        "_is_both",
        "_is_object",
        "_keywords_from",
        "_kinds",
        "_max_length",
        "_min_length",
        "_names",
        "_needed",
        "_not_keys",
        "_signature",
        "_takes_any_key",
        "_title",
        "needed",
        "takes_nothing",
        "wire",
    )

    def __init__(self, function: Callable[..., Any], name: str, wire: Wire | None = None) -> None:
        try:
            self._signature = inspect.signature(function)
        except (TypeError, ValueError) as error:
            raise InvalidTask(f"task {name!r}: its signature cannot be read: {error}") from error
        self._title = f"{name}{_readable(self._signature)}"
        parameters = list(self._signature.parameters.values())
        self.wire: _WireForm | None = _wire(parameters, wire, self._title)
        self._is_object = self.wire == "object"
        self._is_both = self.wire == "both"
        named = [p for p in parameters if p.kind not in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}]
        by_position = [p for p in named if p.kind is not Parameter.KEYWORD_ONLY]
        # The parameters whose values are in the object, and those whose values are in the list.
        in_object = [p for p in named if p.kind is Parameter.KEYWORD_ONLY] if self._is_both else named
        in_list = by_position if self._is_both else named
        self._kinds = {p.name: p.kind for p in parameters}
        self._names = tuple(p.name for p in in_list)
        self._all = frozenset(p.name for p in in_object)
        self._needed = frozenset(p.name for p in in_object if p.default is Parameter.empty)
        self.needed = tuple(p.name for p in named if p.default is Parameter.empty)
        self._takes_any_key = len(named) < len(parameters) and parameters[-1].kind is Parameter.VAR_KEYWORD
        # With **kwargs, these keys are still not valid: Python assigns them to a positional parameter.
        self._not_keys = frozenset(p.name for p in by_position if self._is_both and p.kind is _BY_POSITION[1])
        self.takes_nothing = not self.needed and self.wire != "list"
        # A list may omit only the parameters after the last one that is needed.
        self._min_length = max((at for at, p in enumerate(in_list, 1) if p.default is Parameter.empty), default=0)
        takes_any_number = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
        self._max_length = sys.maxsize if takes_any_number else len(in_list)
        # With wire="list", the values from this index on are keyword-only parameters.
        self._keywords_from = len(by_position) if len(by_position) < len(in_list) else None

    def __str__(self) -> str:
        return self._title

    @property
    def names_in_list(self) -> tuple[str, ...]:
        """Return the parameters of the values in a job's args, in order; none if its args are one object."""
        return () if self._is_object else self._names

    def args_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Return a job's args for a call. Defaults are stored only to fill a gap in a list.

        Raises:
            TypeError: The call does not fit the signature.
        """
        if self._is_object:
            if not args and self._fits_object(kwargs):
                return [kwargs]
        elif self._is_both:
            if self._min_length <= len(args) <= self._max_length and self._fits_object(kwargs):
                return [*args, kwargs]
        elif not kwargs and self._min_length <= len(args) <= self._max_length:
            return list(args)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._title}: {error}") from None
        return self._as_args(bound.arguments)

    def args_by_name(self, given: object) -> list[Any]:
        """Return a job's args for an enqueue by name: those of `wire_args`, or the task's own form of "no arguments".

        Raises:
            TypeError: They do not fit the signature.
        """
        if self._is_both and isinstance(given, Mapping):
            raise TypeError(
                f"{self._title} takes {_FORMS['both']}, and a mapping has no values for the list: "
                f"{_shortened(given)}; pass [..., {{...}}]"
            )
        args = wire_args(given)
        if self.takes_nothing and is_nothing(args):
            return [{}] if self._is_object or self._is_both else []
        if not self._fits(args):
            raise TypeError(self._mismatch(args))
        return args

    def bind(self, args: list[Any]) -> BoundArguments:
        """Return the positional and keyword arguments with which to call the function for a job's args.

        Nested lists and objects are copied, so that the task may change them.

        Raises:
            ArgumentsMismatch: *args* do not fit the signature. The message shows both.
        """
        if self.takes_nothing and is_nothing(args):
            return [], {}
        if not self._fits(args):
            raise ArgumentsMismatch(self._mismatch(args))
        if self._is_object:
            given = args[0]
            return [], {key: _copy(value) if type(value) in _CONTAINERS else value for key, value in given.items()}
        values = [_copy(value) if type(value) in _CONTAINERS else value for value in args]
        if self._is_both:
            return values[:-1], values[-1]
        at = self._keywords_from
        if at is None:
            return values, {}
        return values[:at], dict(zip(self._names[at:], values[at:], strict=False))

    def _fits(self, args: list[Any]) -> bool:
        if self._is_object:
            return len(args) == 1 and isinstance(args[0], dict) and self._fits_object(args[0])
        if self._is_both:
            return (
                self._min_length < len(args) <= self._max_length + 1
                and isinstance(args[-1], dict)
                and self._fits_object(args[-1])
            )
        return self._min_length <= len(args) <= self._max_length

    def _fits_object(self, given: dict[Any, Any]) -> bool:
        keys = given.keys()
        return keys >= self._needed and (
            keys <= self._all
            or (self._takes_any_key and keys.isdisjoint(self._not_keys) and all(isinstance(key, str) for key in keys))
        )

    def _as_args(self, bound: dict[str, Any]) -> list[Any]:
        if self._is_object:
            return [self._as_object(bound)]
        if not self._is_both:
            return self._as_list(bound)
        keywords = {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD}
        by_keyword = {name: value for name, value in bound.items() if self._kinds[name] in keywords}
        by_position = {name: value for name, value in bound.items() if name not in by_keyword}
        return [*self._as_list(by_position), self._as_object(by_keyword)]

    def _as_object(self, bound: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in bound.items():
            values.update(value if self._kinds[name] is Parameter.VAR_KEYWORD else {name: value})
        return values

    def _as_list(self, bound: dict[str, Any]) -> list[Any]:
        values: list[Any] = []
        last = max((at for at, name in enumerate(self._kinds) if name in bound), default=-1)
        for name in list(self._kinds)[: last + 1]:
            if self._kinds[name] is Parameter.VAR_POSITIONAL:
                values.extend(bound.get(name, ()))
            else:
                values.append(bound.get(name, self._signature.parameters[name].default))
        return values

    def _mismatch(self, args: list[Any]) -> str:
        wanted = _FORMS[self.wire]
        return f"{self._title} takes {wanted}, and these args do not fit: {_shortened(args)}{self._reason(args)}"

    def _reason(self, args: list[Any]) -> str:
        """Return Python's reason for the mismatch as the end of a sentence, or an empty str."""
        has_object = bool(args) and isinstance(args[-1], dict) and set(map(type, args[-1])) <= {str}
        try:
            if self._is_object and len(args) == 1 and has_object:
                self._signature.bind(**args[0])
            elif self._is_both and has_object:
                self._signature.bind(*args[:-1], **args[-1])
            elif self._is_both:
                return "; the last value must be an object: add {} if it has no keys"
            elif self.wire == "list" and self._keywords_from is None:
                self._signature.bind(*args)
        except TypeError as error:
            return f"; {error}"
        return ""


#: What a task takes, for messages.
_FORMS: Final[dict[str | None, str]] = {
    "object": "one object",
    "list": "a list",
    "both": "a list with one object last",
    None: "no arguments",
}


class _Bare(str):
    """A string annotation that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _readable(signature: inspect.Signature) -> inspect.Signature:
    def bare(annotation: Any) -> Any:
        return _Bare(annotation) if isinstance(annotation, str) else annotation

    parameters = [p.replace(annotation=bare(p.annotation)) for p in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=bare(signature.return_annotation))


def _wire(parameters: list[Parameter], pinned: object, title: str) -> _WireForm | None:
    """Return the wire form of a signature: *pinned*, or the one that its parameters imply."""
    if pinned is None:
        keyword = any(p.kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD} for p in parameters)
        positional = any(p.kind in {*_BY_POSITION, Parameter.VAR_POSITIONAL} for p in parameters)
        if positional:
            return "both" if keyword else "list"
        return "object" if keyword else None
    if pinned == "object":
        _reject(parameters, {Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL}, title, "object", "cannot have a key")
        return "object"
    if pinned == "list":
        _reject(parameters, {Parameter.VAR_KEYWORD}, title, "list", "cannot have a position")
        if any(p.kind is Parameter.VAR_POSITIONAL for p in parameters):
            _reject(parameters, {Parameter.KEYWORD_ONLY}, title, "list", "cannot have a position after *args")
        return "list"
    raise InvalidTask(f"task {title}: wire={pinned!r} is invalid: pass 'object', 'list' or None")


def _reject(parameters: list[Parameter], kinds: set[Any], title: str, wire: str, reason: str) -> None:
    for parameter in parameters:
        if parameter.kind in kinds:
            raise InvalidTask(
                f"task {title}: its parameter {parameter.name!r} {reason}, so wire={wire!r} does not fit: change the "
                "parameter, or omit wire="
            )


def _copy(value: Any) -> Any:
    """Return a deep copy of the containers in a JSON value. Strings and numbers are immutable and not copied."""
    if type(value) is list:
        return [_copy(item) for item in value]
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    return value


def _shortened(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
