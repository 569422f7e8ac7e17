"""`taskhero work --processes N` and `--reload`: a parent and its worker processes, on a real Redis."""

from __future__ import annotations

import os
import signal

import pytest
from commands import commands

from taskhero import TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

ONE = {"max_task_processors": 1, "queues": ["work"]}
PID = r"worker process \d of \d has pid (\d+)"
SHOP = (
    "from taskhero import TaskHero\napp = TaskHero()\nprint('version {version}', flush=True)\n"
    "@app.task\nasync def nothing():\n    pass\n"
)


@pytest.fixture
def server(start_server):
    return start_server("redis7")


@pytest.fixture
async def app(server):
    """A producer."""
    async with TaskHero(server.url) as app:
        yield app


@pytest.fixture
async def run():
    async with commands() as running:
        yield running


def workers(server) -> int:
    """How many task processors others see."""
    return int(server.command("SCARD", "resque:workers")[1:])


async def pids(command, number) -> list[int]:
    return [int(match[1]) for match in await command.shows(PID, times=number)]


async def test_several_processes_work_and_stop_with_their_parent(server, app, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    assert workers(server) == 2
    first, second = await pids(parent, 2)
    for n in (1, 2):
        await app.queue.enqueue("hold", [n], "work")
        await parent.shows(f"^began {n}$")
    parent.send(signal.SIGTERM)
    await parent.shows("stops because of", times=2)
    for pid in (first, second):
        os.kill(pid, signal.SIGALRM)
    assert await parent.ended() == 0
    assert {"did 1", "did 2"} <= set(parent.said)
    assert workers(server) == 0


async def test_a_signal_for_all_processes_of_a_service_is_one_signal(server, app, run):
    """Service managers signal the parent and the worker processes alike."""
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    children = await pids(parent, 2)
    for n in (1, 2):
        await app.queue.enqueue("hold", [n], "work")
        await parent.shows(f"^began {n}$")
    for pid in (parent.pid, *children):
        os.kill(pid, signal.SIGTERM)
    await parent.shows("stops because of", times=2)
    for pid in children:
        os.kill(pid, signal.SIGALRM)
    assert await parent.ended() == 0
    assert {"did 1", "did 2"} <= set(parent.said)
    assert workers(server) == 0


async def test_a_process_that_dies_is_started_again(server, app, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    first, second = await pids(parent, 2)
    os.kill(first, signal.SIGKILL)
    await parent.shows(rf"\(pid {first}\) was killed by SIGKILL; it is restarted in \d")
    *_, third = await pids(parent, 3)
    assert third not in {first, second}
    await parent.shows(f"process {third} works")
    parent.send(signal.SIGINT)
    assert await parent.ended() == 0


async def test_a_process_that_dies_again_and_again_is_started_later_and_later(run, tmp_path):
    (tmp_path / "doomed.py").write_text(
        "import contextlib, os\nfrom taskhero import TaskHero\n"
        "@contextlib.asynccontextmanager\nasync def lifespan(app):\n    os._exit(3)\n    yield\n"
        "app = TaskHero(lifespan=lifespan)\n"
    )
    parent = await run.start("work", "--app", "doomed:app", "--processes", "2", cwd=tmp_path)
    shown = await parent.shows(r"process 1 .* ended with exit code 3; it is restarted in ([\d.]+) s", times=3)
    first, second, third = (float(match[1]) for match in shown)
    # Each delay is twice the one before, cut by chance to half of it at the least.
    assert 0.2 <= first <= 0.5 <= second <= 1.0 <= third <= 2.0
    parent.send(signal.SIGTERM)
    assert await parent.ended() == 0


async def test_the_death_of_the_parent_ends_its_processes_in_order(server, app, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    parent.kill()
    # Its output ends when the last of them has.
    assert await parent.ended() == -signal.SIGKILL
    assert len([line for line in parent.said if "has stopped" in line]) == 2
    assert workers(server) == 0


async def test_a_second_signal_to_the_parent_ends_all_at_once(server, app, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    # Both are busy: one without a job would be gone before the second signal.
    for n in (1, 2):
        await app.queue.enqueue("hold", [n], "work")
        await parent.shows(f"^began {n}$")
    parent.send(signal.SIGTERM)
    await parent.shows("stops because of", times=2)
    parent.send(signal.SIGTERM)
    assert await parent.ended() == 128 + signal.SIGTERM
    assert not {"did 1", "did 2"} & set(parent.said)
    assert await app.queue.length("work") == 0, "it stands under its worker's name, until that is rescued"
    assert workers(server) == 2


async def test_a_burst_of_several_processes_ends(server, app, run):
    for n in range(20):
        await app.queue.enqueue("quick", [n], "work")
    parent = await run.work("--processes", "2", "--burst", url=server.url)
    assert await parent.ended() == 0
    assert await app.queue.stats() == {"processed": 20}
    assert workers(server) == 0


async def test_a_wrong_app_is_told_once_and_not_started_again(run):
    parent = await run.start("work", "--app", "shop:ap", "--processes", "2")
    assert await parent.ended() == 1
    assert parent.said == ["Error: --app shop:ap: module 'shop' has no 'ap'; did you mean 'app'?"]


async def test_a_change_of_a_file_starts_it_anew(run, tmp_path):
    source = tmp_path / "myshop.py"
    source.write_text(SHOP.format(version=1))
    parent = await run.start("work", "--app", "myshop:app", "--reload", cwd=tmp_path)
    await parent.shows("^version 1$")
    await parent.shows("process \\d+ works")
    source.write_text(SHOP.format(version="two"))
    await parent.shows("myshop.py changed")
    await parent.shows("^version two$")
    await parent.shows("process \\d+ works", times=2)
    source.write_text("def (:\n")
    await parent.shows("cannot be imported: SyntaxError")
    await parent.shows("it is restarted when a file changes")
    source.write_text(SHOP.format(version="three"))
    await parent.shows("^version three$")
    await parent.shows("process \\d+ works", times=3)
    parent.send(signal.SIGINT)
    assert await parent.ended() == 0
