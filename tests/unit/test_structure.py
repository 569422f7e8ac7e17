"""Files and folders stay small, and tests use what is public."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: The maximum number of references from tests to private names. Each of them makes a change of the code harder.
MOST_PRIVATE_REFERENCES = 59
MOST_LINES = 400
MOST_FILES = 16
#: Folders of src with more files, and the reason.
LARGER_FOLDERS = {"src/taskhero/backends/redis/lua": "each atomic step is one script with its own file"}
#: Names with an underscore that the documentation of Python describes.
PUBLIC_NAMES = {"os._exit"}
#: Functions whose arguments may name an attribute.
BY_NAME = {"setattr", "getattr", "delattr", "hasattr"}


def is_private(name: str) -> bool:
    """Return whether a name has one leading underscore."""
    return name.startswith("_") and not name.startswith("__")


def names_of_classes(tree: ast.AST) -> set[str]:
    """Return the names of the methods and attributes that the classes of a module define."""
    found = set()
    for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for node in ast.walk(owner):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node):
                found.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return found


def is_own(node: ast.Attribute) -> bool:
    """Return whether an attribute belongs to ``self`` or ``cls``."""
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}


def private_references(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the code of each reference to a private name of another module."""
    tree = ast.parse(source)
    own = names_of_classes(tree)
    for node in ast.walk(tree):
        if refers_to_private(node, own):
            yield node.lineno, ast.unparse(node)


def refers_to_private(node: ast.AST, own: set[str]) -> bool:
    """Return whether a node reads, replaces or imports a private name, except an *own* one of a class."""
    if isinstance(node, ast.Attribute):
        return (
            is_private(node.attr) and not (is_own(node) and node.attr in own) and ast.unparse(node) not in PUBLIC_NAMES
        )
    if isinstance(node, ast.Call):
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name in BY_NAME and any(
            isinstance(value, ast.Constant)
            and isinstance(value.value, str)
            and is_private(value.value.rpartition(".")[2])
            for value in node.args[:2]
        )
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [*(alias.name for alias in node.names), getattr(node, "module", None) or ""]
        return any(is_private(part) for name in names for part in name.split("."))
    return False


def files(*folders: str) -> list[Path]:
    """Return the Python files below these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_tests_refer_to_few_private_names() -> None:
    """A reference that is necessary belongs to one module of tests/support, which the tests call."""
    folders = ["tests", "conformance", *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/*/tests"))]
    found = [
        f"{path.relative_to(ROOT)}:{line}: {code}"
        for path in files(*folders)
        for line, code in private_references(path.read_text("utf-8"))
    ]
    assert len(found) <= MOST_PRIVATE_REFERENCES, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "references"),
    [
        ("app._runner.start()", ["app._runner"]),
        ("app._runner._loop", ["app._runner._loop", "app._runner"]),
        ("monkeypatch.setattr(app, '_runner', None)", ["monkeypatch.setattr(app, '_runner', None)"]),
        ("monkeypatch.setattr('taskhero.app._runner', None)", ["monkeypatch.setattr('taskhero.app._runner', None)"]),
        ("getattr(app, '_runner', None)", ["getattr(app, '_runner', None)"]),
        ("from taskhero._internal import bounds", ["from taskhero._internal import bounds"]),
        ("from taskhero.app import _runner", ["from taskhero.app import _runner"]),
        ("import taskhero._internal", ["import taskhero._internal"]),
        ("class A(B):\n    def run(self):\n        return self._theirs", ["self._theirs"]),
        (
            "class A:\n    def __init__(self):\n        self._mine = 1\n    def run(self):\n        return self._mine",
            [],
        ),
        ("class A:\n    _mine = 1\n    @classmethod\n    def run(cls):\n        return cls._mine", []),
        ("import os\nos._exit(1)", []),
        ("app.__dict__", []),
    ],
)
def test_a_reference_to_a_private_name_is_found(code: str, references: list[str]) -> None:
    """Classes may use their own private names."""
    assert [found for _, found in private_references(code)] == references


def test_no_file_is_long() -> None:
    """A file is split by subject before it exceeds the limit."""
    scripts = sorted((ROOT / "src").rglob("*.lua"))
    lengths = {
        path: len(path.read_text("utf-8").splitlines()) for path in [*files("src", "tests", "conformance"), *scripts]
    }
    assert {path.relative_to(ROOT).as_posix(): lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_folder_of_the_source_is_large() -> None:
    """The folders show the architecture, so each of them is read at a glance."""
    sizes = {
        folder.relative_to(ROOT).as_posix(): sum(path.is_file() for path in folder.iterdir())
        for folder in (ROOT / "src" / "taskhero").rglob("*")
        if folder.is_dir() and folder.name != "__pycache__"
    }
    assert {folder for folder, size in sizes.items() if size > MOST_FILES} == set(LARGER_FOLDERS)
