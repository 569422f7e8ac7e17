"""docs/plugins.md is true: who follows it from an empty folder ends with a plugin that works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from fresh_environment import Fresh, make_fresh

from taskhero.hooks.plugin_reader import HOOKS

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "plugins.md").read_text()
SECTION = PAGE.partition("## Write a plugin")[2].partition("\n## ")[0]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    """An environment whose working directory is the reader's empty folder."""
    return make_fresh(tmp_path)


def matches(expected: str, said: str) -> bool:
    """Whether a program said what the page shows; three dots stand for anything."""
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return re.fullmatch(pattern, said, re.DOTALL) is not None


def follow(fresh: Fresh, console: str) -> None:
    """Type the commands of a block, and compare what is shown."""
    commands = re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
    for command, expected in (one.split("\n", 1) for one in commands):
        # pip checks dependencies, as for a reader. Without an index, it must find all of them installed.
        done = fresh.run(*shlex.split(command), PIP_NO_DEPS="0")
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}: {said}"
        # pytest's line of dots is matched by itself: three dots stand for anything.
        assert matches(expected.rstrip("\n"), said.rstrip("\n")), f"{command}:\n{said}\nis not\n{expected}"


def test_a_plugin_is_written_as_the_page_says(fresh: Fresh) -> None:
    """Each block in its order: files are written, commands are typed."""
    blocks = BLOCK.findall(SECTION)
    assert [title for _, title, _ in blocks if title] == [
        "src/taskhero_slow/__init__.py",
        "src/taskhero_slow/hooks.py",
        "pyproject.toml",
        "tests/test_slow.py",
        "demo.py",
    ]
    for language, title, text in blocks:
        if title:
            path = fresh.work / title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        else:
            assert language == "console", f"a block of {language} without a title: {text}"
            follow(fresh, text)


def test_every_block_of_the_pages_runs() -> None:
    """Those outside of that section are programs, which are run with those of the other pages."""
    others = PAGE.replace(SECTION, "") + (DOCS / "extending.md").read_text()
    assert {(language, title) for language, title, _ in BLOCK.findall(others)} <= {("python", "")}


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    """As one would look for it."""
    page = (DOCS / "extending.md").read_text()
    headings = dict(re.findall(r"^### (taskhero_\w+)\((.*)\)$", page, re.MULTILINE))
    assert headings == {hook: ", ".join(given) for hook, given in HOOKS.items()}
