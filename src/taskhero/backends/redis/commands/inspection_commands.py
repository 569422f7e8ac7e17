"""List and repair delayed jobs, failed jobs and locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from taskhero.backends.records.inspection import FAILED, DelayedPage, Overview, RetryResult, StoredDelayedJob
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import to_bytes, to_number, to_text
from taskhero.backends.redis.scripts import ScriptCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskhero.backends.records.inspection import FailedEntry, FailedRetry

__all__ = ["InspectionCommands"]

#: The number of due times that one step reads.
_DUE_TIMES = 2000
#: The approximate size of a page of delayed jobs, in bytes.
_PAGE_BYTES = 4 * 1024 * 1024
#: The number of removals in one step. Each scans a list, and Redis runs no other command meanwhile.
_REMOVALS = 50
#: The number of values that one step reads.
_VALUES = 500
_LOCKS = ("lock:", "workerslock:")

_Item = TypeVar("_Item")


class InspectionCommands(CommandGroup):
    """The verbs that list and repair delayed jobs, failed jobs and locks."""

    async def overview(self) -> Overview:
        """See `Backend.overview`."""
        keyspace = self._keys
        call = ScriptCall("overview", keyspace.queues, keyspace.failed, keyspace.failed_queues)
        call.key(keyspace.processed, keyspace.failures, keyspace.leader, keyspace.pause, keyspace.ruby_master_lock)
        call.text(self._now(), self._prefix)
        reply = await self._run(call)
        now, lease, pause, processed, failed, queues, lists, foreign = reply
        until, _, owner = _text(lease).partition(" ")
        is_held = owner and until.isdigit() and int(until) > int(now)
        return Overview(
            now=int(now) / 1000,
            lengths=dict(sorted(_lengths(queues).items())),
            failures=dict(sorted(_lengths(lists).items(), key=lambda item: (item[0] != FAILED, item[0]))),
            processed=_number(processed) or 0,
            failed=_number(failed) or 0,
            leader=owner if is_held else None,
            paused=_text(pause).strip().lower() == "true",
            foreign=self._foreign(foreign),
        )

    # delayed jobs

    async def due_times(self) -> Sequence[tuple[int, int]]:
        """See `Backend.due_times`."""
        found: list[tuple[int, int]] = []
        first = 0
        while True:
            call = ScriptCall("due_times", self._keys.schedule)
            call.text(self._prefix)
            call.number(first, _DUE_TIMES)
            after, *pairs = await self._run(call)
            found += [(int(at), int(number)) for at, number in zip(pairs[::2], pairs[1::2], strict=True)]
            if not after:
                break
            first = int(after)
        return found

    async def delayed(self, at: int, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.delayed`."""
        return [to_text(raw) for raw in await self._connections.call("LRANGE", self._keys.delayed(at), start, stop)]

    async def search_delayed(
        self, containing: Sequence[str] = (), *, limit: int = 1000, after: tuple[int, int] | None = None
    ) -> DelayedPage:
        """See `Backend.search_delayed`."""
        first, position = after or (0, 0)
        call = ScriptCall("search_delayed", self._keys.schedule)
        call.text(self._prefix, str(first))
        call.number(position, limit, _PAGE_BYTES)
        call.texts(containing)
        at, position, *pairs = await self._run(call)
        return DelayedPage(
            [StoredDelayedJob(int(at), to_text(raw)) for at, raw in zip(pairs[::2], pairs[1::2], strict=True)],
            (int(at), int(position)) if at else None,
        )

    async def remove_delayed(self, entries: Sequence[StoredDelayedJob]) -> Sequence[int]:
        """See `Backend.remove_delayed`."""
        removed: list[int] = []
        for batch in _batches_of(entries, _REMOVALS):
            call = ScriptCall("remove_delayed", self._keys.schedule)
            call.number(len(batch))
            for entry in batch:
                call.key(self._keys.delayed(entry.at), self._keys.timestamps(entry.raw))
                call.text(str(entry.at), entry.raw)
            removed += await self._run(call)
        return removed

    # failures

    async def failed_lists(self) -> list[str]:
        """See `Backend.failed_lists`."""
        return list((await self.overview()).failures)

    async def failed_count(self, source: str = FAILED) -> int:
        """See `Backend.failed_count`."""
        return int(await self._connections.call("LLEN", to_bytes(self._keys.named(source))))

    async def failed(self, start: int = 0, stop: int = -1, source: str = FAILED) -> list[str]:
        """See `Backend.failed`."""
        raws = await self._connections.call("LRANGE", to_bytes(self._keys.named(source)), start, stop)
        return [to_text(raw) for raw in raws]

    async def remove_failed(self, entries: Sequence[FailedEntry]) -> Sequence[bool]:
        """See `Backend.remove_failed`."""
        removed: list[bool] = []
        for batch in _batches_of(entries, _REMOVALS):
            call = ScriptCall("remove_failed")
            call.number(len(batch))
            for entry in batch:
                call.key(self._keys.named(entry.source))
                call.text(entry.raw)
            removed += map(bool, await self._run(call))
        return removed

    async def retry_failed(self, retries: Sequence[FailedRetry]) -> Sequence[RetryResult]:
        """See `Backend.retry_failed`."""
        keyspace = self._keys
        results: list[RetryResult] = []
        for batch in _batches_of(retries, _REMOVALS):
            call = ScriptCall("retry_failed", keyspace.queues, keyspace.wake_new)
            call.text(self._now(), self._prefix)
            call.number(len(batch))
            for retry in batch:
                entry = retry.entry
                call.key(keyspace.named(retry.failed.source), keyspace.queue(entry.queue), keyspace.wake(entry.queue))
                call.text(entry.queue)
                call.flag(entry.front)
                call.text(retry.failed.raw, entry.raw)
                self._add_guards(call, entry.guards)
            results += [self._result(RetryResult, "retry_failed", reply) for reply in await self._run(call)]
        return results

    # locks

    async def locks(self) -> dict[str, str]:
        """See `Backend.locks`."""
        prefix = self._prefix
        found = {to_text(name) async for name in self._scan(prefix, "*lock:*")}
        names = sorted(name for name in found if name.removeprefix(prefix).startswith(_LOCKS))
        locks: dict[str, str] = {}
        for batch in _batches_of(names, _VALUES):
            call = ScriptCall("read_strings")
            call.key_list(batch)
            values = await self._run(call)
            for name, value in zip(batch, values, strict=True):
                if value is not None:
                    locks[name.removeprefix(prefix)] = _problem(value) or to_text(value)
        return locks

    async def lifetimes(self, keys: Sequence[str]) -> dict[str, float | None]:
        """See `Backend.lifetimes`."""
        found: dict[str, float | None] = {}
        for batch in _batches_of(keys, _VALUES):
            call = ScriptCall("lifetimes")
            call.key_list([self._keys.named(key) for key in batch])
            pairs = zip(batch, map(int, await self._run(call)), strict=True)
            found.update((key, ms / 1000 if ms >= 0 else None) for key, ms in pairs if ms != -2)
        return found

    async def delete_lock(self, key: str) -> bool:
        """See `Backend.delete_lock`."""
        return bool(await self._connections.call("DEL", to_bytes(self._keys.named(key))))


def _batches_of(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _lengths(pairs: list[Any]) -> dict[str, int | None]:
    found = zip(pairs[::2], pairs[1::2], strict=True)
    return {to_text(name): None if length < 0 else int(length) for name, length in found}


def _problem(value: bytes | list[bytes] | None) -> str | None:
    """Return what is wrong with a value, or None. A script returns a list with the type for a wrong type."""
    return f"not text but a {to_text(value[0])}" if isinstance(value, list) else None


def _text(value: bytes | list[bytes] | None) -> str:
    return to_text(value) if isinstance(value, bytes) else ""


def _number(value: bytes | list[bytes] | None) -> int | None:
    return to_number(value) if isinstance(value, bytes) else None
