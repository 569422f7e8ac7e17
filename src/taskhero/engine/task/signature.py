"""How a task's signature decides what lies on the wire, and how a job's arguments are bound to it.

Keyword-only parameters mean that a job's args are one object, ``[{"to": "a"}]``; positional ones mean a list,
``[1, 2]``; none mean ``[]``. Both kinds in one signature are refused unless ``wire=`` says which it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from taskhero.errors import ArgumentsMismatch, InvalidTask

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TaskSignature", "Wire", "is_nothing", "wire_args"]

Wire: TypeAlias = Literal["object", "list"]

_BY_POSITION: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_LONGEST: Final = 300
# What the codec makes of arrays and objects.
_NESTED: Final = frozenset((list, dict))


def wire_args(args: object) -> list[Any]:
    """What lies on the wire for arguments that are given by name: a mapping is one object, a list the list."""
    if isinstance(args, Mapping):
        return [dict(args)]
    return list(args) if isinstance(args, (list, tuple)) else [args]


def is_nothing(args: list[Any]) -> bool:
    """Whether *args* is one of the forms in which programs write no arguments: ``[]``, ``[null]`` or ``[{}]``."""
    return not args or (len(args) == 1 and (args[0] is None or (isinstance(args[0], dict) and not args[0])))


class TaskSignature:
    """A function's signature, read once.

    Args:
        function: The task's function.
        name: How messages call it.
        wire: What lies on the wire, if the signature shall not decide it.

    Attributes:
        wire: ``"object"``, ``"list"``, or None for a task without parameters.
        needed: The parameters without a default, in order.
        takes_nothing: Whether ``[]``, ``[null]`` and ``[{}]`` all mean a job without arguments.

    Raises:
        InvalidTask: The signature cannot be a task's.
    """

    __slots__ = (
        "_all",
        "_is_object",
        "_keywords_from",
        "_kinds",
        "_least",
        "_most",
        "_names",
        "_needed",
        "_signature",
        "_title",
        "_wild",
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
        self.wire: Wire | None = _wire(parameters, wire, self._title)
        self._is_object = self.wire == "object"
        named = [one for one in parameters if one.kind not in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}]
        self._names = tuple(one.name for one in named)
        self._kinds = {one.name: one.kind for one in parameters}
        self._all = frozenset(self._names)
        self._needed = frozenset(one.name for one in named if one.default is Parameter.empty)
        self.needed = tuple(one.name for one in named if one.name in self._needed)
        self._wild = len(named) < len(parameters)
        self.takes_nothing = not self._needed and (self._is_object or not parameters)
        # A list can be cut short only behind the last parameter that is needed.
        self._least = max((at for at, one in enumerate(named, 1) if one.name in self._needed), default=0)
        self._most = len(named)
        # With wire="list", the values from here on are keyword-only parameters.
        by_position = [one for one in named if one.kind is not Parameter.KEYWORD_ONLY]
        self._keywords_from = len(by_position) if len(by_position) < len(named) else None

    def __str__(self) -> str:
        return self._title

    @property
    def names_in_list(self) -> tuple[str, ...]:
        """The parameters that the values of a job's args go to, in their order; none if its args are one object."""
        return () if self._is_object else self._names

    def args_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """What lies on the wire for a call; defaults are not stored, but where a gap must be filled.

        Raises:
            TypeError: The call does not fit the signature.
        """
        if self._is_object:
            if not args and self._fits_object(kwargs):
                return [kwargs]
        elif not kwargs and self._fits_list(args):
            return list(args)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._title}: {error}") from None
        return [self._as_object(bound.arguments)] if self._is_object else self._as_list(bound.arguments)

    def checked(self, args: list[Any]) -> list[Any]:
        """What lies on the wire for *args* that were given by name: the same, but for the forms of "no arguments".

        Raises:
            TypeError: They do not fit the signature.
        """
        if self.takes_nothing and is_nothing(args):
            return [{}] if self._is_object else []
        if not self._fits(args):
            raise TypeError(self._mismatch(args))
        return args

    def bind(self, args: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The positional and the keyword arguments with which to call the function for a job.

        Lists and objects within are copied, so that the task may change them.

        Raises:
            ArgumentsMismatch: They do not fit; the message shows both.
        """
        if self.takes_nothing and is_nothing(args):
            return [], {}
        if not (self._fits(args) if self._is_object else self._fits_list(args)):
            raise ArgumentsMismatch(self._mismatch(args))
        if self._is_object:
            given = args[0]
            return [], {key: _copy(value) if type(value) in _NESTED else value for key, value in given.items()}
        values = [_copy(value) if type(value) in _NESTED else value for value in args]
        at = self._keywords_from
        if at is None:
            return values, {}
        return values[:at], dict(zip(self._names[at:], values[at:], strict=False))

    def _fits(self, args: list[Any]) -> bool:
        if self._is_object:
            return len(args) == 1 and isinstance(args[0], dict) and self._fits_object(args[0])
        return self._fits_list(args)

    def _fits_object(self, given: dict[Any, Any]) -> bool:
        keys = given.keys()
        return keys >= self._needed and (
            keys <= self._all or (self._wild and all(isinstance(key, str) for key in keys))
        )

    def _fits_list(self, given: list[Any] | tuple[Any, ...]) -> bool:
        return len(given) >= self._least and (self._wild or len(given) <= self._most)

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
        wanted = "one object" if self._is_object else "a list" if self._kinds else "no arguments"
        shown = repr(args)
        shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
        return f"{self._title} takes {wanted}, and these args do not fit: {shown}{self._why(args)}"

    def _why(self, args: list[Any]) -> str:
        """What does not fit, as the end of a sentence, where Python can tell."""
        try:
            if self._is_object and len(args) == 1 and isinstance(args[0], dict) and set(map(type, args[0])) <= {str}:
                self._signature.bind(**args[0])
            elif self.wire == "list" and self._keywords_from is None:
                self._signature.bind(*args)
        except TypeError as error:
            return f"; {error}"
        return ""


class _Bare(str):
    """An annotation that stands in the source as text and is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _readable(signature: inspect.Signature) -> inspect.Signature:
    def bare(annotation: Any) -> Any:
        return _Bare(annotation) if isinstance(annotation, str) else annotation

    parameters = [one.replace(annotation=bare(one.annotation)) for one in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=bare(signature.return_annotation))


def _wire(parameters: list[Parameter], pinned: object, title: str) -> Wire | None:
    """Which wire a signature has; `object` for one object, `list` for a list."""
    positional = [one.name for one in parameters if one.kind in {*_BY_POSITION, Parameter.VAR_POSITIONAL}]
    keyword = [one.name for one in parameters if one.kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD}]
    if pinned is None:
        if positional and keyword:
            raise InvalidTask(
                f"task {title} has positional parameters ({', '.join(positional)}) and keyword-only ones "
                f"({', '.join(keyword)}), but a job's args are either a list or one object: make them all of one kind, "
                "or say wire='object' or wire='list'"
            )
        return "list" if positional else "object" if keyword else None
    if pinned == "object":
        _refuse(parameters, {Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL}, title, "cannot be given by name")
        return "object"
    if pinned == "list":
        _refuse(parameters, {Parameter.VAR_KEYWORD}, title, "has no place in a list")
        if any(one.kind is Parameter.VAR_POSITIONAL for one in parameters):
            _refuse(parameters, {Parameter.KEYWORD_ONLY}, title, "has no place in a list behind *args")
        return "list"
    raise InvalidTask(f"task {title}: wire={pinned!r} is neither 'object' nor 'list'")


def _refuse(parameters: list[Parameter], kinds: set[Any], title: str, why: str) -> None:
    for one in parameters:
        if one.kind in kinds:
            raise InvalidTask(f"task {title}: its parameter {one.name!r} {why}, so wire= cannot be so")


def _copy(value: Any) -> Any:
    """A copy of what JSON can hold; strings and numbers cannot be changed, so they are not copied."""
    if type(value) is list:
        return [_copy(item) for item in value]
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    return value
