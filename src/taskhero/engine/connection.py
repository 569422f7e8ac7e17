"""Connect an app's backend, in one event loop at a time."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakValueDictionary

from taskhero._internal.loop_forks import detach_after_fork
from taskhero.errors import NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend

__all__ = ["Connection"]

_OTHER_LOOP = (
    "this app is connected in another event loop: create one app for each loop, or use it from a thread with "
    "asyncio.run_coroutine_threadsafe(task.enqueue(...), loop).result()"
)


class _Shared:
    """The connection of a backend that several apps may share: the first connects it, the last closes it."""

    _all: ClassVar[WeakValueDictionary[int, _Shared]] = WeakValueDictionary()

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._apps = 0
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate = asyncio.Lock()

    @classmethod
    def of(cls, backend: Backend) -> _Shared:
        """Return the shared connection of this backend object."""
        return cls._all.setdefault(id(backend), cls(backend))

    async def connect(self) -> None:
        """Connect the backend unless another app has connected it."""
        loop = asyncio.get_running_loop()
        forked = self._pid != os.getpid()
        if self._loop is not loop or forked:
            if self._apps and self._loop is not None and not self._loop.is_closed() and not forked:
                raise NotConnected("this backend is connected in another event loop: create one backend for each loop")
            # Connections of a closed event loop or of the parent process cannot be used.
            self._loop, self._gate, self._apps, self._pid = loop, asyncio.Lock(), 0, os.getpid()
            detach_after_fork(loop)
        async with self._gate:
            if not self._apps:
                await self.backend.connect()
            self._apps += 1

    async def close(self) -> None:
        """Close the backend unless another app uses it."""
        async with self._gate:
            self._apps -= 1
            if not self._apps:
                await self.backend.close()


class Connection:
    """Counts the holders of a backend: the first `hold` connects it, the last `release` closes it.

    Other apps may use the same backend.

    Args:
        backend: The store of jobs.
        prepare: Called before the backend is connected.
        forget: Called when an earlier event loop ended without a release.

    Attributes:
        turn: A lock of the current event loop, for the holders.
    """

    def __init__(self, backend: Backend, prepare: Callable[[], object], forget: Callable[[], object]) -> None:
        self._shared = _Shared.of(backend)
        self._prepare = prepare
        self._forget = forget
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holders = 0
        self._pid = os.getpid()
        # Serializes connecting and closing. A lock belongs to one event loop, so a new loop needs a new lock.
        self._gate = asyncio.Lock()
        self.turn = asyncio.Lock()
        self._gate_loop: asyncio.AbstractEventLoop | None = None

    @property
    def held(self) -> bool:
        """Return whether the connection has a holder."""
        return self._holders > 0

    def enter_loop(self) -> None:
        """Attach the connection to the running event loop.

        Raises:
            NotConnected: The connection is held in another event loop.
        """
        loop = asyncio.get_running_loop()
        forked = self._pid != os.getpid()
        if self._gate_loop is loop and not forked:
            return
        if self._holders and self._gate_loop is not None and not self._gate_loop.is_closed() and not forked:
            raise NotConnected(_OTHER_LOOP)
        self._pid = os.getpid()
        self._gate, self.turn, self._gate_loop = asyncio.Lock(), asyncio.Lock(), loop
        if self._holders:
            # The previous loop ended without closing the app, or belongs to the parent process.
            self._loop, self._holders = None, 0
            self._forget()

    async def hold(self) -> None:
        """Add a holder, and connect the backend for the first one.

        Raises:
            BackendUnavailable: The backend cannot be reached.
            NotConnected: The connection is held in another event loop.
        """
        self.enter_loop()
        self._holders += 1
        try:
            async with self._gate:
                if self._loop is None:
                    self._prepare()
                    await self._shared.connect()
                    self._loop = asyncio.get_running_loop()
        except BaseException:
            self._holders -= 1
            raise

    async def release(self) -> None:
        """Remove a holder, and close the backend after the last one. Without a holder it does nothing."""
        if not self._holders or self._pid != os.getpid():
            return
        self._holders -= 1
        async with self._gate:
            if not self._holders and self._loop is not None:
                self._loop = None
                await self._shared.close()

    def check(self) -> None:
        """Check that the backend is connected in the running event loop.

        Raises:
            NotConnected: The backend is not connected, or is connected in another event loop or process.
        """
        if self._pid != os.getpid():
            raise NotConnected(
                f"process {self._pid} connected this app before it forked this process: connect it here too, with "
                "`async with app:` or `await app.start()`"
            )
        if self._loop is None:
            raise NotConnected(
                "this app is not connected: use it inside `async with app:` or after `await app.start()`"
            )
        if asyncio.get_running_loop() is not self._loop:
            raise NotConnected(_OTHER_LOOP)
