"""Maintain periodic tasks, and fire cron tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import EnsureResult, FireResult, KnownPeriodicTask, PeriodicTasksReply, QueueLockGuard
from taskhero.backends.records.periodic_tasks import decode_periodic, decode_stop_reason, encode_periodic
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import problem_in, to_bytes, to_number, to_text
from taskhero.backends.redis.scripts import ScriptCall
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import PeriodicTask

__all__ = ["PeriodicCommands"]

_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class PeriodicCommands(CommandGroup):
    """The verbs that maintain periodic tasks."""

    async def declare_periodic(
        self, declared: Sequence[PeriodicTask] = (), lifetime: float = 0.0
    ) -> PeriodicTasksReply:
        """See `Backend.declare_periodic`."""
        keyspace = self._keys
        arguments: _Arguments = [self._now(), int(lifetime * 1000)]
        for task in declared:
            by_cron = "" if task.cron is None else "1"
            arguments += (to_bytes(task.name), to_bytes(encode_periodic(task)), by_cron)
        keys = (keyspace.processes, keyspace.periodic, keyspace.stopped, keyspace.cron_cursors)
        now, stopped, *known = await self._run(ScriptCall("declare_periodic", keys, arguments))
        rows = zip(known[::3], known[1::3], known[2::3], strict=True)
        tasks = [_known_task(definition, reason, cursor) for definition, reason, cursor in rows]
        found = [task for task in tasks if task is not None]
        reasons = {
            to_text(name): decode_stop_reason(to_text(reason))
            for name, reason in zip(stopped[::2], stopped[1::2], strict=True)
        }
        return PeriodicTasksReply(
            now=int(now) / 1000, tasks=sorted(found, key=lambda known: known.task.name), stopped=reasons
        )

    async def ensure_periodic(
        self, tasks: Sequence[PeriodicTask], *, full_scan: bool = False
    ) -> Sequence[EnsureResult]:
        """See `Backend.ensure_periodic`."""
        if not tasks:
            return []
        keyspace = self._keys
        keys: _Keys = [
            keyspace.processes,
            keyspace.stopped,
            keyspace.queues,
            keyspace.wake_new,
            keyspace.wake_schedule,
            keyspace.schedule,
        ]
        arguments: _Arguments = [self._now(), self._prefix, "1" if full_scan else ""]
        for task in tasks:
            locks, payloads = _locks(task), _payloads(task)
            keys += (keyspace.queue(task.queue), keyspace.wake(task.queue))
            keys += [to_bytes(keyspace.named(name)) for name in (*task.holds, *(lock.key for lock in locks))]
            keys += [to_bytes(keyspace.timestamps(payload)) for payload in payloads]
            arguments += (to_bytes(task.name), task.queue, int((task.frequency or 0) * 1000), len(task.holds))
            arguments += (len(locks), len(payloads))
            arguments += (*(-lock.timeout if lock.shared else lock.timeout for lock in locks), *map(to_bytes, payloads))
        replies = await self._run(ScriptCall("ensure_periodic", keys, arguments))
        return [self._result(EnsureResult, "ensure_periodic", reply) for reply in replies]

    async def restart_periodic(self, task: PeriodicTask) -> int | None:
        """See `Backend.restart_periodic`."""
        return (await self._restart(task, "restart"))[1]

    async def stop_periodic(self, task: PeriodicTask) -> int:
        """See `Backend.stop_periodic`."""
        return (await self._restart(task, "stop"))[0]

    async def _restart(self, task: PeriodicTask, action: str) -> tuple[int, int | None]:
        keyspace, locks, payloads = self._keys, _locks(task), _payloads(task)
        keys: _Keys = [
            keyspace.processes,
            keyspace.stopped,
            keyspace.cron_cursors,
            keyspace.schedule,
            keyspace.wake_schedule,
            keyspace.queue(task.queue),
        ]
        keys += [to_bytes(keyspace.named(lock.key)) for lock in locks]
        keys += [to_bytes(keyspace.timestamps(payload)) for payload in payloads]
        frequency = "" if task.frequency is None else int(task.frequency * 1000)
        arguments: _Arguments = [self._now(), self._prefix, to_bytes(task.name), action, frequency, len(locks)]
        removed, at = await self._run(ScriptCall("restart_periodic", keys, [*arguments, *map(to_bytes, payloads)]))
        return int(removed), to_number(at)

    async def resume_periodic(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume_periodic`."""
        if not names:
            return 0
        keys = (self._keys.processes, self._keys.stopped)
        return int(await self._run(ScriptCall("resume_periodic", keys, ("1" if failed else "", *map(to_bytes, names)))))

    async def fire_cron(
        self, task: PeriodicTask, expected_cursor: int | None, new_cursor: int, count: int
    ) -> FireResult:
        """See `Backend.fire_cron`."""
        keyspace = self._keys
        guard_keys, guards = self._guards(task.guards)
        keys: _Keys = [
            keyspace.stopped,
            keyspace.cron_cursors,
            keyspace.queues,
            keyspace.wake_new,
            keyspace.queue(task.queue),
            keyspace.wake(task.queue),
        ]
        arguments: _Arguments = [self._now(), self._prefix, to_bytes(task.name), task.queue]
        arguments += (
            "" if expected_cursor is None else expected_cursor,
            new_cursor,
            count,
            len(guard_keys),
            *guards,
            to_bytes(task.raw),
        )
        reply = await self._run(ScriptCall("fire_cron", [*keys, *guard_keys], arguments))
        problem = problem_in(reply)
        if problem is not None:
            raise BackendRefused(f"Redis at {self._connections.location} could not store the job: {problem}")
        return self._result(FireResult, "fire_cron", reply)


def _locks(task: PeriodicTask) -> list[QueueLockGuard]:
    return [guard for guard in task.guards if isinstance(guard, QueueLockGuard)]


def _payloads(task: PeriodicTask) -> tuple[str, ...]:
    return tuple(dict.fromkeys((task.raw, *task.equivalent_payloads)))


def _known_task(definition: bytes, stopped: bytes, cursor: bytes) -> KnownPeriodicTask | None:
    task = decode_periodic(to_text(definition))
    if task is None:
        return None
    cron_cursor = None if task.cron is None else to_number(cursor or None)
    reason = decode_stop_reason(to_text(stopped)) if stopped else None
    return KnownPeriodicTask(task=task, stopped=reason, cron_cursor=cron_cursor)
