"""Define the address of a server, and the generation of the connections to it."""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import redis
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool

from taskhero._internal.logs import get_logger
from taskhero.backends.redis.connection.url_options import MAX_CONNECTIONS, REPLY_TIMEOUT, async_options, thread_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import ConnectionPool

    from taskhero.backends.redis.connection.url_options import ManyHosts

__all__ = ["Address", "MovingAddress", "Node", "Watcher", "ask_all"]

logger = get_logger("taskhero.backends.redis")

#: A host and a port.
Node = tuple[str, int]
_Answer = TypeVar("_Answer")

#: Seconds between two renewals of connections to a server that answers but cannot act as a master.
RENEWAL = 0.5
#: Seconds to wait for more answers after the first one.
STRAGGLER_TIMEOUT = 0.3


class Watcher(Protocol):
    """A background activity that runs while the connections are open."""

    def start(self) -> None:
        """Start to watch."""
        ...

    def stop(self) -> None:
        """Stop to watch. A second call changes nothing."""
        ...


class Address(ABC):
    """The address of a server. All methods are safe to call from any thread.

    Every connection of a process records the generation in which it was made. Its user compares the two before each
    use, and replaces an older connection. So any user can be the first to notice that the server moved.

    Attributes:
        moves: Whether the server can move to another address. `follow` then blocks, so call it in a thread.
        generation: The generation of connections that are made now.
    """

    moves = False

    def __init__(self) -> None:
        self.generation = 0
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._located_at = float("-inf")
        self._renewed_at = float("-inf")

    @abstractmethod
    def pool(self, **options: Any) -> ConnectionPool:
        """Return a pool of connections for the event loop."""

    @abstractmethod
    def client(self, **options: Any) -> redis.Redis:
        """Return a client for a thread."""

    def watch(self) -> Watcher | None:
        """Return a watcher that notices that the server moved, or None if there is none."""
        return None

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each change of the generation, in the thread that noticed it."""
        self._listeners += (listener,)

    def find(self) -> bool:
        """Locate the server, and return whether it moved. This call blocks.

        Raises:
            redis.exceptions.RedisError | OSError: No server that was asked knows the address.
        """
        with self._lock:
            seen = self.generation
            self._locate()
            moved = self.generation != seen
        if moved:
            self._notify_listeners()
        return moved

    def follow(self, seen: int, *, refused: bool = False) -> bool:
        """Handle the failure of a connection, and return whether there is a newer generation than its own.

        Args:
            seen: The generation of the connection.
            refused: Whether the server answered that it cannot act as the master. A proxy or a name server may lead
                new connections to another server, even if the address stays the same.

        Raises:
            redis.exceptions.RedisError | OSError: No server that was asked knows the address. Not raised if the
                server *refused*.
        """
        failed_at = time.monotonic()
        with self._lock:
            if self.generation != seen:
                return True
            if self._located_at < failed_at:
                # Otherwise another thread has located the server since the failure, and it has not moved.
                with contextlib.suppress(*((redis_errors.RedisError, OSError) if refused else ())):
                    self._locate()
            now = time.monotonic()
            if self.generation == seen and refused and now - self._renewed_at >= RENEWAL:
                self._renewed_at = now
                self.generation += 1
            moved = self.generation != seen
        if moved:
            self._notify_listeners()
        return moved

    @abstractmethod
    def _locate(self) -> None:
        """Locate the server, and increase the generation if it moved."""

    def _notify_listeners(self) -> None:
        for listener in self._listeners:
            listener()


class MovingAddress(Address):
    """The address of a server that other servers know, and that can move.

    Args:
        parts: The parts of the URL.
        options: Options of connections to the server itself.
    """

    moves = True

    def __init__(self, parts: ManyHosts, **options: Any) -> None:
        super().__init__()
        self._seeds = parts.hosts
        self._secure = parts.secure
        self._options = {**parts.options, **options}
        self._node: Node | None = None

    def pool(self, **options: Any) -> ConnectionPool:
        """See `Address.pool`."""
        host, port = self._node or self._seeds[0]
        common = {"max_connections": MAX_CONNECTIONS, "timeout": REPLY_TIMEOUT, "socket_keepalive": True}
        return BlockingConnectionPool.from_url(
            f"{'rediss' if self._secure else 'redis'}://",
            host=host,
            port=port,
            **async_options(**{**common, **self._options, **options}),
        )

    def client(self, **options: Any) -> redis.Redis:
        """See `Address.client`."""
        return self._client_of(*(self._node or self._seeds[0]), **options)

    def _client_of(self, host: str, port: int, **options: Any) -> redis.Redis:
        settings = {**self._options, "max_connections": 1, **options}
        return redis.Redis(host=host, port=port, ssl=self._secure, **thread_options(**settings))

    def _locate(self) -> None:
        self._located_at = time.monotonic()
        found, before = self._choose(ask_all(self._ask, self._nodes_to_ask())), self._node
        if found == before:
            return
        # In this order: a connection made between the two counts as old, and is replaced without harm.
        self._node = found
        self.generation += 1
        if before is not None:
            logger.info("the Redis master moved from %s:%d to %s:%d", *before, *found)

    def _nodes_to_ask(self) -> Sequence[Node]:
        return self._seeds

    @abstractmethod
    def _ask(self, host: str, port: int) -> Node:
        """Ask one node, and return the address of the server."""

    @abstractmethod
    def _choose(self, answers: dict[Node, Node]) -> Node:
        """Return the most credible answer. The keys are the nodes that gave the answers."""


def ask_all(ask: Callable[[str, int], _Answer], nodes: Sequence[Node]) -> dict[Node, _Answer]:
    """Ask all nodes at the same time, and return their answers. A node that does not answer delays no other.

    Raises:
        redis.exceptions.RedisError | OSError: No node answered.
    """
    replies: SimpleQueue[tuple[Node, _Answer | Exception]] = SimpleQueue()

    def run(node: Node) -> None:
        try:
            replies.put((node, ask(*node)))
        except (redis_errors.RedisError, OSError) as error:
            replies.put((node, error))
        except Exception as error:  # noqa: BLE001 - one faulty answer must not hide the others
            replies.put((node, redis_errors.InvalidResponse(f"{node[0]}:{node[1]} gave an invalid answer: {error!r}")))

    for node in nodes:
        threading.Thread(target=run, args=(node,), name="taskhero asks a node for the master", daemon=True).start()
    answers: dict[Node, _Answer] = {}
    last: Exception = redis_errors.ConnectionError("there is no node to ask for the master")
    until: float | None = None
    with contextlib.suppress(Empty):
        for _ in nodes:
            node, reply = replies.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            if isinstance(reply, Exception):
                last = reply
                continue
            answers[node] = reply
            until = until or time.monotonic() + STRAGGLER_TIMEOUT
    if not answers:
        raise last
    return answers
