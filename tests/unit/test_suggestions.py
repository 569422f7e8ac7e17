"""All messages suggest a known name for an unknown one in the same way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from taskhero._internal.suggestions import close_names, did_you_mean, snake, suggestion

SOURCE = Path(__file__).parents[2] / "src" / "taskhero"


def importers(module: str) -> set[str]:
    """Return the files of taskhero that import *module*, at any place in them."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if module in names or (isinstance(node, ast.ImportFrom) and node.module == module):
                found.add(path.relative_to(SOURCE).as_posix())
    return found


def test_one_module_compares_names() -> None:
    """Other modules call it, so that all messages have one form."""
    assert importers("difflib") == {"_internal/suggestions.py"}


def test_one_module_writes_the_hint() -> None:
    """The words are in no other module, in any case."""
    texts = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8").lower() for path in SOURCE.rglob("*.py")}
    assert {name for name, text in texts.items() if "did you mean" in text} == {"_internal/suggestions.py"}


@pytest.mark.parametrize(
    ("name", "options", "end"),
    [
        ("mial", {}, "; did you mean 'mail'?"),
        ("mial", {"otherwise": "known"}, "; did you mean 'mail'?"),
        ("mai", {"number": 2}, "; did you mean 'main' or 'mail'?"),
        ("mial", {"cutoff": 0.8}, ""),
        ("zzz", {}, ""),
        ("zzz", {"otherwise": "declared"}, " (declared: mail, main, report)"),
        (3, {}, ""),
    ],
)
def test_a_sentence_ends_with_the_closest_names(name: object, options: dict[str, object], end: str) -> None:
    """Without a close name, it ends with all names if it has a label for them."""
    assert suggestion(name, ["report", "mail", "main", "mail"], **options) == end  # type: ignore[arg-type]


def test_no_known_names() -> None:
    """The list says so."""
    assert suggestion("mail", [], otherwise="declared") == " (declared: none)"


def test_names_are_found_and_shown_in_two_steps() -> None:
    """A caller can change the names between them."""
    names = close_names("mai", iter(["main", "mail", "report"]), number=3)
    assert sorted(names) == ["mail", "main"]
    assert did_you_mean(f"{name}://" for name in sorted(names)) == "; did you mean 'mail://' or 'main://'?"
    assert did_you_mean([]) == ""


@pytest.mark.parametrize(
    ("name", "converted"),
    [("checkTimeout", "check_timeout"), ("multiWorkerAction", "multi_worker_action"), ("Failure", "failure")],
)
def test_camel_case_becomes_snake_case(name: str, converted: str) -> None:
    """ActionHero's names are in camel case."""
    assert snake(name) == converted
