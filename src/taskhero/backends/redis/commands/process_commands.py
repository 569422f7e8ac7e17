"""Register processes, renew their leases and locks, and deregister them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.protocol import Claim, DeregisterReply, HeartbeatReply, Lease, Leases
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import claim_order, to_bytes, to_text
from taskhero.backends.redis.scripts import ScriptCall
from taskhero.errors import BackendUnavailable
from taskhero.wire.json import encode_any
from taskhero.wire.workers import parse_worker_id, parse_working

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import HeldLock, Process
    from taskhero.backends.redis.connection.heartbeat_client import HeartbeatClient
    from taskhero.backends.redis.registered_slots import RegisteredSlots
    from taskhero.backends.redis.store import Store
    from taskhero.wire.workers import HeldJob

__all__ = ["ProcessCommands"]

_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class ProcessCommands(CommandGroup):
    """The verbs that register a process, renew and list leases, and deregister a process.

    Args:
        slots: The slots that the processes have registered.
        heartbeat_client: The connection of the heartbeat's thread.
    """

    def __init__(self, store: Store, slots: RegisteredSlots, heartbeat_client: HeartbeatClient) -> None:
        super().__init__(store)
        self._slots = slots
        self._heartbeat_client = heartbeat_client

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """See `Backend.register`."""
        self._slots.add(process.name, slots)
        keys, arguments = self._heartbeat_request(process, slots, lease)
        await self._run(ScriptCall("heartbeat", keys, arguments))

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
        if full:
            self._slots.add(process.name, slots)
        elif slots:
            arguments.append("\n".join(map(process.worker_id, self._slots.next_to_check(slots))))
        alive, number, leases, positions, unlisted, *missing = self._send_heartbeat(keys, arguments)
        if missing and not full:
            # Another program removed workers, maybe all: register them, since a rescue needs them.
            self._slots.add(process.name, slots)
            unlisted, *missing = self._send_heartbeat(*self._heartbeat_request(process, slots, lease))[4:]
        names = {process.worker_id(slot): process.worker(slot) for slot in slots}
        return HeartbeatReply(
            alive=bool(alive),
            missing=tuple(names.get(to_text(worker_id), "") for worker_id in missing),
            leases=_read_leases(number, leases),
            lost=tuple(locks[position - 1] for position in positions),
            removed=tuple(names.get(to_text(worker_id), "") for worker_id in missing if worker_id not in unlisted),
        )

    def _send_heartbeat(self, keys: _Keys, arguments: _Arguments) -> list[Any]:
        try:
            reply: Any = self._heartbeat_client.run(ScriptCall("heartbeat", keys, arguments))
        except (redis_errors.RedisError, OSError) as error:
            raise BackendUnavailable(
                f"cannot renew the lease in Redis at {self._connections.location}: {error}"
            ) from error
        return list(reply)

    def _heartbeat_request(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
    ) -> tuple[_Keys, _Arguments]:
        keyspace = self._keys
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

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:
        """See `Backend.leases`."""
        keyspace = self._keys
        keys = (keyspace.processes, keyspace.renewals, keyspace.leases, keyspace.workers, keyspace.taskhero_workers)
        length = "" if lease is None else int(lease * 1000)
        last, found = await self._run(ScriptCall("leases", keys, (self._now(), seen, length)))
        return _read_leases(last, found)

    async def deregister_slots(self, process: Process, slots: Sequence[int]) -> DeregisterReply:
        """See `Backend.deregister_slots`."""
        reply = await self._dismiss(process, slots, end_lease=False)
        self._slots.remove(process.name, {*slots} - {claim.slot for claim, _ in reply.blocked})
        return reply

    async def deregister(self, process: Process) -> DeregisterReply:
        """See `Backend.deregister`."""
        reply = await self._dismiss(process, self._slots.of(process.name), end_lease=True)
        self._slots.forget(process.name)
        return reply

    async def _dismiss(self, process: Process, slots: Sequence[int], *, end_lease: bool) -> DeregisterReply:
        slot_of = {process.worker_id(slot): slot for slot in slots}
        released, blocked = await self.deregister_workers(process.name, list(slot_of), end_lease=end_lease)
        kept = tuple(
            (Claim(slot_of[worker_id], job.token, job.queue, job.raw), problem) for worker_id, job, problem in blocked
        )
        return DeregisterReply(released=released, blocked=kept)

    async def deregister_workers(
        self, process: str, ids: list[str], *, end_lease: bool, renewal: str = ""
    ) -> tuple[int, list[tuple[str, HeldJob, str]]]:
        """Deregister workers. Return the number of released jobs, and the jobs that were not, with the reason."""
        keyspace = self._keys
        while True:
            values = await self._worker_values(ids)
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
            released, *blocked = await self._run(ScriptCall("deregister_slots", keys, arguments))
            # -2: a claim changed since it was read.
            if released != -2:
                break
        found = [
            (latest_first[position - 1], to_text(reason))
            for position, reason in zip(blocked[::2], blocked[1::2], strict=True)
        ]
        return released, [(worker_id, job, reason) for worker_id, reason in found if (job := held[worker_id])]


def _read_leases(last: bytes, found: Sequence[bytes]) -> Leases:
    """Return leases from a script's reply: the last renewal, and rows of name, renewal and milliseconds."""
    rows = zip(found[::3], found[1::3], found[2::3], strict=True)
    return Leases(
        seen=to_text(last),
        leases=tuple(Lease(to_text(name), to_text(number), float(length) / 1000) for name, number, length in rows),
    )
