"""Register processes, renew leases, claim and settle jobs, and rescue the jobs of dead processes."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

from taskhero.backends.memory.locks import owner_of
from taskhero.backends.memory.process_table import ProcessTable
from taskhero.backends.protocol import (
    Claim,
    ClaimsReply,
    DeregisterReply,
    HeartbeatReply,
    Prepared,
    RescuedJob,
    SettleAndClaimReply,
)
from taskhero.backends.records.inspection import RemoveWorkerResult, WorkerEntry
from taskhero.wire.jobs import mark_rescued, rescue_count
from taskhero.wire.workers import ruby_time, working_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.memory.process_table import RegisteredProcess
    from taskhero.backends.memory.store import Store
    from taskhero.backends.protocol import HeldLock, Lease, Leases, Preparation, Process, Settlement
    from taskhero.backends.records.inspection import WorkerRemoval

__all__ = ["ClaimStore"]

#: The maximum size of a batch of claims in characters, unless a single job is larger.
MAX_BATCH = 4 * 1024 * 1024
#: Seconds after the end of a lease in which its process may be dead, and may hold any job.
RECENTLY_DEAD = 60.0


class ClaimStore:
    """The registered processes and their claims.

    Heartbeats come from threads. Therefore `Store.guard` protects leases, claims and locks.

    Args:
        store: The store of the jobs.
        processes: The table of processes.

    Attributes:
        paused: Whether all claims are paused.
        processes: The registered processes with their claims.
    """

    def __init__(self, store: Store, processes: ProcessTable | None = None) -> None:
        self.paused = False
        self.processes = ProcessTable() if processes is None else processes
        self._store = store
        self._batches = count(1)

    def next_token(self) -> str:
        """Return a token for the claims of one batch, which no other batch has."""
        return str(next(self._batches))

    def renew(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        now: float,
        *,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
    ) -> HeartbeatReply:
        """Renew the lease of a process, register these slots and renew these locks. See `Backend.heartbeat`."""
        with self._store.guard:
            before = self.processes.get(process.name)
            alive = before is not None and not before.dead
            registered = self.processes.renew(process, lease, now)
            missing = [slot for slot in slots if slot not in registered.slots]
            registered.slots.update((slot, now) for slot in missing)
            leases = self.processes.leases(seen, but=process.name)
            lost = tuple(held for held in locks if not self._renew_lock(registered, held, now))
        return HeartbeatReply(alive, tuple(process.worker(slot) for slot in missing), leases, lost)

    def _renew_lock(self, registered: RegisteredProcess, held: HeldLock, now: float) -> bool:
        owner = owner_of(registered.process, held.claim)
        return self._store.locks.renew(held, owner, now, ours=registered.holds(held.claim))

    def deregister_slots(self, process: Process, slots: Sequence[int]) -> DeregisterReply:
        """See `Backend.deregister_slots`."""
        with self._store.guard:
            registered = self.processes.get(process.name)
            return DeregisterReply(released=self._deregister_slots(registered, slots) if registered else 0)

    def deregister(self, process: Process) -> DeregisterReply:
        """See `Backend.deregister`."""
        with self._store.guard:
            registered = self.processes.remove(process.name)
            released = self._deregister_slots(registered, [*registered.slots, *registered.held]) if registered else 0
            self._store.locks.free_of(process.name)
        # It may have received a wake-up for a job that it did not claim.
        queues = self._store.queues
        for queue in queues.payloads if "*" in process.queues else process.queues:
            queues.notify(queue)
        return DeregisterReply(released=released)

    def _deregister_slots(self, registered: RegisteredProcess, slots: Sequence[int]) -> int:
        """Deregister slots, and release their jobs. Return the number of released jobs."""
        claims = registered.latest_first(slots)
        for claim in claims:
            self._store.queues.release(claim.queue, claim.raw)
            registered.release(claim.slot)
        for slot in slots:
            registered.slots.pop(slot, None)
            self._store.forget_counts(registered.process.worker(slot))
        return len(claims)

    # the hot path

    def settle_and_claim(
        self,
        process: Process,
        settlements: Sequence[Settlement],
        free_slots: Sequence[int],
        queues: Sequence[str],
        now: float,
    ) -> SettleAndClaimReply:
        """See `Backend.settle_and_claim`."""
        with self._store.guard:
            registered = self.processes.get(process.name)
            gone, attempts, next_runs = self._store.settle(registered, settlements, now)
            claims: Sequence[Claim] = ()
            is_registered = registered is not None and not registered.dead
            if registered is not None and is_registered and free_slots and not self.paused:
                claims = self._claim(registered, free_slots, queues, now)
        return SettleAndClaimReply(
            claims=claims,
            gone=gone,
            attempts=attempts,
            next_runs=next_runs,
            jobs_left=any(map(self._store.queues.payloads.get, queues)),
            registered=is_registered,
            paused=self.paused,
        )

    def _claim(
        self, registered: RegisteredProcess, free: Sequence[int], queues: Sequence[str], now: float
    ) -> list[Claim]:
        held, wakeups = registered.held, self._store.wakeups
        slots = [slot for slot in dict.fromkeys(free) if slot not in held]
        alive = self.processes.alive()
        token = self.next_token()
        claims: list[Claim] = []
        room = MAX_BATCH
        for queue in queues:
            payloads = self._store.queues.payloads.get(queue)
            if not payloads or len(claims) == len(slots):
                continue
            share = -(-len(payloads) // alive)
            for slot in slots[len(claims) : len(claims) + share]:
                raw = payloads[0]
                room -= len(raw)
                if room < 0 and claims:
                    break
                claim = Claim(slot, token, queue, raw)
                held[slot] = (claim, now)
                claims.append(claim)
                payloads.popleft()
            if payloads:
                # The remaining jobs come before those of all later queues.
                wakeups.signal(queue)
                break
            wakeups.clear(queue)
        return claims

    def claims(self, process: Process) -> ClaimsReply:
        """See `Backend.claims`."""
        with self._store.guard:
            registered = self.processes.get(process.name)
            return ClaimsReply(claims=[claim for claim, _ in registered.held.values()] if registered else ())

    def prepare(self, process: Process, preparations: Sequence[Preparation], now: float) -> list[Prepared]:
        """See `Backend.prepare`."""
        with self._store.guard:
            registered = self.processes.get(process.name)
            return [self._prepare(registered, preparation, now) for preparation in preparations]

    def _prepare(self, registered: RegisteredProcess | None, preparation: Preparation, now: float) -> Prepared:
        claim, store = preparation.claim, self._store
        if registered is None or registered.dead or not registered.holds(claim):
            return Prepared(is_current=False)
        store.locks.free(preparation.release)
        blocked_by = store.locks.hold(preparation.hold, owner_of(registered.process, claim), now)
        count = None if preparation.counter is None else store.attempts.get(preparation.counter, now)
        return Prepared(blocked_by=blocked_by, count=count)

    def restore(self, process: Process, claims: Sequence[Claim], now: float) -> list[bool]:
        """See `Backend.restore`."""
        with self._store.guard:
            registered = self.processes.get(process.name)
            if registered is None:
                return [False] * len(claims)
            for claim in claims:
                if claim.slot in registered.slots and claim.slot not in registered.held and not registered.dead:
                    registered.held[claim.slot] = (claim, now)
            return [registered.holds(claim) for claim in claims]

    def mark_exclusive(self, process: Process, claim: Claim, *, exclusive: bool) -> bool:
        """See `Backend.mark_exclusive`."""
        with self._store.guard:
            registered = self.processes.get(process.name)
            if registered is None or not registered.holds(claim):
                return False
            if exclusive:
                registered.running.add(claim.slot)
                registered.late.discard(claim.slot)
            elif claim.slot in registered.running:
                registered.running.remove(claim.slot)
                registered.late.add(claim.slot)
            return True

    # inspection

    def entries(self, now: float) -> list[WorkerEntry]:
        """Return all registered workers, sorted by id."""
        with self._store.guard:
            found = [self._entry(registered, slot, now) for registered in self.processes for slot in registered.slots]
        return sorted(found, key=lambda entry: entry.id)

    def _entry(self, registered: RegisteredProcess, slot: int, now: float) -> WorkerEntry:
        name, counters = registered.process.worker(slot), self._store.counters
        return WorkerEntry(
            id=registered.process.worker_id(slot),
            working=_working(registered, slot),
            started=ruby_time(registered.slots[slot]),
            alive_for=registered.lease_ends - now,
            processed=counters.get(f"processed:{name}"),
            failed=counters.get(f"failed:{name}"),
        )

    def remove_worker(self, removal: WorkerRemoval, now: float) -> RemoveWorkerResult:
        """See `Backend.remove_worker`."""
        with self._store.guard:
            for registered in self.processes:
                for slot in registered.slots:
                    if registered.process.worker_id(slot) == removal.id:
                        return self._remove_worker(registered, slot, removal, now)
        return RemoveWorkerResult.UNKNOWN

    def _remove_worker(
        self, registered: RegisteredProcess, slot: int, removal: WorkerRemoval, now: float
    ) -> RemoveWorkerResult:
        if _working(registered, slot) != removal.seen:
            return RemoveWorkerResult.CHANGED
        if removal.heartbeat_age is not None and now - registered.lease_ends < removal.heartbeat_age:
            return RemoveWorkerResult.ALIVE
        if removal.seen is not None and removal.failure is not None:
            self._store.fail(removal.failure)
        registered.release(slot)
        del registered.slots[slot]
        self._store.forget_counts(registered.process.worker(slot))
        return RemoveWorkerResult.REMOVED

    # rescue

    def has_recently_expired_lease(self, now: float) -> bool:
        """Return whether a lease ended less than `RECENTLY_DEAD` seconds ago."""
        return any(now - RECENTLY_DEAD < registered.lease_ends <= now for registered in self.processes)

    def leases(self, seen: str) -> Leases:
        """See `Backend.leases`."""
        with self._store.guard:
            return self.processes.leases(seen)

    def rescue(self, expired: Sequence[Lease], limit: int) -> list[RescuedJob]:
        """See `Backend.rescue`."""
        rescued: list[RescuedJob] = []
        with self._store.guard:
            for registered in self.processes.expired(expired):
                remaining = max(limit - len(rescued), 0)
                if remaining or not registered.held:
                    registered.dead = True
                    self._store.locks.free_of(registered.process.name)
                # Decided before any job is rescued, since a rescue changes what is running.
                attributed = any(not rescue_count(registered.held[slot][0].raw) for slot in registered.running)
                late = set() if attributed else set(registered.late)
                rescued += [
                    self._rescue(registered, claim, late) for claim in islice(registered.latest_first(), remaining)
                ]
                if not registered.held:
                    self.processes.remove(registered.process.name)
                    self._deregister_slots(registered, list(registered.slots))
        return rescued

    def _rescue(self, registered: RegisteredProcess, claim: Claim, late: set[int]) -> RescuedJob:
        running = claim.slot in registered.running
        raw = mark_rescued(claim.raw, running=running, late=claim.slot in late)
        self._store.queues.release(claim.queue, raw)
        registered.release(claim.slot)
        return RescuedJob(registered.process.worker(claim.slot), claim.queue, raw, running)


def _working(registered: RegisteredProcess, slot: int) -> str | None:
    """Return the value that the worker key has in Redis, or None if the slot holds no job."""
    held = registered.held.get(slot)
    if held is None:
        return None
    claim, since = held
    head = working_head(
        token=claim.token,
        queue=claim.queue,
        worker=registered.process.worker(slot),
        run_at=since,
        running=slot in registered.running,
        late=slot in registered.late,
    )
    return f"{head}{claim.raw}}}"
