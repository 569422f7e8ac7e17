"""What the kit cannot know: files, URLs, and processes that share a file or are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from taskhero import Settings, TaskHero
from taskhero.backends.protocol import Entry, Interest, Process
from taskhero.backends.registry import open_backend
from taskhero.clock import ManualClock
from taskhero.errors import BackendRefused, BackendUnavailable, NotConnected, UnknownBackend
from taskhero_sqlite import SqliteBackend
from taskhero_sqlite.address import Address

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.db"


def program(code, *words):
    """A Python process that runs this code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], env=environment, stdout=subprocess.PIPE, text=True
    )


# --- URLs


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////srv/jobs.db", "/srv/jobs.db"),
        ("sqlite:////srv/my%20jobs%3F.db", "/srv/my jobs?.db"),
        ("sqlite:///jobs.db", os.path.join(os.getcwd(), "jobs.db")),  # noqa: PTH109, PTH118
    ],
)
def test_a_url_names_a_file(url, path):
    """Three slashes and a relative path, or four and an absolute one, as SQLAlchemy has it."""
    address = Address.of(url)
    assert str(address.path) == path
    assert Address.of(address.url).path == address.path


def test_a_url_has_options():
    """How long a step waits for others, how often it looks, how safe it is."""
    address = Address.of("sqlite:///jobs.db?timeout=3&poll=0.5&synchronous=NORMAL")
    assert (address.timeout, address.poll, address.synchronous) == (3.0, 0.5, "normal")
    assert "?" not in address.url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite://", "sqlite:// needs a file"),
        ("sqlite:///", "sqlite:// needs a file"),
        ("sqlite:///:memory:", "jobs in memory are memory://"),
        ("sqlite://srv/jobs.db", "sqlite:////srv/jobs.db is /srv/jobs.db"),
        ("sqlite:///jobs.db?timeout=long", "cannot have the option timeout=long"),
        ("sqlite:///jobs.db?timeout=0", "in seconds from 0.001 to 300"),
        ("sqlite:///jobs.db?synchronous=off", "synchronous, full or normal"),
        ("sqlite:///jobs.db?mode=ro", "cannot have the option mode=ro"),
    ],
)
def test_a_url_that_can_only_be_a_mistake_is_refused(url, sentence):
    with pytest.raises(UnknownBackend, match=sentence):
        SqliteBackend.from_url(url)


# --- files


async def test_a_file_of_somebody_else_is_refused(path):
    """Nothing is written to it."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE job (mine)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(BackendUnavailable, match="holds something else: give the jobs a file of their own"):
        await SqliteBackend(path).connect()
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(path):
    path.write_text("no database " * 100)
    with pytest.raises(BackendUnavailable, match="jobs.db cannot be opened: file is not a database"):
        await SqliteBackend(path).connect()


async def test_a_file_of_a_newer_version_is_refused(path):
    backend = SqliteBackend(path)
    await backend.connect()
    await backend.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(BackendUnavailable, match="schema 99, this one knows 1.*pip install --upgrade"):
        await backend.connect()


async def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(BackendUnavailable, match="gone/jobs.db cannot be opened: unable to open database file"):
        await SqliteBackend(tmp_path / "gone" / "jobs.db").connect()


async def test_a_file_that_others_keep_locked_is_unavailable(path):
    """A step that could not begin in time says that nothing was done; looking goes on."""
    backend = SqliteBackend(Address(path=path, timeout=0.05))
    await backend.connect()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(BackendUnavailable, match="could not be used: database is locked"):
        await backend.push([Entry("q", "job")])
    assert await backend.queued("q") == []
    connection.execute("ROLLBACK")
    connection.close()
    assert await backend.push([Entry("q", "job")]) == [True]
    await backend.close()


async def test_a_step_that_fails_is_undone(path):
    """Here the second entry of a push cannot be stored."""
    backend = SqliteBackend(path)
    await backend.connect()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON job WHEN NEW.raw = CAST('bad' AS BLOB) "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    connection.close()
    with pytest.raises(BackendRefused, match="no room"):
        await backend.push([Entry("q", "good"), Entry("q", "bad")])
    assert await backend.queues() == []
    await backend.close()


async def test_it_says_what_to_do_before_it_is_connected(path):
    backend = SqliteBackend(path)
    with pytest.raises(NotConnected, match="is not connected: call `await backend.connect\\(\\)` first"):
        await backend.queues()
    with pytest.raises(NotConnected, match="is not connected"):
        backend.beat(Process("p", ("q",)), (), 1.0, full=False)
    await backend.connect()

    async def elsewhere():
        with pytest.raises(NotConnected, match="connected in another event loop"):
            await backend.connect()
        with pytest.raises(NotConnected, match="connected in another event loop"):
            await backend.queues()

    await asyncio.to_thread(asyncio.run, elsewhere())
    await backend.close()


# --- processes


PUSHER = """
import asyncio, sys
from taskhero.backends.protocol import Entry
from taskhero_sqlite import SqliteBackend

