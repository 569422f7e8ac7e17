"""Maintain periodic tasks, and fire cron tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import EnsureResult, FireResult, KnownPeriodicTask, PeriodicTasksReply, QueueLockGuard
from taskhero.backends.records.periodic_tasks import decode_periodic, decode_stop_reason, encode_periodic
from taskhero.backends.redis.commands.command_group import CommandGroup
from taskhero.backends.redis.conversions import problem_in, to_number, to_text
from taskhero.backends.redis.scripts import ScriptCall
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import PeriodicTask

__all__ = ["PeriodicCommands"]


class PeriodicCommands(CommandGroup):
    """The verbs that maintain periodic tasks."""

    async def declare_periodic(
        self, declared: Sequence[PeriodicTask] = (), lifetime: float = 0.0
    ) -> PeriodicTasksReply:
        """See `Backend.declare_periodic`."""
        keyspace = self._keys
        call = ScriptCall("declare_periodic", keyspace.processes, keyspace.periodic, keyspace.stopped)
        call.key(keyspace.cron_cursors)
        call.text(self._now())
        call.number(int(lifetime * 1000), len(declared))
        for task in declared:
            call.text(task.name, encode_periodic(task))
            call.flag(task.cron is not None)
        now, stopped, *known = await self._run(call)
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
        call = ScriptCall("ensure_periodic", keyspace.processes, keyspace.stopped, keyspace.queues, keyspace.wake_new)
        call.key(keyspace.wake_schedule, keyspace.schedule)
        call.text(self._now(), self._prefix)
        call.flag(full_scan)
        call.number(len(tasks))
        for task in tasks:
            locks = _locks(task)
            call.key(keyspace.queue(task.queue), keyspace.wake(task.queue))
            call.text(task.name, task.queue)
            call.number(int((task.frequency or 0) * 1000))
            call.key_list([keyspace.named(name) for name in task.holds])
            call.number(len(locks))
            for lock in locks:
                call.key(keyspace.named(lock.key))
                call.number(lock.timeout)
                call.flag(lock.shared)
            self._add_payloads(call, task)
        return [self._result(EnsureResult, "ensure_periodic", reply) for reply in await self._run(call)]

    def _add_payloads(self, call: ScriptCall, task: PeriodicTask) -> None:
        """Add all payloads of the task's job, its own first, and the sets of their due times."""
        payloads = tuple(dict.fromkeys((task.raw, *task.equivalent_payloads)))
        call.texts(payloads)
        call.key_list([self._keys.timestamps(payload) for payload in payloads])

    async def restart_periodic(self, task: PeriodicTask) -> int | None:
        """See `Backend.restart_periodic`."""
        return (await self._restart(task, stop=False))[1]

    async def stop_periodic(self, task: PeriodicTask) -> int:
        """See `Backend.stop_periodic`."""
        return (await self._restart(task, stop=True))[0]

    async def _restart(self, task: PeriodicTask, *, stop: bool) -> tuple[int, int | None]:
        keyspace = self._keys
        call = ScriptCall("restart_periodic", keyspace.processes, keyspace.stopped, keyspace.cron_cursors)
        call.key(keyspace.schedule, keyspace.wake_schedule, keyspace.queue(task.queue))
        call.text(self._now(), self._prefix, task.name)
        call.flag(stop)
        call.optional(None if task.frequency is None else int(task.frequency * 1000))
        call.key_list([keyspace.named(lock.key) for lock in _locks(task)])
        self._add_payloads(call, task)
        removed, at = await self._run(call)
        return int(removed), to_number(at)

    async def resume_periodic(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume_periodic`."""
        if not names:
            return 0
        call = ScriptCall("resume_periodic", self._keys.processes, self._keys.stopped)
        call.flag(failed)
        call.texts(names)
        return int(await self._run(call))

    async def fire_cron(
        self, task: PeriodicTask, expected_cursor: int | None, new_cursor: int, count: int
    ) -> FireResult:
        """See `Backend.fire_cron`."""
        keyspace = self._keys
        call = ScriptCall("fire_cron", keyspace.stopped, keyspace.cron_cursors, keyspace.queues, keyspace.wake_new)
        call.key(keyspace.queue(task.queue), keyspace.wake(task.queue))
        call.text(self._now(), self._prefix, task.name, task.queue)
        call.text("" if expected_cursor is None else str(expected_cursor), str(new_cursor))
        call.number(count)
        call.text(task.raw)
        self._add_guards(call, task.guards)
        reply = await self._run(call)
        problem = problem_in(reply)
        if problem is not None:
            raise BackendRefused(f"Redis at {self._connections.location} could not store the job: {problem}")
        return self._result(FireResult, "fire_cron", reply)


def _locks(task: PeriodicTask) -> list[QueueLockGuard]:
    return [guard for guard in task.guards if isinstance(guard, QueueLockGuard)]


def _known_task(definition: bytes, stopped: bytes, cursor: bytes) -> KnownPeriodicTask | None:
    task = decode_periodic(to_text(definition))
    if task is None:
        return None
    cron_cursor = None if task.cron is None else to_number(cursor or None)
    reason = decode_stop_reason(to_text(stopped)) if stopped else None
    return KnownPeriodicTask(task=task, stopped=reason, cron_cursor=cron_cursor)
