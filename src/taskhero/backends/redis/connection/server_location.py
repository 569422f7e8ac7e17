"""Where a server is, and the generation of the connections that lead there."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from abc import ABC, abstractmethod
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import redis
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool

from taskhero.backends.redis.connection.url_options import MAX_CONNECTIONS, REPLY_TIMEOUT, async_options, thread_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import ConnectionPool

    from taskhero.backends.redis.connection.url_options import ManyHosts

__all__ = ["Address", "MovingAddress", "Node", "Watching", "ask_all"]

logger = logging.getLogger("taskhero.backends.redis")

#: A host and a port.
Node = tuple[str, int]
_Answer = TypeVar("_Answer")

#: Seconds between two renewals of connections to a server that answers but cannot act as a master.
RENEWAL = 0.5
#: Seconds after the first answer for which other answers are waited for.
PATIENCE = 0.3


class Watching(Protocol):
    """Something that runs while a link is open."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End; a second call changes nothing."""
        ...


class Address(ABC):
    """How to reach a server. All methods may be called from any thread.

    All connections of a process have the generation that was current when they were made. Each user of a connection
    compares the two before each use, and replaces a connection that is older. So it does not matter which of them
    notices first that the server moved.

    Attributes:
        moves: Whether the server can turn up elsewhere, so that `follow` takes long. Then call it in a thread.
        generation: The generation of connections that are made now.
    """

    moves = False

    def __init__(self) -> None:
        self.generation = 0
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._looked_at = float("-inf")
        self._renewed_at = float("-inf")

    @abstractmethod
    def pool(self, **options: Any) -> ConnectionPool:
        """Return a pool of connections for the event loop."""

    @abstractmethod
    def client(self, **options: Any) -> redis.Redis:
        """Return a client for a thread."""

    def watch(self) -> Watching | None:
        """Return what notices by itself that the server moved, or None if nothing can."""
        return None

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each change of the generation, in the thread that noticed it."""
        self._listeners += (listener,)

    def find(self) -> bool:
        """Find out where the server is now; return whether it is elsewhere than before. It blocks.

        Raises:
            redis.exceptions.RedisError | OSError: Nobody who could be asked knows.
        """
        with self._lock:
            seen = self.generation
            self._look()
            moved = self.generation != seen
        if moved:
            self._tell()
        return moved

    def follow(self, seen: int, *, refused: bool = False) -> bool:
        """Judge a connection that failed, and return whether there is a newer generation than its own.

        Args:
            seen: The generation of the connection.
            refused: The server answered that it cannot act as a master. New connections may reach another one even
                if the server's name stays, since a proxy or a name server decides where they lead.

        Raises:
            redis.exceptions.RedisError | OSError: Nobody who could be asked knows where the server is. Never raised
                if it *refused*.
        """
        failed_at = time.monotonic()
        with self._lock:
            if self.generation != seen:
                return True
            if self._looked_at < failed_at:
                # Else another thread looked meanwhile, and the server is where it was.
                with contextlib.suppress(*((redis_errors.RedisError, OSError) if refused else ())):
                    self._look()
            now = time.monotonic()
            if self.generation == seen and refused and now - self._renewed_at >= RENEWAL:
                self._renewed_at = now
                self.generation += 1
            moved = self.generation != seen
        if moved:
            self._tell()
        return moved

    @abstractmethod
    def _look(self) -> None:
        """Find out where the server is, and raise the generation if it moved."""

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


class MovingAddress(Address):
    """A server that has to be asked for, and can turn up elsewhere.

    Args:
        parts: What the URL says.
        options: How the server itself is spoken to.
    """

    moves = True

    def __init__(self, parts: ManyHosts, **options: Any) -> None:
        super().__init__()
        self._asked = parts.hosts
        self._secure = parts.secure
        self._options = {**parts.options, **options}
        self._node: Node | None = None

    def pool(self, **options: Any) -> ConnectionPool:
        """See `Address.pool`."""
        host, port = self._node or self._asked[0]
        common = {"max_connections": MAX_CONNECTIONS, "timeout": REPLY_TIMEOUT, "socket_keepalive": True}
        return BlockingConnectionPool.from_url(
            f"{'rediss' if self._secure else 'redis'}://",
            host=host,
            port=port,
            **async_options(**{**common, **self._options, **options}),
        )

    def client(self, **options: Any) -> redis.Redis:
        """See `Address.client`."""
        return self._client_of(*(self._node or self._asked[0]), **options)

    def _client_of(self, host: str, port: int, **options: Any) -> redis.Redis:
        settings = {**self._options, "max_connections": 1, **options}
        return redis.Redis(host=host, port=port, ssl=self._secure, **thread_options(**settings))

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        found, before = self._choose(ask_all(self._ask, self._whom())), self._node
        if found == before:
            return
        # In this order: who reads between the two makes connections to the new place that count as old ones.
        self._node = found
        self.generation += 1
        if before is not None:
            logger.info("the Redis master moved from %s:%d to %s:%d", *before, *found)

    def _whom(self) -> Sequence[Node]:
        return self._asked

    @abstractmethod
    def _ask(self, host: str, port: int) -> Node:
        """Where the server is, by one who knows."""

    @abstractmethod
    def _choose(self, answers: dict[Node, Node]) -> Node:
        """The answer to believe; the keys are those who gave them."""


def ask_all(ask: Callable[[str, int], _Answer], whom: Sequence[Node]) -> dict[Node, _Answer]:
    """Ask all at the same time, since one that does not answer must not delay the others; return what they answered.

    Raises:
        redis.exceptions.RedisError | OSError: None of them answered.
    """
    replies: SimpleQueue[tuple[Node, _Answer | Exception]] = SimpleQueue()

    def run(node: Node) -> None:
        try:
            replies.put((node, ask(*node)))
        except (redis_errors.RedisError, OSError) as error:
            replies.put((node, error))
        except Exception as error:  # noqa: BLE001 - what one of them answers must not hide what others say
            replies.put((node, redis_errors.InvalidResponse(f"{node[0]}:{node[1]} gave a strange answer: {error!r}")))

    for node in whom:
        threading.Thread(target=run, args=(node,), name="taskhero asks for the master", daemon=True).start()
    answers: dict[Node, _Answer] = {}
    last: Exception = redis_errors.ConnectionError("nobody can be asked")
    until: float | None = None
    with contextlib.suppress(Empty):
        for _ in whom:
            node, reply = replies.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            if isinstance(reply, Exception):
                last = reply
                continue
            answers[node] = reply
            until = until or time.monotonic() + PATIENCE
    if not answers:
        raise last
    return answers
