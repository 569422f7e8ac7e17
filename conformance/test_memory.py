"""The memory backend keeps the contract."""

from __future__ import annotations

import pytest

from taskhero.backends.memory import MemoryBackend
from taskhero.conformance import BackendConformance, Capabilities


class TestMemoryBackend(BackendConformance):
    """The store is private to its app, so no other program can damage it or leave half of a write in it."""

    capabilities = Capabilities(
        second_view=False,
        wrong_types=False,
        foreign_scheduler=False,
        foreign_workers=False,
        foreign_failures=False,
        leftovers=False,
        lost_lease=False,
        batch_bytes=4 * 1024 * 1024,
    )

    @pytest.fixture
    async def backend(self, clock):
        backend = MemoryBackend(clock=clock)
        await backend.connect()
        yield backend
        await backend.close()

    async def set_paused(self, backend, *, paused):
        await backend.pause_all_workers(paused)

    async def last_error_of(self, backend, name):
        return backend.store.last_errors.get(name, backend.clock.now())
