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

_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]
_Item = TypeVar("_Item")


class InspectionCommands(CommandGroup):
    """The verbs that list and repair delayed jobs, failed jobs and locks."""

    async def overview(self) -> Overview:
        """See `Backend.overview`."""
        keyspace = self._keys
        keys = (
            keyspace.queues,
            keyspace.failed,
            keyspace.failed_queues,
            keyspace.processed,
            keyspace.failures,
            keyspace.leader,
            keyspace.pause,
        )
        reply = await self._run(ScriptCall("overview", (*keys, keyspace.ruby_master_lock), (self._now(), self._prefix)))
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
        first = "0"
        while first:
            after, *pairs = await self._run(
                ScriptCall("due_times", (self._keys.schedule,), (self._prefix, first, _DUE_TIMES))
            )
            found += [(int(at), int(number)) for at, number in zip(pairs[::2], pairs[1::2], strict=True)]
            first = after.decode()
        return found

    async def delayed(self, at: int, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.delayed`."""
        return [to_text(raw) for raw in await self._connections.call("LRANGE", self._keys.delayed(at), start, stop)]

    async def search_delayed(
        self, containing: Sequence[str] = (), *, limit: int = 1000, after: tuple[int, int] | None = None
    ) -> DelayedPage:
        """See `Backend.search_delayed`."""
        first, position = after or (0, 0)
        arguments: _Arguments = [self._prefix, first, position, limit, _PAGE_BYTES, *map(to_bytes, containing)]
        at, position, *pairs = await self._run(ScriptCall("search_delayed", (self._keys.schedule,), arguments))
        return DelayedPage(
            [StoredDelayedJob(int(at), to_text(raw)) for at, raw in zip(pairs[::2], pairs[1::2], strict=True)],
            (int(at), int(position)) if at else None,
        )

    async def remove_delayed(self, entries: Sequence[StoredDelayedJob]) -> Sequence[int]:
        """See `Backend.remove_delayed`."""
        removed: list[int] = []
        for batch in _batches_of(entries, _REMOVALS):
            keys: _Keys = [self._keys.schedule]
            arguments: _Arguments = []
            for entry in batch:
                keys += (self._keys.delayed(entry.at), to_bytes(self._keys.timestamps(entry.raw)))
                arguments += (entry.at, to_bytes(entry.raw))
            removed += await self._run(ScriptCall("remove_delayed", keys, arguments))
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
            keys = [to_bytes(self._keys.named(entry.source)) for entry in batch]
            removed += map(
                bool, await self._run(ScriptCall("remove_failed", keys, [to_bytes(entry.raw) for entry in batch]))
            )
        return removed

    async def retry_failed(self, retries: Sequence[FailedRetry]) -> Sequence[RetryResult]:
        """See `Backend.retry_failed`."""
        keyspace = self._keys
        results: list[RetryResult] = []
        for batch in _batches_of(retries, _REMOVALS):
            keys: _Keys = [keyspace.queues, keyspace.wake_new]
            arguments: _Arguments = [self._now(), self._prefix]
            for retry in batch:
                entry = retry.entry
                guard_keys, guards = self._guards(entry.guards)
                keys += (
                    to_bytes(keyspace.named(retry.failed.source)),
                    keyspace.queue(entry.queue),
                    keyspace.wake(entry.queue),
                )
                keys += guard_keys
                arguments += (entry.queue, int(entry.front), len(guard_keys), *guards)
                arguments += (to_bytes(retry.failed.raw), to_bytes(entry.raw))
            replies = await self._run(ScriptCall("retry_failed", keys, arguments))
            results += [self._result(RetryResult, "retry_failed", reply) for reply in replies]
        return results

    # locks

    async def locks(self) -> dict[str, str]:
        """See `Backend.locks`."""
        prefix = self._prefix
        found = {to_text(name) async for name in self._scan(prefix, "*lock:*")}
        names = sorted(name for name in found if name.removeprefix(prefix).startswith(_LOCKS))
        locks: dict[str, str] = {}
        for batch in _batches_of(names, _VALUES):
            values = await self._run(ScriptCall("read_strings", [to_bytes(name) for name in batch], ()))
            for name, value in zip(batch, values, strict=True):
                if value is not None:
                    locks[name.removeprefix(prefix)] = _problem(value) or to_text(value)
        return locks

    async def lifetimes(self, keys: Sequence[str]) -> dict[str, float | None]:
        """See `Backend.lifetimes`."""
        found: dict[str, float | None] = {}
        for batch in _batches_of(keys, _VALUES):
            lifetimes = await self._run(ScriptCall("lifetimes", [to_bytes(self._keys.named(key)) for key in batch], ()))
            pairs = zip(batch, map(int, lifetimes), strict=True)
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
