"""Connections to one Redis, and commands whose failures say whether anything may have happened."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from taskhero.errors import (
    BackendDenied,
    BackendError,
    BackendRefused,
    BackendTooOld,
    BackendUnavailable,
    NotConnected,
    ReplyLost,
    WrongType,
)

from .address import REPLY_TIMEOUT
from .dialogue import direct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis
    from redis.asyncio.connection import ConnectionPool

    from .address import Address
    from .dialogue import Direct

_pack: Callable[[tuple[Any, ...]], bytes] | None
try:
    from hiredis import pack_command as _pack
except ImportError:
    _pack = None

__all__ = ["Link"]

OLDEST = (6, 2)

_CAN_ASK = hasattr(AbstractConnection, "can_read")
_LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, TimeoutError)
#: What only servers of a Cluster answer.
_OF_A_CLUSTER = (redis_errors.ClusterCrossSlotError, redis_errors.MovedError)
_FAILURES = (redis_errors.RedisError, OSError, TimeoutError)


def _packed(connection: AbstractConnection, command: Sequence[Any]) -> bytes | list[bytes]:
    """A command's bytes: by hiredis if that is installed, which for long commands takes a tenth of the time."""
    if _pack is not None:
        return _pack(tuple(command))
    return connection.pack_command(*command)


async def _is_ready(connection: AbstractConnection) -> bool:
    """Whether a command can be sent at once: it is connected, and the server has sent nothing and not closed it.

    The pool asks the same, in ten times as many calls. Before redis-py 8 only the pool can ask.
    """
    try:
        return _CAN_ASK and connection.is_connected and not await connection.can_read()
    except _LOST:
        return False


