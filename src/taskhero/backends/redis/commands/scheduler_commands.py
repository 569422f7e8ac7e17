"""Promote due jobs, adopt those of other programs, and acquire the leader lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import DueJob, DueReply, PromoteResult
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import to_text
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
        self.ignore_dead_master_lock = ignore_dead_master_lock

    async def due(self, limit: int) -> DueReply:
        """See `Backend.due`."""
        call = ScriptCall("due", self._keys.schedule, self._keys.ruby_master_lock)
        call.text(self._now(), self._prefix)
        call.number(limit)
        call.flag(self.ignore_dead_master_lock)
        reply = await self._run(call)
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
        call = ScriptCall("adopt", self._keys.schedule, self._keys.wake_schedule)
        call.text(self._prefix)
        call.texts(sorted(names))
        return int(await self._run(call))

    async def promote(self, moves: Sequence[PromotionTarget]) -> Sequence[PromoteResult]:
        """See `Backend.promote`."""
        if not moves:
            return []
        keyspace = self._keys
        call = ScriptCall("promote", keyspace.schedule, keyspace.ruby_master_lock, keyspace.queues, keyspace.wake_new)
        call.key(keyspace.failed, keyspace.failures)
        call.text(self._now(), self._prefix)
        call.number(len(moves))
        for move in moves:
            self._add_move(call, move)
        return [self._result(PromoteResult, "promote", reply) for reply in await self._run(call)]

    def _add_move(self, call: ScriptCall, move: PromotionTarget) -> None:
        keyspace, queue = self._keys, move.queue or ""
        call.key(keyspace.delayed(move.job.at), keyspace.timestamps(move.job.raw))
        call.text(str(move.job.at), move.job.raw)
        call.flag(bool(move.failure))
        if move.failure:
            call.text(move.failure)
            return
        call.key(keyspace.queue(queue), keyspace.wake(queue))
        call.text(queue)
        call.texts(move.equivalent_payloads)
        self._add_guards(call, move.guards)

    async def lead(self, owner: str, lease: float) -> bool:
        """See `Backend.lead`."""
        call = ScriptCall("acquire_lease", self._keys.leader)
        call.text(self._now(), owner)
        call.number(int(lease * 1000))
        return bool(await self._run(call))

    async def resign(self, owner: str) -> bool:
        """See `Backend.resign`."""
        call = ScriptCall("release_lease", self._keys.leader)
        call.text(owner)
        call.key_list([])
        return bool(await self._run(call))

    async def leader(self) -> str | None:
        """See `Backend.leader`."""
        call = ScriptCall("lease_owner", self._keys.leader)
        call.text(self._now())
        owner = await self._run(call)
        return to_text(owner) if owner else None
