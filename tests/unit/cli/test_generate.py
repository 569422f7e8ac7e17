"""`taskhero generate task` writes a task and its test, both of which pass at once."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from taskhero import TaskHero
from taskhero.cli.commands.task_template import NewTask, module_of, write_new
from taskhero.cli.main import taskhero as command
from taskhero.errors import InvalidTask


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty project, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def generate(*words: str):
    told = CliRunner().invoke(command, ["generate", "task", *words], prog_name="taskhero")
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def passes(folder: Path, *more: str) -> None:
    """Pytest passes there, with nothing but pytest and taskhero."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:anyio", "-p", "no:cacheprovider", *more],
        check=False,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TASKHERO"))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def only_task(file: Path):
    """The single task that a file declares."""
    (found,) = TaskHero().load_tasks(file)
    return found


@pytest.mark.parametrize(
    "words", [["send_mail"], ["--name=send_mail"], ["-n", "send_mail"], ["send_mail", "-n", "send_mail"]]
)
def test_a_task_and_its_test_are_written(folder, words):
    told = generate(*words)
    assert told.exit_code == 0
    assert told.stdout.startswith("wrote tasks/send_mail.py\nwrote tests/test_send_mail.py\n")
    assert files(folder) == ["tasks/send_mail.py", "tests/test_send_mail.py"]
    task = only_task(folder / "tasks" / "send_mail.py")
    assert (task.name, task.queue, task.description) == ("send_mail", "default", "Do the work of send_mail.")


def test_the_options_are_those_of_the_task(folder):
    assert generate("send-mail", "--queue", "mail", "--description", "Send the outbox.").exit_code == 0
    task = only_task(folder / "tasks" / "send_mail.py")
    assert (task.name, task.queue, task.description) == ("send-mail", "mail", "Send the outbox.")
    assert task.function.__name__ == "send_mail"


def test_both_pass_at_once(folder):
    """Whatever name, queue and description were given, and wherever the folders are; also from another directory."""
    assert generate("sayHello").exit_code == 0
    assert generate("mail:send/now", "-q", "two words", "-d", 'Say "x" to """C:\\new""" and "y"').exit_code == 0
    assert generate("2fa", "--tasks", "shop/jobs", "--tests", "checks/of/shop").exit_code == 0
    assert generate('a \\ name with "quotes" and 100%', "-d", "ends with \\").exit_code == 0
    passes(folder)
    passes(folder / "checks", "../tests", "of")
    assert only_task(folder / "tasks" / "mail_send_now.py").description == 'Say "x" to """C:\\new""" and "y"'


def test_the_test_fails_with_the_error_of_the_task(folder):
    """What was generated does notice something."""
    generate("send_mail")
    file = folder / "tasks" / "send_mail.py"
    file.write_text(
        file.read_text().replace("current().logger", "raise LookupError('no server')\n    current().logger")
    )
    with pytest.raises(AssertionError, match="LookupError: no server"):
        passes(folder)


