"""Define `MemoryBackend`, which stores jobs in this program."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Self

from taskhero._internal.display import location_of
from taskhero.backends.memory.claim_store import ClaimStore
from taskhero.backends.memory.inspection_verbs import InspectionVerbs
from taskhero.backends.memory.periodic_verbs import PeriodicVerbs
from taskhero.backends.memory.queue_store import slice_of
from taskhero.backends.memory.store import Store, due_second
from taskhero.backends.protocol import DueReply, PromoteResult, QueueLockGuard, ScheduleResult
from taskhero.clock import SystemClock
from taskhero.errors import NotConnected, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import (
        Claim,
        ClaimsReply,
        DelayedJobEntry,
        DeregisterReply,
        Entry,
        HeartbeatReply,
        HeldLock,
        Lease,
        Leases,
        Preparation,
        Prepared,
        Process,
        PromotionTarget,
        Removal,
        RescuedJob,
        SettleAndClaimReply,
        Settlement,
        Subscription,
        Wakeup,
    )
    from taskhero.clock import Clock

__all__ = ["MemoryBackend"]


class MemoryBackend(PeriodicVerbs, InspectionVerbs):
    """A backend that stores jobs in the memory of this program, with the behaviour of the Redis driver.

    The jobs are private to the app and end with the program. Use the backend in one event loop. Only `heartbeat` may be
    called from any thread. No step awaits anything, so each is atomic. A lock protects the state that `heartbeat` uses.

    A subclass changes a verb, or overrides `make_store` or `make_claim_store` to replace a part.

    Args:
        clock: For tests: the clock of all steps.

    Attributes:
        clock: The clock of all steps.
        store: All jobs, locks and counters.
        claim_store: The registered processes and their claims.
        embedded: True, so a scheduler runs beside the task processors of an app without ``Settings.scheduler``.
    """

    embedded: ClassVar[bool] = True

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self.store = self.make_store()
        self.claim_store = self.make_claim_store(self.store)
        self._leader: tuple[str, float] | None = None

    def make_store(self) -> Store:
        """Return an empty store of jobs, locks and counters."""
        return Store()

    def make_claim_store(self, store: Store) -> ClaimStore:
        """Return an empty store of processes and claims, which takes jobs from *store*."""
        return ClaimStore(store)

    @classmethod
    def from_url(cls, url: str, *, namespace: str = "resque") -> Self:  # noqa: ARG003 - nothing is shared
        """Return a new backend. Two backends with the same URL share nothing.

        Raises:
            UnknownBackend: The URL has more than ``memory://``.
        """
        if url.partition("://")[2]:
            raise UnknownBackend(
                f"{location_of(url)} is not a URL of the memory backend: write memory://, which is private to its app"
            )
        return cls()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @property
    def location(self) -> str:
        """See `Backend.location`."""
        return "memory://"

    async def connect(self) -> None:
        """See `Backend.connect`."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop and not self._loop.is_closed():
            raise NotConnected("this memory backend is connected in another event loop: close it there first")
        self._loop = loop

    async def close(self) -> None:
        """See `Backend.close`."""
        self._loop = None
        self.store.wakeups.close()

    def _use(self) -> Store:
        """Return the store. Raise `NotConnected` outside of the event loop in which the backend was connected."""
        if self._loop is not asyncio.get_running_loop():
            raise self._misuse()
        return self.store

    def _misuse(self) -> NotConnected:
        if self._loop is None:
            return NotConnected("this memory backend is not connected: call `await backend.connect()` first")
        return NotConnected(
            "this memory backend was connected in another event loop: use it in that one, or close it first"
        )

    # producing

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """See `Backend.push`."""
        store, now = self._use(), self.clock.now()
        stored = []
        queues = {}
        for entry in entries:
            is_stored = store.acquire(entry.guards, now) is None
            if is_stored:
                store.queues.put(entry.queue, entry.raw, front=entry.front)
                queues[entry.queue] = True
            stored.append(is_stored)
        for queue in queues:
            store.wakeups.signal(queue)
        return stored

    async def schedule(self, entries: Sequence[DelayedJobEntry]) -> Sequence[ScheduleResult]:
        """See `Backend.schedule`."""
        store, now = self._use(), self.clock.now()
        return [self._schedule(store, entry, now) for entry in entries]

    def _schedule(self, store: Store, entry: DelayedJobEntry, now: float) -> ScheduleResult:
        at = due_second(entry, now)
        if at is not None and entry.unique and store.schedule.holds(at, entry.raw):
            return ScheduleResult.ALREADY_DELAYED
        guards = (
            entry.guards if at is None else [guard for guard in entry.guards if not isinstance(guard, QueueLockGuard)]
        )
        if store.acquire(guards, now) is not None:
            return ScheduleResult.DUPLICATE
        if at is not None:
            store.delay(at, entry.raw)
            return ScheduleResult.DELAYED
        store.queues.put(entry.queue, entry.raw)
        store.wakeups.signal(entry.queue)
        return ScheduleResult.QUEUED

    # promoting

    async def due(self, limit: int) -> DueReply:
        """See `Backend.due`."""
        store, now = self._use(), self.clock.now()
        return DueReply(now=now, jobs=store.schedule.due(now, limit), next_at=store.schedule.next_at())

    async def adopt(self) -> int:
        """See `Backend.adopt`. No other program stores jobs here."""
        self._use()
        return 0

    async def promote(self, moves: Sequence[PromotionTarget]) -> Sequence[PromoteResult]:
        """See `Backend.promote`."""
        store, now = self._use(), self.clock.now()
        return [self._promote(store, move, now) for move in moves]

    def _promote(self, store: Store, move: PromotionTarget, now: float) -> PromoteResult:
        job = move.job
        if job.at > int(now) or not store.schedule.holds(job.at, job.raw):
            return PromoteResult.MISSED
        if move.failure is not None or move.queue is None:
            store.schedule.remove(job.at, job.raw)
            store.fail(move.failure or "")
            return PromoteResult.FAILED
        result = store.acquire_or_merge(move, move.queue, now)
        if result != PromoteResult.HELD:
            store.schedule.remove(job.at, job.raw)
        if result == PromoteResult.QUEUED:
            store.queues.put(move.queue, job.raw)
            store.wakeups.signal(move.queue)
        return result

    # working

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """See `Backend.register`."""
        self._use()
        self.claim_store.renew(process, slots, lease, self.clock.now())

    def heartbeat(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        *,
        full: bool,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
    ) -> HeartbeatReply:
        """See `Backend.heartbeat`."""
        if self._loop is None:
            raise self._misuse()
        return self.claim_store.renew(process, slots if full else (), lease, self.clock.now(), locks=locks, seen=seen)

    async def deregister_slots(self, process: Process, slots: Sequence[int]) -> DeregisterReply:
        """See `Backend.deregister_slots`."""
        self._use()
        return self.claim_store.deregister_slots(process, slots)

    async def deregister(self, process: Process) -> DeregisterReply:
        """See `Backend.deregister`."""
        self._use()
        return self.claim_store.deregister(process)

    async def settle_and_claim(
        self,
        process: Process,
        settlements: Sequence[Settlement],
        free_slots: Sequence[int],
        queues: Sequence[str],
    ) -> SettleAndClaimReply:
        """See `Backend.settle_and_claim`."""
        self._use()
        return self.claim_store.settle_and_claim(process, settlements, free_slots, queues, self.clock.now())

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """See `Backend.prepare`."""
        self._use()
        return self.claim_store.prepare(process, preparations, self.clock.now())

    async def claims(self, process: Process) -> ClaimsReply:
        """See `Backend.claims`."""
        self._use()
        return self.claim_store.claims(process)

    async def restore(self, process: Process, claims: Sequence[Claim]) -> Sequence[bool]:
        """See `Backend.restore`."""
        self._use()
        return self.claim_store.restore(process, claims, self.clock.now())

    async def mark_exclusive(self, process: Process, claim: Claim, *, exclusive: bool = True) -> bool:
        """See `Backend.mark_exclusive`."""
        self._use()
        return self.claim_store.mark_exclusive(process, claim, exclusive=exclusive)

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:  # noqa: ARG002 - no lease is unknown
        """See `Backend.leases`."""
        self._use()
        return self.claim_store.leases(seen)

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[RescuedJob]:
        """See `Backend.rescue`."""
        self._use()
        return self.claim_store.rescue(expired, limit)

    async def pause_all_workers(self, paused: bool = True) -> None:
        """Pause all claims, or resume them with False. The Redis key ``pause-all-workers`` does the same."""
        self._use()
        self.claim_store.paused = paused

    # waking

    async def wait(self, process: Process, subscription: Subscription, timeout: float) -> Wakeup:  # noqa: ARG002
        """See `Backend.wait`."""
        return await self._use().wakeups.wait(subscription, timeout)

    async def notify(self, queues: Sequence[str]) -> None:
        """See `Backend.notify`."""
        store = self._use()
        for queue in queues:
            store.queues.notify(queue)

    # the leader

    async def lead(self, owner: str, lease: float) -> bool:
        """See `Backend.lead`."""
        self._use()
        if self._current_leader() not in {None, owner}:
            return False
        self._leader = (owner, self.clock.now() + lease)
        return True

    async def resign(self, owner: str) -> bool:
        """See `Backend.resign`."""
        self._use()
        if self._current_leader() != owner:
            return False
        self._leader = None
        return True

    async def leader(self) -> str | None:
        """See `Backend.leader`."""
        self._use()
        return self._current_leader()

    def _current_leader(self) -> str | None:
        if self._leader is None or self._leader[1] <= self.clock.now():
            return None
        return self._leader[0]

    # inspecting

    async def queues(self) -> list[str]:
        """See `Backend.queues`."""
        return sorted(self._use().queues.payloads)

    async def length(self, queue: str) -> int:
        """See `Backend.length`."""
        return len(self._use().queues.payloads.get(queue, ()))

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.queued`."""
        return slice_of(self._use().queues.payloads.get(queue, ()), start, stop)

    async def remove(self, queue: str, removals: Sequence[Removal]) -> Sequence[int]:
        """See `Backend.remove`."""
        store = self._use()
        return [store.remove(queue, removal) for removal in removals]

    async def delete_queue(self, queue: str, *, only_if_empty: bool = False) -> int:
        """See `Backend.delete_queue`."""
        queues = self._use().queues
        return 0 if only_if_empty and queues.payloads.get(queue) else queues.forget(queue)

    async def stats(self) -> dict[str, int]:
        """See `Backend.stats`."""
        return dict(self._use().counters)
