"""Listen to Sentinels, which announce that another server became the master."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors
from redis.asyncio.connection import Connection

from taskhero._internal.logs import get_logger
from taskhero.backends.redis.connection.url_options import REPLY_TIMEOUT, async_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskhero.backends.redis.connection.address import Node

__all__ = ["SentinelListener"]

logger = get_logger("taskhero.backends.redis")

_CHANNEL = "+switch-master"
#: Seconds without a message after which a subscription is checked: a connection can break unnoticed.
_CHECK_INTERVAL = 10.0
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 5.0


class SentinelListener:
    """A thread that subscribes to the event ``+switch-master`` of all Sentinels, and follows the master.

    After a planned failover, the old master runs for about ten seconds. It accepts writes and then loses them. So
    the errors of connections are not enough. The thread has its own event loop, so a task that blocks the program's
    event loop does not delay it. The subscriptions send nothing to the Redis server.

    Args:
        sentinels: The addresses of the Sentinels. The thread retries those that it cannot reach.
        service: The name of the master.
        on_switch: Called in the thread for each event, and after each subscription, since earlier events are missed.
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
        self._subscribed: set[Node] = set()
        self._reported = False

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="taskhero listens to Sentinels", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread. Wait for it for 1 second at most."""
        with self._lock:
            self._stopped = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread is not None:
            # A Sentinel that does not answer a query would delay the end of the thread further.
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
            except Exception as error:  # noqa: BLE001 - one faulty Sentinel does not stop the others
                if sentinel in self._subscribed:
                    delay = _FIRST_DELAY
                self._lose(sentinel, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    def _lose(self, sentinel: Node, error: Exception) -> None:
        """Log the lost subscription: once at level INFO if no other is left, since failovers are then noticed late."""
        self._subscribed.discard(sentinel)
        level = logging.DEBUG if self._subscribed or self._reported else logging.INFO
        self._reported = not self._subscribed
        logger.log(level, "cannot subscribe to the Sentinel at %s:%d, retrying: %s", *sentinel, error)

    async def _listen(self, sentinel: Node) -> None:
        host, port = sentinel
        connection = Connection(host=host, port=port, **async_options())
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("SUBSCRIBE", _CHANNEL)
            async with asyncio.timeout(REPLY_TIMEOUT):
                await connection.read_response()
            self._subscribed.add(sentinel)
            self._reported = False
            self._follow()
            while True:
                if self._concerns(await self._next(connection)):
                    self._follow()
        finally:
            await connection.disconnect(nowait=True)

    async def _next(self, connection: Connection) -> Any:
        """Return the next message of the Sentinel. Send a PING after `_CHECK_INTERVAL` without one."""
        reply = await connection.read_response(timeout=_CHECK_INTERVAL, disconnect_on_error=False)
        if reply is None:
            await connection.send_command("PING", check_health=False)
            reply = await connection.read_response(timeout=REPLY_TIMEOUT, disconnect_on_error=False)
            if reply is None:
                raise TimeoutError(f"no reply came within {REPLY_TIMEOUT:g} s")
        return reply

    def _concerns(self, reply: Any) -> bool:
        """Return whether a message says that this service has another master (name, old address, new address)."""
        if not isinstance(reply, list) or len(reply) != 3 or reply[0] != b"message":
            return False
        return bool(reply[2].decode("utf-8", "replace").split(" ")[0] == self._service)

    def _follow(self) -> None:
        with contextlib.suppress(redis_errors.RedisError, OSError):
            self._on_switch()
