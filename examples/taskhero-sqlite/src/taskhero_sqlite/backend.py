"""The backend: each verb is one step on the file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from taskhero.clock import SystemClock
from taskhero.errors import NotConnected
from taskhero_sqlite import queues, schedule, work
from taskhero_sqlite.address import Address
from taskhero_sqlite.database import Database
from taskhero_sqlite.steps import text
from taskhero_sqlite.waking import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.protocol import (
        Backend,
        Beat,
        Claim,
        Claims,
        Due,
        Entry,
        Exchange,
        HeldLock,
        Interest,
        Move,
        Preparation,
        Prepared,
        Process,
        Removal,
        Rescued,
        Settlement,
        TimedEntry,
        Wake,
    )
    from taskhero.clock import Clock
    from taskhero_sqlite.steps import Step

__all__ = ["SqliteBackend"]

Result = TypeVar("Result")


class SqliteBackend:
    """Jobs in a SQLite file, shared by the processes of one machine.

    Args:
        where: The file, or an `Address` that says how it is used as well.
        clock: For tests: where the time comes from.
    """

    def __init__(self, where: str | Path | Address, *, clock: Clock | None = None) -> None:
        self._address = where if isinstance(where, Address) else Address(path=Path(where).absolute())
        self._database = Database(self._address, SystemClock() if clock is None else clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line: Line | None = None

    @classmethod
    def from_url(cls, url: str, *, namespace: str = "resque") -> Self:  # noqa: ARG003 - a file is one
        """The backend that a URL names: ``sqlite:///jobs.db``, or ``sqlite:////srv/jobs.db`` for an absolute path.

        Raises:
            UnknownBackend: The URL names no file, or has an unknown option.
        """
        return cls(Address.of(url))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.location}>"

    @property
    def location(self) -> str:
        """See `Backend.location`."""
        return self._address.url

    async def connect(self) -> None:
        """See `Backend.connect`."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed():
                raise NotConnected(f"{self.location} is connected in another event loop: close it there first")
            await self._database.close()
        self._loop = loop
        try:
            await self._database.open()
        except BaseException:
            self._loop = None
            raise
        self._line = Line(self._database, self._address.poll)

    async def close(self) -> None:
        """See `Backend.close`."""
        line, self._line, self._loop = self._line, None, None
        if line is not None:
            await line.end()
        await self._database.close()

    def _here(self) -> Line:
        """Those who wait, if the backend may be used here and now."""
        if self._line is None:
            raise NotConnected(f"{self.location} is not connected: call `await backend.connect()` first")
        if self._loop is not asyncio.get_running_loop():
            raise NotConnected(f"{self.location} was connected in another event loop: use it in that one")
        return self._line

    async def _do(self, verb: Callable[..., Result], *given: Any, **named: Any) -> Result:
        """Change something, in one step."""
        line = self._here()
        result, rang = await self._database.step(lambda step: verb(step, *given, **named))
        if rang:
            line.look()
        return result

    async def _ask(self, verb: Callable[..., Result], *given: Any) -> Result:
        """Look at something, in one step."""
        self._here()
        return (await self._database.step(lambda step: verb(step, *given), reads=True))[0]

    # producing

    async def push(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """See `Backend.push`."""
        return await self._do(queues.push, entries)

    async def schedule(self, entries: Sequence[TimedEntry]) -> Sequence[str]:
        """See `Backend.schedule`."""
        return await self._do(schedule.schedule, entries)

    # promoting

    async def due(self, limit: int) -> Due:
        """See `Backend.due`."""
        return await self._ask(schedule.due, limit)

    async def promote(self, moves: Sequence[Move]) -> Sequence[str]:
        """See `Backend.promote`."""
        return await self._do(schedule.promote, moves)

    # working

    async def register(self, process: Process, slots: Sequence[int], lease: float) -> None:
        """See `Backend.register`."""
        await self._do(work.renew, process, slots, lease)

    def beat(
        self, process: Process, slots: Sequence[int], lease: float, *, full: bool, locks: Sequence[HeldLock] = ()
    ) -> Beat:
        """See `Backend.beat`."""
        if self._line is None:
            raise NotConnected(f"{self.location} is not connected: call `await backend.connect()` first")
        return self._database.sign(lambda step: work.renew(step, process, slots if full else (), lease, locks))

    async def retire(self, process: Process, slots: Sequence[int]) -> None:
        """See `Backend.retire`."""
        await self._do(work.retire, process, slots)

    async def deregister(self, process: Process) -> int:
        """See `Backend.deregister`."""
        return await self._do(work.deregister, process)

    async def exchange(
        self,
        process: Process,
        settled: Sequence[Settlement],
        free: Sequence[int],
        queues: Sequence[str],
    ) -> Exchange:
        """See `Backend.exchange`."""
        return await self._do(work.exchange, process, settled, free, queues)

    async def prepare(self, process: Process, preparations: Sequence[Preparation]) -> Sequence[Prepared]:
        """See `Backend.prepare`."""
        return await self._do(work.prepare, process, preparations)

    async def claims(self, process: Process) -> Claims:
        """See `Backend.claims`."""
        return await self._ask(work.claims, process)

    async def begin(self, process: Process, claim: Claim, *, alone: bool = True) -> bool:
        """See `Backend.begin`."""
        return await self._do(work.begin, process, claim, alone=alone)

    async def rescue(self, limit: int) -> Sequence[Rescued]:
        """See `Backend.rescue`."""
        return await self._do(work.rescue, limit)

    async def pause_all_workers(self, paused: bool = True) -> None:
        """Let nobody claim jobs until this is called with False."""
        await self._do(_pause, paused=paused)

    # waking

    async def wait(self, process: Process, interest: Interest, timeout: float) -> Wake:  # noqa: ARG002
        """See `Backend.wait`."""
        return await self._here().wait(interest, timeout)

    async def notify(self, queues: Sequence[str]) -> None:
        """See `Backend.notify`."""
        await self._do(_notify, queues)

    # the leader

    async def lead(self, owner: str, lease: float) -> bool:
        """See `Backend.lead`."""
        return await self._do(_lead, owner, lease)

    async def resign(self, owner: str) -> bool:
        """See `Backend.resign`."""
        return await self._do(_resign, owner)

    async def leader(self) -> str | None:
        """See `Backend.leader`."""
        return await self._ask(_leader)

    # inspecting

    async def queues(self) -> list[str]:
        """See `Backend.queues`."""
        return await self._ask(queues.queues)

    async def length(self, queue: str) -> int:
        """See `Backend.length`."""
        return await self._ask(queues.length_of, queue)

    async def queued(self, queue: str, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.queued`."""
        return await self._ask(queues.queued, queue, start, stop)

    async def remove(self, queue: str, removals: Sequence[Removal]) -> Sequence[int]:
        """See `Backend.remove`."""
        return await self._do(queues.remove, queue, removals)

    async def delete_queue(self, queue: str, *, only_if_empty: bool = False) -> int:
        """See `Backend.delete_queue`."""
        return await self._do(queues.delete_queue, queue, only_if_empty=only_if_empty)

    async def stats(self) -> dict[str, int]:
        """See `Backend.stats`."""
        return await self._ask(_stats)

    async def failed_count(self) -> int:
        """See `Backend.failed_count`."""
        return await self._ask(_failed_count)

    async def failed(self, start: int = 0, stop: int = -1) -> list[str]:
        """See `Backend.failed`."""
        return await self._ask(_failed, start, stop)


if TYPE_CHECKING:
    _kept: type[Backend] = SqliteBackend  # mypy compares it with the contract

# Small verbs, each of a statement or two.

_notify = queues.notify


def _pause(step: Step, *, paused: bool) -> None:
    step.do("INSERT OR IGNORE INTO pause VALUES (1)" if paused else "DELETE FROM pause")


def _lead(step: Step, owner: str, lease: float) -> bool:
    if _leader(step) not in {None, owner}:
        return False
    step.do("INSERT OR REPLACE INTO leader VALUES (1, ?, ?)", owner, step.now + lease)
    return True


def _resign(step: Step, owner: str) -> bool:
    return _leader(step) == owner and step.do("DELETE FROM leader") == 1


def _leader(step: Step) -> str | None:
    owner: str | None = step.value("SELECT owner FROM leader WHERE until > ?", step.now)
    return owner


def _stats(step: Step) -> dict[str, int]:
    return dict(step.rows("SELECT name, value FROM counter ORDER BY name"))


def _failed_count(step: Step) -> int:
    return int(step.value("SELECT count(*) FROM failure"))


def _failed(step: Step, start: int, stop: int) -> list[str]:
    offset, number = queues.bounds(_failed_count(step), start, stop)
    return [
        text(entry) for (entry,) in step.rows("SELECT entry FROM failure ORDER BY id LIMIT ? OFFSET ?", number, offset)
    ]
