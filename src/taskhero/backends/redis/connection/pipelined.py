"""Send commands on one connection without waiting for the previous reply.

redis-py connects: it handles addresses, TLS, users and Sentinel. Its path from the socket to the caller takes longer
than a small step of Redis: a stream, a task that reads it, a timeout for each read. If hiredis is installed,
`take_over` therefore replaces the protocol of the connection's transport. Otherwise redis-py reads the replies.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.redis.connection.redis_py_internals import error_parser, stream_transport
from taskhero.backends.redis.connection.url_options import REPLY_TIMEOUT
from taskhero.backends.redis.scripts import encode_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import AbstractConnection

_hiredis: Any
try:
    import hiredis as _hiredis
except ImportError:
    _hiredis = None

__all__ = ["HiredisConnection", "PipelinedConnection", "RedisPyConnection", "take_over"]

#: The type of push messages, or None if this hiredis does not distinguish them from replies.
_Push: type | None = getattr(_hiredis, "PushNotification", None)
_INCOMPLETE = object()


class PipelinedConnection(ABC):
    """A connection on which replies arrive in the order of the commands, with push messages between them.

    Args:
        connection: A connected connection without pending commands.
        on_push: Called with each push message, or with None where redis-py hides the message.
        on_lost: Called when no more replies can arrive.

    Attributes:
        connection: The connection of redis-py. Do not use it directly.
        lost: Whether the connection has ended.
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
        self._pending: deque[asyncio.Future[Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def ask_all(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """Send several commands at once and return their replies.

        If the caller is cancelled, the commands stay pending and their replies are dropped.

        Raises:
            redis.exceptions.RedisError: The server answered with an error. The first error counts.
            ConnectionError | TimeoutError: No reply came, and the connection is lost.
        """
        futures = [self._expect() for _ in commands]
        await self._send(b"".join(encode_command(tuple(command)) for command in commands))
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
    async def _send(self, packed: bytes) -> None: ...

    def _expect(self) -> asyncio.Future[Any]:
        if self.lost:
            raise ConnectionError("the connection is closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending.append(future)
        if self._timer is None:
            self._timer = self._loop.call_later(REPLY_TIMEOUT, self._overdue)
        return future

    def _answer(self, reply: Any) -> None:
        if not self._pending:
            self._end(ConnectionError(f"the server sent a reply without a command: {reply!r:.80}"))
            return
        future = self._pending.popleft()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(REPLY_TIMEOUT, self._overdue) if self._pending else None
        if future.done():
            return
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)

    def _overdue(self) -> None:
        self._end(TimeoutError(f"no reply came within {REPLY_TIMEOUT:g} seconds"))

    def _end(self, error: Exception) -> None:
        """Mark the connection as lost, and let all pending commands fail with *error*."""
        if self.lost:
            return
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        for future in self._pending:
            if not future.done():
                future.set_exception(error)
        self._pending.clear()
        if self._on_lost is not None:
            self._on_lost()


class HiredisConnection(PipelinedConnection, asyncio.Protocol):
    """A pipelined connection that hiredis parses as soon as the event loop receives data.

    Args:
        connection: See `PipelinedConnection`.
        transport: The transport of the connection.
        parse_error: Makes an exception from the text of an error reply.
        on_push: See `PipelinedConnection`.
        on_lost: See `PipelinedConnection`.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        transport: Any,
        parse_error: Callable[[str], Exception],
        on_push: Callable[[Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(connection, on_push, on_lost)
        self._transport = transport
        self._streams: Any = transport.get_protocol()
        self._reader = _hiredis.Reader(
            protocolError=redis_errors.InvalidResponse,
            replyError=parse_error,
            notEnoughData=_INCOMPLETE,
        )
        transport.set_protocol(self)

    @property
    def idle(self) -> bool:
        """Return whether no command is pending and one can be sent."""
        return not self._pending and not self.lost and not self._transport.is_closing()

    async def ask(self, packed: bytes) -> Any:
        """Send one encoded command and return its reply. Raises as `ask_all`."""
        # Sent first, so that the server works while the future and the timer are made.
        if not self.lost:
            self._transport.write(packed)
        return await self._expect()

    async def _send(self, packed: bytes) -> None:
        self._transport.write(packed)

    def release(self) -> None:
        """Return the idle connection to redis-py, with its own protocol."""
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
        """See `asyncio.Protocol`. Commands are in memory already, so nothing pauses here."""
        self._streams.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._streams.resume_writing()


class RedisPyConnection(PipelinedConnection):
    """A pipelined connection that a task reads with redis-py and its parser."""

    def __init__(
        self,
        connection: AbstractConnection,
        on_push: Callable[[Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(connection, on_push, on_lost)
        self._read_task = self._loop.create_task(self._read(), name="taskhero-redis-reader")

    async def close(self) -> None:
        """Drop the connection."""
        try:
            await cancel_and_wait([self._read_task])
        finally:
            await super().close()

    async def _send(self, packed: bytes) -> None:
        try:
            await self.connection.send_packed_command(packed, check_health=False)
        except BaseException:
            # The server may have received some of the commands, so replies cannot be matched to commands.
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
                    # redis-py returns None for a push message. So no command here may have a nil reply.
                    self._on_push(None)
        except (redis_errors.RedisError, OSError) as error:
            self._end(error)


def take_over(
    connection: AbstractConnection,
    on_push: Callable[[Any], None] | None = None,
    on_lost: Callable[[], None] | None = None,
) -> HiredisConnection | None:
    """Return a connection that uses the transport directly. None if hiredis or the transport is missing."""
    if _Push is None:
        return None
    parse_error = error_parser()
    transport = None if parse_error is None else stream_transport(connection)
    if parse_error is None or transport is None:
        return None
    return HiredisConnection(connection, transport, parse_error, on_push, on_lost)