def test_ruff_has_nothing_against_the_files(folder):
    generate("send-mail", "--queue", "mail")
    for words in (["check", "--isolated"], ["format", "--isolated", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *words, str(folder)], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("there", ["tasks/send_mail.py", "tests/test_send_mail.py"])
@pytest.mark.parametrize("what", ["file", "folder", "dangling link"])
def test_nothing_is_overwritten_and_nothing_is_written(folder, there, what):
    path = folder / there
    path.parent.mkdir()
    if what == "file":
        path.write_text("mine")
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(folder / "nowhere")
    before = sorted(folder.rglob("*"))
    told = generate("send_mail")
    assert told.exit_code == 1
    assert told.stderr == f"Error: {there} exists already; nothing was written\n"
    assert sorted(folder.rglob("*")) == before
    assert what != "file" or path.read_text() == "mine"


def test_what_cannot_be_written_leaves_nothing_behind(folder):
    (folder / "tests").write_text("no folder")
    told = generate("send_mail", "--tasks", "deep/er/tasks", "--tests", "tests/deep")
    assert told.exit_code == 1
    assert told.stderr == "Error: tests cannot be written: it is not a folder; nothing was written\n"
    assert files(folder) == ["tests"]
    assert not (folder / "deep").exists()


def test_a_file_that_breaks_off_leaves_nothing_behind(folder):
    (folder / "tasks").mkdir()
    with pytest.raises(UnicodeEncodeError):
        write_new({folder / "tasks" / "a.py": "whole", folder / "tests" / "b.py": "\ud800"})
    assert sorted(folder.rglob("*")) == [folder / "tasks"]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("send_mail", "send_mail"),
        ("send-mail", "send_mail"),
        ("sendMail", "sendMail"),
        ("Mail::Send", "Mail_Send"),
        ("a.b/c d", "a_b_c_d"),
        ("send!", "send"),
        ("2fa", "task_2fa"),
        ("import", "import_"),
        ("größe", "größe"),
    ],
)
def test_a_name_makes_a_module(name, module):
    assert module_of(name) == module
    assert ast.parse(f"import {module}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "pass a str that is not empty"),
        (" ", "pass a str that is not empty"),
        (" a", "spaces around it"),
        ("a\nb", "line breaks"),
        ("--", "needs a letter or a digit"),
        ("_private", "_private.py looks like a test or a private file"),
        ("test_mail", "test_mail.py looks like"),
        ("mail_test", "would not be loaded"),
        ("conftest", "would not be loaded"),
        ("a" * 101, "more than 100 characters"),
    ],
)
def test_a_name_that_cannot_name_a_file_of_tasks_is_refused(folder, name, said):
    with pytest.raises(InvalidTask, match=said):
        module_of(name)
    told = generate("--name", name)
    assert told.exit_code == 2
    assert said in told.stderr
    assert files(folder) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no name is given: pass one"),
        (["a", "--name", "b"], "two names are given, 'a' and 'b'"),
        (["a", "--queue", "x,y"], "contains a comma"),
        (["a", "--queue", ""], "must not be empty"),
        (["a", "--description", " "], "' ' is not a description"),
        (["a", "--description", "a\x1b[2J"], "is not a description"),
        (["a", "--colour", "b"], "No such option"),
    ],
)
def test_what_is_written_wrongly_is_said_with_exit_code_2(folder, words, said):
    told = generate(*words)
    assert told.exit_code == 2
    assert said in told.stderr
    assert told.stderr.endswith("See taskhero generate task --help\n")
    assert files(folder) == []


@pytest.mark.parametrize(
    ("frequency", "line"),
    [
        (None, '@task(queue="default")'),
        (5.0, '@task(queue="default", frequency=5)'),
        (1.5, '@task(queue="default", frequency=1.5)'),
        (864_000.0, '@task(queue="default", frequency=timedelta(seconds=864000))'),
    ],
)
def test_a_periodic_task_says_how_often_it_runs(frequency, line):
    new = NewTask(
        name="tick", queue="default", description="Tick.", frequency=frequency, tasks=Path("tasks"), tests=Path("tests")
    )
    text = new.files()[Path("tasks/tick.py")]
    assert f"\n{line}\n" in text
    assert ("from datetime import timedelta" in text) == ("timedelta(" in text)
    ast.parse(text)


def test_a_periodic_task_and_its_test_pass_at_once(folder):
    for name, frequency in (("tick", "5"), ("tock", "15m"), ("rare", "10d"), ("never", "0")):
        assert generate(name, "--frequency", frequency).exit_code == 0
    passes(folder)
    assert [only_task(folder / "tasks" / f"{name}.py").frequency for name in ("tick", "tock", "rare", "never")] == [
        *(5, 900, 864_000, None)
    ]
    for wrong, said in (("0.5", "less than a second"), ("soon", "is not a frequency"), ("700000", "milliseconds")):
        told = generate("wrong", "--frequency", wrong)
        assert told.exit_code == 2
        assert said in told.stderr


def test_help_teaches_with_examples():
    told = generate("--help")
    assert "taskhero generate task --name=send-mail --queue mail" in told.output
    assert told.exit_code == 0
