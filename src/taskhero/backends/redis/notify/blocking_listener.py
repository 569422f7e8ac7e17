"""Wait with BLPOP on wake lists. Redis gives each wake-up to the process that has waited longest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis import exceptions as redis_errors

from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.conversions import to_text
from taskhero.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from taskhero.backends.redis.connection.connection_manager import ConnectionManager

__all__ = ["BlockingListener"]

#: Seconds after the timeout of a BLPOP at which its connection counts as lost.
OVERDUE = 5.0
#: The number of CLIENT UNBLOCK commands before the connection of an unwanted BLPOP is dropped.
UNBLOCK_ATTEMPTS = 3
#: Seconds to wait for the effect of each CLIENT UNBLOCK.
UNBLOCK_TIMEOUT = 0.1


class BlockingListener:
    """A connection that waits with BLPOP on wake lists.

    A cancelled wait leaves its BLPOP pending, and the next wait uses the reply. So no wake-up is lost. The same holds
    if a wait is cancelled while it ends an older BLPOP.

    Attributes:
        closed: Whether no wait may start any more.
    """

    def __init__(self, connections: ConnectionManager) -> None:
        self._connections = connections
        self._connection: AbstractConnection | None = None
        self._generation = -1
        self._id = 0
        self._keys: tuple[str, ...] = ()
        self._pop: asyncio.Task[str | None] | None = None
        self.closed = False
        self._stopping: asyncio.Task[str | None] | None = None

    async def wait(self, keys: tuple[str, ...], timeout: float) -> str | None:
        """Return the key of the first list with a wake-up, or None after *timeout* seconds at most.

        Raises:
            BackendUnavailable: The server cannot be reached, or the connection broke.
        """
        if self._stopping is not None or (self._pop is not None and (self._keys != keys or self._is_outdated)):
            key = await self.stop()
            if key is not None:
                return key
        deadline = asyncio.get_running_loop().time() + timeout
        while (remaining := deadline - asyncio.get_running_loop().time()) > 0:
            if self._pop is None:
                connection = await self._connect()
                if self.closed:
                    # Closed while it connected.
                    await self._disconnect()
                    return None
                self._keys = keys
                self._pop = asyncio.create_task(self._blpop(connection, keys, remaining), name="taskhero-blpop")
            pop = self._pop
            await asyncio.wait({pop}, timeout=remaining)
            if not pop.done():
                return None
            if self._pop is not pop or self._stopping is not None:
                # `stop` ended it, and returns its wake-up.
                return None
            self._pop = None
            key = pop.result()
            if key is not None:
                return key
            # An older wait started it, with an earlier deadline.
        return None

    @property
    def _is_outdated(self) -> bool:
        """Return whether the server moved since the connection was made."""
        return self._generation != self._connections.generation

    async def _connect(self) -> AbstractConnection:
        if self._connection is not None and self._is_outdated:
            await self._disconnect()
        if self._connection is None:
            try:
                self._generation = self._connections.generation
                self._connection = await self._connections.dedicated_connection()
                self._id = await self._client_id(self._connection)
            except (redis_errors.RedisError, OSError) as error:
                await self._disconnect()
                raise BackendUnavailable(f"cannot reach Redis at {self._connections.location}: {error}") from error
            except BaseException:
                await self._disconnect()
                raise
        return self._connection

    async def _client_id(self, connection: AbstractConnection) -> int:
        try:
            await connection.send_command("CLIENT", "ID")
            return int(await connection.read_response())
        except redis_errors.ResponseError:
            # An ACL forbids it. `stop` then drops the connection instead of CLIENT UNBLOCK.
            return 0

    async def _blpop(self, connection: AbstractConnection, keys: tuple[str, ...], timeout: float) -> str | None:
        generation = self._generation
        try:
            await connection.send_command("BLPOP", *keys, f"{max(timeout, 0.001):.3f}", check_health=False)
            async with asyncio.timeout(timeout + OVERDUE):
                reply = await connection.read_response()
        except redis_errors.ResponseError as error:
            if cannot_act(error):
                await self._disconnect()
                await self._connections.follow(error, generation)
            raise BackendUnavailable(f"Redis at {self._connections.location} refused BLPOP: {error}") from error
        except (redis_errors.RedisError, OSError, TimeoutError) as error:
            await self._disconnect()
            if cannot_act(error):
                await self._connections.follow(error, generation)
            reason = str(error) or "no reply came"
            raise BackendUnavailable(f"the wait at Redis {self._connections.location} broke: {reason}") from error
        except BaseException:
            await self._disconnect()
            raise
        return to_text(reply[0]) if reply else None

    async def stop(self) -> str | None:
        """End the pending BLPOP. Return the key of a wake-up that it received before it ended."""
        stopping = self._stopping
        if stopping is None:
            if self._pop is None:
                return None
            stopping = self._stopping = asyncio.create_task(self._end(self._pop), name="taskhero-end-blpop")
        try:
            key = await asyncio.shield(stopping)
        except asyncio.CancelledError:
            # The next wait returns its wake-up.
            raise
        except BaseException:
            self._stopping = None
            raise
        if self._stopping is stopping:
            self._stopping = None
        return key

    async def _end(self, pop: asyncio.Task[str | None]) -> str | None:
        for _ in range(UNBLOCK_ATTEMPTS):
            if pop.done() or not await self._unblock():
                break
            # If it was not blocked any more, its reply arrives soon.
            await asyncio.wait({pop}, timeout=UNBLOCK_TIMEOUT)
        if not pop.done():
            pop.cancel()
            await asyncio.wait({pop})
        self._pop = None
        return None if pop.cancelled() or pop.exception() else pop.result()

    async def _unblock(self) -> bool:
        """Send CLIENT UNBLOCK. Return False if that is not possible."""
        if not self._id or self._is_outdated:
            # On another server, the same id belongs to another connection.
            return False
        try:
            await self._connections.call("CLIENT", "UNBLOCK", self._id)
        except BackendError:
            return False
        return True

    async def close(self) -> None:
        """End the wait and drop the connection."""
        try:
            await self.stop()
        finally:
            await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection, self._id = self._connection, None, 0
        if connection is not None:
            await connection.disconnect(nowait=True)
