"""The verbs about periodic tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import FreeLock, KnownPeriodic, Periodics
from taskhero.backends.records.periodic_tasks import decode_periodic, encode_periodic
from taskhero.backends.redis.commands.base import Part, to_bytes, to_number, to_text
from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Periodic

__all__ = ["Recurring"]

_Keys = list["str | bytes"]
_Arguments = list["str | bytes | int"]


class Recurring(Part):
    """The part of the driver that keeps periodic tasks going."""

    async def periodic(self, declared: Sequence[Periodic] = (), lifetime: float = 0.0) -> Periodics:
        """See `Backend.periodic`."""
        own = self._keys
        arguments: _Arguments = [self._now(), int(lifetime * 1000)]
        for task in declared:
            by_cron = "" if task.cron is None else "1"
            arguments += (to_bytes(task.name), to_bytes(encode_periodic(task)), by_cron)
        keys = (own.processes, own.periodic, own.stopped, own.seen)
        now, stopped, *known = await self._run("periodic", keys, arguments)
        rows = zip(known[::3], known[1::3], known[2::3], strict=True)
        tasks = [_known(text, reason, seen) for text, reason, seen in rows]
        found = [task for task in tasks if task is not None]
        why = dict(zip(map(to_text, stopped[::2]), map(to_text, stopped[1::2]), strict=True))
        return Periodics(now=int(now) / 1000, tasks=sorted(found, key=lambda known: known.task.name), stopped=why)

    async def ensure(self, tasks: Sequence[Periodic], *, thoroughly: bool = False) -> Sequence[str]:
        """See `Backend.ensure`."""
        if not tasks:
            return []
        own = self._keys
        keys: _Keys = [own.processes, own.stopped, own.queues, own.wake_new, own.wake_schedule, own.schedule]
        arguments: _Arguments = [self._now(), self._prefix, "1" if thoroughly else ""]
        for task in tasks:
            locks, texts = _locks(task), _texts(task)
            keys += (own.queue(task.queue), own.wake(task.queue))
            keys += [to_bytes(own.named(name)) for name in (*task.holds, *(lock.key for lock in locks))]
            keys += [to_bytes(own.timestamps(text)) for text in texts]
            arguments += (to_bytes(task.name), task.queue, int((task.frequency or 0) * 1000), len(task.holds))
            arguments += (len(locks), len(texts))
            arguments += (*(-lock.timeout if lock.shared else lock.timeout for lock in locks), *map(to_bytes, texts))
        return [found.decode() for found in await self._run("ensure", keys, arguments)]

    async def restart(self, task: Periodic) -> int | None:
        """See `Backend.restart`."""
        return (await self._begin_anew(task, "restart"))[1]

    async def stop_periodic(self, task: Periodic) -> int:
        """See `Backend.stop_periodic`."""
        return (await self._begin_anew(task, "stop"))[0]

    async def _begin_anew(self, task: Periodic, how: str) -> tuple[int, int | None]:
        own, locks, texts = self._keys, _locks(task), _texts(task)
        keys: _Keys = [own.processes, own.stopped, own.seen, own.schedule, own.wake_schedule, own.queue(task.queue)]
        keys += [to_bytes(own.named(lock.key)) for lock in locks]
        keys += [to_bytes(own.timestamps(text)) for text in texts]
        frequency = "" if task.frequency is None else int(task.frequency * 1000)
        arguments: _Arguments = [self._now(), self._prefix, to_bytes(task.name), how, frequency, len(locks)]
        removed, at = await self._run("begin_anew", keys, [*arguments, *map(to_bytes, texts)])
        return int(removed), to_number(at)

    async def resume(self, names: Sequence[str], *, failed: bool = False) -> int:
        """See `Backend.resume`."""
        if not names:
            return 0
        keys = (self._keys.processes, self._keys.stopped)
        return int(await self._run("resume", keys, ("1" if failed else "", *map(to_bytes, names))))

    async def fire(self, task: Periodic, since: int | None, until: int, times: int) -> str:
        """See `Backend.fire`."""
        own = self._keys
        guard_keys, guards = self._guards(task.guards)
        keys: _Keys = [own.stopped, own.seen, own.queues, own.wake_new, own.queue(task.queue), own.wake(task.queue)]
        arguments: _Arguments = [self._now(), self._prefix, to_bytes(task.name), task.queue]
        arguments += ("" if since is None else since, until, times, len(guard_keys), *guards, to_bytes(task.raw))
        became: str = (await self._run("fire", [*keys, *guard_keys], arguments)).decode()
        if became.startswith("error "):
            raise BackendRefused(f"Redis at {self._link.location} could not store the job: {became[6:]}")
        return became


def _locks(task: Periodic) -> list[FreeLock]:
    return [guard for guard in task.guards if isinstance(guard, FreeLock)]


def _texts(task: Periodic) -> tuple[str, ...]:
    return tuple(dict.fromkeys((task.raw, *task.forms)))


def _known(definition: bytes, stopped: bytes, seen: bytes) -> KnownPeriodic | None:
    task = decode_periodic(to_text(definition))
    if task is None:
        return None
    until = None if task.cron is None else to_number(seen or None)
    return KnownPeriodic(task=task, stopped=to_text(stopped) or None, seen=until)
