"""Store jobs, in a queue or until a due time."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from taskhero.backends.protocol import ScheduleResult
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import milliseconds, problem_in
from taskhero.backends.redis.push_batcher import refusal
from taskhero.backends.redis.scripts import ScriptCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import DelayedJobEntry, Entry

__all__ = ["ProducerCommands"]

#: The maximum number of jobs that one step delays.
_MAX_JOBS = 1000

_raw_of = attrgetter("raw")


class ProducerCommands(CommandGroup):
    """The verb `schedule`, and the step that `push` consists of."""

    async def store(self, entries: Sequence[Entry]) -> list[int | bytes]:
        """Store jobs in their queues in one step.

        Return for each job 1 if it was stored, 0 if a guard did not hold, or the error with which Redis refused it.
        """
        keyspace = self._keys
        call = ScriptCall("push", keyspace.queues, keyspace.wake_new)
        call.text(self._now(), self._prefix)
        positions: dict[str, int] = {}
        for entry in entries:
            positions.setdefault(entry.queue, len(positions) + 1)
        call.number(len(positions))
        for name in positions:
            call.text(name)
            call.key(keyspace.queue(name), keyspace.wake(name))
        groups = _groups(entries)
        call.number(len(groups))
        for group in groups:
            first = group[0]
            plain = not first.front and not first.guards
            call.number(positions[first.queue])
            call.flag(plain)
            if plain:
                call.texts(list(map(_raw_of, group)))
            else:
                call.flag(first.front)
                call.text(first.raw)
                self._add_guards(call, first.guards)
        results: list[int | bytes] = await self._run(call)
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
        call = ScriptCall("schedule", keyspace.queues, keyspace.wake_new, keyspace.wake_schedule, keyspace.schedule)
        call.text(self._now(), self._prefix)
        call.number(len(entries))
        for entry in entries:
            call.key(keyspace.timestamps(entry.raw), keyspace.queue(entry.queue), keyspace.wake(entry.queue))
            call.optional(entry.at, None if entry.delay is None else milliseconds(entry.delay))
            call.text(entry.queue)
            call.flag(entry.unique)
            call.text(entry.raw)
            self._add_guards(call, entry.guards)
        replies: list[bytes] = await self._run(call)
        return replies


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Split entries into groups: adjacent plain jobs of one queue, or one job with guards or for the front."""
    groups: list[list[Entry]] = []
    last: str | None = None
    for entry in entries:
        plain = not entry.front and not entry.guards
        if plain and entry.queue == last:
            groups[-1].append(entry)
        else:
            groups.append([entry])
        last = entry.queue if plain else None
    return groups
