"""The backend keeps the contract of taskhero, and its file survives what happens to files."""

from __future__ import annotations

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
        backend = SqliteBackend(at(tmp_path / "jobs.db"), clock=clock)
        await backend.connect()
        yield backend
        await backend.close()

    async def another_view(self, backend, clock):
        other = SqliteBackend(backend._address, clock=clock)
        await other.connect()
        return other

    async def set_paused(self, backend, *, paused):
        await backend.pause_all_workers(paused)

    async def last_error_of(self, backend, name):
        found = await backend._ask(
            lambda step: step.value("SELECT text FROM trace WHERE name = ? AND until > ?", name.encode(), step.now)
        )
        return None if found is None else found.decode()
