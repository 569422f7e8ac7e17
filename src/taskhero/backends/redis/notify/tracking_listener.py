"""The one process of a namespace that is told by Redis when anybody pushes a job, and passes it on.

Own pushes leave a wake-up themselves. Foreign ones (a plain RPUSH of node or Ruby) do not; the sentry asks Redis for
an invalidation of the queues' keys (CLIENT TRACKING), which one process can do cheaply, and a hundred cannot: each
change would wake them all. An idle process takes the seat if it is free, and leaves it when it is busy.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from taskhero.backends.protocol import Wakeup
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.pipelined import RedisPyConnection, take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.redis.connection.connection_manager import ConnectionManager
    from taskhero.backends.redis.connection.pipelined import PipelinedConnection

__all__ = ["TrackingListener"]

logger = logging.getLogger("taskhero.backends.redis")


class TrackingListener:
    """A connection that is told when any of its keys changes.

    Invalidations come once a key, so it has to be armed again after each; between the two, nothing is heard, and
    nothing is missed, since arming tells whether there are jobs.

    Attributes:
        invalidated: Whether something may have changed since it was armed.
        changed: The keys of which that is known, or None if it may be any.
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
        """Drop the connection after *error*, and look for the server if it says that it is not the master."""
        await self.close()
        if cannot_act(error):
            await self._connections.follow(error, self._generation)

    @property
    def active(self) -> bool:
        """Whether it is connected to where the server is now, and listening."""
        connected = self._connection is not None and not self._connection.lost
        return connected and self._generation == self._connections.generation

    async def open(self) -> bool:
        """Connect and switch tracking on; False if the server refuses that."""
        await self.close()
        generation = self._connections.generation
        connection = await self._connections.own_connection(protocol=3)
        dialogue = take_over(connection, self._on_invalidation, self.invalidate) or RedisPyConnection(
            connection, self._on_invalidation, self.invalidate
        )
        try:
            await dialogue.ask_all([("CLIENT", "TRACKING", "ON")])
        except redis_errors.ResponseError as error:
            await dialogue.close()
            if cannot_act(error):
                raise
            logger.info(
                "the server at %s refuses CLIENT TRACKING (%s): only the slow poll finds jobs that other programs push",
                self._connections.location,
                error,
            )
            return False
        except BaseException:
            await dialogue.close()
            raise
        self._connection, self._generation, self._tracked = dialogue, generation, None
        self.invalidated, self.changed = False, set()
        return True

    async def close(self) -> None:
        """Stop listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _on_invalidation(self, message: Any) -> None:
        """Redis tells that keys changed; of a database that was emptied it names none."""
        keys = message[1] if message is not None and len(message) == 2 else None
        if not isinstance(keys, list):
            self.changed = None
        elif self.changed is not None:
            self.changed.update(keys)
        self._tell()
        self._on_invalidated()

    async def _ask(self, *commands: tuple[str, ...]) -> list[Any]:
        """The answers to all these commands, in one round trip."""
        if self._connection is None:
            raise ConnectionError("the sentry's connection is closed")
        try:
            return await self._connection.ask_all(commands)
        except asyncio.CancelledError:
            # Nobody saw what there is: the next look must not think that nothing is new.
            self.invalidate()
            raise

    def invalidate(self) -> None:
        """Let the next look ask again though nothing was heard."""
        self.changed = None
        self._tell()

    def check(self) -> None:
        """Let the next look see whether the connection still answers: it can be gone without a sign."""
        self._unchecked = True

    def _tell(self) -> None:
        self.invalidated = True
        for listener in self._listeners:
            if not listener.done():
                listener.set_result(True)

    async def listen(self, deadline: float) -> bool:
        """Wait until something is heard, or the event loop's time is *deadline*; whether something was heard."""
        if self.invalidated:
            return True
        loop = asyncio.get_running_loop()
        listener: asyncio.Future[bool] = loop.create_future()
        self._listeners.add(listener)
        timer = loop.call_at(deadline, _time_is_up, listener)
        try:
            return await listener
        finally:
            timer.cancel()
            self._listeners.discard(listener)

    async def track(self, queues: Sequence[str], names: str | None, schedule: str | None) -> Wakeup:
        """Arm it for these keys, unless nothing changed since it was armed for them; tell what is there now.

        Args:
            queues: Keys of queues.
            names: Key of the set of all queues, for one who works them all.
            schedule: Key of the wake list of schedulers, for one of them.
        """
        wanted = (tuple(queues), names, schedule)
        if wanted == self._tracked and not self.invalidated:
            if self._unchecked:
                # What it is armed for stays so; an invalidation would come before this answer.
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
        answers = [int(answer) for answer in await self._ask(*commands)]
        self._unchecked = False
        token = answers.pop() if schedule is not None else 0
        known = answers.pop() if names is not None else 0
        new_queues = known > self._known_queues
        self._known_queues = known
        return Wakeup(sum(answers) > 0 or new_queues, token > 0)


def _time_is_up(listener: asyncio.Future[bool]) -> None:
    if not listener.done():
        listener.set_result(False)
