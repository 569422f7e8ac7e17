"""Connections to one Redis, and commands whose failures say whether anything may have happened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from taskhero.errors import BackendRefused, BackendTooOld, BackendUnavailable, NotConnected, ReplyLost, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import AbstractConnection, ConnectionPool

_pack: Callable[[tuple[Any, ...]], bytes] | None
try:
    from hiredis import pack_command as _pack
except ImportError:
    _pack = None

__all__ = ["CONNECT_TIMEOUT", "Link", "location_of"]

OLDEST = (6, 2)
CONNECT_TIMEOUT = 5.0
REPLY_TIMEOUT = 5.0
MAX_CONNECTIONS = 16

#: The schemes of URLs that name a host; a unix socket has none, nor anything to keep alive.
_TCP = frozenset(("redis", "rediss"))
_LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, TimeoutError)


def _packed(connection: AbstractConnection, command: Sequence[Any]) -> bytes | list[bytes]:
    """A command's bytes: by hiredis if that is installed, which for long commands takes a tenth of the time."""
    if _pack is not None:
        return _pack(tuple(command))
    return connection.pack_command(*command)


def location_of(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


class Link:
    """A pool of connections to one server.

    redis-py would repeat a command whose answer was lost, which may do it twice; here nothing is repeated, and the
    error tells "was not sent" (BackendUnavailable) from "may have been done" (ReplyLost).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.location = location_of(url)
        self._pool: ConnectionPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.check_url()

    def check_url(self) -> None:
        """Refuse a URL that can only be a mistake, before anybody connects.

        Raises:
            UnknownBackend: It cannot be read.
        """
        parts = urlsplit(self._url)
        database = unquote(parts.path).strip("/")
        if parts.scheme in _TCP and database and not (database.isascii() and database.isdigit()):
            raise UnknownBackend(
                f"{self.location} is not a URL of a Redis server: {database!r} is no database's number, such as /0"
            )
        try:
            # Not connected yet; what the URL has behind its "?" is an argument of it.
            self.make_pool().make_connection()  # type: ignore[no-untyped-call]
        except TypeError as error:
            option = str(error).rpartition("unexpected keyword argument ")[2]
            raise UnknownBackend(f"{self.location} has an option behind its '?' that is not known: {option}") from None

    def make_pool(self, **options: Any) -> ConnectionPool:
        """A pool with this link's address and *options*."""
        if urlsplit(self._url).scheme in _TCP:
            options = {"socket_keepalive": True, **options}
        try:
            return BlockingConnectionPool.from_url(
                self._url,
                max_connections=MAX_CONNECTIONS,
                timeout=REPLY_TIMEOUT,
                socket_timeout=None,
                socket_connect_timeout=CONNECT_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
                **{"protocol": 2, **options},
            )
        except ValueError as error:
            raise UnknownBackend(f"{self.location} is not a URL of a Redis server: {error}") from None

    def forget_lost(self) -> bool:
        """Drop what belongs to an event loop that has ended without closing it; say whether there was anything."""
        lost = self._pool is not None and self._loop is not None and self._loop.is_closed()
        if lost:
            self._pool = None
        return lost

    async def open(self) -> None:
        """Connect, and refuse a server that is too old."""
        if self._pool is not None:
            if self._loop is not asyncio.get_running_loop():
                raise NotConnected(
                    f"the backend at {self.location} is connected in another event loop: close it there first"
                )
            return
        pool = self.make_pool()
        self._pool, self._loop = pool, asyncio.get_running_loop()
        try:
            await self._refuse_old()
        except BaseException:
            self._pool = None
            await pool.aclose()
            raise

    async def close(self) -> None:
        """Drop all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def _refuse_old(self) -> None:
        try:
            info: bytes = await self.call("INFO", "server")
        except BackendRefused:
            # Some servers and users have no INFO; a server that is too old shows at the first step.
            await self.call("PING")
            return
        fields = dict(line.split(":", 1) for line in info.decode("utf-8", "replace").splitlines() if ":" in line)
        version = fields.get("redis_version", "")
        try:
            numbers = tuple(int(part) for part in version.split(".")[:2])
        except ValueError:
            return
        if numbers < OLDEST:
            raise BackendTooOld(
                f"the server at {self.location} is Redis {version}; taskhero needs Redis 6.2 or newer, or Valkey"
            )

    async def connection(self) -> AbstractConnection:
        """A connection from the pool; give it back with `release`."""
        pool = self._pool
        if pool is None:
            raise NotConnected(f"the backend at {self.location} is not connected: call `await backend.connect()` first")
        if self._loop is not asyncio.get_running_loop():
            raise NotConnected(
                f"the backend at {self.location} was connected in another event loop: "
                "use it in that one, or close it first"
            )
        try:
            connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
        except redis_errors.AuthenticationError as error:
            raise BackendUnavailable(f"Redis at {self.location} refused the password: {error}") from error
        except redis_errors.ResponseError as error:
            raise BackendUnavailable(f"Redis at {self.location} refused the connection: {error}") from error
        except _LOST as error:
            raise BackendUnavailable(f"cannot reach Redis at {self.location}: {error}") from error
        return connection

    async def own_connection(self, **options: Any) -> AbstractConnection:
        """A connection outside the pool, for one who waits on it; to be disconnected by its user.

        Raises:
            redis.exceptions.RedisError | OSError: It cannot be had.
        """
        connection: AbstractConnection = self.make_pool(**options).make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Give a connection back to the pool, or drop it if that is closed."""
        if self._pool is None:
            await connection.disconnect(nowait=True)
        else:
            await self._pool.release(connection)

    async def call(self, *command: Any) -> Any:
        """Send one command, once; return its reply.

        Raises:
            BackendUnavailable: It was not sent.
            ReplyLost: It was sent, but no answer came.
            BackendRefused: The server answered with an error.
        """
        connection = await self.connection()
        try:
            return await self._ask(connection, command)
        finally:
            await self.release(connection)

    async def _ask(self, connection: AbstractConnection, command: Sequence[Any]) -> Any:
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                await connection.send_packed_command(_packed(connection, command), check_health=False)
                return await connection.read_response()
        except redis_errors.ResponseError as error:
            raise BackendRefused(f"Redis at {self.location} refused {command[0]}: {error}") from error
        except _LOST as error:
            await connection.disconnect(nowait=True)
            raise ReplyLost(
                f"the connection to Redis at {self.location} broke before it answered, "
                f"so the step may or may not have been done: {str(error) or type(error).__name__}"
            ) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
