"""Finding an app by name: what is found, and what is said where nothing is."""

from __future__ import annotations

import sys

import click
import pytest

from taskhero import TaskHero
from taskhero.cli.app_loader import load_app, require_app


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with modules, which is the current directory; its modules are forgotten afterwards."""
    (tmp_path / "oneapp.py").write_text(
        "from taskhero import TaskHero\napp = TaskHero()\nnumber = 5\nnothing = None\ndef make(): return app\n"
    )
    (tmp_path / "twoapps.py").write_text("from taskhero import TaskHero\nfirst = TaskHero()\nsecond = TaskHero()\n")
    (tmp_path / "noapp.py").write_text("")
    (tmp_path / "needy.py").write_text("import sys\nimport no_such_library\n")
    (tmp_path / "crooked.py").write_text("def (:\n")
    (tmp_path / "quits.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "badurl.py").write_text("from taskhero import TaskHero\n\napp = TaskHero('rdis://:secret@there')\n")
    package = tmp_path / "bigshop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "jobs.py").write_text(
        "from taskhero import TaskHero\nclass Holder:\n    app = TaskHero()\nholder = Holder()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.mark.parametrize("where", ["oneapp:app", "oneapp", "bigshop.jobs:holder.app"])
def test_an_app_is_found_in_the_current_directory(where):
    assert isinstance(load_app(where), TaskHero)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("onapp:app", "there is no module 'onapp' in "),
        ("onapp:app", "did you mean 'oneapp'?"),
        ("oneapp:ap", "module 'oneapp' has no 'ap'; did you mean 'app'?"),
        ("oneapp:zzz", "module 'oneapp' has no 'zzz'; its apps are app"),
        ("oneapp:number", "'number' is an int, not a TaskHero"),
        ("oneapp:nothing", "'nothing' is None, not a TaskHero"),
        ("oneapp:make", "'make' is a function, not a TaskHero; assign its result to a name of the module"),
        ("bigshop.job:holder", "there is no module 'job' in the package 'bigshop'; did you mean 'jobs'?"),
        ("oneapp.app", "did you mean 'oneapp:app'?"),
        ("oneapp.py:app", "pass a module, not a file: --app oneapp:app"),
        ("bigshop/jobs.py", "pass a module, not a file: --app bigshop.jobs:app"),
        ("one app:app", "'one app' is not a module name"),
        ("", "'' is not a module name"),
        ("twoapps", "--app twoapps:first or --app twoapps:second"),
        ("noapp", "contains no TaskHero"),
        ("needy:app", "No module named 'no_such_library' ("),
        ("needy:app", "needy.py, line 2)"),
        ("crooked:app", "SyntaxError"),
        ("quits:app", "SystemExit: 3"),
        ("badurl:app", "did you mean 'redis://'?"),
        ("badurl:app", "badurl.py, line 3)"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_or_two(where, said):
    with pytest.raises(click.ClickException) as told:
        load_app(where)
    assert said in told.value.message
    assert told.value.exit_code == 1
    assert told.value.message.count("\n") <= 1
    assert "secret" not in told.value.message
    assert told.value.message == told.value.message.strip()


def test_no_app_at_all_is_a_matter_of_usage():
    with pytest.raises(click.UsageError, match="TASKHERO_APP") as told:
        require_app(None)
    assert told.value.exit_code == 2
