"""Waiting in line: one connection blocked on wake lists, of which one process in turn gets each wake-up (BLPOP)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis import exceptions as redis_errors

from taskhero.backends.redis.commands.command_group import to_text
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from taskhero.backends.redis.connection.connection_manager import ConnectionManager

__all__ = ["BlockingListener"]

#: Seconds after its time at which a wait without an answer has lost its connection.
OVERDUE = 5.0
#: A wait that is left is asked so often to end, with so many seconds in between, before its connection is dropped.
UNBLOCK_ATTEMPTS = 3
UNBLOCK_TIMEOUT = 0.1


class BlockingListener:
    """A place in the line.

    A wait that is cancelled leaves its command under way; the next wait takes up what that brings, so that no
    wake-up is lost. Nor is one if the wait is cancelled that ends such a command to begin another.

    Attributes:
        ended: Set when there is to be no wait any more.
    """

    def __init__(self, link: ConnectionManager) -> None:
        self._connections = link
        self._connection: AbstractConnection | None = None
        self._generation = -1
        self._id = 0
        self._keys: tuple[str, ...] = ()
        self._pop: asyncio.Task[str | None] | None = None
        self.ended = False
        self._leaving: asyncio.Task[str | None] | None = None

    async def wait(self, keys: tuple[str, ...], timeout: float) -> str | None:
        """The key of the first list that has a wake-up, or None after *timeout* seconds at most.

        Raises:
            BackendUnavailable: The connection cannot be had, or broke.
        """
        if self._leaving is not None or (self._pop is not None and (self._keys != keys or self._is_elsewhere)):
            key = await self.leave()
            if key is not None:
                return key
        deadline = asyncio.get_running_loop().time() + timeout
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            if self._pop is None:
                connection = await self._connect()
                if self.ended:
                    # Closed while it connected.
                    await self._disconnect()
                    return None
                self._keys = keys
                self._pop = asyncio.create_task(self._blpop(connection, keys, left), name="taskhero-wait")
            pop = self._pop
            await asyncio.wait({pop}, timeout=left)
            if not pop.done():
                return None
            if self._pop is not pop or self._leaving is not None:
                # It was ended by `leave`, which sees to what it brought.
                return None
            self._pop = None
            key = pop.result()
            if key is not None:
                return key
            # It was begun by an older wait, whose time was up before this one's.
        return None

    @property
    def _is_elsewhere(self) -> bool:
        """Whether the server moved since the connection was made."""
        return self._generation != self._connections.generation

    async def _connect(self) -> AbstractConnection:
        if self._connection is not None and self._is_elsewhere:
            await self._disconnect()
        if self._connection is None:
            try:
                self._generation = self._connections.generation
                self._connection = await self._connections.own_connection()
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
            # A user who may not ask; then a wait that is no longer wanted is cut off.
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
            raise BackendUnavailable(f"Redis at {self._connections.location} refused to wait: {error}") from error
        except (redis_errors.RedisError, OSError, TimeoutError) as error:
            await self._disconnect()
            if cannot_act(error):
                await self._connections.follow(error, generation)
            reason = str(error) or "no answer came"
            raise BackendUnavailable(f"the wait at Redis {self._connections.location} broke: {reason}") from error
        except BaseException:
            await self._disconnect()
            raise
        return to_text(reply[0]) if reply else None

    async def leave(self) -> str | None:
        """End the wait that is under way; the key of a wake-up that it brought all the same."""
        retiring = self._leaving
        if retiring is None:
            if self._pop is None:
                return None
            retiring = self._leaving = asyncio.create_task(self._end(self._pop), name="taskhero-wait-ends")
        try:
            key = await asyncio.shield(retiring)
        except asyncio.CancelledError:
            # What it brings is for the next one who waits.
            raise
        except BaseException:
            self._leaving = None
            raise
        if self._leaving is retiring:
            self._leaving = None
        return key

    async def _end(self, pop: asyncio.Task[str | None]) -> str | None:
        for _ in range(UNBLOCK_ATTEMPTS):
            if pop.done() or not await self._unblock():
                break
            # If it was not blocked any more, its answer is on the way.
            await asyncio.wait({pop}, timeout=UNBLOCK_TIMEOUT)
        if not pop.done():
            pop.cancel()
            await asyncio.wait({pop})
        self._pop = None
        return None if pop.cancelled() or pop.exception() else pop.result()

    async def _unblock(self) -> bool:
        """Ask the server to end the wait; False if it cannot be asked."""
        if not self._id or self._is_elsewhere:
            # On another server, the number is that of somebody else's connection.
            return False
        try:
            await self._connections.call("CLIENT", "UNBLOCK", self._id)
        except BackendError:
            return False
        return True

    async def close(self) -> None:
        """Leave the line and drop the connection."""
        try:
            await self.leave()
        finally:
            await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection, self._id = self._connection, None, 0
        if connection is not None:
            await connection.disconnect(nowait=True)
