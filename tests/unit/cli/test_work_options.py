"""`taskhero work` refuses what it cannot do, in a line or two and with an exit code that scripts can trust."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from taskhero.cli.main import taskhero as command

PROGRAMS = Path(__file__).parents[2] / "support" / "programs"


@pytest.fixture(autouse=True)
def project(monkeypatch, tmp_path):
    """The app `shop` can be imported, none is named by the environment, and the current directory is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delenv("TASKHERO_APP", raising=False)
    monkeypatch.delenv("TASKHERO_BACKEND", raising=False)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("", 2, "no app is named: pass --app MODULE:ATTR or set TASKHERO_APP"),
        ("--app shop:app --procesess 2", 2, "No such option '--procesess'"),
        ("--app shop:app --processes 0", 2, "--processes"),
        ("--app shop:app --min-processors 5 -c 2", 2, "min_task_processors=5 is above max_task_processors=2"),
        ("--app shop:app -c 0 --no-scheduler", 2, "there is nothing to run"),
        ("--app shop:app --queue a,b", 2, "pass --queue a --queue b"),
        ("--app shop:app --tasks nowhere", 2, "nowhere"),
        ("--tasks .", 1, "--tasks .: the files declare no task"),
        ("--tasks . --processes 2", 1, "--tasks .: the files declare no task"),
        ("--tasks . --backend rdis://:secret@there", 1, "did you mean 'redis://'?"),
        ("--app shpo:app", 1, "did you mean 'shop'?"),
        ("--app shop:ap", 1, "did you mean 'app'?"),
        ("--app shop:app --backend rdis://:secret@there", 1, "did you mean 'redis://'?"),
        ("--app shop:app --backend localhost", 1, "does not begin with a scheme"),
    ],
)
def test_what_is_wrong_is_said(words, code, said):
    told = CliRunner().invoke(command, ["work", *words.split()])
    assert said in " ".join(told.output.split())
    assert told.exit_code == code
    assert "Traceback" not in told.output
    assert "secret" not in told.output


def test_the_environment_names_the_app(monkeypatch):
    told = CliRunner(env={"TASKHERO_APP": "shop:ap"}).invoke(command, ["work"])
    assert "--app shop:ap: module 'shop' has no 'ap'" in told.output


def test_a_folder_of_tasks_that_cannot_be_loaded_is_said_with_the_file(tmp_path):
    (tmp_path / "tasks").mkdir()
    file = tmp_path / "tasks" / "one.py"
    for text, said in (
        ("import gone_for_good", f"the tasks of {file} cannot be loaded: ModuleNotFoundError"),
        ("from taskhero import task\n@task(plugins=['gone'])\ndef one(): ...", f"(while loading {file})"),
    ):
        file.write_text(text)
        told = CliRunner().invoke(command, ["work", "--tasks", "tasks"])
        sys.modules.pop("tasks.one", None)
        assert said in told.stderr
        assert told.exit_code == 1


def test_a_folder_that_the_app_loads_itself_is_refused_naming_both(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "two.py").write_text("from taskhero import task\n@task\ndef two(): ...")
    (tmp_path / "loader.py").write_text("from taskhero import TaskHero\napp = TaskHero()\napp.load_tasks('tasks')\n")
    told = CliRunner().invoke(command, ["work", "--app", "loader:app", "--tasks", "tasks/"])
    assert told.exit_code == 1
    assert (
        f"by load_tasks('tasks') at {tmp_path / 'loader.py'}:3 and by --tasks tasks; remove one of them" in told.stderr
    )


def test_help_teaches_with_examples():
    told = CliRunner().invoke(command, ["work", "--help"])
    assert "taskhero work --app shop:app --processes 4\n" in told.output
    assert told.exit_code == 0
