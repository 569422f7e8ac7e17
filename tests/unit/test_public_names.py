"""Each public module says in a sorted `__all__` what it offers, and offers just that."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import taskhero

if TYPE_CHECKING:
    from collections.abc import Iterator


def modules() -> list[str]:
    """Names of all modules of the package but private ones and the program's entry; nothing is imported for it."""
    root = Path(str(taskhero.__file__)).parent
    found = {
        ".".join(("taskhero", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        for path in root.rglob("*.py")
    }
    return sorted(name for name in found if not any(part.startswith("_") for part in name.split(".")))


def rank(name: str) -> tuple[int, str]:
    """Order of `__all__` as ruff has it: CONSTANTS, Classes, functions."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement gives a meaning of its own (imports are somebody else's)."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))):
            return
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case _:
            return


@pytest.mark.parametrize("name", modules())
def test_all_is_sorted_and_whole(name: str) -> None:
    """What stands in `__all__` exists, stands there once and in order; no function or class is missing.

    A constant, or the module's logger, may be its own affair without an underscore.
    """
    module = importlib.import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    named = {word for statement in tree.body for word in bound(statement)}
    own = {word for word in named if not (word.startswith("_") or word.isupper() or word == "logger")}
    offered = getattr(module, "__all__", [])
    assert list(offered) == sorted(set(offered), key=rank)
    assert [word for word in offered if not hasattr(module, word)] == []
    assert own - set(offered) == set()
