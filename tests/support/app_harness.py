"""An app on a store of any kind, with a clock that a test moves, and what happened there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from redis_view import run_command

from taskhero import Settings, TaskHero
from taskhero.backends.memory import MemoryBackend
from taskhero.backends.redis import RedisBackend
from taskhero.backends.redis.fake import FakeRedisBackend
from taskhero.clock import ManualClock
from taskhero.events import EVENTS, Event
from taskhero_sqlite import SqliteBackend
from taskhero_sqlite.address import Address

__all__ = ["AppHarness"]

#: Seconds that anything in a test takes at most.
WAIT = 20.0

_numbers = count()


class AppHarness:
    """Makes apps on one store, and waits for what they tell.

    Args:
        where: ``memory``, ``fakeredis``, the path of a file for the example's SQLite backend, or the URL of a server.
    """

    def __init__(self, where: str | Path) -> None:
        self.where = where
        self._number = next(_numbers)
        self.clock = ManualClock()
        self.events: list[Event] = []
        self._happened = asyncio.Event()
        self.memory: MemoryBackend | None = None

    @property
    def is_redis(self) -> bool:
        """Whether others could look into the store by Redis commands."""
        return self.where != "memory" and not isinstance(self.where, Path)

    def backend(self) -> Any:
        """A backend on the store; in memory it is always the same, so that apps share the jobs."""
        if self.where == "memory":
            self.memory = self.memory or MemoryBackend(clock=self.clock)
            return self.memory
        if self.where == "fakeredis":
            return FakeRedisBackend(f"fakeredis://stage-{self._number}", clock=self.clock)
        if isinstance(self.where, Path):
            return SqliteBackend(Address(path=self.where, poll=0.005, synchronous="off"), clock=self.clock)
        return RedisBackend(self.where, clock=self.clock)

    def app(self, *, processors: int = 2, scheduler: bool = True, settings: dict[str, Any] | None = None, **more: Any):
        """An app that works here; no lease runs out when the clock is moved."""
        given = {"timeout": 0.2, "grace": 0.0, "rescue_after": 3600, "min_task_processors": processors}
        chosen = Settings(scheduler=scheduler, max_task_processors=processors, **{**given, **(settings or {})})
        app = TaskHero(self.backend(), settings=chosen, **{"clock": self.clock, **more})
        for kind in EVENTS:
            app.on(kind, self._note)
        return app

    def _note(self, event: Event) -> None:
        self.events.append(event)
        self._happened.set()

    def look(self) -> None:
        """Something happened that is no event."""
        self._happened.set()

    def told(self, name: str) -> list[Any]:
        """The events of this name so far, such as ``success`` or ``scheduler.merged``."""
        return [event for event in self.events if name in {event.name, f"{event.source}.{event.name}"}]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds, looking whenever something is told."""
        async with asyncio.timeout(WAIT):
            while not condition():
                self._happened.clear()
                await self._happened.wait()

    async def happened(self, name: str, times: int = 1) -> list[Any]:
        """Wait until an event was told so often; return all of its kind."""
        await self.until(lambda: len(self.told(name)) >= times)
        return self.told(name)

    def later(self, app: TaskHero, seconds: float) -> None:
        """Let time pass, for the store and for the app's scheduler."""
        self.clock.advance(seconds)
        if app.scheduler is not None:
            app.scheduler.request_promotion()
            app.scheduler.request_periodic()

    async def redis(self, app: TaskHero, *command: Any) -> Any:
        """Ask the server, with the namespace's keys written out."""
        return await run_command(app.backend, *command)
