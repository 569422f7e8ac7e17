"""An app's hold on its backend, in one event loop at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero.errors import NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend

__all__ = ["Connection"]

_ELSEWHERE = "this app is connected in another event loop: make one app for each loop"


class Connection:
    """Connects a backend for the first that holds it, and closes it for the last that lets go.

    Args:
        backend: The store of jobs.
        prepare: Called before it is connected.
        forget: Called when an earlier event loop ended without letting go.

    Attributes:
        turn: For the holder: a lock of this event loop.
    """

    def __init__(self, backend: Backend, prepare: Callable[[], object], forget: Callable[[], object]) -> None:
        self._backend = backend
        self._prepare = prepare
        self._forget = forget
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holders = 0
        # One connects or closes at a time; a lock belongs to one event loop.
        self._gate = asyncio.Lock()
        self.turn = asyncio.Lock()
        self._gate_loop: asyncio.AbstractEventLoop | None = None

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        return self._holders > 0

    def enter_loop(self) -> None:
        """Belong to the running event loop from now on.

        Raises:
            NotConnected: It is held in another event loop.
        """
        loop = asyncio.get_running_loop()
        if self._gate_loop is loop:
            return
        if self._holders and self._gate_loop is not None and not self._gate_loop.is_closed():
            raise NotConnected(_ELSEWHERE)
        self._gate, self.turn, self._gate_loop = asyncio.Lock(), asyncio.Lock(), loop
        if self._holders:
            # The last loop ended without closing the app: what it left behind is of no use.
            self._loop, self._holders = None, 0
            self._forget()

    async def hold(self) -> None:
        """Connect, if nobody has yet.

        Raises:
            BackendUnavailable: It cannot be reached.
            NotConnected: It is held in another event loop.
        """
        self.enter_loop()
        self._holders += 1
        try:
            async with self._gate:
                if self._loop is None:
                    self._prepare()
                    await self._backend.connect()
                    self._loop = asyncio.get_running_loop()
        except BaseException:
            self._holders -= 1
            raise

    async def release(self) -> None:
        """Close, if nobody else holds it."""
        self._holders -= 1
        async with self._gate:
            if not self._holders and self._loop is not None:
                self._loop = None
                await self._backend.close()

    def check(self) -> None:
        """Check that the backend can be used here and now.

        Raises:
            NotConnected: It is not connected, or in another event loop.
        """
        if self._loop is None:
            raise NotConnected(
                "this app is not connected: use it inside `async with app:` or after `await app.start()`"
            )
        if asyncio.get_running_loop() is not self._loop:
            raise NotConnected(_ELSEWHERE)
