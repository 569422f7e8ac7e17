"""Every document that a text of the repository names is in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "conformance", "examples", "benchmarks", "docs")
SUFFIXES = {".py", ".lua", ".md", ".mjs", ".sql", ".toml"}
LEFT_OUT = {".venv", "node_modules", "build", "dist"}
#: A row of a numbered table: one letter and its number. Codes of ruff have three digits.
ROW = re.compile(r"\b(?:[QW][0-9]{1,2}|[AS][0-9]{2})\b")
PAGE = re.compile(r"[\w-]+\.md\b")


def texts() -> Iterator[Path]:
    """Return the files that people write: code, scripts and pages."""
    yield from ROOT.glob("*.md")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SUFFIXES and not LEFT_OUT & set(path.relative_to(ROOT).parts):
                yield path


FILES = sorted(texts())
NAMES = {path.name for path in FILES}


def unknown(text: str) -> list[str]:
    """Return the references in a text that lead to no document of the repository."""
    return [*ROW.findall(text), *(name for name in PAGE.findall(text) if name not in NAMES)]


def test_no_text_refers_to_a_document_outside_the_repository() -> None:
    """A reader has only the repository, so a behaviour is stated and not cited."""
    found = {str(path.relative_to(ROOT)): unknown(path.read_text("utf-8")) for path in FILES if path != Path(__file__)}
    assert {name: references for name, references in found.items() if references} == {}


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("as in Q1, W48, A33", ["Q1", "W48", "A33"]),
        ("wire.md 4.3", ["wire.md"]),
        ("docs/running.md lists them", []),
        ("README.md, CHANGELOG.md", []),
        ("# noqa: S101", []),
    ],
)
def test_such_references_are_found(text: str, references: list[str]) -> None:
    """The search finds rows of tables and pages by their names, and nothing else."""
    assert unknown(text) == references
