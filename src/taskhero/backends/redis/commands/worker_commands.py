"""List workers, and remove stale ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.backends.records.inspection import HeartbeatAge, RemoveWorkerResult, WorkerEntry
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import to_number, to_text
from taskhero.backends.redis.scripts import ScriptCall
from taskhero.wire.workers import parse_worker_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.inspection import WorkerRemoval

__all__ = ["WorkerCommands"]

#: Seconds for which heartbeats of other programs are remembered. `Settings.stuck_worker_timeout` is a week at most.
_HEARTBEAT_MEMORY = 8 * 24 * 3600


class WorkerCommands(CommandGroup):
    """The verbs that list and remove workers."""

    async def workers(self, ids: Sequence[str] | None = None) -> Sequence[WorkerEntry]:
        """See `Backend.workers`."""
        keyspace = self._keys
        call = ScriptCall("workers", keyspace.workers, keyspace.heartbeats, keyspace.processes)
        call.text(self._now(), self._prefix)
        call.flag(ids is not None)
        if ids is not None:
            call.texts(sorted(set(ids)))
        rows = await self._run(call)
        return sorted((_worker(*row) for row in rows), key=lambda entry: entry.id)

    async def heartbeat_ages(self) -> Sequence[HeartbeatAge]:
        """See `Backend.heartbeat_ages`."""
        keyspace = self._keys
        call = ScriptCall("heartbeat_ages", keyspace.workers, keyspace.heartbeats, keyspace.processes)
        call.key(keyspace.foreign_heartbeats)
        call.text(self._now(), self._prefix)
        call.number(_HEARTBEAT_MEMORY)
        found = await self._run(call)
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        ages = [HeartbeatAge(to_text(name), int(ms) / 1000, bool(changed)) for name, ms, changed in rows]
        return sorted(ages, key=lambda age: age.id)

    async def remove_worker(self, removal: WorkerRemoval) -> RemoveWorkerResult:
        """See `Backend.remove_worker`."""
        keyspace, worker_id = self._keys, removal.id
        name = parse_worker_id(worker_id)[0]
        call = ScriptCall("remove_worker", keyspace.workers, keyspace.taskhero_workers, keyspace.heartbeats)
        call.key(keyspace.processes, keyspace.foreign_heartbeats, keyspace.failed, keyspace.failures)
        call.key(keyspace.worker(worker_id))
        counters = [counter(of) for counter in (keyspace.processed_by, keyspace.failed_by) for of in (name, worker_id)]
        call.key_list([keyspace.started(worker_id), keyspace.ping(name), *counters])
        call.text(self._now(), self._prefix, worker_id)
        call.flag(removal.seen is not None)
        call.text(removal.seen or "", removal.failure or "")
        call.optional(None if removal.heartbeat_age is None else int(removal.heartbeat_age * 1000))
        call.flag(removal.unchanged)
        reply = await self._run(call)
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
