"""Define `RedisBackend`, which connects the parts of the driver and maps each verb to one of them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from taskhero._internal.display import location_of
from taskhero.backends.redis.commands.claim_commands import ClaimCommands
from taskhero.backends.redis.commands.inspection_commands import InspectionCommands
from taskhero.backends.redis.commands.periodic_commands import PeriodicCommands
from taskhero.backends.redis.commands.process_commands import ProcessCommands
from taskhero.backends.redis.commands.producer_commands import ProducerCommands
from taskhero.backends.redis.commands.queue_commands import QueueCommands
from taskhero.backends.redis.commands.rescue_commands import RescueCommands
from taskhero.backends.redis.commands.scheduler_commands import SchedulerCommands
from taskhero.backends.redis.commands.worker_commands import WorkerCommands
from taskhero.backends.redis.connection.connection_manager import ConnectionManager
from taskhero.backends.redis.connection.heartbeat_client import HeartbeatClient
from taskhero.backends.redis.connection.topologies import address_of
from taskhero.backends.redis.notify.notifier import Notifier
from taskhero.backends.redis.push_batcher import PushBatcher
from taskhero.backends.redis.registered_slots import RegisteredSlots
from taskhero.backends.redis.settle_and_claim import SettleAndClaim
from taskhero.backends.redis.store import Store
from taskhero.wire.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import DeregisterReply, Process
    from taskhero.clock import Clock

__all__ = ["RedisBackend"]

_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)


class _Verb(Generic[_P, _R_co]):
    """A verb of the contract that a part of the backend implements.

    `backend.push` is the bound method of the part, so a call of the verb is a call of that method.

    Args:
        part: The attribute of the backend that is the part.
        method: The method of the part's class.
    """

    def __init__(self, part: str, method: Callable[Concatenate[Any, _P], _R_co]) -> None:
        self._bound_method: Callable[[object], Callable[_P, _R_co]] = attrgetter(f"{part}.{method.__name__}")
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, backend: None, owner: type) -> Self: ...
    @overload
    def __get__(self, backend: object, owner: type) -> Callable[_P, _R_co]: ...
    def __get__(self, backend: object | None, owner: type) -> Self | Callable[_P, _R_co]:
        return self if backend is None else self._bound_method(backend)


class RedisBackend:
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

    #: Whether the server may support CLIENT TRACKING.
    _can_track = True

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
        store = Store(self._connections, self._keys, clock)
        slots = RegisteredSlots()
        self._heartbeat_client = HeartbeatClient(self._connections.address, self._connections.make_client)
        self._producers = ProducerCommands(store)
        self._pushes = PushBatcher(self._producers.store, self._connections.location)
        self._scheduler = SchedulerCommands(store, ignore_dead_master_lock=ignore_dead_master_lock)
        self._periodic = PeriodicCommands(store)
        self._processes = ProcessCommands(store, slots, self._heartbeat_client)
        self._dispatch = SettleAndClaim(store)
        self._claims = ClaimCommands(store, slots)
        self._rescue = RescueCommands(store, self._processes)
        self._notifier = Notifier(store, can_track=self._can_track)
        self._queues = QueueCommands(store)
        self._inspection = InspectionCommands(store)
        self._workers = WorkerCommands(store)

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
            self._pushes.reset()
            self._notifier.reset()
        await self._connections.open()

    async def close(self) -> None:
        """See `Backend.close`."""
        await self._pushes.close()
        await self._notifier.close()
        self._heartbeat_client.stop()
        await self._connections.close()

    # producers
    push = _Verb("_pushes", PushBatcher.push)
    schedule = _Verb("_producers", ProducerCommands.schedule)

    # promotion and the leader
    due = _Verb("_scheduler", SchedulerCommands.due)
    adopt = _Verb("_scheduler", SchedulerCommands.adopt)
    promote = _Verb("_scheduler", SchedulerCommands.promote)
    lead = _Verb("_scheduler", SchedulerCommands.lead)
    resign = _Verb("_scheduler", SchedulerCommands.resign)
    leader = _Verb("_scheduler", SchedulerCommands.leader)

    # periodic tasks
    declare_periodic = _Verb("_periodic", PeriodicCommands.declare_periodic)
    ensure_periodic = _Verb("_periodic", PeriodicCommands.ensure_periodic)
    restart_periodic = _Verb("_periodic", PeriodicCommands.restart_periodic)
    stop_periodic = _Verb("_periodic", PeriodicCommands.stop_periodic)
    resume_periodic = _Verb("_periodic", PeriodicCommands.resume_periodic)
    fire_cron = _Verb("_periodic", PeriodicCommands.fire_cron)

    # processes
    register = _Verb("_processes", ProcessCommands.register)
    heartbeat = _Verb("_processes", ProcessCommands.heartbeat)
    leases = _Verb("_processes", ProcessCommands.leases)
    deregister_slots = _Verb("_processes", ProcessCommands.deregister_slots)

    async def deregister(self, process: Process) -> DeregisterReply:
        """See `Backend.deregister`."""
        await self._notifier.stop_waiting(process)
        return await self._processes.deregister(process)

    # claims
    settle_and_claim = _Verb("_dispatch", SettleAndClaim.settle_and_claim)
    prepare = _Verb("_claims", ClaimCommands.prepare)
    claims = _Verb("_claims", ClaimCommands.claims)
    restore = _Verb("_claims", ClaimCommands.restore)
    mark_exclusive = _Verb("_claims", ClaimCommands.mark_exclusive)
    rescue = _Verb("_rescue", RescueCommands.rescue)

    # wake-ups
    wait = _Verb("_notifier", Notifier.wait)
    notify = _Verb("_notifier", Notifier.notify)

    # inspection and repair
    overview = _Verb("_inspection", InspectionCommands.overview)
    queues = _Verb("_queues", QueueCommands.queues)
    length = _Verb("_queues", QueueCommands.length)
    queued = _Verb("_queues", QueueCommands.queued)
    remove = _Verb("_queues", QueueCommands.remove)
    delete_queue = _Verb("_queues", QueueCommands.delete_queue)
    stats = _Verb("_queues", QueueCommands.stats)
    due_times = _Verb("_inspection", InspectionCommands.due_times)
    delayed = _Verb("_inspection", InspectionCommands.delayed)
    search_delayed = _Verb("_inspection", InspectionCommands.search_delayed)
    remove_delayed = _Verb("_inspection", InspectionCommands.remove_delayed)
    failed_lists = _Verb("_inspection", InspectionCommands.failed_lists)
    failed_count = _Verb("_inspection", InspectionCommands.failed_count)
    failed = _Verb("_inspection", InspectionCommands.failed)
    remove_failed = _Verb("_inspection", InspectionCommands.remove_failed)
    retry_failed = _Verb("_inspection", InspectionCommands.retry_failed)
    locks = _Verb("_inspection", InspectionCommands.locks)
    lifetimes = _Verb("_inspection", InspectionCommands.lifetimes)
    delete_lock = _Verb("_inspection", InspectionCommands.delete_lock)
    workers = _Verb("_workers", WorkerCommands.workers)
    heartbeat_ages = _Verb("_workers", WorkerCommands.heartbeat_ages)
    remove_worker = _Verb("_workers", WorkerCommands.remove_worker)
