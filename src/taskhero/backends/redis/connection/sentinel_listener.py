"""Listening to Sentinels, which tell when they made another server the master."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors
from redis.asyncio.connection import Connection

from taskhero.backends.redis.connection.url_options import REPLY_TIMEOUT, async_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.redis.connection.server_location import Node

__all__ = ["SentinelListener"]

logger = logging.getLogger("taskhero.backends.redis")

_CHANNEL = "+switch-master"
#: Seconds of silence after which a subscription is checked: its connection can be gone without a sign.
_SILENCE = 10.0
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 5.0


class SentinelListener:
    """A thread that subscribes to the event ``+switch-master`` of all Sentinels, and follows the master.

    A planned failover leaves the old master running for some ten seconds, in which it takes writes and loses them. So
    the event is needed beside the errors of connections. The thread has an event loop of its own: a task that blocks
    the program's event loop does not delay it. The subscriptions send nothing to the Redis server.

    Args:
        sentinels: Where the Sentinels are. One that cannot be reached is tried again and again.
        service: The name of the master.
        on_switch: Called in the thread for each event, and after each subscription for what came before it.
    """

    def __init__(self, sentinels: Sequence[Node], service: str, on_switch: Callable[[], Any]) -> None:
        self._sentinels = sentinels
        self._service = service
        self._on_switch = on_switch
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._heard: set[Node] = set()
        self._deaf = False

    def start(self) -> None:
        """Start to listen."""
        self._thread = threading.Thread(target=self._run, name="taskhero listens to Sentinels", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop to listen."""
        with self._lock:
            self._stopped = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread is not None:
            # A Sentinel that is being asked and does not answer would hold it up longer.
            self._thread.join(1.0)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._listen_to_all())

    async def _listen_to_all(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as group:
                for sentinel in self._sentinels:
                    group.create_task(self._keep_listening(sentinel))
        finally:
            with self._lock:
                self._loop = self._task = None

    async def _keep_listening(self, sentinel: Node) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                await self._listen(sentinel)
            except Exception as error:  # noqa: BLE001 - whatever comes from one Sentinel, the others are heard
                if sentinel in self._heard:
                    delay = _FIRST_DELAY
                self._lose(sentinel, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    def _lose(self, sentinel: Node, error: Exception) -> None:
        """Say once that a planned failover would be noticed late, until a Sentinel is heard again."""
        self._heard.discard(sentinel)
        said = logging.DEBUG if self._heard or self._deaf else logging.INFO
        self._deaf = not self._heard
        logger.log(said, "cannot subscribe to the Sentinel at %s:%d, and goes on trying: %s", *sentinel, error)

    async def _listen(self, sentinel: Node) -> None:
        host, port = sentinel
        connection = Connection(host=host, port=port, **async_options())
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("SUBSCRIBE", _CHANNEL)
            async with asyncio.timeout(REPLY_TIMEOUT):
                await connection.read_response()
            self._heard.add(sentinel)
            self._deaf = False
            self._follow()
            while True:
                if self._concerns(await self._next(connection)):
                    self._follow()
        finally:
            await connection.disconnect(nowait=True)

    async def _next(self, connection: Connection) -> Any:
        """The next that the Sentinel says; it is asked for a sign if it says nothing for long."""
        reply = await connection.read_response(timeout=_SILENCE, disconnect_on_error=False)
        if reply is None:
            await connection.send_command("PING", check_health=False)
            reply = await connection.read_response(timeout=REPLY_TIMEOUT, disconnect_on_error=False)
            if reply is None:
                raise TimeoutError(f"no answer came within {REPLY_TIMEOUT:g} s")
        return reply

    def _concerns(self, reply: Any) -> bool:
        """Whether it says that this service has another master: its name, the old address and the new one."""
        if not isinstance(reply, list) or len(reply) != 3 or reply[0] != b"message":
            return False
        return bool(reply[2].decode("utf-8", "replace").split(" ")[0] == self._service)

    def _follow(self) -> None:
        with contextlib.suppress(redis_errors.RedisError, OSError):
            self._on_switch()
