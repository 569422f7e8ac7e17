"""Connections to one Redis, and commands whose failures say whether anything may have happened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
        # The pool's locks, timers and counters cost more than a step's own work, so one connection, which is all that
        # most programs need at a time, is kept ready outside of it, unless somebody waits for one.
        self._kept: AbstractConnection | None = None
        self._queueing = 0

    def make_pool(self, **options: Any) -> ConnectionPool:
        """A pool with this link's address and *options*."""
        try:
            return BlockingConnectionPool.from_url(
                self._url,
                max_connections=MAX_CONNECTIONS,
                timeout=REPLY_TIMEOUT,
                socket_timeout=None,
                socket_connect_timeout=CONNECT_TIMEOUT,
                socket_keepalive=True,
                retry=Retry(NoBackoff(), 0),
                **{"protocol": 2, **options},
            )
        except ValueError as error:
            raise UnknownBackend(f"{self.location} is not a URL of a Redis server: {error}") from None

    async def open(self) -> None:
        """Connect, and refuse a server that is too old."""
        if self._pool is not None:
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
        self._kept = None
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
            return await self._take(pool)
        except redis_errors.AuthenticationError as error:
            raise BackendUnavailable(f"Redis at {self.location} refused the password: {error}") from error
        except redis_errors.ResponseError as error:
            raise BackendUnavailable(f"Redis at {self.location} refused the connection: {error}") from error
        except _LOST as error:
            raise BackendUnavailable(f"cannot reach Redis at {self.location}: {error}") from error

    async def _take(self, pool: ConnectionPool) -> AbstractConnection:
        kept, self._kept = self._kept, None
        if kept is None:
            self._queueing += 1
            try:
                connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
            finally:
                self._queueing -= 1
            return connection
        try:
            # It connects again if the server has closed it meanwhile.
            await pool.ensure_connection(kept)
        except BaseException:
            await kept.disconnect(nowait=True)
            await self.release(kept)
            raise
        return kept

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
        elif self._kept is None and not self._queueing:
            self._kept = connection
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
