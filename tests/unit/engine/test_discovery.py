"""`load_tasks` adopts the tasks of the files of a folder."""

from __future__ import annotations

import importlib
import re
import sys

import pytest

from taskhero import TaskHero
from taskhero.errors import InvalidTask

pytestmark = pytest.mark.anyio

MAIL = "from taskhero import task\n@task(queue='mail')\ndef send(*, to): return to\n"
SHARED = "from taskhero import task\nfrom .mail import send\n@task\nasync def twice(*, to): send(to=to), send(to=to)\n"
NESTED = "from taskhero import task\n@task\ndef nested(): ...\nCONSTANT = 3\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with a folder of tasks, whose modules are forgotten afterwards."""
    tasks = tmp_path / "project" / "jobs_of_mine"
    (tasks / "deeper").mkdir(parents=True)
    (tasks / "mail.py").write_text(MAIL)
    (tasks / "shared.py").write_text(SHARED)
    (tasks / "deeper" / "nested.py").write_text(NESTED)
    (tasks / "test_mail.py").write_text("raise AssertionError('tests are not loaded')")
    (tasks / "conftest.py").write_text("raise AssertionError('tests are not loaded')")
    (tasks / "_draft.py").write_text("raise AssertionError('drafts are not loaded')")
    (tasks / ".hidden").mkdir()
    (tasks / ".hidden" / "x.py").write_text("raise AssertionError('hidden files are not loaded')")
    monkeypatch.chdir(tmp_path / "project")
    before = set(sys.modules)
    yield tasks
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture(params=["importable", "anywhere"])
def project(request, folder, monkeypatch):
    """The folder with its parent on the path, and without."""
    if request.param == "importable":
        monkeypatch.syspath_prepend(folder.parent)
    return folder


async def test_all_tasks_of_a_folder_and_its_subfolders_are_adopted(project):
    app = TaskHero()
    assert [one.name for one in app.load_tasks("jobs_of_mine/")] == ["nested", "send", "twice"]
    assert sorted(one.name for one in app.tasks) == ["nested", "send", "twice"]
    async with app:
        assert await app.tasks["send"].enqueue(to="a")
        assert await app.queue.length("mail") == 1


def test_two_apps_may_load_the_same_folder(project):
    app, other = TaskHero(), TaskHero()
    assert [one.name for one in app.load_tasks(project)] == [one.name for one in other.load_tasks(str(project))]
    assert len(app.tasks) == len(other.tasks) == 3


@pytest.mark.parametrize("again", ["jobs_of_mine", "jobs_of_mine/../jobs_of_mine/", "jobs_of_mine/mail.py", "link"])
def test_loading_twice_is_refused_naming_both_places(project, again):
    (project.parent / "link").symlink_to(project)
    app = TaskHero()
    app.load_tasks(project)
    with pytest.raises(InvalidTask, match="is loaded into this app twice: by ") as told:
        app.load_tasks(again)
    text = str(told.value)
    file = project / ("mail.py" if again.endswith("mail.py") else "deeper/nested.py")
    assert text.startswith(str(file))
    assert f"load_tasks({str(project)!r}) at {__file__}:" in text
    assert f"and by load_tasks({again!r}) at {__file__}:" in text
    assert len(set(re.findall(rf"{__file__}:(\d+)", text))) == 2
    assert len(app.tasks) == 3


def test_a_part_of_a_folder_and_then_all_of_it_is_twice_as_well(project):
    app = TaskHero()
    app.load_tasks(project / "deeper")
    with pytest.raises(InvalidTask, match=r"nested\.py is loaded into this app twice"):
        app.load_tasks(project)


def test_a_folder_that_could_not_be_loaded_can_be_loaded_when_it_is_mended(project):
    app = TaskHero()
    broken = project / "broken.py"
    broken.write_text("import gone_for_good")
    with pytest.raises(InvalidTask):
        app.load_tasks(project)
    broken.unlink()
    assert len(app.load_tasks(project)) == 3


