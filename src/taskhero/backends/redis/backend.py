"""Define `RedisBackend`, which combines the groups of verbs."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Self

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero._internal.display import location_of
from taskhero.backends.redis.commands.claim_commands import ClaimCommands
from taskhero.backends.redis.commands.inspection_commands import InspectionCommands
from taskhero.backends.redis.commands.periodic_commands import PeriodicCommands
from taskhero.backends.redis.commands.producer_commands import ProducerCommands
from taskhero.backends.redis.commands.scheduler_commands import SchedulerCommands
from taskhero.backends.redis.commands.worker_commands import WorkerCommands
from taskhero.backends.redis.connection.addresses import address_of
from taskhero.backends.redis.connection.connection_manager import ConnectionManager
from taskhero.backends.redis.connection.heartbeat_client import HeartbeatClient
from taskhero.backends.redis.notify.notifier import Notifier
from taskhero.wire.keys import Keys

if TYPE_CHECKING:
    from taskhero.backends.protocol import DeregisterReply, Process
    from taskhero.clock import Clock

__all__ = ["RedisBackend"]


class RedisBackend(
    ProducerCommands, SchedulerCommands, PeriodicCommands, ClaimCommands, Notifier, InspectionCommands, WorkerCommands
):
    """A backend that stores jobs in Redis (6.2 or newer) or Valkey, in the format of Resque.

    Args:
        url: ``redis://[[user]:password@]host[:port][/database]``, the same with ``rediss`` for TLS,
            ``unix:///path?db=0``, ``redis+sentinel://host:port,.../service[/database]``, or
            ``redis+cluster://host:port,...``.
        namespace: The prefix of every key. ``""`` means no prefix.
        clock: For tests: the clock of all steps, instead of the server's.
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
        self._connections = self._make_connections(url, namespace)
        self._keys = Keys(namespace, resque_scheduler_prefix=resque_scheduler_prefix)
        self._clock = clock
        self._ignore_dead_master_lock = ignore_dead_master_lock
        self._batches = count(1)
        self._slots = {}
        self._last_slot_keys = None
        self._last_claim = None
        self._heartbeat_client = HeartbeatClient(self._connections.address, self._connections.make_client)
        self._reset()

    def _reset(self) -> None:
        self._pending = []
        self._pusher = None
        self._waits = {}
        self._handovers = set()
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
        """Return the backend at *url*."""
        return cls(
            url,
            namespace=namespace,
            resque_scheduler_prefix=resque_scheduler_prefix,
            ignore_dead_master_lock=ignore_dead_master_lock,
        )

    def _make_connections(self, url: str, namespace: str) -> ConnectionManager:
        return ConnectionManager(address_of(url, namespace), location_of(url))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.location}>"

    @property
    def location(self) -> str:
        """See `Backend.location`."""
        return self._connections.location

    async def connect(self) -> None:
        """See `Backend.connect`."""
        if self._connections.forget_lost():
            self._heartbeat_client.stop()
            self._reset()
        await self._connections.open()

    async def close(self) -> None:
        """See `Backend.close`."""
        listeners = list(self._waits.values())
        tasks = [*self._handovers, *([self._pusher] if self._pusher else [])]
        await cancel_and_wait(tasks)
        for listener in listeners:
            await listener.close()
        self._heartbeat_client.stop()
        self._reset()
        await self._connections.close()

    async def deregister(self, process: Process) -> DeregisterReply:
        """See `Backend.deregister`."""
        await self._stop_waiting(process)
        return await super().deregister(process)
