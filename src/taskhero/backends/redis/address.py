"""Where a Redis is: one server, the master that Sentinels name, or the node of a Cluster that owns the namespace."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import unquote, urlsplit

import redis
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from taskhero.backends.urls import location_of, without_secrets
from taskhero.errors import InvalidSettings, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio.connection import AbstractConnection, ConnectionPool

__all__ = ["Address", "ClusterAddress", "SentinelAddress", "ServerAddress", "address_of"]

CONNECT_TIMEOUT = 5.0
REPLY_TIMEOUT = 5.0
MAX_CONNECTIONS = 16

_SENTINEL_PORT = 26379
_REDIS_PORT = 6379
_LARGEST_PORT = 65535
#: How other URLs than those of one server with a port are written.
_FORMS = {
    "sentinel": "redis+sentinel://user:password@host:26379/service/0",
    "cluster": "redis+cluster://user:password@host:6379",
    "unix": "unix:///path/redis.sock?db=0",
}


class Address(Protocol):
    """How to reach a server.

    Attributes:
        moves: Whether the server can turn up elsewhere, so that `find` is worth asking.
    """

    moves: bool

    def pool(self, **options: Any) -> ConnectionPool:
        """A pool of connections for the event loop."""
        ...

    def client(self, **options: Any) -> redis.Redis:
        """A client for a thread."""
        ...

    def find(self) -> bool:
        """Find out where the server is now; True if it is elsewhere than before. It blocks: call it in a thread."""
        ...


def address_of(url: str, namespace: str) -> Address:
    """The address that a URL names.

    Raises:
        UnknownBackend: The URL cannot be read.
        InvalidSettings: It names a Cluster, and the namespace does not keep all keys on one node.
    """
    try:
        return _checked(_address_of(url, namespace))
    except InvalidSettings:
        raise
    except (ValueError, redis_errors.RedisError) as error:
        message = _unreadable(url, error)
    # Not in the handler, since the error that was caught may quote a password, and would be this one's context.
    raise UnknownBackend(message)


def _address_of(url: str, namespace: str) -> Address:
    scheme = urlsplit(url).scheme
    if scheme.endswith("+sentinel"):
        return SentinelAddress(url)
    if scheme.endswith("+cluster"):
        return ClusterAddress(url, namespace)
    return ServerAddress(url)


def _unreadable(url: str, error: Exception) -> str:
    location = location_of(url)
    why = without_secrets(str(error), url).removesuffix(".")
    if location.endswith("***"):
        why = "it holds a sign such as /, ?, # or @ that has to be written as %2F, %3F, %23 or %40"
    scheme = location.partition(":")[0].lower()
    form = _FORMS.get(scheme.rpartition("+")[2]) or f"{scheme}://user:password@host:6379/0"
    return f"{location} is not a URL of a Redis server: {why}; write {form}, signs of a password as %2F for / and so on"


def _checked(address: Address) -> Address:
    """Refuse options that no connection knows, before anybody connects."""
    try:
        address.pool().make_connection()  # type: ignore[no-untyped-call]
    except TypeError as error:
        option = str(error).rpartition("unexpected keyword argument ")[2]
        raise ValueError(f"it has an option behind its '?' that is not known: {option}") from None
    return address


def _async_options(**options: Any) -> dict[str, Any]:
    return {
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": AsyncRetry(NoBackoff(), 0),
        "redis_connect_func": _greet,
        **options,
    }


async def _greet(connection: AbstractConnection) -> None:
    """What redis-py says and hears first on a new connection, for which it would wait for ever.

    A process that is frozen, or a balancer with nobody behind it, takes connections and never says a word.
    """
    try:
        async with asyncio.timeout(REPLY_TIMEOUT):
            await connection.on_connect()
    except TimeoutError:
        raise redis_errors.TimeoutError(
            f"it took the connection and gave no answer within {REPLY_TIMEOUT:g} s"
        ) from None


def _thread_options(**options: Any) -> dict[str, Any]:
    return {
        "protocol": 2,
        "socket_timeout": REPLY_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        **options,
    }


class ServerAddress:
    """``redis://``, ``rediss://`` (TLS; certificates are verified) or ``unix://``."""

    moves = False

    def __init__(self, url: str) -> None:
        parse_url(url)
        parts = urlsplit(url)
        database = unquote(parts.path).strip("/")
        if parts.scheme != "unix" and database and not (database.isascii() and database.isdigit()):
            raise ValueError(f"{database!r} is no database's number, such as /0")
        if parts.scheme == "unix" and not database:
            raise ValueError("it names no socket")
        self._url = url
        # A socket in the file system has no keep-alive.
        self._keep_alive = {} if url.startswith("unix:") else {"socket_keepalive": True}

    def pool(self, **options: Any) -> ConnectionPool:
        """See `Address.pool`."""
        return BlockingConnectionPool.from_url(
            self._url,
            max_connections=MAX_CONNECTIONS,
            timeout=REPLY_TIMEOUT,
            **_async_options(**self._keep_alive, **options),
        )

    def client(self, **options: Any) -> redis.Redis:
        """See `Address.client`."""
        return redis.Redis.from_url(self._url, **_thread_options(max_connections=1, **options))

    def find(self) -> bool:
        """See `Address.find`."""
        return False


