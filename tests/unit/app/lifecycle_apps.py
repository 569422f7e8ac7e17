"""Settings and backends of the tests of an app's lifecycle."""

from __future__ import annotations

import asyncio

from taskhero import Settings
from taskhero.backends.memory import MemoryBackend
from taskhero.errors import (
    BackendUnavailable,
)

__all__ = ["QUICK", "Away", "Noted"]


QUICK = Settings(max_task_processors=2, scheduler=True, timeout=0.2, grace=1)


class Noted(MemoryBackend):
    """A backend that notes when it is connected and closed."""

    def __init__(self):
        super().__init__()
        self.notes = []

    async def connect(self):
        await asyncio.sleep(0)
        self.notes.append("connect")
        await super().connect()

    async def close(self):
        self.notes.append("close")
        await super().close()


class Away(MemoryBackend):
    """A backend that cannot be reached."""

    async def connect(self):
        raise BackendUnavailable("nothing answers at memory://")
