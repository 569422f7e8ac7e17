"""What all verbs stand on: the file, opened in an event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from taskhero.clock import SystemClock
from taskhero.errors import NotConnected
from taskhero_sqlite.address import Address
from taskhero_sqlite.database import Database
from taskhero_sqlite.waking import WakeupQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.clock import Clock

__all__ = ["Connected"]

Result = TypeVar("Result")


class Connected:
    """A file that is used in one event loop.

    Args:
        where: The file, or an `Address` that says how it is used as well.
        clock: For tests: where the time comes from.
    """

    def __init__(self, where: str | Path | Address, *, clock: Clock | None = None) -> None:
        self._address = where if isinstance(where, Address) else Address(path=Path(where).absolute())
        self._database = Database(self._address, SystemClock() if clock is None else clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line: WakeupQueue | None = None

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
        self._line = WakeupQueue(self._database, self._address.poll)

    async def close(self) -> None:
        """See `Backend.close`."""
        line, self._line, self._loop = self._line, None, None
        if line is not None:
            await line.end()
        await self._database.close()

    def _here(self) -> WakeupQueue:
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

    async def _ask(self, verb: Callable[..., Result], *given: Any, **named: Any) -> Result:
        """Look at something, in one step."""
        self._here()
        return (await self._database.step(lambda step: verb(step, *given, **named), reads=True))[0]

    def _sign(self, verb: Callable[..., Result], *given: Any, **named: Any) -> Result:
        """Change something, in one step and in the calling thread."""
        if self._line is None:
            raise NotConnected(f"{self.location} is not connected: call `await backend.connect()` first")
        return self._database.sign(lambda step: verb(step, *given, **named))
