"""A proxy between a driver and its server that loses replies on demand."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

__all__ = ["Proxy"]


class Proxy:
    """Passes bytes on between clients and one server at 127.0.0.1.

    `lose(when, match)` arms it once: of the first request that holds *match*, either the request never reaches the
    server ("before" it acted), or its reply never reaches the client ("after"); the client's connection is cut.
    `lead_to(port)` does as a balancer after a failover: new connections go elsewhere, those that there are stay.
    `silence()` does as a firewall that forgot: connections stay open, and nothing passes them any more.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._when: Literal["before", "after"] | None = None
        self._match = b""
        self._skip = 0
        self._open = asyncio.Event()
        self._open.set()
        self.cut = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def lose(self, when: Literal["before", "after"], match: str, *, skip: int = 0) -> None:
        """Cut the next connection that sends a request with *match* in it, after *skip* such requests."""
        self._when, self._match, self._skip = when, match.encode(), skip
        self.cut.clear()

    def lead_to(self, port: int) -> None:
        """Lead new connections to another server at 127.0.0.1."""
        self._server_port = port

    def silence(self) -> None:
        """Let nothing more pass on the connections that there are, and say nothing of it; new ones work."""
        self._open.clear()
        self._open = asyncio.Event()
        self._open.set()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        doomed, is_open = asyncio.Event(), self._open
        passing = [
            asyncio.create_task(self._pass_requests(reader, upstream_writer, doomed, is_open)),
            asyncio.create_task(self._pass_replies(upstream_reader, writer, doomed, is_open)),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each_writer in (writer, upstream_writer):
                each_writer.close()
            for each in passing:
                each.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            for each_writer in (writer, upstream_writer):
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await each_writer.wait_closed()

    async def _pass_requests(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        doomed: asyncio.Event,
        is_open: asyncio.Event,
    ) -> None:
        while data := await reader.read(1 << 20):
            await is_open.wait()
            matches = self._when is not None and self._match in data
            if matches and self._skip > 0:
                self._skip -= 1
            elif matches:
                when, self._when = self._when, None
                if when == "before":
                    self.cut.set()
                    return
                doomed.set()
            upstream.write(data)
            await upstream.drain()

    async def _pass_replies(
        self,
        upstream: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        doomed: asyncio.Event,
        is_open: asyncio.Event,
    ) -> None:
        while data := await upstream.read(1 << 20):
            await is_open.wait()
            if doomed.is_set():
                self.cut.set()
                return
            writer.write(data)
            await writer.drain()
