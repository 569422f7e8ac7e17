"""Register processes, renew their leases and locks, and deregister them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.protocol import Claim, DeregisterReply, HeartbeatReply, Lease, Leases
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import claim_order, to_text
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
        await self._run(self._heartbeat_call(process, slots, lease))

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
        if full:
            self._slots.add(process.name, slots)
            call = self._heartbeat_call(process, slots, lease, locks, seen)
        else:
            checked = [process.worker_id(slot) for slot in self._slots.next_to_check(slots)]
            call = self._heartbeat_call(process, (), lease, locks, seen, checked=checked)
        alive, number, leases, positions, unlisted, *missing = self._send_heartbeat(call)
        if missing and not full:
            # Another program removed workers, maybe all: register them, since a rescue needs them.
            self._slots.add(process.name, slots)
            unlisted, *missing = self._send_heartbeat(self._heartbeat_call(process, slots, lease))[4:]
        names = {process.worker_id(slot): process.worker(slot) for slot in slots}
        return HeartbeatReply(
            alive=bool(alive),
            missing=tuple(names.get(to_text(worker_id), "") for worker_id in missing),
            leases=_read_leases(number, leases),
            lost=tuple(locks[position - 1] for position in positions),
            removed=tuple(names.get(to_text(worker_id), "") for worker_id in missing if worker_id not in unlisted),
        )

    def _send_heartbeat(self, call: ScriptCall) -> list[Any]:
        try:
            reply: Any = self._heartbeat_client.run(call)
        except (redis_errors.RedisError, OSError) as error:
            raise BackendUnavailable(
                f"cannot renew the lease in Redis at {self._connections.location}: {error}"
            ) from error
        return list(reply)

    def _heartbeat_call(
        self,
        process: Process,
        slots: Sequence[int],
        lease: float,
        locks: Sequence[HeldLock] = (),
        seen: str = "",
        *,
        checked: Sequence[str] = (),
    ) -> ScriptCall:
        """Return the call that renews a lease, registers *slots* and checks the registration of *checked* workers."""
        keyspace = self._keys
        call = ScriptCall("heartbeat", keyspace.processes, keyspace.workers, keyspace.heartbeats)
        call.key(keyspace.taskhero_workers, keyspace.renewals, keyspace.leases)
        call.text(self._now(), process.name)
        call.number(int(lease * 1000))
        call.text(encode_any(",".join(process.queues)), seen)
        call.number(len(locks))
        for held in locks:
            slot = held.claim.slot
            call.key(keyspace.worker(process.worker_id(slot)), keyspace.named(held.lock.key))
            call.text(held.claim.token, process.worker(slot))
            call.number(held.lock.timeout * 1000)
        call.number(len(slots))
        for slot in slots:
            call.key(keyspace.ping(process.worker(slot)), keyspace.started(process.worker_id(slot)))
            call.text(process.worker(slot), process.worker_id(slot))
        call.texts(checked)
        return call

    async def leases(self, seen: str = "", *, lease: float | None = None) -> Leases:
        """See `Backend.leases`."""
        keyspace = self._keys
        call = ScriptCall("leases", keyspace.processes, keyspace.renewals, keyspace.leases, keyspace.workers)
        call.key(keyspace.taskhero_workers)
        call.text(self._now(), seen)
        call.optional(None if lease is None else int(lease * 1000))
        last, found = await self._run(call)
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
        while True:
            values = await self._worker_values(ids)
            held = {worker_id: parse_working(value) for worker_id, value in values.items()}
            latest_first = sorted(ids, key=lambda worker_id: claim_order(held.get(worker_id)), reverse=True)
            call = self._deregistration(process, renewal, end_lease=end_lease)
            call.number(len(latest_first))
            for worker_id in latest_first:
                self._add_worker(call, worker_id, values.get(worker_id, ""), held.get(worker_id))
            released, *blocked = await self._run(call)
            # -2: a claim changed since it was read.
            if released != -2:
                break
        found = [
            (latest_first[position - 1], to_text(reason))
            for position, reason in zip(blocked[::2], blocked[1::2], strict=True)
        ]
        return released, [(worker_id, job, reason) for worker_id, reason in found if (job := held[worker_id])]

    def _deregistration(self, process: str, renewal: str, *, end_lease: bool) -> ScriptCall:
        keyspace = self._keys
        call = ScriptCall("deregister_slots", keyspace.processes, keyspace.workers, keyspace.heartbeats)
        call.key(keyspace.queues, keyspace.wake_new, keyspace.taskhero_workers, keyspace.renewals, keyspace.leases)
        call.text(process, renewal)
        call.flag(end_lease)
        return call

    def _add_worker(self, call: ScriptCall, worker_id: str, value: str, job: HeldJob | None) -> None:
        """Add a worker to deregister, with the value that was read under its worker key, and the job in it."""
        keyspace, name = self._keys, parse_worker_id(worker_id)[0]
        call.key(keyspace.worker(worker_id), keyspace.started(worker_id), keyspace.ping(name))
        call.key(keyspace.processed_by(name), keyspace.failed_by(name))
        call.text(worker_id, value)
        call.flag(job is not None)
        if job is not None:
            call.text(job.raw, job.queue)
            call.key(keyspace.queue(job.queue), keyspace.wake(job.queue))


def _read_leases(last: bytes, found: Sequence[bytes]) -> Leases:
    """Return leases from a script's reply: the last renewal, and rows of name, renewal and milliseconds."""
    rows = zip(found[::3], found[1::3], found[2::3], strict=True)
    return Leases(
        seen=to_text(last),
        leases=tuple(Lease(to_text(name), to_text(number), float(length) / 1000) for name, number, length in rows),
    )
