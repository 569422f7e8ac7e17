"""Make addresses from URLs: one server, the master that Sentinels name, or the Cluster node of the namespace."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import redis
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import parse_url
from redis.crc import key_slot

from taskhero._internal.display import location_of, without_secrets
from taskhero.backends.redis.connection.address import Address, MovingAddress, ask_all
from taskhero.backends.redis.connection.sentinel_listener import SentinelListener
from taskhero.backends.redis.connection.url_options import (
    MAX_CONNECTIONS,
    REPLY_TIMEOUT,
    ManyHosts,
    async_options,
    check_database,
    check_options,
    thread_options,
)
from taskhero.errors import InvalidSettings, UnknownBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.asyncio.connection import ConnectionPool

    from taskhero.backends.redis.connection.address import Node

__all__ = ["Address", "ClusterAddress", "SentinelAddress", "ServerAddress", "address_of"]

_SENTINEL_PORT = 26379
_REDIS_PORT = 6379
#: The minimum number of Cluster nodes to ask for the owner of a hash slot, if that many are known.
_MIN_ASKED_NODES = 8
#: Examples for error messages: the URLs that are not of one server with a port.
_EXAMPLES = {
    "sentinel": "redis+sentinel://user:password@host:26379/service/0",
    "cluster": "redis+cluster://user:password@host:6379",
    "unix": "unix:///path/redis.sock?db=0",
}


def address_of(url: str, namespace: str) -> Address:
    """Return the address that a URL names.

    Raises:
        UnknownBackend: The URL is not valid.
        InvalidSettings: It names a Cluster, and the namespace does not keep all keys on one node.
    """
    try:
        return _checked(_address_of(url, namespace))
    except InvalidSettings:
        raise
    except (ValueError, redis_errors.RedisError) as error:
        message = _invalid_url(url, error)
    # Outside the handler: the caught error may quote a password, and would become the context of this one.
    raise UnknownBackend(message)


def _address_of(url: str, namespace: str) -> Address:
    scheme = urlsplit(url).scheme
    if scheme.endswith("+sentinel"):
        return SentinelAddress(url)
    if scheme.endswith("+cluster"):
        return ClusterAddress(url, namespace)
    return ServerAddress(url)


def _invalid_url(url: str, error: Exception) -> str:
    location = location_of(url)
    reason = without_secrets(str(error), url).removesuffix(".")
    if location.endswith("***"):
        reason = "it contains a character such as /, ?, # or @ that must be written as %2F, %3F, %23 or %40"
    scheme = location.partition(":")[0].lower()
    example = _EXAMPLES.get(scheme.rpartition("+")[2]) or f"{scheme}://user:password@host:6379/0"
    return f"{location} is not a URL of a Redis server: {reason}; write {example}, and / in a password as %2F"


def _checked(address: Address) -> Address:
    """Raise `ValueError` for options that this version of redis-py does not have, before the first connection."""
    try:
        address.pool().make_connection()  # type: ignore[no-untyped-call]
    except TypeError as error:
        option = str(error).rpartition("unexpected keyword argument ")[2]
        raise ValueError(f"this version of redis-py does not have its option {option}") from None
    return address


class ServerAddress(Address):
    """The address of one server: ``redis://``, ``rediss://`` (TLS, certificates are verified) or ``unix://``."""

    def __init__(self, url: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        check_options(parts.query, parts.scheme)
        parse_url(url)
        path = unquote(parts.path).strip("/")
        if parts.scheme != "unix":
            check_database(path)
        elif not path:
            raise ValueError("it names no socket")
        self._url = url
        # A Unix socket has no keep-alive.
        self._keep_alive = {} if url.startswith("unix:") else {"socket_keepalive": True}

    def pool(self, **options: Any) -> ConnectionPool:
        """See `Address.pool`."""
        return BlockingConnectionPool.from_url(
            self._url,
            max_connections=MAX_CONNECTIONS,
            timeout=REPLY_TIMEOUT,
            **async_options(**self._keep_alive, **options),
        )

    def client(self, **options: Any) -> redis.Redis:
        """See `Address.client`."""
        return redis.Redis.from_url(self._url, **thread_options(max_connections=1, **options))

    def _locate(self) -> None:
        """See `Address._locate`. One server has nothing else to ask."""


class SentinelAddress(MovingAddress):
    """The master that Sentinels name: ``redis+sentinel://host:port,host:port/service[/database]``."""

    def __init__(self, url: str) -> None:
        parts = ManyHosts(url, _SENTINEL_PORT)
        if not parts.path:
            raise ValueError("it names no service")
        self._service, *rest = parts.path
        database = "/".join(rest)
        check_database(database)
        super().__init__(parts, db=int(database or parts.options.get("db", 0)))

    def watch(self) -> SentinelListener:
        """See `Address.watch`."""
        return SentinelListener(self._seeds, self._service, self.find)

    def _ask(self, host: str, port: int) -> Node:
        client = redis.Redis(host=host, port=port, **thread_options())
        try:
            reply: Any = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self._service)  # type: ignore[no-untyped-call]
        finally:
            client.close()
        if not reply:
            raise redis_errors.ConnectionError(
                f"the Sentinel at {host}:{port} does not know the service {self._service!r}"
            )
        return _text(reply[0]), int(reply[1])

    def _choose(self, answers: dict[Node, Node]) -> Node:
        """Return the answer with the highest epoch. Sentinels learn of a failover one after the other."""
        if len(set(answers.values())) == 1:
            return next(iter(answers.values()))
        epochs = ask_all(self._epoch, list(answers))
        return answers[max(epochs, key=lambda sentinel: (epochs[sentinel], answers[sentinel] != self._node))]

    def _epoch(self, host: str, port: int) -> int:
        """Return the epoch of the master that this Sentinel knows. Each failover has a higher epoch."""
        client = redis.Redis(host=host, port=port, **thread_options())
        try:
            # As two arguments: redis-py fails to parse a reply to "SENTINEL MASTER" that lacks a field.
            reply: Any = client.execute_command("SENTINEL", "MASTER", self._service)  # type: ignore[no-untyped-call]
        finally:
            client.close()
        fields = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        return next((int(value) for name, value in fields if _text(name) == "config-epoch"), 0)


