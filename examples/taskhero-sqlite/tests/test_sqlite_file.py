"""What the kit cannot know: files and URLs."""

from __future__ import annotations

import asyncio
import os
import sqlite3

import pytest

from taskhero.backends.protocol import Entry, NotDelayed, Process
from taskhero.backends.registry import open_backend
from taskhero.errors import BackendRefused, BackendUnavailable, NotConnected, UnknownBackend
from taskhero_sqlite import SqliteBackend
from taskhero_sqlite.address import Address

pytestmark = pytest.mark.anyio


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


async def test_a_file_of_an_older_version_is_brought_up_to_date(path):
    backend = SqliteBackend(path)
    await backend.connect()
    await backend.push([Entry("q", "job")])
    await backend.close()
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE spelled; PRAGMA user_version = 1;")
    connection.close()
    backend = SqliteBackend(path)
    await backend.connect()
    assert await backend.queued("q") == ["job"]
    assert list(await backend.push([Entry("q", "x", guards=(NotDelayed(("x",), "m"),))])) == [True]
    await backend.close()


async def test_a_file_of_a_newer_version_is_refused(path):
    backend = SqliteBackend(path)
    await backend.connect()
    await backend.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(BackendUnavailable, match="schema 99, this one knows 2.*pip install --upgrade"):
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
        backend.heartbeat(Process("p", ("q",)), (), 1.0, full=False)
    await backend.connect()

    async def elsewhere():
        with pytest.raises(NotConnected, match="connected in another event loop"):
            await backend.connect()
        with pytest.raises(NotConnected, match="connected in another event loop"):
            await backend.queues()

    await asyncio.to_thread(asyncio.run, elsewhere())
    await backend.close()


def test_its_scheme_is_known_where_it_is_installed():
    """In the house's own tests it is not: they import it from its folder."""
    from importlib.metadata import entry_points

    if not entry_points(group="taskhero.backends", name="sqlite"):
        pytest.skip("taskhero-sqlite is not installed here")
    assert type(open_backend("sqlite:///jobs.db")) is SqliteBackend
