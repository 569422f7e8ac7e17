"""Name the part of a job's args that an error is about, as the task's signature calls it."""

from __future__ import annotations

import inspect
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from taskhero._internal.display import path_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.engine.task.task import Task

__all__ = ["parameter_path"]

_BY_POSITION = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}


def parameter_path(task: Task[Any, Any] | None, args: Sequence[Any], steps: Sequence[object]) -> str:
    """Return the path to a part of a job's args: ``task 'add': b["first name"]``, or ``args[1]`` without a parameter.

    Args:
        task: The task, or None if it is not declared here.
        args: The job's args.
        steps: The keys and positions that lead to the part, outermost first.
    """
    if task is None or not steps or not isinstance(steps[0], int):
        return path_to("args", steps)
    parameters = list(inspect.signature(task.function).parameters.values())
    found = _in_object(parameters, args, steps, any_key=task.signature.wire == "object")
    found = found or _in_list(parameters, steps)
    return path_to("args", steps) if found is None else f"task {task.name!r}: {path_to(*found)}"


def _in_object(
    parameters: Sequence[Parameter], args: Sequence[Any], steps: Sequence[object], *, any_key: bool
) -> tuple[str, Sequence[object]] | None:
    """Return the parameter whose name is a key of the last element, and the steps in it."""
    if len(steps) < 2 or steps[0] != len(args) - 1 or not isinstance(args[-1], dict):
        return None
    key = steps[1]
    accepted = {p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY}
    if any(p.kind is Parameter.VAR_KEYWORD for p in parameters):
        any_key = any_key or len(args) > _number_by_position(parameters)
    if isinstance(key, str) and (any_key or key in accepted):
        return key, steps[2:]
    return None


def _in_list(parameters: Sequence[Parameter], steps: Sequence[object]) -> tuple[str, Sequence[object]] | None:
    """Return the parameter at the position of an element, and the steps in it."""
    position = steps[0]
    assert isinstance(position, int)  # noqa: S101 - the caller checks it
    named = [p for p in parameters if p.kind in {*_BY_POSITION, Parameter.KEYWORD_ONLY}]
    variadic = next((p for p in parameters if p.kind is Parameter.VAR_POSITIONAL), None)
    before = _number_by_position(parameters)
    if variadic is not None and position >= before:
        return variadic.name, (position - before, *steps[1:])
    return (named[position].name, steps[1:]) if position < len(named) else None


def _number_by_position(parameters: Sequence[Parameter]) -> int:
    return sum(p.kind in _BY_POSITION for p in parameters)