class Link:
    """A pool of connections to one server.

    redis-py would repeat a command whose answer was lost, which may do it twice; here nothing is repeated, and the
    error tells "was not sent" (BackendUnavailable) from "may have been done" (ReplyLost).
    """

    def __init__(self, address: Address, location: str) -> None:
        self._address = address
        self.location = location
        self._pool: ConnectionPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # The pool's locks, timers and counters cost more than a step's own work, so one connection, which is all that
        # most programs need at a time, is kept ready outside of it, unless somebody waits for one.
        self._kept: AbstractConnection | None = None
        self._direct: Direct | None = None
        self._queueing = 0

    def make_pool(self, **options: Any) -> ConnectionPool:
        """A pool with this link's address and *options*."""
        return self._address.pool(**options)

    def make_client(self) -> redis.Redis:
        """A client of its own for a thread."""
        with contextlib.suppress(redis_errors.RedisError, OSError):
            # If it cannot be found now, the client says so when it is used.
            self._address.find()
        return self._address.client()

    def forget_lost(self) -> bool:
        """Drop what belongs to an event loop that has ended without closing it; say whether there was anything."""
        lost = self._pool is not None and self._loop is not None and self._loop.is_closed()
        if lost:
            self._pool = self._kept = self._direct = None
        return lost

    async def open(self) -> None:
        """Connect, and refuse a server that is too old."""
        if self._pool is not None:
            if self._loop is not asyncio.get_running_loop():
                raise NotConnected(
                    f"the backend at {self.location} is connected in another event loop: close it there first"
                )
            return
        self._loop = asyncio.get_running_loop()
        await self._find()
        if self._pool is not None:
            return
        pool = self._pool = self.make_pool()
        try:
            await self._refuse_old()
        except BaseException:
            self._pool = None
            await pool.aclose()
            raise

    async def _find(self) -> bool:
        """Find out where the server is; True if it has moved."""
        if not self._address.moves:
            return False
        try:
            return await asyncio.to_thread(self._address.find)
        except redis_errors.AuthenticationError as error:
            raise self._denied(error) from error
        except (redis_errors.RedisError, OSError) as error:
            raise BackendUnavailable(f"cannot reach Redis at {self.location}: {error}") from error

    async def _follow(self) -> bool:
        """Go where the server has moved to; False if it is where it was."""
        if not await self._find():
            return False
        old, self._pool = self._pool, self.make_pool()
        self._kept = self._direct = None
        if old is not None:
            await old.aclose()
        return True

    async def close(self) -> None:
        """Drop all connections."""
        pool, self._pool = self._pool, None
        self._kept = self._direct = None
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

    async def _take(self) -> tuple[ConnectionPool, AbstractConnection]:
        """A connection from the pool."""
        pool = self._pool
        if pool is None:
            raise NotConnected(f"the backend at {self.location} is not connected: call `await backend.connect()` first")
        if self._loop is not asyncio.get_running_loop():
            raise NotConnected(
                f"the backend at {self.location} was connected in another event loop: "
                "use it in that one, or close it first"
            )
        try:
            return pool, await self._connection_of(pool)
        except BackendUnavailable:
            if not await self._follow():
                raise
        return await self._take()

    async def _connection_of(self, pool: ConnectionPool) -> AbstractConnection:
        try:
            return await self._kept_or_pooled(pool)
        except redis_errors.AuthenticationError as error:
            raise self._denied(error) from error
        except redis_errors.ResponseError as error:
            raise BackendUnavailable(f"Redis at {self.location} refused the connection: {error}") from error
        except _LOST as error:
            raise BackendUnavailable(f"cannot reach Redis at {self.location}: {error}") from error

    def _denied(self, error: Exception) -> BackendDenied:
        return BackendDenied(
            f"Redis at {self.location} refused the password, or wants one that the URL does not have: {error}"
        )

    async def _kept_or_pooled(self, pool: ConnectionPool) -> AbstractConnection:
        kept, self._kept = self._kept, None
        if kept is None:
            self._queueing += 1
            try:
                connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
            finally:
                self._queueing -= 1
            return connection
        try:
            if not await _is_ready(kept):
                # It connects again if the server has closed it meanwhile.
                await pool.ensure_connection(kept)
        except BaseException:
            await kept.disconnect(nowait=True)
            await self._give_back(pool, kept)
            raise
        return kept

    async def _give_back(self, pool: ConnectionPool, connection: AbstractConnection) -> None:
        if pool is not self._pool:
            await connection.disconnect(nowait=True)
        elif self._kept is None and self._direct is None and not self._queueing:
            self._direct = direct(connection)
            if self._direct is None:
                self._kept = connection
        else:
            await pool.release(connection)

    async def _end_direct(self, ended: Direct) -> None:
        """Leave the connection that is kept ready to the pool: it is lost, or somebody waits for one."""
        if self._direct is not ended or not (ended.lost or ended.idle):
            # Another one asks by it already, and looks here when that is answered.
            return
        self._direct = None
        if ended.lost:
            await ended.close()
        else:
            ended.give_back()
        if self._pool is not None:
            await self._pool.release(ended.connection)

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

    async def call(self, *command: Any) -> Any:
        """Send one command, once; return its reply.

        Raises:
            BackendUnavailable: It was not sent.
            ReplyLost: It was sent, but no answer came.
            BackendRefused: The server answered with an error.
        """
        try:
            return await self._call(command)
        except BackendRefused as error:
            if not await self._is_elsewhere(error):
                raise
        return await self._call(command)

    async def call_packed(self, name: str, packed: bytes) -> Any:
        """Send a command that is in the server's form already; *name* is what errors call it. Raises as `call`."""
        try:
            return await self._call((name,), packed)
        except BackendRefused as error:
            if not await self._is_elsewhere(error):
                raise
        return await self._call((name,), packed)

    async def _is_elsewhere(self, error: BackendRefused) -> bool:
        """Whether another server has the keys now, or is the master, and is known: this one has done nothing."""
        elsewhere = isinstance(error.__cause__, (redis_errors.MovedError, redis_errors.ReadOnlyError))
        return elsewhere and await self._follow()

    async def _call(self, command: Sequence[Any], packed: bytes | None = None) -> Any:
        ready = self._direct
        if ready is not None and ready.lost:
            await self._end_direct(ready)
        elif ready is not None and ready.idle and self._loop is asyncio.get_running_loop():
            return await self._ask_directly(ready, command, packed)
        pool, connection = await self._take()
        try:
            return await self._ask(connection, command, packed)
        finally:
            await self._give_back(pool, connection)

    async def _ask_directly(self, ready: Direct, command: Sequence[Any], packed: bytes | None) -> Any:
        try:
            return await ready.ask(packed or _packed(ready.connection, command))
        except _FAILURES as error:
            raise self._told(error, command[0]) from error
        finally:
            if ready.lost or self._queueing:
                await self._end_direct(ready)

    async def _ask(self, connection: AbstractConnection, command: Sequence[Any], packed: bytes | None) -> Any:
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                await connection.send_packed_command(packed or _packed(connection, command), check_health=False)
                return await connection.read_response()
        except redis_errors.ResponseError as error:
            raise self._told(error, command[0]) from error
        except BaseException as error:
            # An answer that is still to come would be taken for the next one's.
            await connection.disconnect(nowait=True)
            if isinstance(error, _FAILURES):
                raise self._told(error, command[0]) from error
            raise

    def _told(self, error: Exception, name: str) -> BackendError:
        """What it means for a step that this came instead of its answer."""
        if isinstance(error, redis_errors.ResponseError):
            kind = WrongType if str(error).startswith("WRONGTYPE") else BackendRefused
            hint = ""
            if isinstance(error, _OF_A_CLUSTER) and "+cluster:" not in self.location:
                hint = "; it belongs to a Cluster: write redis+cluster:// instead of the URL's scheme"
            return kind(f"Redis at {self.location} refused {name}: {error}{hint}")
        if isinstance(error, redis_errors.AuthenticationError):
            # The server did nothing, and goes on doing nothing on this connection.
            return self._denied(error)
        return ReplyLost(
            f"the connection to Redis at {self.location} broke before it answered, "
            f"so the step may or may not have been done: {str(error) or type(error).__name__}"
        )