def test_a_task_that_another_file_imports_is_not_loaded_twice(project):
    """A folder of tasks may use those of another one, whichever is loaded first."""
    (project / "deeper" / "uses.py").write_text(
        f"import sys; sys.path.insert(0, {str(project)!r})\nfrom mail import send\n"
    )
    app = TaskHero()
    assert {one.name for one in app.load_tasks(project / "deeper")} == {"nested", "send"}
    assert [one.name for one in app.load_tasks(project / "mail.py")] == ["send"]


async def test_a_file_that_the_program_imported_under_another_name_is_the_same_module(folder, monkeypatch):
    """Its folder was on the path then, and is no more."""
    with monkeypatch.context() as patched:
        patched.syspath_prepend(folder)
        send = importlib.import_module("mail").send
    app = TaskHero()
    app.load_tasks(folder / "mail.py")
    async with app:
        assert await send.enqueue(to="a")


def test_a_file_that_was_imported_twice_is_told_from_two_tasks_of_one_name(folder, monkeypatch):
    app = TaskHero()
    app.load_tasks(folder / "mail.py")
    loaded = app.tasks["send"].function.__module__
    monkeypatch.syspath_prepend(folder)
    again = importlib.import_module("mail").send
    with pytest.raises(
        InvalidTask, match=rf"mail.py:2\) is declared twice.*: as {loaded} and as mail; import it under one"
    ):
        app.tasks.adopt(again)


async def test_a_module_that_the_program_imports_itself_is_the_same_module(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder.parent)
    app = TaskHero()
    app.load_tasks(folder)
    send = importlib.import_module("jobs_of_mine.mail").send
    async with app:
        assert await send.enqueue(to="a")
        assert await app.queue.length("mail") == 1


def test_a_single_file_can_be_loaded(project):
    app = TaskHero()
    assert [one.name for one in app.load_tasks(project / "deeper" / "nested.py")] == ["nested"]


def test_a_package_is_loaded_with_its_init(project):
    (project / "__init__.py").write_text("from taskhero import task\n@task\ndef first(): ...\n")
    assert "first" in {one.name for one in TaskHero().load_tasks(project)}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import gone_for_good", "ModuleNotFoundError: No module named 'gone_for_good'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("from taskhero import task\n@task\ndef generator(): yield", "InvalidTask: task 'generator'"),
        ("from taskhero import task\n@task(name=' ')\ndef a(): ...", "InvalidTask: ' ' is not a valid task name"),
        (
            "from taskhero import task\n@task(name='a\\n')\ndef a(): ...",
            r"InvalidTask: 'a\\n' is not a valid task name",
        ),
        (
            "from taskhero import task\n@task(description='')\ndef a(): ...",
            "InvalidTask: task 'a': description='' is blank",
        ),
        ("from taskhero import task\n@task(description=5)\ndef a(): ...", "InvalidTask: task 'a': description=5 is no"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named_with_its_error(project, text, sentence):
    (project / "broken.py").write_text(text)
    with pytest.raises(InvalidTask, match=rf"the tasks of {project / 'broken.py'} cannot be loaded: {sentence}"):
        TaskHero().load_tasks(project)


def test_a_name_that_two_files_declare_is_refused_naming_both(project):
    (project / "other.py").write_text(MAIL)
    with pytest.raises(
        InvalidTask, match=r"two tasks have the name 'send': at .*mail.py:2 and at .*other.py:2"
    ) as caught:
        TaskHero().load_tasks(project)
    assert caught.value.__notes__ == [f"while loading {project / 'other.py'}"]


def test_a_folder_that_is_not_there_is_an_error_that_shows_where_it_looked(folder):
    with pytest.raises(InvalidTask, match=f"folder 'tasks/' does not exist .{folder.parent / 'tasks'}"):
        TaskHero().load_tasks("tasks/")
