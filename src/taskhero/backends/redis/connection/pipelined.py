"""Commands and their answers on a connection, without the streams between them and the event loop.

redis-py connects: it knows addresses, TLS, users and Sentinel. Then its way from the socket to who asked takes longer
than a small step of Redis: a stream, a task that reads it, timeouts for each. So the connection's transport is taken
over here, if hiredis is there to read what comes; else redis-py goes on reading.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.redis.connection.url_options import REPLY_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import AbstractConnection

_hiredis: Any
try:
    import hiredis as _hiredis
except ImportError:
    _hiredis = None

__all__ = ["HiredisConnection", "PipelinedConnection", "RedisPyConnection", "take_over"]

#: What servers send without being asked, or None if this hiredis cannot tell it from an answer.
_Push: type | None = getattr(_hiredis, "PushNotification", None)
_INCOMPLETE = object()


class PipelinedConnection(ABC):
    """A connection on which answers come in the order of the commands, and now and then what nobody asked for.

    Args:
        connection: It is connected, and nothing is under way on it.
        on_push: Called when something comes that is no answer, with that, or with None where redis-py hides it.
        on_lost: Called when no answer can come any more.

    Attributes:
        connection: It must not be used otherwise meanwhile.
        lost: Whether it has ended.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        on_push: Callable[[Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self.connection = connection
        self.lost = False
        self._on_push = on_push
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._awaited: deque[asyncio.Future[Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, packed: bytes | list[bytes]) -> Any:
        """The answer to one command, which is in the server's form already.

        Who is cancelled leaves the command under way; its answer is dropped when it comes.

        Raises:
            redis.exceptions.RedisError: The server answered with an error.
            ConnectionError | TimeoutError: No answer came; then the connection is lost.
        """
        future = self._expect()
        await self._send(packed)
        return await future

    async def ask_all(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """The answers to several commands that are sent at once; raises as `ask`, for the first that has an error."""
        futures = [self._expect() for _ in commands]
        await self._send(self.connection.pack_commands(commands))
        try:
            await asyncio.wait(futures)
        except asyncio.CancelledError:
            for future in futures:
                future.cancel()
            raise
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    async def close(self) -> None:
        """Drop the connection."""
        self._end(ConnectionError("the connection was closed"))
        await self.connection.disconnect(nowait=True)

    @abstractmethod
    async def _send(self, packed: bytes | list[bytes]) -> None: ...

    def _expect(self) -> asyncio.Future[Any]:
        if self.lost:
            raise ConnectionError("the connection is closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._awaited.append(future)
        if self._timer is None:
            self._timer = self._loop.call_later(REPLY_TIMEOUT, self._overdue)
        return future

    def _answer(self, reply: Any) -> None:
        if not self._awaited:
            self._end(ConnectionError(f"the server sent what nobody asked for: {reply!r:.80}"))
            return
        future = self._awaited.popleft()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(REPLY_TIMEOUT, self._overdue) if self._awaited else None
        if future.done():
            return
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)

    def _overdue(self) -> None:
        self._end(TimeoutError(f"no answer came within {REPLY_TIMEOUT:g} seconds"))

    def _end(self, error: Exception) -> None:
        """Tell all who wait for an answer that none can come any more."""
        if self.lost:
            return
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        for future in self._awaited:
            if not future.done():
                future.set_exception(error)
        self._awaited.clear()
        if self._on_lost is not None:
            self._on_lost()


class HiredisConnection(PipelinedConnection, asyncio.Protocol):
    """A dialogue that hiredis reads as soon as the event loop has what the server sent."""

    def __init__(
        self,
        connection: AbstractConnection,
        transport: Any,
        on_push: Callable[[Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(connection, on_push, on_lost)
        self._transport = transport
        self._streams: Any = transport.get_protocol()
        self._reader = _hiredis.Reader(
            protocolError=redis_errors.InvalidResponse,
            replyError=connection._parser.parse_error,  # noqa: SLF001 - the errors that redis-py makes of texts
            notEnoughData=_INCOMPLETE,
        )
        transport.set_protocol(self)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and a command can be sent."""
        return not self._awaited and not self.lost and not self._transport.is_closing()

    async def ask(self, packed: bytes | list[bytes]) -> Any:
        """See `PipelinedConnection.ask`."""
        # Sent before anything else is seen to: the server works meanwhile.
        if not self.lost:
            self._put(packed)
        return await self._expect()

    async def _send(self, packed: bytes | list[bytes]) -> None:
        self._put(packed)

    def _put(self, packed: bytes | list[bytes]) -> None:
        if isinstance(packed, bytes):
            self._transport.write(packed)
        else:
            self._transport.writelines(packed)

    def release(self) -> None:
        """Leave the connection to redis-py as it was; only when it is idle."""
        self._transport.set_protocol(self._streams)
        self.lost = True

    # what the event loop calls

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                if type(reply) is _Push:
                    if self._on_push is not None:
                        self._on_push(reply)
                else:
                    self._answer(reply)
        except redis_errors.RedisError as error:
            self._end(error)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._end(ConnectionError(f"the server closed the connection{f': {exc}' if exc else ''}"))
        self._streams.connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`; commands are in memory anyway."""
        self._streams.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._streams.resume_writing()


class RedisPyConnection(PipelinedConnection):
    """A dialogue that a task reads by redis-py, with whatever parser that has."""

    def __init__(
        self,
        connection: AbstractConnection,
        on_push: Callable[[Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(connection, on_push, on_lost)
        self._reading = self._loop.create_task(self._read(), name="taskhero-reads-answers")

    async def close(self) -> None:
        """Drop the connection."""
        try:
            await cancel_and_wait([self._reading])
        finally:
            await super().close()

    async def _send(self, packed: bytes | list[bytes]) -> None:
        try:
            await self.connection.send_packed_command(packed, check_health=False)
        except BaseException:
            # Which of its commands the server got is not known, so no answer can be told from another's.
            self._end(ConnectionError("a command could not be sent"))
            raise

    async def _read(self) -> None:
        try:
            while True:
                try:
                    reply = await self.connection.read_response(disconnect_on_error=False, push_request=True)
                except redis_errors.ResponseError as error:
                    self._answer(error)
                    continue
                if reply is not None:
                    self._answer(reply)
                elif self._on_push is not None:
                    # Nothing may be asked here whose answer is nothing: that looks the same.
                    self._on_push(None)
        except (redis_errors.RedisError, OSError) as error:
            self._end(error)


def take_over(
    connection: AbstractConnection,
    on_push: Callable[[Any], None] | None = None,
    on_lost: Callable[[], None] | None = None,
) -> HiredisConnection | None:
    """Take over the connection's transport; None if that cannot be: there is no hiredis, or no real connection."""
    writer: Any = getattr(connection, "_writer", None)
    reader: Any = getattr(connection, "_reader", None)
    if _Push is None or type(writer) is not asyncio.StreamWriter or type(reader) is not asyncio.StreamReader:
        return None
    # What has come already would be lost.
    if writer.is_closing() or reader.at_eof() or getattr(reader, "_buffer", None):
        return None
    return HiredisConnection(connection, writer.transport, on_push, on_lost)
