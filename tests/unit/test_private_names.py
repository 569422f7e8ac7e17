"""Only a few modules use what other packages do not document, and each of their tests removes it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import taskhero

SRC = Path(taskhero.__file__).parent
#: One for each library.
INTERNALS = {"_internal/interpreter.py", "backends/redis/connection/redis_py_internals.py", "wire/json_internals.py"}
#: The documentation of Python has them.
DOCUMENTED = {"os._exit", "_thread"}
UNDOCUMENTED_MODULES = {"json.scanner", "json.encoder", "json.decoder"}
BY_TEXT = {"getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller", "_read"}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _is_ours(node: ast.expr) -> bool:
    """Whether it is the object itself, its class, or what it inherits, which is checked as that."""
    if isinstance(node, ast.Name):
        return node.id in {"self", "cls"}
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _defined(tree: ast.Module) -> set[str]:
    """The private names of the module's own classes: those of methods and fields, and those it assigns to itself."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_ours(node.value):
            names.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            names |= {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
            targets = [target for item in node.body if isinstance(item, ast.Assign) for target in item.targets]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def foreign(source: str) -> list[str]:
    """The private names of other packages that a module uses."""
    tree = ast.parse(source)
    defined, found = _defined(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_ours(node.value):
            if node.attr not in defined and ast.unparse(node) not in DOCUMENTED:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in BY_TEXT:
            if node.args and _is_ours(node.args[0]):
                continue
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            names = [part for text in texts if isinstance(text, str) for part in text.split(".")]
            if any(_is_private(name) and name not in defined for name in names):
                found.append(ast.unparse(node))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            paths = [f"{module}.{alias.name}".strip(".") for alias in node.names]
            found += [
                path
                for path in paths
                if not path.startswith(("taskhero", "__future__"))
                and path not in DOCUMENTED
                and (
                    any(map(_is_private, path.split(".")))
                    or path in UNDOCUMENTED_MODULES
                    or module in UNDOCUMENTED_MODULES
                )
            ]
    return found


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_uses_no_private_name_of_another_package(path):
    used = foreign(path.read_text("utf-8"))
    if str(path.relative_to(SRC)) in INTERNALS:
        assert used, "it is no longer one of those"
    else:
        assert used == []


@pytest.mark.parametrize(
    "source",
    [
        "connection._parser.parse_error",
        "import sys\nsys._current_frames()",
        "getattr(connection, '_writer', None)",
        "from operator import attrgetter\nattrgetter('stream._buffer')",
        "import _socket",
        "from redis._parsers import hiredis",
        "from pluggy import _hooks",
        "from json.scanner import make_scanner",
        "import json.encoder",
        "class Mine:\n    def read(self, other):\n        return other._value",
    ],
)
def test_a_private_name_of_another_package_is_found(source):
    assert len(foreign(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "class Mine:\n    def __init__(self, other):\n        self._value = other._value",
        "class Mine:\n    _value: int\n    def same(self, other):\n        return getattr(other, '_value')",
        "import os\nos._exit(1)",
        "value.__class__",
        "from taskhero._internal.display import short_repr",
        "super()._reset()",
    ],
)
def test_a_name_of_its_own_is_none(source):
    assert foreign(source) == []
