"""Record where tasks for child processes are declared, so that a child process finds the same declaration.

A child process imports the module that declares a task. It then takes the function of that declaration, whatever its
name refers to: a decorated function, a partial or a lambda.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["MAIN", "DeclaredTask", "declared_tasks", "declaring_module", "is_main_only", "record"]

#: The names of the main script: in its own process, and in a child process that imports it.
MAIN: Final = ("__main__", "__mp_main__")


class DeclaredTask(Protocol):
    """The part of a task that is recorded.

    Attributes:
        name: Its name.
        function: The function that a job calls.
        declared_in: The module that declares it during its import, or None.
    """

    name: str
    function: Callable[..., Any]
    declared_in: str | None


_declared: Final[dict[tuple[str, str], WeakSet[DeclaredTask]]] = {}


def record(task: DeclaredTask) -> None:
    """Record a task that is declared now."""
    if task.declared_in is not None:
        _declared.setdefault((task.declared_in, task.name), WeakSet()).add(task)


def declared_tasks(module: str, name: str) -> list[DeclaredTask]:
    """Return the tasks of this name that were declared during the import of a module."""
    return list(_declared.get((module, name), ()))


def declaring_module() -> str | None:
    """Return the module whose import is in progress, or None if a child process does not run this code."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    if frame is None:
        return None
    name = frame.f_globals.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None or vars(module) is not frame.f_globals or is_main_only(module.__name__, frame.f_lineno):
        return None
    return module.__name__


def is_main_only(module: str, line: int) -> bool:
    """Return whether only the main process runs a line: a child process skips ``if __name__ == "__main__":``."""
    if module not in MAIN:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    is_typed = not isinstance(file, str) or file.startswith("<")  # at a prompt, or from stdin
    return is_typed or any(line in lines for lines in _guarded_lines(file))


@lru_cache(maxsize=8)
def _guarded_lines(file: str) -> tuple[range, ...]:
    """Return the lines of a main script that a child process does not run."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()  # for example a zip file
    return tuple(
        range(node.lineno, (node.body[-1].end_lineno or node.lineno) + 1)
        for node in tree.body
        if isinstance(node, ast.If) and _is_guard(node.test)
    )


def _is_guard(test: ast.expr) -> bool:
    """Return whether an expression is ``__name__ == "__main__"``, or contains it with ``and``."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_is_guard, test.values))
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = (test.left, test.comparators[0])
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )
