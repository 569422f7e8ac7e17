"""The verbs about periodic tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import KnownPeriodicTask, PeriodicTasksReply, QueueLockGuard
from taskhero.backends.records.periodic_tasks import decode_periodic, encode_periodic
from taskhero.backends.redis.commands.command_group import RedisCommands, to_bytes, to_number, to_text
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import PeriodicTask

__all__ = ["PeriodicCommands"]

_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class PeriodicCommands(RedisCommands):
    """The part of the driver that keeps periodic tasks going."""

    async def declare_periodic(
        self, declared: Sequence[PeriodicTask] = (), lifetime: float = 0.0
    ) -> PeriodicTasksReply:
        """See `Backend.declare_periodic`."""
        own = self._keys
        arguments: _Arguments = [self._now(), int(lifetime * 1000)]
        for task in declared:
            by_cron = "" if task.cron is None else "1"
            arguments += (to_bytes(task.name), to_bytes(encode_periodic(task)), by_cron)
        keys = (own.processes, own.periodic, own.stopped, own.cron_cursors)
        now, stopped, *known = await self._run("declare_periodic", keys, arguments)
        rows = zip(known[::3], known[1::3], known[2::3], strict=True)
        tasks = [_known(text, reason, seen) for text, reason, seen in rows]
        found = [task for task in tasks if task is not None]
        why = dict(zip(map(to_text, stopped[::2]), map(to_text, stopped[1::2]), strict=True))
        return PeriodicTasksReply(
            now=int(now) / 1000, tasks=sorted(found, key=lambda known: known.task.name), stopped=why
        )

    async def ensure_periodic(self, tasks: Sequence[PeriodicTask], *, full_scan: bool = False) -> Sequence[str]:
        """See `Backend.ensure_periodic`."""
        if not tasks:
            return []
        own = self._keys
        keys: _Keys = [own.processes, own.stopped, own.queues, own.wake_new, own.wake_schedule, own.schedule]
        arguments: _Arguments = [self._now(), self._prefix, "1" if full_scan else ""]
        for task in tasks:
            locks, payloads = _locks(task), _texts(task)
            keys += (own.queue(task.queue), own.wake(task.queue))
            keys += [to_bytes(own.named(name)) for name in (*task.holds, *(lock.key for lock in locks))]
            keys += [to_bytes(own.timestamps(text)) for text in payloads]
            arguments += (to_bytes(task.name), task.queue, int((task.frequency or 0) * 1000), len(task.holds))
            arguments += (len(locks), len(payloads))
            arguments += (*(-lock.timeout if lock.shared else lock.timeout for lock in locks), *map(to_bytes, payloads))
        return [found.decode() for found in await self._run("ensure_periodic", keys, arguments)]

    async def restart_periodic(self, task: PeriodicTask) -> int | None:
        """See `Backend.restart_periodic`."""
        return (await self._restart(task, "restart"))[1]

    async def stop_periodic(self, task: PeriodicTask) -> int:
        """See `Backend.stop_periodic`."""
        return (await self._restart(task, "stop"))[0]

    async def _restart(self, task: PeriodicTask, how: str) -> tuple[int, int | None]:
        own, locks, payloads = self._keys, _locks(task), _texts(task)
        keys: _Keys = [
            own.processes,
            own.stopped,
            own.cron_cursors,
            own.schedule,
            own.wake_schedule,
            own.queue(task.queue),
        ]
        keys += [to_bytes(own.named(lock.key)) for lock in locks]
        keys += [to_bytes(own.timestamps(text)) for text in payloads]
        frequency = "" if task.frequency is None else int(task.frequency * 1000)
        arguments: _Arguments = [self._now(), self._prefix, to_bytes(task.name), how, frequency, len(locks)]
        removed, at = await self._run("restart_periodic", keys, [*arguments, *map(to_bytes, payloads)])
        return int(removed), to_number(at)

    async def resume_periodic(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume_periodic`."""
        if not names:
            return 0
        keys = (self._keys.processes, self._keys.stopped)
        return int(await self._run("resume_periodic", keys, ("1" if failed else "", *map(to_bytes, names))))

    async def fire_cron(self, task: PeriodicTask, expected_cursor: int | None, new_cursor: int, count: int) -> str:
        """See `Backend.fire_cron`."""
        own = self._keys
        guard_keys, guards = self._guards(task.guards)
        keys: _Keys = [
            own.stopped,
            own.cron_cursors,
            own.queues,
            own.wake_new,
            own.queue(task.queue),
            own.wake(task.queue),
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
        became: str = (await self._run("fire_cron", [*keys, *guard_keys], arguments)).decode()
        if became.startswith("error "):
            raise BackendRefused(f"Redis at {self._connections.location} could not store the job: {became[6:]}")
        return became


def _locks(task: PeriodicTask) -> list[QueueLockGuard]:
    return [guard for guard in task.guards if isinstance(guard, QueueLockGuard)]


def _texts(task: PeriodicTask) -> tuple[str, ...]:
    return tuple(dict.fromkeys((task.raw, *task.equivalent_payloads)))


def _known(definition: bytes, stopped: bytes, seen: bytes) -> KnownPeriodicTask | None:
    task = decode_periodic(to_text(definition))
    if task is None:
        return None
    until = None if task.cron is None else to_number(seen or None)
    return KnownPeriodicTask(task=task, stopped=to_text(stopped) or None, cron_cursor=until)
