"""The tables of docs/interop.md say what is so."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from harm_rules import RULES

from taskhero.wire.jobs import decode_job
from taskhero.wire.json import encode

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "interop.md").read_text("utf-8")


def table(heading):
    """The cells of the table whose first header is this."""
    lines = PAGE[PAGE.index(f"\n| {heading} |") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def code(cell):
    assert cell[0] == cell[-1] == "`", cell
    return cell[1:-1]


def test_the_versions_are_those_that_are_installed():
    lock = json.loads((HERE.parent / "node" / "package-lock.json").read_text())
    versions = {row[0]: row[1] for row in table("program")}
    assert versions["node-resque"] == lock["packages"]["node_modules/node-resque"]["version"]


@pytest.mark.parametrize("row", table("what"), ids=lambda row: row[0])
def test_what_is_shared_has_its_tests(row):
    written = "".join(path.read_text() for path in HERE.rglob("test_*.py"))
    named = [code(name) for name in row[3].split(", ")]
    assert named
    assert [name for name in named if f"def {name}(" not in written] == []


@pytest.mark.parametrize("row", table("text in the queue"), ids=lambda row: row[0])
def test_arguments_are_read_here_as_the_page_says(row):
    text, ours, *_ = map(code, row)
    assert decode_job(text, "q").args == json.loads(ours)


async def test_arguments_are_read_by_node_as_the_page_says(place, resque):
    rows = [list(map(code, row)) for row in table("text in the queue")]
    for text, *_ in rows:
        place.command("RPUSH", "resque:queue:q", text)
    await resque("declare", {"t": {}})
    await resque("start", "worker", "worker", {"queues": ["q"]})
    performed = await resque("performed", len(rows))
    await resque("stop", "worker")
    assert [args for _, args in performed] == [json.loads(theirs) for _, _, theirs, _ in rows]


async def test_values_are_written_and_read_as_the_page_says(resque):
    rows = [list(map(code, row)) for row in table("Python")]
    for python, written, _ in rows:
        assert encode([ast.literal_eval(python)]) == f"[{written}]"
    assert await resque("rewritten", [written for _, written, _ in rows]) == [read for _, _, read in rows]


def test_the_rules_are_those_that_are_checked():
    """To write them anew: python conformance/interop/test_interop_page.py"""
    assert with_rules(PAGE) == PAGE


def with_rules(page):
    before, rest = page.split("<!-- rules -->\n")
    after = rest.split("<!-- end of rules -->")[1]
    listed = "".join(f"- {name}\n" for name in RULES)
    return f"{before}<!-- rules -->\n{listed}<!-- end of rules -->{after}"


if __name__ == "__main__":
    (HERE.parents[1] / "docs" / "interop.md").write_text(with_rules(PAGE), "utf-8")
