"""`taskhero work --tasks DIR`: a folder of tasks without an app, as a real process; also with `--reload`."""

from __future__ import annotations

import signal
import sys

import pytest
from commands import commands

from taskhero import Settings, TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
async def run(monkeypatch):
    monkeypatch.delenv("TASKHERO_APP", raising=False)
    async with commands() as running:
        yield running


@pytest.fixture
def server(start_server):
    return start_server("redis7")


@pytest.fixture
async def app(server):
    """A producer that declares nothing."""
    async with TaskHero(server.url) as app:
        yield app


async def generate(run, folder, *words: str) -> None:
    command = await run.start("generate", "task", *words, cwd=folder)
    assert await command.ended() == 0, command.said


async def test_a_task_that_was_generated_is_worked_without_an_app(app, server, run, tmp_path):
    await generate(run, tmp_path, "send-mail", "--queue", "mail")
    worker = await run.start("work", "--tasks", "tasks", "--backend", server.url, cwd=tmp_path)
    await worker.shows(r"process \d+ works")
    await app.queue.enqueue("send-mail", [], "mail")
    await worker.shows("send-mail runs")
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0
    assert await app.queue.stats() == {"processed": 1}


async def test_the_environment_names_the_backend_for_several_processes(server, run, tmp_path, monkeypatch):
    """And its namespace."""
    monkeypatch.setenv("TASKHERO_BACKEND", server.url)
    monkeypatch.setenv("TASKHERO_NAMESPACE", "theirs")
    (tmp_path / "helpers.py").write_text("WORD = 'helped'\n")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "shout.py").write_text(
        "from helpers import WORD\nfrom taskhero import task\n@task\nasync def shout():\n    print(WORD, flush=True)\n"
    )
    parent = await run.start("work", "--tasks", "tasks", "--processes", "2", cwd=tmp_path)
    await parent.shows(r"process \d+ works", times=2)
    async with TaskHero(server.url, settings=Settings(namespace="theirs")) as app:
        await app.queue.enqueue("shout", [], "default")
    await parent.shows("^helped$")
    parent.send(signal.SIGTERM)
    assert await parent.ended() == 0


async def test_a_new_file_is_picked_up_with_reload(app, server, run, tmp_path):
    """Outside of the current directory, too."""
    here = tmp_path / "here"
    here.mkdir()
    await generate(run, tmp_path, "first")
    words = ("work", "--tasks", "../tasks", "--backend", server.url, "--reload")
    parent = await run.start(*words, cwd=here)
    await parent.shows(r"process \d+ works")
    await generate(run, tmp_path, "second")
    await parent.shows(r"second\.py changed")
    await parent.shows(r"process \d+ works", times=2)
    for name in ("second", "first"):
        await app.queue.enqueue(name, [], "default")
        await parent.shows(f"{name} runs")
    assert await app.queue.failed_count() == 0
    parent.send(signal.SIGTERM)
    assert await parent.ended() == 0


async def test_the_first_file_of_an_empty_folder_is_picked_up_with_reload(app, server, run, tmp_path):
    (tmp_path / "tasks").mkdir()
    parent = await run.start("work", "--tasks", "tasks", "--backend", server.url, "--reload", cwd=tmp_path)
    await parent.shows("--tasks tasks: the files declare no task")
    await generate(run, tmp_path, "first")
    await parent.shows(r"process \d+ works")
    await app.queue.enqueue("first", [], "default")
    await parent.shows("first runs")
    parent.send(signal.SIGTERM)
    assert await parent.ended() == 0


async def test_what_was_generated_passes_in_a_plain_pytest(run, tmp_path):
    await generate(run, tmp_path, "--name=send_mail", "--queue=mail", "--description=Send the outbox.")
    tests = await run.start("-q", cwd=tmp_path, module="pytest")
    assert await tests.ended() == 0, tests.said
    assert any("2 passed" in line for line in tests.said), sys.executable
