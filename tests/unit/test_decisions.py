"""docs/decisions.md has one short entry per decision, and every link to a heading of a page leads there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PARTS = ["- Context: ", "- Choice: ", "- Cost: "]


def entries() -> list[object]:
    """Return the entries of the page, each with its title as its id."""
    sections = re.split(r"^(?=###? )", DECISIONS.read_text("utf-8"), flags=re.MULTILINE)
    found = [section.strip().splitlines() for section in sections if section.startswith("### ")]
    assert found, "docs/decisions.md has no entries"
    return [pytest.param(entry, id=entry[0].removeprefix("### ")) for entry in found]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("entry", entries())
def test_an_entry_is_short_and_has_its_three_parts_in_order(entry: list[str]) -> None:
    """A reader finds the context, the choice and the cost at a glance."""
    assert [part for line in entry for part in PARTS if line.startswith(part)] == PARTS
    assert len(entry) <= 15
    assert max(map(len, entry)) <= 120


def test_the_contents_name_every_group_in_order() -> None:
    """The table at the top of the page has one row per group."""
    text = DECISIONS.read_text("utf-8")
    assert re.findall(r"^\| \[(.+?)\]", text, flags=re.MULTILINE) == re.findall(r"^## (.+)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_there(page: Path) -> None:
    """The heading exists on the page that the link names."""
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text("utf-8"))
    targets = [((page.parent / name) if name else page, anchor) for name, anchor in links]
    assert [(str(target), anchor) for target, anchor in targets if anchor not in anchors(target)] == []
