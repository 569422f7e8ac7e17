"""Store jobs, in a queue or until a due time."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from taskhero.backends.protocol import ScheduleResult
from taskhero.backends.redis.commands.command_group import RedisCommands, milliseconds, problem_in, to_bytes
from taskhero.errors import BackendRefused, PartlyRefused, TaskheroError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskhero.backends.protocol import DelayedJobEntry, Entry

__all__ = ["ProducerCommands"]

#: The maximum size of one step, in jobs and in bytes.
MAX_JOBS = 1000
MAX_BYTES = 4 * 1024 * 1024

_Pending = tuple["Sequence[Entry]", "asyncio.Future[list[bool]]"]


class ProducerCommands(RedisCommands):
    """The verbs of producers.

    Pushes that arrive during a round trip share the next one.
    """

    _pending: list[_Pending]
    _pusher: asyncio.Task[None] | None

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """See `Backend.push`."""
        if not entries:
            return []
        future: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._pending.append((entries, future))
        if self._pusher is None or self._pusher.done():
            self._pusher = asyncio.create_task(self._push_pending(), name="taskhero-push")
        return await future

    async def _push_pending(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            # A push that was cancelled before it was sent stores nothing.
            batch = [(entries, future) for entries, future in batch if not future.done()]
            try:
                results = await self._push_all([entry for entries, _ in batch for entry in entries])
            except BaseException as error:
                self._fail(batch, error)
                if not isinstance(error, Exception):
                    raise
                continue
            start = 0
            for entries, future in batch:
                self._answer(future, results[start : start + len(entries)])
                start += len(entries)

    def _fail(self, batch: list[_Pending], error: BaseException) -> None:
        for _, future in batch:
            if future.done():
                continue
            if isinstance(error, TaskheroError):
                # Each caller gets its keyspace copy, with its keyspace traceback.
                copy = type(error)(*error.args)
                copy.__cause__ = error.__cause__
                future.set_exception(copy)
            elif isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)

    def _answer(self, future: asyncio.Future[list[bool]], results: list[int | bytes]) -> None:
        if future.done():
            return
        unstored = {position: result for position, result in enumerate(results) if isinstance(result, bytes)}
        problems = {position: reason.decode("utf-8", "replace") for position, reason in unstored.items()}
        answers = [None if isinstance(result, bytes) else bool(result) for result in results]
        if problems:
            future.set_exception(self._refused(problems, answers, stored=any(answers)))
        else:
            future.set_result([bool(answer) for answer in answers])

    def _refused(
        self, problems: dict[int, str], answers: Sequence[bool | str | None], *, stored: bool
    ) -> BackendRefused | PartlyRefused:
        """Return the error that says which jobs were not stored, and whether others were."""
        where, reason = f"Redis at {self._connections.location}", next(iter(problems.values()))
        if not stored:
            return BackendRefused(f"{where} could not store the job: {reason}")
        message = f"{where} could not store {len(problems)} of {len(answers)} jobs, but processed the others: {reason}"
        return PartlyRefused(message, problems, answers)

    async def _push_all(self, entries: list[Entry]) -> list[int | bytes]:
        results: list[int | bytes] = []
        for chunk in _chunks(entries):
            results += await self._push_chunk(chunk)
        return results

    async def _push_chunk(self, entries: list[Entry]) -> list[int | bytes]:
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
        results: list[int | bytes] = await self._run("push", keys, arguments)
        return results

    async def schedule(self, entries: Sequence[DelayedJobEntry]) -> Sequence[ScheduleResult]:
        """See `Backend.schedule`."""
        replies: list[bytes] = []
        for start in range(0, len(entries), MAX_JOBS):
            replies += await self._schedule_chunk(entries[start : start + MAX_JOBS])
        found = {position: problem_in(reply) for position, reply in enumerate(replies)}
        problems = {position: problem for position, problem in found.items() if problem is not None}
        results = {
            position: self._result(ScheduleResult, "schedule", reply)
            for position, reply in enumerate(replies)
            if position not in problems
        }
        if problems:
            stored = any(result in {ScheduleResult.DELAYED, ScheduleResult.QUEUED} for result in results.values())
            raise self._refused(problems, [results.get(position) for position in found], stored=stored)
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
        replies: list[bytes] = await self._run("schedule", keys, arguments)
        return replies


def _chunks(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Split entries so that no step exceeds `MAX_JOBS` and `MAX_BYTES`."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        if chunk and (len(chunk) >= MAX_JOBS or size + len(entry.raw) > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += len(entry.raw)
    if chunk:
        yield chunk
