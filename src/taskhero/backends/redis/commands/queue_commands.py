"""List and remove queued jobs, and read counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import to_bytes, to_number, to_text
from taskhero.backends.redis.scripts import ScriptCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Removal

__all__ = ["QueueCommands"]

#: The number of removals in one step. Each scans the whole queue, and Redis runs no other command meanwhile.
_REMOVALS = 50


class QueueCommands(CommandGroup):
    """The verbs that list and repair queues, and read counters."""

    async def queues(self) -> list[str]:
        """See `Backend.queues`."""
        return sorted(to_text(name) for name in await self._connections.call("SMEMBERS", self._keys.queues))

    async def length(self, queue: str) -> int:
        """See `Backend.length`."""
        return int(await self._connections.call("LLEN", to_bytes(self._keys.queue(queue))))

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.queued`."""
        return [
            to_text(raw)
            for raw in await self._connections.call("LRANGE", to_bytes(self._keys.queue(queue)), start, stop)
        ]

    async def remove(self, queue: str, removals: Sequence[Removal]) -> Sequence[int]:
        """See `Backend.remove`."""
        removed: list[int] = []
        for first in range(0, len(removals), _REMOVALS):
            batch = removals[first : first + _REMOVALS]
            call = ScriptCall("remove", self._keys.queue(queue))
            call.number(len(batch))
            for removal in batch:
                call.text(removal.raw)
                call.number(removal.count)
                call.key_list([self._keys.named(key) for key in removal.release])
            removed += await self._run(call)
        return removed

    async def delete_queue(self, queue: str, *, only_if_empty: bool = False) -> int:
        """See `Backend.delete_queue`."""
        call = ScriptCall("delete_queue", self._keys.queues, self._keys.queue(queue), self._keys.wake(queue))
        call.text(queue)
        call.flag(only_if_empty)
        return int(await self._run(call))

    async def stats(self) -> dict[str, int]:
        """See `Backend.stats`."""
        prefix = self._keys.named("stat:")
        names = sorted({name async for name in self._scan(prefix)})
        if not names:
            return {}
        values = await self._connections.call("MGET", *names)
        found = {to_text(name)[len(prefix) :]: to_number(value) for name, value in zip(names, values, strict=True)}
        return {name: value for name, value in found.items() if value is not None}
