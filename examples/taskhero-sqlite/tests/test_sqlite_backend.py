"""The backend keeps the contract of taskhero, and its file survives what happens to files."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from taskhero.conformance import BackendConformance, Capabilities
from taskhero_sqlite import SqliteBackend
from taskhero_sqlite.address import Address
from taskhero_sqlite.work import MAX_BATCH


def at(path, **options):
    """An address for tests: what they store need not outlive a power failure, which no URL may say."""
    return Address(path=path, poll=0.005, synchronous="off", **options)


class TestSqliteBackend(BackendConformance):
    """The whole kit. No other program writes to the file; a process and its lease are one row."""

    capabilities = Capabilities(
        wrong_types=False,
        foreign_scheduler=False,
        foreign_workers=False,
        foreign_failures=False,
        leftovers=False,
        lost_lease=False,
        batch_bytes=MAX_BATCH,
    )

    @pytest.fixture
    async def backend(self, clock, tmp_path):
        self.address, self.now = at(tmp_path / "jobs.db"), clock.now
        backend = SqliteBackend(self.address, clock=clock)
        await backend.connect()
        yield backend
        await backend.close()

    async def another_view(self, backend, clock):
        other = SqliteBackend(self.address, clock=clock)
        await other.connect()
        return other

    async def set_paused(self, backend, *, paused):
        await backend.pause_all_workers(paused)

    async def last_error_of(self, backend, name):
        query = "SELECT text FROM trace WHERE name = ? AND until > ?"
        with contextlib.closing(sqlite3.connect(self.address.path)) as connection:
            found = connection.execute(query, (name.encode(), self.now())).fetchone()
        return None if found is None else found[0].decode()