async def main():
    backend = SqliteBackend(sys.argv[1])
    await backend.connect()
    for number in range(int(sys.argv[2])):
        await backend.push([Entry("q", f"{number} a"), Entry("q", f"{number} b")])
        print(number, flush=True)
    await backend.close()

asyncio.run(main())
"""


async def test_a_process_that_is_killed_loses_nothing_and_halves_nothing(path):
    """What was answered is stored; of what was not, all or nothing."""
    process = program(PUSHER, path, 1_000_000)
    for _ in range(20):
        said = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    said = max([said, *(int(line) for line in process.stdout.read().splitlines() if line)])
    process.wait(20)
    process.stdout.close()
    backend = SqliteBackend(path)
    await backend.connect()
    stored = await backend.queued("q")
    assert len(stored) >= 2 * (said + 1)
    assert stored == [f"{number} {half}" for number in range(len(stored) // 2) for half in "ab"]
    await backend.close()


async def test_a_push_of_another_process_wakes_who_waits(path):
    """Long before the time is up."""
    backend = SqliteBackend(path)
    await backend.connect()
    wait = asyncio.create_task(backend.wait(Process("p", ("q",)), Interest(queues=("q",)), 60))
    process = program(PUSHER, path, 1)
    async with asyncio.timeout(20):
        assert (await wait).jobs
    process.communicate(timeout=20)
    await backend.close()


WORKER = """
import asyncio, os, sys
from taskhero import Settings, TaskHero
from taskhero_sqlite import SqliteBackend

app = TaskHero(SqliteBackend(sys.argv[1]), settings=Settings(min_task_processors=5, max_task_processors=5))

@app.task(queue="q")
async def note(number: int) -> None:
    os.write(1, f"{number}\\n".encode())

app.run(burst=True)
"""


async def test_several_processes_work_each_job_once(path):
    """Three workers start at the same time, on a file that is not there yet, and stop when all is done."""
    processes = [program(WORKER, path) for _ in range(2)]
    app = TaskHero(SqliteBackend(path), settings=Settings())
    app.task(queue="q", name="note")(_note)
    async with app:
        await app.queue.enqueue_many([app.queue.job("note", [number]) for number in range(300)])
    processes.append(program(WORKER, path))
    done = [await asyncio.to_thread(process.communicate, timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    numbers = [int(number) for out, _ in done for number in out.split()]
    assert sorted(numbers) == list(range(300))
    async with app:
        assert (await app.queue.stats())["processed"] == 300


HOLDER = """
import asyncio, sys
from taskhero import Settings, TaskHero
from taskhero_sqlite import SqliteBackend

quick = Settings(min_task_processors=1, max_task_processors=1, heartbeat_interval=0.2, rescue_after=1)
app = TaskHero(SqliteBackend(sys.argv[1]), settings=quick)

@app.task(queue="q")
async def note(number: int) -> None:
    print("begun", number, flush=True)
    if sys.argv[2] == "holds":
        await asyncio.Event().wait()

app.run(burst=True)
"""


async def test_a_job_whose_worker_is_killed_is_done_by_another(path):
    """It stands in the dead process's hands until its lease ends, and nowhere else."""
    app = TaskHero(SqliteBackend(path), settings=Settings())
    app.task(queue="q", name="note")(_note)
    async with app:
        await app.queue.enqueue("note", [7])
    holder = program(HOLDER, path, "holds")
    assert await asyncio.to_thread(holder.stdout.readline) == "begun 7\n"
    async with app:
        assert await app.queue.length("q") == 0
    holder.kill()
    holder.communicate(timeout=20)
    # Whoever looks after its lease has ended, here by a clock that is ahead, takes the job from it.
    rescuer = SqliteBackend(path, clock=ManualClock(time.time() + 60))
    await rescuer.connect()
    assert [one.queue for one in await rescuer.rescue(10)] == ["q"]
    await rescuer.close()
    heir = program(HOLDER, path, "ends")
    out, _ = await asyncio.to_thread(heir.communicate, timeout=60)
    assert (heir.returncode, out) == (0, "begun 7\n")
    async with app:
        assert (await app.queue.stats())["processed"] == 1


async def _note(number: int) -> None: ...


def test_its_scheme_is_known_where_it_is_installed():
    """In the house's own tests it is not: they import it from its folder."""
    from importlib.metadata import entry_points

    if not entry_points(group="taskhero.backends", name="sqlite"):
        pytest.skip("taskhero-sqlite is not installed here")
    assert type(open_backend("sqlite:///jobs.db")) is SqliteBackend
