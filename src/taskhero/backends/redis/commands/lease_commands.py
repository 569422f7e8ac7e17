"""Register processes, renew their leases and locks, and deregister them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.protocol import Claim, DeregisterReply, HeartbeatReply, Lease, Leases, Prepared
from taskhero.backends.redis.commands.command_group import RedisCommands, claim_order, to_bytes, to_number, to_text
from taskhero.errors import BackendUnavailable
from taskhero.wire.json import encode_any
from taskhero.wire.workers import parse_worker_id, parse_working, working_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import HeldLock, Preparation, Process
    from taskhero.backends.redis.connection.heartbeat_client import HeartbeatClient
    from taskhero.wire.workers import HeldJob

__all__ = ["LeaseCommands", "read_leases"]

#: The number of workers that a heartbeat checks if it is not full. The next heartbeat checks the next ones.
_CHECKED_WORKERS = 1000

_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class LeaseCommands(RedisCommands):
    """The verbs that register, renew and deregister a process."""

    _slots: dict[str, dict[int, Process]]
    _checked_to: int = 0
    _heartbeat_client: HeartbeatClient

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """See `Backend.register`."""
        keys, arguments = self._heartbeat_request(process, slots, lease)
        await self._run("heartbeat", keys, arguments)

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
        keys, arguments = self._heartbeat_request(process, slots if full else (), lease, locks, seen)
        if slots and not full:
            arguments.append("\n".join(map(process.worker_id, self._next_checked(slots))))
        alive, number, leases, positions, unlisted, *missing = self._send_heartbeat(keys, arguments)
        if missing and not full:
            # Another program removed workers, maybe all: register them, since a rescue needs them.
            unlisted, *missing = self._send_heartbeat(*self._heartbeat_request(process, slots, lease))[4:]
        names = {process.worker_id(slot): process.worker(slot) for slot in slots}
        return HeartbeatReply(
            alive=bool(alive),
            missing=tuple(names.get(to_text(worker_id), "") for worker_id in missing),
            leases=read_leases(number, leases),
            lost=tuple(locks[position - 1] for position in positions),
            removed=tuple(names.get(to_text(worker_id), "") for worker_id in missing if worker_id not in unlisted),
        )

    def _send_heartbeat(self, keys: _Keys, arguments: _Arguments) -> list[Any]:
        try:
            reply: Any = self._heartbeat_client.run("heartbeat", keys, arguments)
        except (redis_errors.RedisError, OSError) as error:
            raise BackendUnavailable(
                f"cannot renew the lease in Redis at {self._connections.location}: {error}"
            ) from error
        return list(reply)

    def _next_checked(self, slots: Sequence[int]) -> Sequence[int]:
        """Return the slots to check next, after those that the last heartbeat checked."""
        first = self._checked_to if self._checked_to < len(slots) else 0
        self._checked_to = first + _CHECKED_WORKERS
        return slots[first : self._checked_to]

    def _heartbeat_request(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
    ) -> tuple[_Keys, _Arguments]:
        keyspace = self._keys
        known = self._slots.setdefault(process.name, {})
        known.update((slot, process) for slot in slots)
        keys: _Keys = [
            keyspace.processes,
            keyspace.workers,
            keyspace.heartbeats,
            keyspace.taskhero_workers,
            keyspace.renewals,
            keyspace.leases,
        ]
        queues = encode_any(",".join(process.queues))
        arguments: _Arguments = [self._now(), process.name, int(lease * 1000), queues, seen, len(locks)]
        for held in locks:
            slot = held.claim.slot
            keys += (keyspace.worker(process.worker_id(slot)), to_bytes(keyspace.named(held.lock.key)))
            arguments += (held.claim.token, process.worker(slot), held.lock.timeout * 1000)
        for slot in slots:
            keys += (keyspace.ping(process.worker(slot)), keyspace.started(process.worker_id(slot)))
            arguments += (process.worker(slot), process.worker_id(slot))
        return keys, arguments

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """See `Backend.prepare`."""
        if not preparations:
            return []
        keyspace = self._keys
        keys: _Keys = [keyspace.processes]
        arguments: _Arguments = [self._now(), process.name]
        for preparation in preparations:
            slot = preparation.claim.slot
            counters = () if preparation.counter is None else (preparation.counter,)
            names = (*preparation.release, *(lock.key for lock in preparation.hold), *counters)
            keys += (keyspace.worker(process.worker_id(slot)), *(to_bytes(keyspace.named(name)) for name in names))
            arguments += (
                preparation.claim.token,
                process.worker(slot),
                len(preparation.release),
                len(preparation.hold),
            )
            arguments += (len(counters), *(lock.timeout * 1000 for lock in preparation.hold))
        reply = await self._run("prepare", keys, arguments)
        return [
            Prepared(
                is_current=bool(is_current), blocked_by=blocked_by - 1 if blocked_by else None, count=to_number(count)
            )
            for is_current, blocked_by, count in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        ]

    async def restore(self, process: Process, claims: Sequence[Claim]) -> Sequence[bool]:
        """See `Backend.restore`."""
        if not claims:
            return []
        keyspace, now = self._keys, self._clock.now() if self._clock else time.time()
        keys: _Keys = [keyspace.processes, keyspace.taskhero_workers]
        arguments: _Arguments = [process.name]
        for claim in claims:
            worker_id = process.worker_id(claim.slot)
            head = working_head(token=claim.token, queue=claim.queue, worker=process.worker(claim.slot), run_at=now)
            keys.append(keyspace.worker(worker_id))
            arguments += (worker_id, head[: head.index(",")], to_bytes(f"{head}{claim.raw}}}"))
        return [bool(restored) for restored in await self._run("restore_claims", keys, arguments)]

    async def deregister_slots(self, process: Process, slots: Sequence[int]) -> DeregisterReply:
        """See `Backend.deregister_slots`."""
        reply = await self._dismiss(process, slots, end_lease=False)
        known = self._slots.get(process.name, {})
        for slot in {*slots} - {claim.slot for claim, _ in reply.blocked}:
            known.pop(slot, None)
        return reply

    async def deregister(self, process: Process) -> DeregisterReply:
        """See `Backend.deregister`."""
        reply = await self._dismiss(process, [*self._slots.get(process.name, {})], end_lease=True)
        self._slots.pop(process.name, None)
        return reply

    async def _dismiss(self, process: Process, slots: Sequence[int], *, end_lease: bool) -> DeregisterReply:
        slot_of = {process.worker_id(slot): slot for slot in slots}
        released, blocked = await self._deregister_slots(process.name, list(slot_of), end_lease=end_lease)
        kept = tuple(
            (Claim(slot_of[worker_id], job.token, job.queue, job.raw), problem) for worker_id, job, problem in blocked
        )
        return DeregisterReply(released=released, blocked=kept)

    async def _deregister_slots(
        self, process: str, ids: list[str], *, end_lease: bool, renewal: str = ""
    ) -> tuple[int, list[tuple[str, HeldJob, str]]]:
        """Deregister workers. Return the number of released jobs, and the jobs that were not, with the reason."""
        keyspace = self._keys
        while True:
            values = await self._values(ids)
            held = {worker_id: parse_working(value) for worker_id, value in values.items()}
            keys: _Keys = [
                keyspace.processes,
                keyspace.workers,
                keyspace.heartbeats,
                keyspace.queues,
                keyspace.wake_new,
                keyspace.taskhero_workers,
            ]
            keys += (keyspace.renewals, keyspace.leases)
            arguments: _Arguments = [process, renewal, "1" if end_lease else ""]
            latest_first = sorted(ids, key=lambda worker_id: claim_order(held.get(worker_id)), reverse=True)
            for worker_id in latest_first:
                job = held.get(worker_id)
                queue = job.queue if job else ""
                name = parse_worker_id(worker_id)[0]
                keys += (
                    keyspace.worker(worker_id),
                    keyspace.started(worker_id),
                    keyspace.ping(name),
                    keyspace.processed_by(name),
                )
                keys += (keyspace.failed_by(name), keyspace.queue(queue), keyspace.wake(queue))
                value = to_bytes(values.get(worker_id, ""))
                arguments += (worker_id, value, to_bytes(job.raw) if job else b"", queue)
            released, *blocked = await self._run("deregister_slots", keys, arguments)
            # -2: a claim changed since it was read.
            if released != -2:
                break
        found = [
            (latest_first[position - 1], to_text(reason))
            for position, reason in zip(blocked[::2], blocked[1::2], strict=True)
        ]
        return released, [(worker_id, job, reason) for worker_id, reason in found if (job := held[worker_id])]

    async def _values(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the values of the worker keys, without workers that hold nothing."""
        if not ids:
            return {}
        values = await self._connections.call("MGET", *(self._keys.worker(worker_id) for worker_id in ids))
        return {worker_id: to_text(value) for worker_id, value in zip(ids, values, strict=True) if value}


def read_leases(last: bytes, found: Sequence[bytes]) -> Leases:
    """Return leases from a script's reply: the last renewal, and rows of name, renewal and milliseconds."""
    rows = zip(found[::3], found[1::3], found[2::3], strict=True)
    return Leases(
        seen=to_text(last),
        leases=tuple(Lease(to_text(name), to_text(number), float(length) / 1000) for name, number, length in rows),
    )
