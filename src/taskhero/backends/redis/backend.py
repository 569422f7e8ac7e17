"""The Redis driver."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Self

from taskhero._internal.async_helpers import end_tasks
from taskhero._internal.display import location_of
from taskhero.backends.redis.commands.claim_commands import Working
from taskhero.backends.redis.commands.inspection_commands import Mending
from taskhero.backends.redis.commands.periodic_commands import Recurring
from taskhero.backends.redis.commands.producer_commands import Producing
from taskhero.backends.redis.commands.scheduler_commands import Promoting
from taskhero.backends.redis.commands.worker_commands import Watching
from taskhero.backends.redis.connection.addresses import address_of
from taskhero.backends.redis.connection.heartbeat_client import Beating
from taskhero.backends.redis.connection.manager import Link
from taskhero.backends.redis.notify.notifier import Waking
from taskhero.wire.keys import Keys

if TYPE_CHECKING:
    from taskhero.backends.protocol import Dismissed, Process
    from taskhero.clock import Clock

__all__ = ["RedisBackend"]


class RedisBackend(Producing, Promoting, Recurring, Working, Waking, Mending, Watching):
    """Jobs in Redis (6.2 or newer) or Valkey, on the wire of Resque.

    Args:
        url: ``redis://[[user]:password@]host[:port][/database]``, the same with ``rediss`` for TLS,
            ``unix:///path?db=0``, ``redis+sentinel://host:port,.../service[/database]``, or
            ``redis+cluster://host:port,...``.
        namespace: What stands before every key; ``""`` for nothing.
        clock: For tests: the time of all steps, in place of the server's.
        resque_scheduler_prefix: See `Settings`.
        ignore_dead_master_lock: See `Settings`.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "resque",
        clock: Clock | None = None,
        resque_scheduler_prefix: str = "",
        ignore_dead_master_lock: bool = True,
    ) -> None:
        self._link = self._make_link(url, namespace)
        self._keys = Keys(namespace, resque_scheduler_prefix=resque_scheduler_prefix)
        self._clock = clock
        self._ignore_dead_master_lock = ignore_dead_master_lock
        self._batches = count(1)
        self._slots = {}
        self._last_places = None
        self._last_claim = None
        self._beating = Beating(self._link.address, self._link.make_client)
        self._reset()

    def _reset(self) -> None:
        self._pending = []
        self._pusher = None
        self._waits = {}
        self._departures = set()
        self._tracking = True

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        namespace: str = "resque",
        resque_scheduler_prefix: str = "",
        ignore_dead_master_lock: bool = True,
    ) -> Self:
        """The backend at *url*."""
        return cls(
            url,
            namespace=namespace,
            resque_scheduler_prefix=resque_scheduler_prefix,
            ignore_dead_master_lock=ignore_dead_master_lock,
        )

    def _make_link(self, url: str, namespace: str) -> Link:
        return Link(address_of(url, namespace), location_of(url))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.location}>"

    @property
    def location(self) -> str:
        """See `Backend.location`."""
        return self._link.location

    async def connect(self) -> None:
        """See `Backend.connect`."""
        if self._link.forget_lost():
            self._beating.stop()
            self._reset()
        await self._link.open()

    async def close(self) -> None:
        """See `Backend.close`."""
        waits = list(self._waits.values())
        tasks = [*self._departures, *([self._pusher] if self._pusher else [])]
        await end_tasks(tasks)
        for waiting in waits:
            await waiting.close()
        self._beating.stop()
        self._reset()
        await self._link.close()

    async def deregister(self, process: Process) -> Dismissed:
        """See `Backend.deregister`."""
        await self._stop_waiting(process)
        return await super().deregister(process)
