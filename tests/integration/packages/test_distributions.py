"""The distributions among the examples: pip installs them into a fresh environment, and they are found."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from fresh_environment import Fresh, make_fresh

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = ("taskhero-office-hours", "taskhero-sqlite")

SHOP = """
from taskhero import TaskHero

app = TaskHero("URL")

@app.task(queue="math")
def add(a: int, b: int) -> None:
    print("sum", a + b, flush=True)

@app.task(plugins=("office-hours",), plugin_options={"office-hours": {"start": 9, "end": 17}})
def ring() -> None: ...
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """The distributions, and the module `shop` in the working directory."""
    fresh = make_fresh(tmp_path_factory.mktemp("fresh"))
    fresh.install(*(EXAMPLES / name for name in NAMES))
    (fresh.work / "shop.py").write_text(SHOP.replace("URL", f"sqlite:///{fresh.work / 'jobs.db'}"))
    return fresh


def test_they_are_listed(installed: Fresh) -> None:
    """From where they come, that they work, and what they bring."""
    told = json.loads(installed.taskhero("plugins", "--app", "shop:app", "--json"))
    plugins = {one["name"]: one for one in told["plugins"]}
    backends = {one["scheme"]: one for one in told["backends"]}
    assert plugins["office-hours"] == {
        "name": "office-hours",
        "distribution": "taskhero-office-hours",
        "version": "1.0",
        "state": "loaded",
        "error": None,
        "hooks": ["taskhero_before_perform", "taskhero_register_commands", "taskhero_register_plugins"],
        "commands": ["office-hours"],
    }
    assert backends["sqlite"] == {
        "scheme": "sqlite",
        "distribution": "taskhero-sqlite",
        "version": "1.0",
        "state": "loaded",
        "error": None,
    }
    tasks = {task["name"]: [one["plugin"] for one in task["plugins"]] for task in told["app"]["tasks"]}
    assert tasks["add"] == []
    assert tasks["ring"] == ["OfficeHours(start=9, end=17, days='mon-fri', timezone='UTC', closed=())"]


def test_the_plugins_verb_is_there(installed: Fresh) -> None:
    """Among the others, and it works."""
    assert re.search(r"^  office-hours  Tell whether", installed.taskhero("--help"), re.MULTILINE)
    told = installed.taskhero("office-hours", "9-17 mon-fri Europe/Berlin", "--at", "2027-01-16T12:00:00Z")
    assert told.startswith("closed, opens Monday 2027-01-18 09:00 CET")


def test_an_app_works_on_sqlite_and_keeps_office_hours(installed: Fresh) -> None:
    """Its URL is all that names the backend; the environment is all that names the hours."""
    for number in (1, 2):
        installed.taskhero("enqueue", "add", "--args", f"[{number}, 40]", "--app", "shop:app")
    url = f"sqlite:///{installed.work / 'jobs.db'}"
    told = json.loads(installed.taskhero("queues", "--backend", url, "--json"))
    assert told == {"queues": [{"name": "math", "length": 2}]}
    assert "sum" not in installed.taskhero("work", "--app", "shop:app", "--burst", OFFICE_HOURS=never())
    told = json.loads(installed.taskhero("status", "--backend", url, "--json"))
    assert (told["queues"], told["processed"], told["failed"]) == ([{"name": "math", "length": 0}], 0, 0)
    installed.taskhero("enqueue", "add", "--args", "[3, 40]", "--app", "shop:app")
    told = installed.taskhero("work", "--app", "shop:app", "--burst", OFFICE_HOURS="0-24 mon-sun")
    assert "sum 43" in told.splitlines()


def never() -> str:
    """Office hours that are not now, whatever time it is: two days of the week, neither today nor tomorrow."""
    from datetime import UTC, datetime

    day = (datetime.now(UTC).weekday() + 3) % 7
    return f"1-2 {('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')[day]} UTC"


def test_the_readme_of_the_plugin_is_true(installed: Fresh) -> None:
    """Its program runs as it stands there."""
    page = (EXAMPLES / "taskhero-office-hours" / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = installed.run("python", "-W", "error", "-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", NAMES)
def test_their_own_tests_pass(installed: Fresh, name: str) -> None:
    """Among them the whole conformance kit, on the file as it was installed."""
    # In a folder of their own, as somebody else's: nothing of this tree's configuration is near.
    tests = shutil.copytree(EXAMPLES / name / "tests", installed.work / name)
    options = ["-q", "-rs", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = installed.run("pytest", *options, str(tests))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])  # type: ignore[index]
    assert passed > (300 if name == "taskhero-sqlite" else 40)
    assert "is not installed here" not in done.stdout
