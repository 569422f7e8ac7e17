"""The documentation is true: its programs run, its links lead somewhere, its tables are those of the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from taskhero import events
from taskhero.errors import InvalidSettings
from taskhero.hooks.manager import PluginManager
from taskhero.plugins import DelayQueueLock, JobLock, Noop, QueueLock, Retry, shipped_plugins
from taskhero.settings import SCHEDULER_EVENTS, WORKER_EVENTS, Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Those of the distributions among the examples, whose programs need them installed.
READMES = sorted((ROOT / "examples").glob("*/README.md"))
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def programs() -> list[object]:
    """Every code block that is marked as `python` alone; those marked `python fragment` are not whole programs."""
    return [
        pytest.param(block[2], id=f"{page.name}:{page.read_text()[: block.start()].count(chr(10)) + 1}")
        for page in PAGES
        for block in BLOCK.finditer(page.read_text())
    ]


def rows(page: str, *head: str) -> list[list[str]]:
    """The rows of all tables on a page that have this head."""
    found: list[list[str]] = []
    inside = False
    for line in (ROOT / "docs" / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if tuple(cells) == head:
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(cells[0]) <= {"-", ":"}:
            found.append([cell.strip("`") for cell in cells])
    assert found, f"no table with the head {head} in {page}"
    return found


@pytest.mark.parametrize("program", programs())
def test_every_program_on_a_page_runs(program: str, tmp_path: Path) -> None:
    """It ends by itself, without an error or a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_has_an_example_that_is_run() -> None:
    """The first thing that a reader tries is among the programs above."""
    assert BLOCK.search((ROOT / "README.md").read_text())


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_there(page: Path) -> None:
    """No page points to a file that is not there."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_table_of_settings_has_every_key_with_its_default() -> None:
    """docs/running.md and the class agree."""
    table = {row[0]: row[1] for row in rows("running.md", "setting", "default", "least", "most", "meaning")}
    defaults = {field.name: repr(getattr(Settings(), field.name)) for field in attrs.fields(Settings)}
    logging = {"worker_logging": "see below", "scheduler_logging": "see below"}
    assert table == defaults | logging


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        pytest.param(row[0], row[2], float(row[3]), id=row[0])
        for row in rows("running.md", "setting", "default", "least", "most", "meaning")
        if row[3]
    ],
)
def test_the_table_of_settings_has_the_bounds(key: str, least: str, most: float) -> None:
    """The largest value is taken, anything more is not; and so at the other end."""
    number = int if isinstance(getattr(Settings(), key), int) else float
    company = {"min_task_processors": {"max_task_processors": 10_000}, "heartbeat_interval": {"rescue_after": 3600}}
    others = company.get(key, {})
    assert getattr(Settings(**{key: number(most), **others}), key) == most
    with pytest.raises(InvalidSettings, match=key):
        Settings(**{key: number(most + 1), **others})
    if least == "twice `heartbeat_interval":
        assert Settings(rescue_after=6, heartbeat_interval=3).rescue_after == 6
        with pytest.raises(InvalidSettings, match="heartbeat_interval"):
            Settings(rescue_after=5.9, heartbeat_interval=3)
    elif least == "more than 0":
        with pytest.raises(InvalidSettings, match=key):
            Settings(**{key: 0})
    else:
        assert getattr(Settings(**{key: number(least)}), key) == number(least)
        with pytest.raises(InvalidSettings, match=key):
            Settings(**{key: number(least) - 1})


def test_the_tables_of_log_levels_have_every_event() -> None:
    """docs/running.md and the defaults of the two settings agree."""
    assert {row[0]: row[1] for row in rows("running.md", "`worker_logging`", "level")} == dict(WORKER_EVENTS)
    assert {row[0]: row[1] for row in rows("running.md", "`scheduler_logging`", "level")} == dict(SCHEDULER_EVENTS)


def plugin_names() -> list[list[str]]:
    """The table of plugins and their names."""
    return rows("plugins.md", "plugin", "names", "what it does")


@pytest.mark.parametrize("plugin", [QueueLock, DelayQueueLock, JobLock, Retry, Noop])
def test_the_tables_of_plugins_have_every_option_with_its_default_and_its_other_name(plugin: type) -> None:
    """docs/plugins.md, the class and its registered names agree."""
    section = (ROOT / "docs/plugins.md").read_text().split(f"### {plugin.__name__}\n")[1].split("\n###")[0]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    shown = {inspect.Parameter.empty: "\u2013", (Exception,): "(Exception,)"}
    defaults = {name: one.default for name, one in inspect.signature(plugin).parameters.items()}
    assert {row[0].strip("`"): row[1].strip("`") for row in table[2:]} == {
        name: shown.get(one, repr(one)) for name, one in defaults.items()
    }
    (named,) = [row for row in plugin_names() if row[0] == plugin.__name__]
    renamed = PluginManager(shipped=(shipped_plugins,)).registry.renamed(named[1].split("`")[0])
    theirs = {row[0].strip("`"): found[1] for row in table[2:] if (found := re.match(r"`(\w+)`", row[2]))}
    others = {option: other for option, other in theirs.items() if option != other}
    assert others == {one.option: other for other, one in renamed.items()}


@pytest.mark.parametrize("row", plugin_names(), ids=lambda row: row[0])
def test_the_table_of_plugins_has_names_that_work(row: list[str]) -> None:
    """Each name stands for the class in its row."""
    registry = PluginManager(shipped=(shipped_plugins,)).registry
    for name in re.findall(r"[\w-]+", row[1]):
        (plugin,) = registry.build((name,), {name: {"limit": 3}} if "etry" in name else {})
        assert type(plugin).__name__ == row[0]


def test_the_tables_of_events_have_every_event_with_its_fields() -> None:
    """docs/events.md and the classes agree, in name, class and fields."""
    table = {
        row[1]: (row[0], re.findall(r"\w+", row[2])) for row in rows("events.md", "event", "class", "fields", "when")
    }
    assert table == {kind.__name__: (kind.name, list(kind.field_names())) for kind in events.EVENTS}
