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

from taskhero.backends.protocol import Wake
from taskhero.backends.redis.connection.master_errors import cannot_act
from taskhero.backends.redis.connection.pipelined import Read, direct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.redis.connection.manager import Link
    from taskhero.backends.redis.connection.pipelined import Dialogue

__all__ = ["Sentry"]

logger = logging.getLogger("taskhero.backends.redis")


class Sentry:
    """A connection that is told when any of its keys changes.

    Invalidations come once a key, so it has to be armed again after each; between the two, nothing is heard, and
    nothing is missed, since arming tells whether there are jobs.

    Attributes:
        heard: Whether something may have changed since it was armed.
        changed: The keys of which that is known, or None if it may be any.
    """

    def __init__(self, link: Link, on_heard: Callable[[], None]) -> None:
        self.heard = False
        self.changed: set[bytes] | None = set()
        self._link = link
        self._on_heard = on_heard
        self._dialogue: Dialogue | None = None
        self._generation = -1
        self._watched: tuple[tuple[str, ...], str | None, str | None] | None = None
        self._known_queues = 0
        self._unchecked = False
        self._listeners: set[asyncio.Future[bool]] = set()

    async def follow(self, error: Exception) -> None:
        """Drop the connection after *error*, and look for the server if it says that it is not the master."""
        await self.close()
        if cannot_act(error):
            await self._link.follow(error, self._generation)

    @property
    def active(self) -> bool:
        """Whether it is connected to where the server is now, and listening."""
        connected = self._dialogue is not None and not self._dialogue.lost
        return connected and self._generation == self._link.generation

    async def open(self) -> bool:
        """Connect and switch tracking on; False if the server refuses that."""
        await self.close()
        generation = self._link.generation
        connection = await self._link.own_connection(protocol=3)
        dialogue = direct(connection, self._hear, self.doubt) or Read(connection, self._hear, self.doubt)
        try:
            await dialogue.ask_all([("CLIENT", "TRACKING", "ON")])
        except redis_errors.ResponseError as error:
            await dialogue.close()
            if cannot_act(error):
                raise
            logger.info(
                "the server at %s refuses CLIENT TRACKING (%s): only the slow poll finds jobs that other programs push",
                self._link.location,
                error,
            )
            return False
        except BaseException:
            await dialogue.close()
            raise
        self._dialogue, self._generation, self._watched = dialogue, generation, None
        self.heard, self.changed = False, set()
        return True

    async def close(self) -> None:
        """Stop listening."""
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is not None:
            await dialogue.close()

    def _hear(self, message: Any) -> None:
        """Redis tells that keys changed; of a database that was emptied it names none."""
        keys = message[1] if message is not None and len(message) == 2 else None
        if not isinstance(keys, list):
            self.changed = None
        elif self.changed is not None:
            self.changed.update(keys)
        self._tell()
        self._on_heard()

    async def _ask(self, *commands: tuple[str, ...]) -> list[Any]:
        """The answers to all these commands, in one round trip."""
        if self._dialogue is None:
            raise ConnectionError("the sentry's connection is closed")
        try:
            return await self._dialogue.ask_all(commands)
        except asyncio.CancelledError:
            # Nobody saw what there is: the next look must not think that nothing is new.
            self.doubt()
            raise

    def doubt(self) -> None:
        """Let the next look ask again though nothing was heard."""
        self.changed = None
        self._tell()

    def check(self) -> None:
        """Let the next look see whether the connection still answers: it can be gone without a sign."""
        self._unchecked = True

    def _tell(self) -> None:
        self.heard = True
        for listener in self._listeners:
            if not listener.done():
                listener.set_result(True)

    async def listen(self, deadline: float) -> bool:
        """Wait until something is heard, or the event loop's time is *deadline*; whether something was heard."""
        if self.heard:
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

    async def watch(self, queues: Sequence[str], names: str | None, schedule: str | None) -> Wake:
        """Arm it for these keys, unless nothing changed since it was armed for them; tell what is there now.

        Args:
            queues: Keys of queues.
            names: Key of the set of all queues, for one who works them all.
            schedule: Key of the wake list of schedulers, for one of them.
        """
        wanted = (tuple(queues), names, schedule)
        if wanted == self._watched and not self.heard:
            if self._unchecked:
                # What it is armed for stays so; an invalidation would come before this answer.
                await self._ask(("PING",))
                self._unchecked = False
            return Wake()
        self.heard, self.changed = False, set()
        self._watched = wanted
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
        return Wake(sum(answers) > 0 or new_queues, token > 0)


def _time_is_up(listener: asyncio.Future[bool]) -> None:
    if not listener.done():
        listener.set_result(False)
