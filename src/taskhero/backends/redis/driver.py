"""The Redis driver."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskhero.wire.keys import Keys

from .inspecting import Inspecting
from .link import CONNECT_TIMEOUT, Link
from .producing import Producing
from .promoting import Promoting
from .waking import Waking
from .working import Working

if TYPE_CHECKING:
    from taskhero.backends.protocol import Process
    from taskhero.clock import Clock

__all__ = ["RedisBackend"]

_BEAT_TIMEOUT = 5.0


class RedisBackend(Producing, Promoting, Working, Waking, Inspecting):
    """Jobs in Redis (6.2 or newer) or Valkey, on the wire of Resque.

    Args:
        url: ``redis://[[user]:password@]host[:port][/database]``.
        namespace: What stands before every key; ``""`` for nothing.
        clock: For tests: the time of all steps, in place of the server's.
    """

    def __init__(self, url: str, *, namespace: str = "resque", clock: Clock | None = None) -> None:
        self._link = self._make_link(url)
        self._keys = Keys(namespace)
        self._clock = clock
        self._batches = count(1)
        self._slots = {}
        self._last_places = None
        self._lease = 12.0
        self._beating = None
        self._connect_beating = lambda: self._make_beating(url)
        self._reset()

    def _reset(self) -> None:
        self._pending = []
        self._pusher = None
        self._waits = {}
        self._departures = set()
        self._tracking = True

    @classmethod
    def from_url(cls, url: str, *, namespace: str = "resque") -> Self:
        """The backend at *url*."""
        return cls(url, namespace=namespace)

    def _make_link(self, url: str) -> Link:
        return Link(url)

    def _make_beating(self, url: str) -> redis.Redis:
        """A connection of its own for the thread that renews the lease."""
        return redis.Redis.from_url(
            url,
            protocol=2,
            socket_timeout=_BEAT_TIMEOUT,
            socket_connect_timeout=CONNECT_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=False,
            max_connections=1,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.location}>"

    @property
    def location(self) -> str:
        """See `Backend.location`."""
        return self._link.location

    async def connect(self) -> None:
        """See `Backend.connect`."""
        await self._link.open()

    async def close(self) -> None:
        """See `Backend.close`."""
        waits = list(self._waits.values())
        tasks = [*self._departures, *([self._pusher] if self._pusher else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for waiting in waits:
            await waiting.close()
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.close()
        self._reset()
        await self._link.close()

    async def deregister(self, process: Process) -> int:
        """See `Backend.deregister`."""
        await self._stop_waiting(process)
        return await super().deregister(process)
