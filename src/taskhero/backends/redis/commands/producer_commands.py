"""Store jobs, in a queue or until a due time."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from taskhero.backends.protocol import ScheduleResult
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import milliseconds, problem_in, to_bytes
from taskhero.backends.redis.push_batcher import refusal
from taskhero.backends.redis.scripts import ScriptCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import DelayedJobEntry, Entry

__all__ = ["ProducerCommands"]

#: The maximum number of jobs that one step delays.
_MAX_JOBS = 1000


class ProducerCommands(CommandGroup):
    """The verb `schedule`, and the step that `push` consists of."""

    async def store(self, entries: Sequence[Entry]) -> list[int | bytes]:
        """Store jobs in their queues in one step.

        Return for each job 1 if it was stored, 0 if a guard did not hold, or the error with which Redis refused it.
        """
        names = {name: index for index, name in enumerate(dict.fromkeys(entry.queue for entry in entries), 1)}
        keys: list[str | bytes] = [self._keys.queues, self._keys.wake_new]
        for name in names:
            keys += (self._keys.queue(name), self._keys.wake(name))
        arguments: list[str | bytes | int] = [self._now(), self._prefix, len(names), *names]
        for (queue, plain), run in groupby(entries, lambda entry: (entry.queue, not entry.front and not entry.guards)):
            if plain:
                raws = [to_bytes(entry.raw) for entry in run]
                arguments += ("R", names[queue], len(raws), *raws)
                continue
            for entry in run:
                guard_keys, guards = self._guards(entry.guards)
                keys += guard_keys
                arguments += ("G", names[queue], int(entry.front), len(guard_keys), *guards, to_bytes(entry.raw))
        results: list[int | bytes] = await self._run(ScriptCall("push", keys, arguments))
        return results

    async def schedule(self, entries: Sequence[DelayedJobEntry]) -> Sequence[ScheduleResult]:
        """See `Backend.schedule`."""
        replies: list[bytes] = []
        for start in range(0, len(entries), _MAX_JOBS):
            replies += await self._schedule_chunk(entries[start : start + _MAX_JOBS])
        found = {position: problem_in(reply) for position, reply in enumerate(replies)}
        problems = {position: problem for position, problem in found.items() if problem is not None}
        results = {
            position: self._result(ScheduleResult, "schedule", reply)
            for position, reply in enumerate(replies)
            if position not in problems
        }
        if problems:
            stored = any(result in {ScheduleResult.DELAYED, ScheduleResult.QUEUED} for result in results.values())
            raise refusal(
                self._connections.location, problems, [results.get(position) for position in found], stored=stored
            )
        return list(results.values())

    async def _schedule_chunk(self, entries: Sequence[DelayedJobEntry]) -> list[bytes]:
        keyspace = self._keys
        keys: list[str | bytes] = [keyspace.queues, keyspace.wake_new, keyspace.wake_schedule, keyspace.schedule]
        arguments: list[str | bytes | int] = [self._now(), self._prefix]
        for entry in entries:
            guard_keys, guards = self._guards(entry.guards)
            keys += (
                to_bytes(keyspace.timestamps(entry.raw)),
                keyspace.queue(entry.queue),
                keyspace.wake(entry.queue),
                *guard_keys,
            )
            at = "" if entry.at is None else repr(entry.at)
            delay = "" if entry.delay is None else milliseconds(entry.delay)
            arguments += (at, delay, entry.queue, int(entry.unique), len(guard_keys), *guards, to_bytes(entry.raw))
        replies: list[bytes] = await self._run(ScriptCall("schedule", keys, arguments))
        return replies
