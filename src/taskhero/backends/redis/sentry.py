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
from taskhero.ending import end_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import AbstractConnection

    from .link import Link

__all__ = ["Sentry"]

#: Seconds that an answer may take.
REPLY_TIMEOUT = 5.0

logger = logging.getLogger("taskhero.backends.redis")


class Sentry:
    """A connection that is told when any of its keys changes.

    Invalidations come once a key, so it has to be armed again after each; between the two, nothing is heard, and
    nothing is missed, since arming tells whether there are jobs.
    """

    def __init__(self, link: Link, on_heard: Callable[[], None]) -> None:
        self._link = link
        self._on_heard = on_heard
        self._connection: AbstractConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._replies: asyncio.Queue[Any] = asyncio.Queue()
        self._watched: tuple[tuple[str, ...], str | None, str | None] | None = None
        self._known_queues = 0
        self._turn = asyncio.Lock()
        self.heard = asyncio.Event()

    @property
    def active(self) -> bool:
        """Whether it is connected and listening."""
        return self._reader is not None and not self._reader.done()

    async def open(self) -> bool:
        """Connect and switch tracking on; False if the server refuses that."""
        await self.close()
        connection = await self._link.own_connection(protocol=3)
        try:
            await connection.send_command("CLIENT", "TRACKING", "ON")
            await connection.read_response()
        except redis_errors.ResponseError as error:
            await connection.disconnect(nowait=True)
            logger.info(
                "the server at %s refuses CLIENT TRACKING (%s): only the slow poll finds jobs that other programs push",
                self._link.location,
                error,
            )
            return False
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        self._watched = None
        self._replies = asyncio.Queue()
        self.heard = asyncio.Event()
        self._reader = asyncio.create_task(self._read(connection), name="taskhero-sentry")
        return True

    async def close(self) -> None:
        """Stop listening."""
        reader, self._reader = self._reader, None
        connection, self._connection = self._connection, None
        try:
            if reader is not None:
                await end_tasks([reader])
        finally:
            # Nobody else knows of it any more, should this be cancelled.
            if connection is not None:
                await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection) -> None:
        """Sort what comes: replies to our own commands, and invalidations (which redis-py shows as None)."""
        try:
            while True:
                reply = await connection.read_response(disconnect_on_error=False, push_request=True)
                if reply is None:
                    self.heard.set()
                    self._on_heard()
                else:
                    self._replies.put_nowait(reply)
        except (redis_errors.RedisError, OSError) as error:
            self._replies.put_nowait(error)
        finally:
            # Nobody shall wait for an answer that cannot come any more.
            self._replies.put_nowait(ConnectionError("the connection was closed"))
            self.heard.set()

    async def _ask(self, *commands: tuple[str, ...]) -> list[int]:
        """The answers to all these commands, in one round trip; who is cancelled leaves none of them behind."""
        asking = asyncio.create_task(self._ask_in_turn(commands), name="taskhero-sentry-asks")
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            # Nobody saw what there is: the next look must not think that nothing is new.
            self.heard.set()
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise

    async def _ask_in_turn(self, commands: Sequence[tuple[str, ...]]) -> list[int]:
        async with self._turn:
            return await self._ask_now(commands)

    async def _ask_now(self, commands: Sequence[tuple[str, ...]]) -> list[int]:
        connection = self._connection
        if connection is None:
            raise ConnectionError("the sentry's connection is closed")
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        answers = []
        async with asyncio.timeout(REPLY_TIMEOUT):
            for _ in commands:
                reply = await self._replies.get()
                if isinstance(reply, BaseException):
                    raise ConnectionError(str(reply)) from reply
                answers.append(int(reply))
        return answers

    def doubt(self) -> None:
        """Let the next look ask again though nothing was heard: a connection can be gone without a sign."""
        self.heard.set()

    async def watch(self, queues: Sequence[str], names: str | None, schedule: str | None) -> Wake:
        """Arm it for these keys, unless nothing changed since it was armed for them; tell what is there now.

        Args:
            queues: Keys of queues.
            names: Key of the set of all queues, for one who works them all.
            schedule: Key of the wake list of schedulers, for one of them.
        """
        wanted = (tuple(queues), names, schedule)
        if wanted == self._watched and not self.heard.is_set():
            return Wake()
        self.heard.clear()
        self._watched = wanted
        absent = ("EXISTS", "")
        jobs, known, token = await self._ask(
            ("EXISTS", *queues) if queues else absent,
            ("SCARD", names) if names is not None else absent,
            ("EXISTS", schedule) if schedule is not None else absent,
        )
        new_queues = known > self._known_queues
        self._known_queues = known
        return Wake(jobs > 0 or new_queues, token > 0)
