"""List workers, and remove stale ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.backends.records.inspection import HeartbeatAge, RemoveWorkerResult, WorkerEntry
from taskhero.backends.redis.commands.command_group import RedisCommands, to_bytes, to_number, to_text
from taskhero.wire.workers import parse_worker_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.inspection import WorkerRemoval

__all__ = ["WorkerCommands"]

#: Seconds for which heartbeats of other programs are remembered. `Settings.stuck_worker_timeout` is a week at most.
_HEARTBEAT_MEMORY = 8 * 24 * 3600


class WorkerCommands(RedisCommands):
    """The verbs that list and remove workers."""

    async def workers(self, ids: Sequence[str] | None = None) -> Sequence[WorkerEntry]:
        """See `Backend.workers`."""
        keyspace = self._keys
        arguments: list[str | bytes | int] = [self._now(), self._prefix, int(ids is not None)]
        arguments += [to_bytes(worker_id) for worker_id in sorted(set(ids or ()))]
        rows = await self._run("workers", (keyspace.workers, keyspace.heartbeats, keyspace.processes), arguments)
        return sorted((_worker(*row) for row in rows), key=lambda entry: entry.id)

    async def heartbeat_ages(self) -> Sequence[HeartbeatAge]:
        """See `Backend.heartbeat_ages`."""
        keyspace = self._keys
        keys = (keyspace.workers, keyspace.heartbeats, keyspace.processes, keyspace.foreign_heartbeats)
        found = await self._run("heartbeat_ages", keys, (self._now(), self._prefix, _HEARTBEAT_MEMORY))
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        ages = [HeartbeatAge(to_text(name), int(ms) / 1000, bool(changed)) for name, ms, changed in rows]
        return sorted(ages, key=lambda age: age.id)

    async def remove_worker(self, removal: WorkerRemoval) -> RemoveWorkerResult:
        """See `Backend.remove_worker`."""
        keyspace, worker_id = self._keys, removal.id
        name = parse_worker_id(worker_id)[0]
        keys = [
            keyspace.workers,
            keyspace.taskhero_workers,
            keyspace.heartbeats,
            keyspace.processes,
            keyspace.foreign_heartbeats,
            keyspace.failed,
            keyspace.failures,
        ]
        keys += [keyspace.worker(worker_id), keyspace.started(worker_id), keyspace.ping(name)]
        keys += [
            keyspace.processed_by(name),
            keyspace.failed_by(name),
            keyspace.processed_by(worker_id),
            keyspace.failed_by(worker_id),
        ]
        arguments: list[str | bytes | int] = [self._now(), self._prefix, to_bytes(worker_id)]
        arguments += (int(removal.seen is not None), to_bytes(removal.seen or ""), to_bytes(removal.failure or ""))
        arguments.append("" if removal.heartbeat_age is None else int(removal.heartbeat_age * 1000))
        arguments.append(int(removal.unchanged))
        reply = await self._run("remove_worker", [to_bytes(key) for key in keys], arguments)
        return self._result(RemoveWorkerResult, "remove_worker", reply)


def _worker(worker_id: bytes, *values: Any) -> WorkerEntry:
    working, started, ping, processed, processed_by_id, failed, failed_by_id, heartbeat, lease = values
    problems = {
        name: f"not text but a {to_text(value[0])}"
        for name, value in (("working", working), ("started", started), ("ping", ping))
        if isinstance(value, list)
    }
    for name, both in (("processed", (processed, processed_by_id)), ("failed", (failed, failed_by_id))):
        if any(value is not None and _count(value) is None for value in both):
            problems[name] = "not a number"
    return WorkerEntry(
        id=to_text(worker_id),
        working=_read(working),
        started=_read(started),
        ping=_read(ping),
        heartbeat=_read(heartbeat),
        alive_for=int(lease) / 1000 if lease else None,
        processed=_sum(processed, processed_by_id),
        failed=_sum(failed, failed_by_id),
        problems=problems,
    )


def _read(value: Any) -> str | None:
    return to_text(value) if isinstance(value, bytes) else None


def _count(value: Any) -> int | None:
    return to_number(value) if isinstance(value, bytes) else None


def _sum(*values: Any) -> int | None:
    """Return the sum of the counters by name (node-resque) and by id (Ruby), or None without any."""
    counts = [count for count in map(_count, values) if count is not None]
    return sum(counts) if counts else None
