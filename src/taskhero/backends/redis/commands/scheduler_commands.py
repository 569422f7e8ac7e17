"""Promote due jobs, and acquire the leader lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import DueJob, DueReply, PromoteResult
from taskhero.backends.redis.commands.command_group import RedisCommands, to_bytes, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import PromotionTarget

__all__ = ["SchedulerCommands"]


class SchedulerCommands(RedisCommands):
    """The verbs that promote due jobs and hold the leader lease."""

    _ignore_dead_master_lock: bool

    async def due(self, limit: int) -> DueReply:
        """See `Backend.due`."""
        keys = (self._keys.schedule, self._keys.ruby_master_lock)
        ignore_dead = "1" if self._ignore_dead_master_lock else ""
        reply = await self._run("due", keys, (self._now(), self._prefix, limit, ignore_dead))
        now, yielded, next_at, jobs, foreign = reply
        return DueReply(
            now=int(now) / 1000,
            yielded=bool(yielded),
            next_at=int(next_at) if next_at else None,
            jobs=[DueJob(int(at), to_text(raw)) for at, raw in zip(jobs[::2], jobs[1::2], strict=True)],
            foreign=self._foreign(foreign),
        )

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
        return [self._result(PromoteResult, "promote", reply) for reply in await self._run("promote", keys, arguments)]

    async def lead(self, owner: str, lease: float) -> bool:
        """See `Backend.lead`."""
        return bool(await self._run("acquire_lease", (self._keys.leader,), (self._now(), owner, int(lease * 1000))))

    async def resign(self, owner: str) -> bool:
        """See `Backend.resign`."""
        return bool(await self._run("release_lease", (self._keys.leader,), (owner, "")))

    async def leader(self) -> str | None:
        """See `Backend.leader`."""
        owner = await self._run("lease_owner", (self._keys.leader,), (self._now(),))
        return to_text(owner) if owner else None