class _Parts:
    """What URLs with several hosts have: ``scheme://[user:password@]host[:port],host[:port]...[/path][?options]``."""

    def __init__(self, url: str, port: int) -> None:
        parts = urlsplit(url)
        login, at, hosts = parts.netloc.rpartition("@")
        self.hosts = [_host(host, port) for host in hosts.split(",")]
        self.path = [part for part in parts.path.split("/") if part]
        secure = parts.scheme.startswith("rediss")
        # redis-py reads user, password and options.
        plain = f"{'rediss' if secure else 'redis'}://{login}{at}localhost/{'?' if parts.query else ''}{parts.query}"
        options = cast("dict[str, Any]", dict(parse_url(plain)))
        options.pop("connection_class", None)
        for one_host_only in ("host", "port", "path"):
            options.pop(one_host_only, None)
        self.secure = secure
        self.options = options


def _host(text: str, default: int) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^:\[\]\s]+)(?::(\d+))?", text)
    if found is None:
        raise ValueError(f"{text!r} is no host or host:port")
    port = int(found[2] or default)
    if not 0 < port <= _LARGEST_PORT:
        raise ValueError(f"{port} is no port")
    return found[1].strip("[]"), port


class _MovingAddress(ABC):
    """A server that has to be asked for, and can turn up elsewhere.

    Args:
        parts: What the URL says.
        options: How the server itself is spoken to.
    """

    moves = True

    def __init__(self, parts: _Parts, **options: Any) -> None:
        self._asked = parts.hosts
        self._secure = parts.secure
        self._options = {**parts.options, **options}
        self._node: tuple[str, int] | None = None

    def pool(self, **options: Any) -> ConnectionPool:
        """See `Address.pool`."""
        host, port = self._node or self._asked[0]
        return BlockingConnectionPool.from_url(
            f"{'rediss' if self._secure else 'redis'}://",
            host=host,
            port=port,
            max_connections=MAX_CONNECTIONS,
            timeout=REPLY_TIMEOUT,
            socket_keepalive=True,
            **_async_options(**self._options, **options),
        )

    def client(self, **options: Any) -> redis.Redis:
        """See `Address.client`."""
        host, port = self._node or self._asked[0]
        return redis.Redis(host=host, port=port, ssl=self._secure, **_thread_options(**self._options, **options))

    def find(self) -> bool:
        """See `Address.find`.

        Raises:
            redis.exceptions.RedisError | OSError: Nobody who could be asked knows.
        """
        last: Exception = redis_errors.ConnectionError("nobody can be asked")
        for asked in self._whom():
            try:
                found = self._ask(*asked)
            except (redis_errors.RedisError, OSError) as error:
                last = error
                continue
            moved, self._node = found != self._node, found
            return moved
        raise last

    def _whom(self) -> list[tuple[str, int]]:
        return self._asked

    @abstractmethod
    def _ask(self, host: str, port: int) -> tuple[str, int]:
        """Where the server is, by one who knows."""


class SentinelAddress(_MovingAddress):
    """``redis+sentinel://host:port,host:port/service[/database]``: the master that they name."""

    def __init__(self, url: str) -> None:
        parts = _Parts(url, _SENTINEL_PORT)
        if not parts.path:
            raise ValueError("it names no service")
        self._service, *database = parts.path
        super().__init__(parts, db=_database(database))

    def _ask(self, host: str, port: int) -> tuple[str, int]:
        client = redis.Redis(host=host, port=port, **_thread_options())
        try:
            reply: Any = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self._service)  # type: ignore[no-untyped-call]
        finally:
            client.close()
        if not reply:
            raise redis_errors.ConnectionError(f"the Sentinel at {host}:{port} knows no master of {self._service!r}")
        return _text(reply[0]), int(reply[1])


def _database(path: list[str]) -> int:
    if not path:
        return 0
    if len(path) > 1 or not path[0].isdecimal():
        raise ValueError(f"{'/'.join(path)!r} is no number of a database")
    return int(path[0])


class ClusterAddress(_MovingAddress):
    """``redis+cluster://host:port,host:port``: the master that owns the namespace's slot.

    All keys of a namespace with a hash tag, such as ``{resque}``, lie in one slot, so atomic steps stay possible.
    """

    def __init__(self, url: str, namespace: str) -> None:
        if re.search(r"\{[^}]+\}", namespace) is None:
            raise InvalidSettings(
                f"namespace={namespace!r} would spread the keys over a Redis Cluster, where no step is atomic: "
                f"give it a hash tag, such as namespace='{{{namespace or 'resque'}}}'"
            )
        parts = _Parts(url, _REDIS_PORT)
        if parts.path:
            raise ValueError(f"a Cluster has no databases: leave out {'/'.join(parts.path)!r}")
        super().__init__(parts)
        self._slot = key_slot(namespace.encode())

    def _whom(self) -> list[tuple[str, int]]:
        known = [self._node] if self._node is not None else []
        return list(dict.fromkeys([*known, *self._asked]))

    def _ask(self, host: str, port: int) -> tuple[str, int]:
        client = redis.Redis(host=host, port=port, ssl=self._secure, **_thread_options(**self._options))
        try:
            reply: Any = client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
        finally:
            client.close()
        owner, owner_port = _owner(reply, self._slot)
        # A node that does not know its own address leaves it to the one who asks.
        return owner or host, owner_port


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _owner(reply: Any, slot: int) -> tuple[str, int]:
    """The master of a slot, from the answer to CLUSTER SLOTS, as redis-py or the server gives it."""
    if isinstance(reply, dict):
        ranges: Mapping[tuple[int, int], Any] = reply
        for (first, last), nodes in ranges.items():
            if first <= slot <= last:
                host, port = nodes["primary"][:2]
                return _text(host), int(port)
    else:
        for first, last, (host, port, *_), *_ in reply:
            if first <= slot <= last:
                return _text(host), int(port)
    raise redis_errors.ConnectionError(f"no node of the Cluster owns slot {slot}")
