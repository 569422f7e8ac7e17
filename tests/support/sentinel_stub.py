"""A Sentinel, in a thread of its own, that says what a test wants at the moment that it wants."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["SentinelStub"]


class SentinelStub:
    """Answers for the master of one service, ``jobs``.

    Args:
        master: The port that it names.

    Attributes:
        master: The port that it names now. A change is told to nobody until `switch`.
        epoch: The number of the last failover that it knows.
        mute: Whether it takes connections and says nothing.
        deaf: Whether it refuses subscriptions.
    """

    def __init__(self, master: int, *, epoch: int = 0, mute: bool = False, deaf: bool = False) -> None:
        self.master = master
        self.epoch = epoch
        self.mute = mute
        self.deaf = deaf
        self.port = 0
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._subscribers: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._subscribed = threading.Event()

    def __enter__(self) -> SentinelStub:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self) -> None:
        """Listen, at the same port as before if there was one."""
        self._do(self._open())

    def close(self) -> None:
        """Be gone."""
        self._do(self._close())

    def switch(self, master: int) -> None:
        """Name another master, and tell the subscribers."""
        self._do(self._switch(master))

    async def subscribed(self) -> None:
        """Wait until a driver has subscribed, and has asked after that."""
        assert await asyncio.to_thread(self._subscribed.wait, 10)

    def _do(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(10)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for writer in list(self._writers):
                writer.close()
            await server.wait_closed()
            # Their tasks see the end of their connections.
            await asyncio.sleep(0.05)

    async def _switch(self, master: int) -> None:
        text = f"jobs 127.0.0.1 {self.master} 127.0.0.1 {master}".encode()
        self.master, self.epoch = master, self.epoch + 1
        for writer in self._subscribers:
            writer.write(_array(b"message", b"+switch-master", text))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await self._answer([word.decode() for word in await _command(reader)], writer)
        finally:
            self._writers.discard(writer)
            self._subscribers.discard(writer)
            writer.close()

    async def _answer(self, words: list[str], writer: asyncio.StreamWriter) -> None:
        text = " ".join(words).upper()
        if self.mute:
            return
        if text.startswith("SENTINEL GET-MASTER"):
            writer.write(_array(b"127.0.0.1", str(self.master).encode()))
            if self._subscribers:
                self._subscribed.set()
        elif text.startswith("SENTINEL MASTER"):
            writer.write(_array(b"name", b"jobs", b"config-epoch", str(self.epoch).encode()))
        elif text.startswith("SUBSCRIBE") and self.deaf:
            writer.write(b"-NOPERM this user has no permissions to access the channel\r\n")
        elif text.startswith("SUBSCRIBE"):
            self._subscribers.add(writer)
            writer.write(b"*3\r\n" + _bulk(b"subscribe") + _bulk(words[1].encode()) + b":1\r\n")
        elif text.startswith("PING") and writer in self._subscribers:
            writer.write(_array(b"pong", b""))
        else:
            writer.write(b"+OK\r\n")
        await writer.drain()


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readuntil())[1:])
    words = []
    for _ in range(count):
        length = int((await reader.readuntil())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def _array(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(map(_bulk, parts))
