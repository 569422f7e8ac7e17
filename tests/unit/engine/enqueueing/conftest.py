"""An app whose time a test moves, with a task of each kind."""

from __future__ import annotations

import pytest
from stored_jobs import NOW

from taskhero import TaskHero
from taskhero.backends.memory import MemoryBackend
from taskhero.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
async def app(clock):
    """An app in memory whose clock does not advance, with a task of each kind."""
    app = TaskHero(MemoryBackend(clock=clock), clock=clock)

    @app.task(queue="mail")
    async def send(*, to, copies=1): ...

    @app.task(queue="math")
    def add(a, b=2, c=3): ...

    @app.task
    def nothing(): ...

    async with app:
        yield app
