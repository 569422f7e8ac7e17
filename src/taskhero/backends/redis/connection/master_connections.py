"""Connections of one event loop to one Redis, all of which follow it when it moves."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.pipelined import take_over
from taskhero.errors import BackendDenied, BackendUnavailable, NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from redis.asyncio.connection import ConnectionPool

    from taskhero.backends.redis.connection.pipelined import HiredisConnection
    from taskhero.backends.redis.connection.server_location import Address, Watching

__all__ = ["LOST", "MasterConnections"]

LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, TimeoutError)

#: Seconds that commands which are under way on the old server have for their answers.
GRACE = 0.5

_CAN_ASK = hasattr(AbstractConnection, "can_read")


async def _is_ready(connection: AbstractConnection) -> bool:
    """Whether a command can be sent at once: it is connected, and the server has sent nothing and not closed it.

    The pool asks the same, in ten times as many calls. Before redis-py 8 only the pool can ask.
    """
    try:
        return _CAN_ASK and connection.is_connected and not await connection.can_read()
    except LOST:
        return False


class MasterConnections:
    """A pool of connections to one server, and those outside of it on which somebody waits.

    Each has the generation of the address that was current when it was made. Those of an older one are replaced
    before their next use, and the moment the server moves.
    """

    def __init__(self, address: Address, location: str) -> None:
        self._address = address
        self.location = location
        self._pool: ConnectionPool | None = None
        self._pool_generation = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        # The pool's locks, timers and counters cost more than a step's own work, so one connection, which is all that
        # most programs need at a time, is kept ready outside of it, unless somebody waits for one.
        self._spare: AbstractConnection | None = None
        self._pipelined: HiredisConnection | None = None
        self._queueing = 0
        self._own: WeakSet[AbstractConnection] = WeakSet()
        self._connecting: set[asyncio.Timeout] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._watching: Watching | None = None
        address.listen(self._moved)

    @property
    def address(self) -> Address:
        """Where the server is."""
        return self._address

    @property
    def generation(self) -> int:
        """The generation of connections that are made now."""
        return self._address.generation

    def make_pool(self, **options: Any) -> ConnectionPool:
        """A pool with this link's address and *options*."""
        return self._address.pool(**options)

    def make_client(self, **options: Any) -> redis.Redis:
        """A client of its own for a thread."""
        return self._address.client(**options)

    def forget_lost(self) -> bool:
        """Drop what belongs to an event loop that has ended without closing it; say whether there was anything."""
        lost = self._pool is not None and self._loop is not None and self._loop.is_closed()
        if lost:
            self._pool = self._spare = self._pipelined = None
            self._own.clear()
            self._connecting.clear()
            self._leaving.clear()
            self._stop_watching()
        return lost

    async def open(self) -> None:
        """Connect."""
        if self._pool is not None:
            if self._loop is not asyncio.get_running_loop():
                raise NotConnected(
                    f"the backend at {self.location} is connected in another event loop: close it there first"
                )
            return
        self._loop = asyncio.get_running_loop()
        if self._address.moves:
            await self._in_thread(self._address.find)
        if self._pool is not None:
            return
        self._pool_generation = self._address.generation
        pool = self._pool = self.make_pool()
        try:
            await self._greet()
        except BaseException:
            self._pool = None
            await pool.aclose()
            raise
        self._watching = self._address.watch()
        if self._watching is not None:
            self._watching.start()

    async def _greet(self) -> None:
        """Use the first connection, to find out whether the server is of use."""

    async def close(self) -> None:
        """Drop all connections."""
        self._stop_watching()
        pool, self._pool = self._pool, None
        self._spare = self._pipelined = None
        await cancel_and_wait([*self._leaving])
        if pool is not None:
            await pool.aclose()

    def _stop_watching(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.stop()

    # when the server moves

    async def follow(self, error: Exception | None, seen: int) -> bool:
        """After *error* on a connection of generation *seen*: whether newer connections lead elsewhere.

        Raises:
            BackendUnavailable: Nobody knows where the server is.
        """
        # A server of a Cluster whose URL is that of a single server names another one; there is no way to go there.
        refused = cannot_act(error) and (self._address.moves or not isinstance(error, redis_errors.MovedError))
        if not self._address.moves:
            moved = self._address.follow(seen, refused=refused)
        else:
            moved = await self._in_thread(lambda: self._address.follow(seen, refused=refused))
        if moved:
            self._renew()
        return moved

    async def _in_thread(self, look: Callable[[], bool]) -> bool:
        """Look for the server in a thread, which does not delay the exit of the program."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bool] = loop.create_future()

        def run() -> None:
            try:
                outcome: bool | Exception = look()
            except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
                outcome = error
            # Who waits may have gone, and the event loop with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, found, outcome)

        threading.Thread(target=run, name="taskhero looks for the master", daemon=True).start()
        try:
            return await found
        except redis_errors.AuthenticationError as error:
            raise self._denied(error) from error
        except (redis_errors.RedisError, OSError) as error:
            raise self._unreachable(error) from error

    def _moved(self) -> None:
        """The generation changed; called in any thread."""
        loop = self._loop
        if loop is not None:
            # A loop that is closed has no connections.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._renew)

    def _renew(self) -> None:
        """Replace all connections of older generations."""
        generation = self._address.generation
        if self._pool is None or self._pool_generation == generation:
            return
        self._pool_generation = generation
        old, self._pool = self._pool, self.make_pool()
        ready = self._pipelined
        self._spare = self._pipelined = None
        for connecting in self._connecting:
            if not connecting.expired():
                # The old server may not answer at all.
                connecting.reschedule(asyncio.get_running_loop().time())
        self._connecting.clear()
        waiting = list(self._own)
        self._own.clear()
        task = asyncio.create_task(_leave(old, ready, waiting), name="taskhero-leaves-old-server")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    @contextlib.contextmanager
    def _until_moved(self, limit: asyncio.Timeout) -> Iterator[None]:
        self._connecting.add(limit)
        try:
            yield
        finally:
            self._connecting.discard(limit)

    # the pool

    async def _take(self) -> tuple[ConnectionPool, AbstractConnection]:
        """A connection from the pool."""
        if self._pool is None:
            raise NotConnected(f"the backend at {self.location} is not connected: call `await backend.connect()` first")
        if self._loop is not asyncio.get_running_loop():
            raise NotConnected(
                f"the backend at {self.location} was connected in another event loop: "
                "use it in that one, or close it first"
            )
        self._renew()
        pool, seen = self._pool, self._pool_generation
        try:
            return pool, await self._connection_of(pool)
        except BackendUnavailable as error:
            cause = error.__cause__
            if not await self.follow(cause if isinstance(cause, Exception) else None, seen):
                raise
        return await self._take()

    async def _connection_of(self, pool: ConnectionPool) -> AbstractConnection:
        try:
            async with asyncio.timeout(None) as limit:
                with self._until_moved(limit):
                    return await self._spare_or_pooled(pool)
        except redis_errors.AuthenticationError as error:
            raise self._denied(error) from error
        except redis_errors.ResponseError as error:
            raise BackendUnavailable(f"Redis at {self.location} refused the connection: {error}") from error
        except LOST as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> BackendUnavailable:
        return BackendUnavailable(f"cannot reach Redis at {self.location}: {error}")

    def _denied(self, error: Exception) -> BackendDenied:
        return BackendDenied(
            f"Redis at {self.location} refused the password, or wants one that the URL does not have: {error}"
        )

    async def _spare_or_pooled(self, pool: ConnectionPool) -> AbstractConnection:
        kept, self._spare = self._spare, None
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
            await self._release(pool, kept)
            raise
        return kept

    async def _release(self, pool: ConnectionPool, connection: AbstractConnection) -> None:
        if pool is not self._pool:
            await connection.disconnect(nowait=True)
        elif self._spare is None and self._pipelined is None and not self._queueing:
            self._pipelined = take_over(connection)
            if self._pipelined is None:
                self._spare = connection
        else:
            await pool.release(connection)

    async def _end_pipelined(self, ended: HiredisConnection) -> None:
        """Leave the connection that is kept ready to the pool: it is lost, or somebody waits for one."""
        if self._pipelined is not ended or not (ended.lost or ended.idle):
            # Another one asks by it already, and looks here when that is answered.
            return
        self._pipelined = None
        if ended.lost:
            await ended.close()
        else:
            ended.release()
        if self._pool is not None:
            await self._pool.release(ended.connection)

    # outside of the pool

    async def own_connection(self, **options: Any) -> AbstractConnection:
        """A connection outside the pool, for one who waits on it; to be disconnected by its user.

        It is disconnected when the server moves.

        Raises:
            redis.exceptions.RedisError | OSError | BackendUnavailable: It cannot be had.
        """
        seen = self._address.generation
        try:
            return await self._connect(seen, options)
        except (redis_errors.RedisError, OSError) as error:
            if not await self.follow(error, seen):
                raise
        return await self._connect(self._address.generation, options)

    async def _connect(self, generation: int, options: dict[str, Any]) -> AbstractConnection:
        connection: AbstractConnection = self.make_pool(**options).make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(None) as limit:
                with self._until_moved(limit):
                    await connection.connect()  # type: ignore[no-untyped-call]
            if self._address.generation != generation:
                raise ConnectionError("the server moved meanwhile")
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._own.add(connection)
        return connection


def _settle(future: asyncio.Future[bool], outcome: bool | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


async def _leave(old: ConnectionPool, ready: HiredisConnection | None, waiting: list[AbstractConnection]) -> None:
    """Drop connections to the old server; answers that are under way may still come."""
    try:
        for connection in waiting:
            await connection.disconnect(nowait=True)
        if ready is not None and ready.idle:
            await ready.close()
        await old.disconnect(inuse_connections=False)
        await asyncio.sleep(GRACE)
    finally:
        if ready is not None:
            await ready.close()
        await old.aclose()
