"""Notice pushes of other programs with CLIENT TRACKING, in one process of a namespace.

Pushes of taskhero leave a wake-up. A plain RPUSH of node-resque or Ruby does not. The tracking listener therefore asks
Redis for invalidations of the queues' keys. Only one process does this, because each change would wake all that do. An
idle process acquires the tracking lease if it is free, and releases it when it is busy.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero._internal.logs import get_logger
from taskhero.backends.protocol import Wakeup
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.pipelined import RedisPyConnection, take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.redis.connection.connection_manager import ConnectionManager
    from taskhero.backends.redis.connection.pipelined import PipelinedConnection

__all__ = ["TrackingListener"]

logger = get_logger("taskhero.backends.redis")


class TrackingListener:
    """A connection that receives a message when one of its keys changes.

    Redis sends one invalidation per key, so `track` reads the keys again after each. That read also reports waiting
    jobs, so no push between the two is missed.

    Attributes:
        invalidated: Whether a key may have changed since the last `track`.
        changed: The keys that are known to have changed, or None if any key may have.
    """

    def __init__(self, connections: ConnectionManager, on_invalidated: Callable[[], None]) -> None:
        self.invalidated = False
        self.changed: set[bytes] | None = set()
        self._connections = connections
        self._on_invalidated = on_invalidated
        self._connection: PipelinedConnection | None = None
        self._generation = -1
        self._tracked: tuple[tuple[str, ...], str | None, str | None] | None = None
        self._known_queues = 0
        self._unchecked = False
        self._listeners: set[asyncio.Future[bool]] = set()

    async def follow(self, error: Exception) -> None:
        """Drop the connection after *error*. Locate the server if the error says that it is not the master."""
        await self.close()
        if cannot_act(error):
            await self._connections.follow(error, self._generation)

    @property
    def active(self) -> bool:
        """Return whether it is connected to the current server and tracks."""
        connected = self._connection is not None and not self._connection.lost
        return connected and self._generation == self._connections.generation

    async def open(self) -> bool:
        """Connect and switch tracking on. Return False if the server refuses that."""
        await self.close()
        generation = self._connections.generation
        raw = await self._connections.dedicated_connection(protocol=3)
        connection = take_over(raw, self._on_invalidation, self.invalidate) or RedisPyConnection(
            raw, self._on_invalidation, self.invalidate
        )
        try:
            await connection.ask_all([("CLIENT", "TRACKING", "ON")])
        except redis_errors.ResponseError as error:
            await connection.close()
            if cannot_act(error):
                raise
            logger.info(
                "Redis at %s refuses CLIENT TRACKING (%s): jobs that other programs push are found by the slower poll",
                self._connections.location,
                error,
            )
            return False
        except BaseException:
            await connection.close()
            raise
        self._connection, self._generation, self._tracked = connection, generation, None
        self.invalidated, self.changed = False, set()
        return True

    async def close(self) -> None:
        """Stop listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _on_invalidation(self, message: Any) -> None:
        """Record an invalidation. After FLUSHDB, the message names no keys."""
        keys = message[1] if message is not None and len(message) == 2 else None
        if not isinstance(keys, list):
            self.changed = None
        elif self.changed is not None:
            self.changed.update(keys)
        self._wake_listeners()
        self._on_invalidated()

    async def _ask(self, *commands: tuple[str, ...]) -> list[Any]:
        """Return the replies to these commands, in one round trip."""
        if self._connection is None:
            raise ConnectionError("the connection of the tracking listener is closed")
        try:
            return await self._connection.ask_all(commands)
        except asyncio.CancelledError:
            # The reply is lost, so the next `track` must read again.
            self.invalidate()
            raise

    def invalidate(self) -> None:
        """Make the next `track` read the keys, although no invalidation came."""
        self.changed = None
        self._wake_listeners()

    def check(self) -> None:
        """Make the next `track` check that the connection still answers. It can break unnoticed."""
        self._unchecked = True

    def _wake_listeners(self) -> None:
        self.invalidated = True
        for listener in self._listeners:
            if not listener.done():
                listener.set_result(True)

    async def listen(self, deadline: float) -> bool:
        """Wait for an invalidation until the event loop's time is *deadline*. Return whether one came."""
        if self.invalidated:
            return True
        loop = asyncio.get_running_loop()
        listener: asyncio.Future[bool] = loop.create_future()
        self._listeners.add(listener)
        timer = loop.call_at(deadline, _on_timeout, listener)
        try:
            return await listener
        finally:
            timer.cancel()
            self._listeners.discard(listener)

    async def track(self, queues: Sequence[str], names: str | None, schedule: str | None) -> Wakeup:
        """Read these keys, so that Redis tracks them, and return what is there. Skip the read if nothing changed.

        Args:
            queues: Keys of queues.
            names: Key of the set of all queues, for a process that works all queues. None otherwise.
            schedule: Key of the wake list of schedulers, for a scheduler. None otherwise.

        Returns:
            Whether a queue has jobs or a new queue appeared, which of the two, and whether the schedule has a wake-up.
        """
        wanted = (tuple(queues), names, schedule)
        if wanted == self._tracked and not self.invalidated:
            if self._unchecked:
                # The keys stay tracked. An invalidation would come before this reply.
                await self._ask(("PING",))
                self._unchecked = False
            return Wakeup()
        self.invalidated, self.changed = False, set()
        self._tracked = wanted
        commands = [("EXISTS", *queues)] if queues else []
        if names is not None:
            commands.append(("SCARD", names))
        if schedule is not None:
            commands.append(("EXISTS", schedule))
        replies = [int(reply) for reply in await self._ask(*commands)]
        self._unchecked = False
        token = replies.pop() if schedule is not None else 0
        known = replies.pop() if names is not None else 0
        new_queues = known > self._known_queues
        self._known_queues = known
        jobs = sum(replies) > 0
        return Wakeup(jobs or new_queues, token > 0, only_named=jobs and not new_queues)


def _on_timeout(listener: asyncio.Future[bool]) -> None:
    if not listener.done():
        listener.set_result(False)
