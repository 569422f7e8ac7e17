"""What worker processes do: stay alive, claim jobs, settle them, and take those of the dead."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

from taskhero.backends.memory.locks import owner_of
from taskhero.backends.memory.process_table import Members
from taskhero.backends.protocol import Beat, Claim, Claims, Dismissed, Exchange, Prepared, Rescued
from taskhero.backends.records.inspection import Cleaned, WorkerEntry
from taskhero.wire.jobs import mark_rescued, rescues
from taskhero.wire.workers import ruby_time, working_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.memory.process_table import Member
    from taskhero.backends.memory.store import Store
    from taskhero.backends.protocol import HeldLock, Lease, Leases, Preparation, Process, Settlement
    from taskhero.backends.records.inspection import Cleaning

__all__ = ["Work"]

#: A batch of claims holds no more characters than this, unless one job alone does.
MAX_BATCH = 4 * 1024 * 1024
#: Seconds for which a process that is late with its lease may be dead, and hold any job.
FRESH = 60.0


class Work:
    """The worker processes of a store.

    Leases are renewed from threads, so a lock guards all that a lease decides.

    Args:
        store: Where the jobs are.

    Attributes:
        paused: Whether nobody may claim.
    """

    def __init__(self, store: Store) -> None:
        self.paused = False
        self._store = store
        self._members = Members()
        self._batches = count(1)

    def renew(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        now: float,
        *,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
    ) -> Beat:
        """Give a process a lease, bring these slots into view and renew these locks; see `Backend.beat`."""
        with self._store.guard:
            before = self._members.get(process.name)
            alive = before is not None and not before.dead
            member = self._members.renew(process, lease, now)
            missing = [slot for slot in slots if slot not in member.slots]
            member.slots.update((slot, now) for slot in missing)
            leases = self._members.leases(seen, but=process.name)
            lost = tuple(held for held in locks if not self._renew_lock(member, held, now))
        return Beat(alive, tuple(process.worker(slot) for slot in missing), leases, lost)

    def _renew_lock(self, member: Member, held: HeldLock, now: float) -> bool:
        owner = owner_of(member.process, held.claim)
        return self._store.locks.renew(held, owner, now, ours=member.holds(held.claim))

    def retire(self, process: Process, slots: Sequence[int]) -> Dismissed:
        """See `Backend.retire`."""
        with self._store.guard:
            member = self._members.get(process.name)
            return Dismissed(given_back=self._dismiss(member, slots) if member else 0)

    def deregister(self, process: Process) -> Dismissed:
        """See `Backend.deregister`."""
        with self._store.guard:
            member = self._members.remove(process.name)
            given_back = self._dismiss(member, [*member.slots, *member.held]) if member else 0
            self._store.locks.free_of(process.name)
        # A wake-up that it had and did not use is for somebody else.
        queues = self._store.queues
        for queue in queues.texts if "*" in process.queues else process.queues:
            queues.notify(queue)
        return Dismissed(given_back=given_back)

    def _dismiss(self, member: Member, slots: Sequence[int]) -> int:
        """Take task processors from view, and what they hold back to the queues."""
        claims = member.latest_first(slots)
        for claim in claims:
            self._store.queues.give_back(claim.queue, claim.raw)
            member.let_go(claim.slot)
        for slot in slots:
            member.slots.pop(slot, None)
            self._store.forget_counts(member.process.worker(slot))
        return len(claims)

    # the hot path

    def exchange(
        self, process: Process, settled: Sequence[Settlement], free: Sequence[int], queues: Sequence[str], now: float
    ) -> Exchange:
        """See `Backend.exchange`."""
        with self._store.guard:
            member = self._members.get(process.name)
            gone, attempts, nexts = self._store.settle(member, settled, now)
            claims: Sequence[Claim] = ()
            registered = member is not None and not member.dead
            if member is not None and registered and free and not self.paused:
                claims = self._claim(member, free, queues, now)
        return Exchange(
            claims=claims,
            gone=gone,
            attempts=attempts,
            nexts=nexts,
            waiting=any(map(self._store.queues.texts.get, queues)),
            registered=registered,
            paused=self.paused,
        )

    def _claim(self, member: Member, free: Sequence[int], queues: Sequence[str], now: float) -> list[Claim]:
        held, line = member.held, self._store.line
        slots = [slot for slot in dict.fromkeys(free) if slot not in held]
        living = self._members.living()
        token = str(next(self._batches))
        claims: list[Claim] = []
        room = MAX_BATCH
        for queue in queues:
            texts = self._store.queues.texts.get(queue)
            if not texts or len(claims) == len(slots):
                continue
            share = -(-len(texts) // living)
            for slot in slots[len(claims) : len(claims) + share]:
                raw = texts[0]
                room -= len(raw)
                if room < 0 and claims:
                    break
                claim = Claim(slot, token, queue, raw)
                held[slot] = (claim, now)
                claims.append(claim)
                texts.popleft()
            if texts:
                # What is left here comes before all later queues.
                line.ring(queue)
                break
            line.hush(queue)
        return claims

    def claims(self, process: Process) -> Claims:
        """See `Backend.claims`."""
        with self._store.guard:
            member = self._members.get(process.name)
            return Claims(claims=[claim for claim, _ in member.held.values()] if member else ())

    def prepare(self, process: Process, preparations: Sequence[Preparation], now: float) -> list[Prepared]:
        """See `Backend.prepare`."""
        with self._store.guard:
            member = self._members.get(process.name)
            return [self._prepare(member, preparation, now) for preparation in preparations]

    def _prepare(self, member: Member | None, preparation: Preparation, now: float) -> Prepared:
        claim, store = preparation.claim, self._store
        if member is None or member.dead or not member.holds(claim):
            return Prepared(mine=False)
        store.locks.free(preparation.release)
        blocked_by = store.locks.hold(preparation.hold, owner_of(member.process, claim), now)
        count = None if preparation.counter is None else store.attempts.get(preparation.counter, now)
        return Prepared(blocked_by=blocked_by, count=count)

    def restore(self, process: Process, claims: Sequence[Claim], now: float) -> list[bool]:
        """See `Backend.restore`."""
        with self._store.guard:
            member = self._members.get(process.name)
            if member is None:
                return [False] * len(claims)
            for claim in claims:
                if claim.slot in member.slots and claim.slot not in member.held and not member.dead:
                    member.held[claim.slot] = (claim, now)
            return [member.holds(claim) for claim in claims]

    def begin(self, process: Process, claim: Claim, *, alone: bool) -> bool:
        """See `Backend.begin`."""
        with self._store.guard:
            member = self._members.get(process.name)
            if member is None or not member.holds(claim):
                return False
            if alone:
                member.running.add(claim.slot)
                member.late.discard(claim.slot)
            elif claim.slot in member.running:
                member.running.remove(claim.slot)
                member.late.add(claim.slot)
            return True

    # looking

    def entries(self, now: float) -> list[WorkerEntry]:
        """All task processors in view, sorted by id."""
        with self._store.guard:
            found = [self._entry(member, slot, now) for member in self._members for slot in member.slots]
        return sorted(found, key=lambda entry: entry.id)

    def _entry(self, member: Member, slot: int, now: float) -> WorkerEntry:
        name, counters = member.process.worker(slot), self._store.counters
        return WorkerEntry(
            id=member.process.worker_id(slot),
            working=_working(member, slot),
            started=ruby_time(member.slots[slot]),
            alive_for=member.lease_ends - now,
            processed=counters.get(f"processed:{name}"),
            failed=counters.get(f"failed:{name}"),
        )

    def clean(self, cleaning: Cleaning, now: float) -> str:
        """See `Backend.clean_worker`."""
        with self._store.guard:
            for member in self._members:
                for slot in member.slots:
                    if member.process.worker_id(slot) == cleaning.id:
                        return self._clean(member, slot, cleaning, now)
        return Cleaned.UNKNOWN

    def _clean(self, member: Member, slot: int, cleaning: Cleaning, now: float) -> str:
        if _working(member, slot) != cleaning.seen:
            return Cleaned.CHANGED
        if cleaning.silent_for is not None and now - member.lease_ends < cleaning.silent_for:
            return Cleaned.ALIVE
        if cleaning.seen is not None and cleaning.failure is not None:
            self._store.fail(cleaning.failure)
        member.let_go(slot)
        del member.slots[slot]
        self._store.forget_counts(member.process.worker(slot))
        return Cleaned.CLEANED

    # rescue

    def may_hold_jobs_of_the_dead(self, now: float) -> bool:
        """Whether the time of a lease is over for less than a minute."""
        return any(now - FRESH < member.lease_ends <= now for member in self._members)

    def leases(self, seen: str) -> Leases:
        """See `Backend.leases`."""
        with self._store.guard:
            return self._members.leases(seen)

    def rescue(self, expired: Sequence[Lease], limit: int) -> list[Rescued]:
        """See `Backend.rescue`."""
        rescued: list[Rescued] = []
        with self._store.guard:
            for member in self._members.expired(expired):
                left = max(limit - len(rescued), 0)
                if left or not member.held:
                    member.dead = True
                    self._store.locks.free_of(member.process.name)
                # Who is to blame is seen before any job is taken.
                blamed = any(not rescues(member.held[slot][0].raw) for slot in member.running)
                late = set() if blamed else set(member.late)
                rescued += [self._rescue(member, claim, late) for claim in islice(member.latest_first(), left)]
                if not member.held:
                    self._members.remove(member.process.name)
                    self._dismiss(member, list(member.slots))
        return rescued

    def _rescue(self, member: Member, claim: Claim, late: set[int]) -> Rescued:
        running = claim.slot in member.running
        raw = mark_rescued(claim.raw, running=running, late=claim.slot in late)
        self._store.queues.give_back(claim.queue, raw)
        member.let_go(claim.slot)
        return Rescued(member.process.worker(claim.slot), claim.queue, raw, running)


def _working(member: Member, slot: int) -> str | None:
    """What would stand under a task processor's name on the wire."""
    held = member.held.get(slot)
    if held is None:
        return None
    claim, since = held
    head = working_head(
        token=claim.token,
        queue=claim.queue,
        worker=member.process.worker(slot),
        run_at=since,
        running=slot in member.running,
        late=slot in member.late,
    )
    return f"{head}{claim.raw}}}"
