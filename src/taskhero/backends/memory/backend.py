"""The memory driver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from taskhero.backends.memory.claim_store import Work
from taskhero.backends.memory.inspection_verbs import Inspecting
from taskhero.backends.memory.periodic_verbs import PeriodicVerbs
from taskhero.backends.memory.queue_store import part_of
from taskhero.backends.memory.store import Store, due_second
from taskhero.backends.protocol import Due, FreeLock, Moved, Scheduled
from taskhero.clock import SystemClock
from taskhero.errors import NotConnected, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import (
        Beat,
        Claim,
        Claims,
        Dismissed,
        Entry,
        Exchange,
        HeldLock,
        Interest,
        Lease,
        Leases,
        Move,
        Preparation,
        Prepared,
        Process,
        Removal,
        Rescued,
        Settlement,
        TimedEntry,
        Wake,
    )
    from taskhero.clock import Clock

__all__ = ["MemoryBackend"]


class MemoryBackend(PeriodicVerbs, Inspecting):
    """Jobs in the memory of this program: private to the app, gone with it, and behaving as on the wire of Resque.

    It belongs to one event loop, but for `beat`, which any thread may call. No step lets go of the loop, so each is
    atomic; what `beat` touches is guarded by a lock besides.

    Args:
        clock: For tests: where the time comes from.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = SystemClock() if clock is None else clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._store = Store()
        self._work = Work(self._store)
        self._leader: tuple[str, float] | None = None

    @classmethod
    def from_url(cls, url: str, *, namespace: str = "resque") -> Self:  # noqa: ARG003 - all that it holds is its own
        """A backend of its own: two with the same URL share nothing.

        Raises:
            UnknownBackend: Something stands behind ``memory://``.
        """
        if url.partition("://")[2]:
            raise UnknownBackend("memory:// takes nothing behind it: each such backend is private to its app")
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
        self._store.line.end()

    def _use(self) -> Store:
        """The store, if it may be used here and now."""
        if self._loop is not asyncio.get_running_loop():
            raise self._misuse()
        return self._store

    def _misuse(self) -> NotConnected:
        if self._loop is None:
            return NotConnected("this memory backend is not connected: call `await backend.connect()` first")
        return NotConnected(
            "this memory backend was connected in another event loop: use it in that one, or close it first"
        )

    # producing

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """See `Backend.push`."""
        store, now = self._use(), self._clock.now()
        stored = []
        arrived = {}
        for entry in entries:
            free = store.take(entry.guards, now) is None
            if free:
                store.queues.put(entry.queue, entry.raw, front=entry.front)
                arrived[entry.queue] = True
            stored.append(free)
        for queue in arrived:
            store.line.ring(queue)
        return stored

    async def schedule(self, entries: Sequence[TimedEntry]) -> Sequence[str]:
        """See `Backend.schedule`."""
        store, now = self._use(), self._clock.now()
        return [self._schedule(store, entry, now) for entry in entries]

    def _schedule(self, store: Store, entry: TimedEntry, now: float) -> str:
        at = due_second(entry, now)
        if at is not None and entry.unique and store.schedule.holds(at, entry.raw):
            return Scheduled.DUPLICATE
        guards = entry.guards if at is None else [guard for guard in entry.guards if not isinstance(guard, FreeLock)]
        if store.take(guards, now) is not None:
            return Scheduled.REFUSED
        if at is not None:
            store.delay(at, entry.raw)
            return Scheduled.DELAYED
        store.queues.put(entry.queue, entry.raw)
        store.line.ring(entry.queue)
        return Scheduled.QUEUED

    # promoting

    async def due(self, limit: int) -> Due:
        """See `Backend.due`."""
        store, now = self._use(), self._clock.now()
        return Due(now=now, jobs=store.schedule.due(now, limit), next_at=store.schedule.next_at())

    async def adopt(self) -> int:
        """See `Backend.adopt`: nobody else stores anything here."""
        self._use()
        return 0

    async def promote(self, moves: Sequence[Move]) -> Sequence[str]:
        """See `Backend.promote`."""
        store, now = self._use(), self._clock.now()
        return [self._promote(store, move, now) for move in moves]

    def _promote(self, store: Store, move: Move, now: float) -> str:
        job = move.job
        if job.at > int(now) or not store.schedule.holds(job.at, job.raw):
            return Moved.MISSED
        if move.failure is not None or move.queue is None:
            store.schedule.remove(job.at, job.raw)
            store.fail(move.failure or "")
            return Moved.FAILED
        became = store.take_or_merge(move, move.queue, now)
        if became != Moved.HELD:
            store.schedule.remove(job.at, job.raw)
        if became == Moved.QUEUED:
            store.queues.put(move.queue, job.raw)
            store.line.ring(move.queue)
        return became

    # working

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """See `Backend.register`."""
        self._use()
        self._work.renew(process, slots, lease, self._clock.now())

    def beat(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        *,
        full: bool,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
    ) -> Beat:
        """See `Backend.beat`."""
        if self._loop is None:
            raise self._misuse()
        return self._work.renew(process, slots if full else (), lease, self._clock.now(), locks=locks, seen=seen)

    async def retire(self, process: Process, slots: Sequence[int]) -> Dismissed:
        """See `Backend.retire`."""
        self._use()
        return self._work.retire(process, slots)

    async def deregister(self, process: Process) -> Dismissed:
        """See `Backend.deregister`."""
        self._use()
        return self._work.deregister(process)

    async def exchange(
        self,
        process: Process,
        settled: Sequence[Settlement],
        free: Sequence[int],
        queues: Sequence[str],
    ) -> Exchange:
        """See `Backend.exchange`."""
        self._use()
        return self._work.exchange(process, settled, free, queues, self._clock.now())

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """See `Backend.prepare`."""
        self._use()
        return self._work.prepare(process, preparations, self._clock.now())

    async def claims(self, process: Process) -> Claims:
        """See `Backend.claims`."""
        self._use()
        return self._work.claims(process)

    async def restore(self, process: Process, claims: Sequence[Claim]) -> Sequence[bool]:
        """See `Backend.restore`."""
        self._use()
        return self._work.restore(process, claims, self._clock.now())

    async def begin(self, process: Process, claim: Claim, *, alone: bool = True) -> bool:
        """See `Backend.begin`."""
        self._use()
        return self._work.begin(process, claim, alone=alone)

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:  # noqa: ARG002 - none is unknown
        """See `Backend.leases`."""
        self._use()
        return self._work.leases(seen)

    async def rescue(self, expired: Sequence[Lease], limit: int) -> Sequence[Rescued]:
        """See `Backend.rescue`."""
        self._use()
        return self._work.rescue(expired, limit)

    async def pause_all_workers(self, paused: bool = True) -> None:
        """Let nobody claim jobs until this is called with False; what ``pause-all-workers`` is on the wire."""
        self._use()
        self._work.paused = paused

    # waking

    async def wait(self, process: Process, interest: Interest, timeout: float) -> Wake:  # noqa: ARG002
        """See `Backend.wait`."""
        return await self._use().line.wait(interest, timeout)

    async def notify(self, queues: Sequence[str]) -> None:
        """See `Backend.notify`."""
        store = self._use()
        for queue in queues:
            store.queues.notify(queue)

    # the leader

    async def lead(self, owner: str, lease: float) -> bool:
        """See `Backend.lead`."""
        self._use()
        if self._leading() not in {None, owner}:
            return False
        self._leader = (owner, self._clock.now() + lease)
        return True

    async def resign(self, owner: str) -> bool:
        """See `Backend.resign`."""
        self._use()
        if self._leading() != owner:
            return False
        self._leader = None
        return True

    async def leader(self) -> str | None:
        """See `Backend.leader`."""
        self._use()
        return self._leading()

    def _leading(self) -> str | None:
        if self._leader is None or self._leader[1] <= self._clock.now():
            return None
        return self._leader[0]

    # inspecting

    async def queues(self) -> list[str]:
        """See `Backend.queues`."""
        return sorted(self._use().queues.texts)

    async def length(self, queue: str) -> int:
        """See `Backend.length`."""
        return len(self._use().queues.texts.get(queue, ()))

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.queued`."""
        return part_of(self._use().queues.texts.get(queue, ()), start, stop)

    async def remove(self, queue: str, removals: Sequence[Removal]) -> Sequence[int]:
        """See `Backend.remove`."""
        store = self._use()
        return [store.remove(queue, removal) for removal in removals]

    async def delete_queue(self, queue: str, *, only_if_empty: bool = False) -> int:
        """See `Backend.delete_queue`."""
        queues = self._use().queues
        return 0 if only_if_empty and queues.texts.get(queue) else queues.forget(queue)

    async def stats(self) -> dict[str, int]:
        """See `Backend.stats`."""
        return dict(self._use().counters)
