"""Keep the connections of one event loop to one Redis, and replace them when the server moves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero._internal.loop_forks import keep
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.pipelined import take_over
from taskhero.errors import BackendDenied, BackendUnavailable, NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from redis.asyncio.connection import ConnectionPool

    from taskhero.backends.redis.connection.address import Address, Watcher
    from taskhero.backends.redis.connection.pipelined import HiredisConnection

__all__ = ["LOST", "MasterConnections"]

LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, TimeoutError)

#: Seconds that pending commands have to receive replies from the old server.
DRAIN_TIMEOUT = 0.5

_HAS_CAN_READ = hasattr(AbstractConnection, "can_read")


async def _is_ready(connection: AbstractConnection) -> bool:
    """Return whether a command can be sent at once: connected, not closed, and without unread data.

    The pool checks the same with ten times as many calls. Before redis-py 8 only the pool can check it.
    """
    try:
        return _HAS_CAN_READ and connection.is_connected and not await connection.can_read()
    except LOST:
        return False


class MasterConnections:
    """A pool of connections to one server, and dedicated connections outside the pool for waits.

    Each connection has the generation of the address in which it was made. Connections of older generations are
    replaced as soon as the server moves, or before their next use.
    """

    def __init__(self, address: Address, location: str) -> None:
        self._address = address
        self.location = location
        self._pool: ConnectionPool | None = None
        self._pool_generation = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        # The pool's locks, timers and counters cost more than a small step. Most programs need one connection at a
        # time, so one is kept outside the pool, unless a command waits for the pool.
        self._spare: AbstractConnection | None = None
        self._pipelined: HiredisConnection | None = None
        self._queueing = 0
        self._dedicated: WeakSet[AbstractConnection] = WeakSet()
        self._connecting: set[asyncio.Timeout] = set()
        self._draining: set[asyncio.Task[None]] = set()
        self._watcher: Watcher | None = None
        address.listen(self._moved)

    @property
    def address(self) -> Address:
        """Return the address of the server."""
        return self._address

    @property
    def generation(self) -> int:
        """Return the generation of connections that are made now."""
        return self._address.generation

    def make_pool(self, **options: Any) -> ConnectionPool:
        """Return a new pool for the address, with *options* for its connections."""
        return self._address.pool(**options)

    def make_client(self, **options: Any) -> redis.Redis:
        """Return a new client for a thread, with *options* for its connections."""
        return self._address.client(**options)

    def forget_lost(self) -> bool:
        """Drop the connections of a closed event loop or of the parent process. Return whether there were any."""
        forked = self._pid != os.getpid()
        lost = self._pool is not None and self._loop is not None and (self._loop.is_closed() or forked)
        self._pid = os.getpid()
        if lost:
            if forked:
                keep(self._pool, self._spare, self._pipelined, *self._dedicated)
            self._pool = self._spare = self._pipelined = None
            self._dedicated.clear()
            self._connecting.clear()
            self._draining.clear()
            self._stop_watcher()
        return lost

    async def open(self) -> None:
        """Connect to the server."""
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
            await self._handshake()
        except BaseException:
            self._pool = None
            await pool.aclose()
            raise
        self._watcher = self._address.watch()
        if self._watcher is not None:
            self._watcher.start()

    async def _handshake(self) -> None:
        """Check on the first connection whether the server can be used."""

    async def close(self) -> None:
        """Drop all connections."""
        self._stop_watcher()
        pool, self._pool = self._pool, None
        self._spare = self._pipelined = None
        await cancel_and_wait([*self._draining])
        if pool is not None:
            await pool.aclose()

    def _stop_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()

    # when the server moves

    async def follow(self, error: Exception | None, seen: int) -> bool:
        """Handle *error* of a connection of generation *seen*. Return whether there is a newer generation.

        Raises:
            BackendUnavailable: The server was not found.
        """
        # MOVED on the URL of a single server: the driver cannot follow a Cluster from there.
        refused = cannot_act(error) and (self._address.moves or not isinstance(error, redis_errors.MovedError))
        if not self._address.moves:
            moved = self._address.follow(seen, refused=refused)
        else:
            moved = await self._in_thread(lambda: self._address.follow(seen, refused=refused))
        if moved:
            self._renew()
        return moved

    async def _in_thread(self, locate: Callable[[], bool]) -> bool:
        """Run *locate* in a daemon thread, which does not delay the exit of the program."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bool] = loop.create_future()

        def run() -> None:
            try:
                outcome: bool | Exception = locate()
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                outcome = error
            # The event loop may be closed already.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, found, outcome)

        threading.Thread(target=run, name="taskhero locates the master", daemon=True).start()
        try:
            return await found
        except redis_errors.AuthenticationError as error:
            raise self._denied(error) from error
        except (redis_errors.RedisError, OSError) as error:
            raise self._unreachable(error) from error

    def _moved(self) -> None:
        """Replace connections after a change of the generation. Called in any thread."""
        loop = self._loop
        if loop is not None:
            # A closed event loop has no connections.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._renew)

    def _renew(self) -> None:
        """Replace all connections of older generations."""
        generation = self._address.generation
        if self._pool is None or self._pool_generation == generation:
            return
        self._pool_generation = generation
        old, self._pool = self._pool, self.make_pool()
        pipelined = self._pipelined
        self._spare = self._pipelined = None
        for connecting in self._connecting:
            if not connecting.expired():
                # The old server may never answer.
                connecting.reschedule(asyncio.get_running_loop().time())
        self._connecting.clear()
        dedicated = list(self._dedicated)
        self._dedicated.clear()
        task = asyncio.create_task(_drain(old, pipelined, dedicated), name="taskhero-drain-connections")
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    @contextlib.contextmanager
    def _until_moved(self, limit: asyncio.Timeout) -> Iterator[None]:
        self._connecting.add(limit)
        try:
            yield
        finally:
            self._connecting.discard(limit)

    # the pool

    async def _take(self) -> tuple[ConnectionPool, AbstractConnection]:
        """Return a connection and the pool that it belongs to."""
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
            f"Redis at {self.location} refused the password, or requires one that the URL does not have: {error}"
        )

    async def _spare_or_pooled(self, pool: ConnectionPool) -> AbstractConnection:
        spare, self._spare = self._spare, None
        if spare is None:
            self._queueing += 1
            try:
                connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
            finally:
                self._queueing -= 1
            return connection
        try:
            if not await _is_ready(spare):
                # Reconnects if the server has closed the connection.
                await pool.ensure_connection(spare)
        except BaseException:
            await spare.disconnect(nowait=True)
            await self._release(pool, spare)
            raise
        return spare

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
        """Return the pipelined connection to the pool: it is lost, or a command waits for the pool."""
        if self._pipelined is not ended or not (ended.lost or ended.idle):
            # Another command uses it, and calls this method when its reply is there.
            return
        self._pipelined = None
        if ended.lost:
            await ended.close()
        else:
            ended.release()
        if self._pool is not None:
            await self._pool.release(ended.connection)

    # outside of the pool

    async def dedicated_connection(self, **options: Any) -> AbstractConnection:
        """Return a new connection outside the pool, for waits. The caller must disconnect it.

        It is also disconnected when the server moves.

        Raises:
            redis.exceptions.RedisError | OSError | BackendUnavailable: The server cannot be reached.
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
                raise ConnectionError("the server moved while a connection was made")
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._dedicated.add(connection)
        return connection


def _settle(future: asyncio.Future[bool], outcome: bool | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


async def _drain(old: ConnectionPool, pipelined: HiredisConnection | None, dedicated: list[AbstractConnection]) -> None:
    """Drop connections to the old server. Pending replies can arrive until `DRAIN_TIMEOUT` has passed."""
    try:
        for connection in dedicated:
            await connection.disconnect(nowait=True)
        if pipelined is not None and pipelined.idle:
            await pipelined.close()
        await old.disconnect(inuse_connections=False)
        await asyncio.sleep(DRAIN_TIMEOUT)
    finally:
        if pipelined is not None:
            await pipelined.close()
        await old.aclose()