class ClusterAddress(MovingAddress):
    """The master that owns the hash slot of the namespace: ``redis+cluster://host:port,host:port``.

    All keys of a namespace with a hash tag, such as ``{resque}``, belong to one hash slot. So every step can be atomic.
    """

    def __init__(self, url: str, namespace: str) -> None:
        if re.search(r"\{[^}]+\}", namespace) is None:
            raise InvalidSettings(
                f"namespace={namespace!r} would spread the keys over a Redis Cluster, where no step is atomic: "
                f"give it a hash tag, such as namespace='{{{namespace or 'resque'}}}'"
            )
        parts = ManyHosts(url, _REDIS_PORT)
        if parts.path or parts.options.get("db"):
            named = "/".join(parts.path) or f"?db={parts.options['db']}"
            raise ValueError(f"a Cluster has no databases: leave out {named!r}")
        super().__init__(parts)
        self._slot = key_slot(namespace.encode())
        self._discovered: tuple[Node, ...] = ()

    def _nodes_to_ask(self) -> Sequence[Node]:
        """Return the owner of the slot, the nodes of the URL, and others: all nodes of the URL may be gone."""
        known = [self._node] if self._node is not None else []
        named = dict.fromkeys([*known, *self._seeds])
        others = [node for node in self._discovered if node not in named]
        return [*named, *others[: max(0, _MIN_ASKED_NODES - len(named))]]

    def _ask(self, host: str, port: int) -> Node:
        client = self._client_of(host, port)
        try:
            reply: Any = client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
        finally:
            client.close()
        nodes: dict[Node, None] = {}
        owner: Node | None = None
        for first, last, masters_and_replicas in _ranges(reply):
            # A node that does not know its own address leaves it empty.
            members = [(_text(name) or host, int(number)) for name, number in masters_and_replicas]
            if first <= self._slot <= last:
                owner = members[0]
                nodes = dict.fromkeys([*members, *nodes])
            nodes.update(dict.fromkeys(members))
        if owner is None:
            raise redis_errors.ConnectionError(f"no node of the Cluster owns hash slot {self._slot}")
        self._discovered = tuple(nodes)
        return owner

    def _choose(self, answers: dict[Node, Node]) -> Node:
        """Return the answer of the majority. A node that is cut off from the others still names itself."""
        votes = Counter(answers.values())
        return max(votes, key=lambda node: (votes[node], node != self._node))


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _ranges(reply: Any) -> Iterator[tuple[int, int, list[tuple[Any, Any]]]]:
    """Yield the ranges of hash slots with their nodes, the master first. Both forms of the CLUSTER SLOTS reply work."""
    if isinstance(reply, dict):
        for (first, last), nodes in reply.items():
            yield first, last, [tuple(node[:2]) for node in (nodes["primary"], *nodes["replicas"])]
    else:
        for first, last, *nodes in reply:
            yield first, last, [(host, port) for host, port, *_ in nodes]
