"""Promote due jobs, adopt those of other programs, and acquire the leader lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import DueJob, DueReply, PromoteResult
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import to_bytes, to_text
from taskhero.backends.redis.scripts import ScriptCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import PromotionTarget
    from taskhero.backends.redis.store import Store

__all__ = ["SchedulerCommands"]

#: The number of due times that one step adopts.
_DUE_TIMES = 500


class SchedulerCommands(CommandGroup):
    """The verbs that promote due jobs and hold the leader lease.

    Args:
        ignore_dead_master_lock: See `Settings`.
    """

    def __init__(self, store: Store, *, ignore_dead_master_lock: bool) -> None:
        super().__init__(store)
        self._ignore_dead_master_lock = ignore_dead_master_lock

    async def due(self, limit: int) -> DueReply:
        """See `Backend.due`."""
        keys = (self._keys.schedule, self._keys.ruby_master_lock)
        ignore_dead = "1" if self._ignore_dead_master_lock else ""
        reply = await self._run(ScriptCall("due", keys, (self._now(), self._prefix, limit, ignore_dead)))
        now, yielded, next_at, jobs, foreign = reply
        return DueReply(
            now=int(now) / 1000,
            yielded=bool(yielded),
            next_at=int(next_at) if next_at else None,
            jobs=[DueJob(int(at), to_text(raw)) for at, raw in zip(jobs[::2], jobs[1::2], strict=True)],
            foreign=self._foreign(foreign),
        )

    async def adopt(self) -> int:
        """See `Backend.adopt`."""
        head = f"{self._prefix}delayed:"
        adopted, batch = 0, list[str]()
        # A store may hold millions of due times, so only one batch of names is kept. Redis may report a name twice.
        async for name in self._scan(head):
            batch.append(to_text(name).removeprefix(head))
            if len(batch) == _DUE_TIMES:
                adopted += await self._adopt(batch)
                batch = []
        return adopted + await self._adopt(batch) if batch else adopted

    async def _adopt(self, names: Sequence[str]) -> int:
        keys = (self._keys.schedule, self._keys.wake_schedule)
        return int(await self._run(ScriptCall("adopt", keys, (self._prefix, *map(to_bytes, sorted(names))))))

    async def promote(self, moves: Sequence[PromotionTarget]) -> Sequence[PromoteResult]:
        """See `Backend.promote`."""
        if not moves:
            return []
        keyspace = self._keys
        keys: list[str | bytes] = [
            keyspace.schedule,
            keyspace.ruby_master_lock,
            keyspace.queues,
            keyspace.wake_new,
            keyspace.failed,
            keyspace.failures,
        ]
        arguments: list[str | bytes | int] = [self._now(), self._prefix]
        for move in moves:
            queue = move.queue or ""
            guard_keys, guards = self._guards(move.guards)
            keys += (keyspace.delayed(move.job.at), to_bytes(keyspace.timestamps(move.job.raw)), keyspace.queue(queue))
            keys += (keyspace.wake(queue), *guard_keys)
            failure = to_bytes(move.failure or "")
            arguments += (move.job.at, queue, failure, len(guard_keys), *guards, to_bytes(move.job.raw))
            arguments += (len(move.equivalent_payloads), *map(to_bytes, move.equivalent_payloads))
        return [
            self._result(PromoteResult, "promote", reply)
            for reply in await self._run(ScriptCall("promote", keys, arguments))
        ]

    async def lead(self, owner: str, lease: float) -> bool:
        """See `Backend.lead`."""
        return bool(
            await self._run(ScriptCall("acquire_lease", (self._keys.leader,), (self._now(), owner, int(lease * 1000))))
        )

    async def resign(self, owner: str) -> bool:
        """See `Backend.resign`."""
        return bool(await self._run(ScriptCall("release_lease", (self._keys.leader,), (owner, ""))))

    async def leader(self) -> str | None:
        """See `Backend.leader`."""
        owner = await self._run(ScriptCall("lease_owner", (self._keys.leader,), (self._now(),)))
        return to_text(owner) if owner else None
