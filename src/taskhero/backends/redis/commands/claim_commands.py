"""Prepare claimed jobs for their runs, and list and restore claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import Claim, ClaimsReply, Prepared
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import to_number, token_order
from taskhero.backends.redis.scripts import ScriptCall
from taskhero.wire.workers import parse_working, working_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Preparation, Process
    from taskhero.backends.redis.registered_slots import RegisteredSlots
    from taskhero.backends.redis.store import Store

__all__ = ["ClaimCommands"]


class ClaimCommands(CommandGroup):
    """The verbs that prepare, list, restore and mark the claims of a process.

    Args:
        slots: The slots that the processes have registered.
    """

    def __init__(self, store: Store, slots: RegisteredSlots) -> None:
        super().__init__(store)
        self._slots = slots

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """See `Backend.prepare`."""
        if not preparations:
            return []
        keyspace = self._keys
        call = ScriptCall("prepare", keyspace.processes)
        call.text(self._now(), process.name)
        call.number(len(preparations))
        for preparation in preparations:
            slot = preparation.claim.slot
            call.key(keyspace.worker(process.worker_id(slot)))
            call.text(preparation.claim.token, process.worker(slot))
            call.key_list([keyspace.named(name) for name in preparation.release])
            call.number(len(preparation.hold))
            for lock in preparation.hold:
                call.key(keyspace.named(lock.key))
                call.number(lock.timeout * 1000)
            call.flag(preparation.counter is not None)
            if preparation.counter is not None:
                call.key(keyspace.named(preparation.counter))
        reply = await self._run(call)
        return [
            Prepared(
                is_current=bool(is_current), blocked_by=blocked_by - 1 if blocked_by else None, count=to_number(count)
            )
            for is_current, blocked_by, count in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        ]

    async def claims(self, process: Process) -> ClaimsReply:
        """See `Backend.claims`."""
        slots = self._slots.of(process.name)
        values = await self._worker_values([process.worker_id(slot) for slot in slots])
        claims: list[Claim] = []
        unreadable: dict[str, str] = {}
        for slot in slots:
            value = values.get(process.worker_id(slot))
            if value is None:
                continue
            held = parse_working(value)
            if held is None:
                unreadable[process.worker(slot)] = value
            else:
                claims.append(Claim(slot, held.token, held.queue, held.raw))
        claims.sort(key=lambda claim: token_order(claim.token))
        return ClaimsReply(claims=claims, unreadable=unreadable)

    async def restore(self, process: Process, claims: Sequence[Claim]) -> Sequence[bool]:
        """See `Backend.restore`."""
        if not claims:
            return []
        keyspace, now = self._keys, self._store.now()
        call = ScriptCall("restore_claims", keyspace.processes, keyspace.taskhero_workers)
        call.text(process.name)
        call.number(len(claims))
        for claim in claims:
            worker_id = process.worker_id(claim.slot)
            head = working_head(token=claim.token, queue=claim.queue, worker=process.worker(claim.slot), run_at=now)
            call.key(keyspace.worker(worker_id))
            call.text(worker_id, head[: head.index(",")], f"{head}{claim.raw}}}")
        return [bool(restored) for restored in await self._run(call)]

    async def mark_exclusive(self, process: Process, claim: Claim, *, exclusive: bool = True) -> bool:
        """See `Backend.mark_exclusive`."""
        call = ScriptCall("mark_exclusive", self._keys.worker(process.worker_id(claim.slot)))
        call.text(claim.token)
        call.flag(exclusive)
        return bool(await self._run(call))
