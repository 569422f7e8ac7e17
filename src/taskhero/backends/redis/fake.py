"""Run the Redis driver on fakeredis: unit tests of the wire format without a server."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from taskhero._internal.display import location_of
from taskhero.backends.redis.backend import RedisBackend
from taskhero.backends.redis.connection.connection_manager import ConnectionManager
from taskhero.backends.redis.connection.topologies import ServerAddress
from taskhero.errors import UnknownBackend

if TYPE_CHECKING:
    import redis
    from redis.asyncio.connection import ConnectionPool

    from taskhero.clock import Clock

try:
    import fakeredis

    import_module("lupa")  # fakeredis runs scripts with it
except ImportError as error:
    raise UnknownBackend(f"fakeredis:// needs the package {error.name!r}: pip install 'taskhero[fakeredis]'") from error

__all__ = ["FakeConnectionManager", "FakeRedisBackend"]

# Apps that use the same name share one server.
_servers: dict[str, fakeredis.FakeServer] = {}


def _server(name: str) -> fakeredis.FakeServer:
    if not name:
        return fakeredis.FakeServer()
    return _servers.setdefault(name, fakeredis.FakeServer())


class FakeConnectionManager(ConnectionManager):
    """A connection manager for a server in this process."""

    def __init__(self, location: str, server: fakeredis.FakeServer) -> None:
        super().__init__(ServerAddress("redis://"), location)
        self.server = server

    def make_pool(self, **_options: Any) -> ConnectionPool:
        """Return a pool of connections to the server in this process."""
        pool: ConnectionPool = fakeredis.FakeAsyncRedis(server=self.server).connection_pool
        return pool

    def make_client(self, **_options: Any) -> redis.Redis:
        """See `ConnectionManager.make_client`."""
        client: redis.Redis = fakeredis.FakeStrictRedis(server=self.server)
        return client


class FakeRedisBackend(RedisBackend):
    """A backend that stores jobs in an imitation of Redis in this process.

    Args:
        url: ``fakeredis://`` is private to this backend. All backends of this program that use ``fakeredis://name``
            share one server.
        namespace: The prefix of every key.
        clock: For tests: the clock of all steps.
        resque_scheduler_prefix: See `Settings`.
        ignore_dead_master_lock: See `Settings`.
    """

    _can_track = False

    def __init__(
        self,
        url: str = "fakeredis://",
        *,
        namespace: str = "resque",
        clock: Clock | None = None,
        resque_scheduler_prefix: str = "",
        ignore_dead_master_lock: bool = True,
    ) -> None:
        self._server = _server(urlsplit(url).netloc.rpartition("@")[2])
        super().__init__(
            url,
            namespace=namespace,
            clock=clock,
            resque_scheduler_prefix=resque_scheduler_prefix,
            ignore_dead_master_lock=ignore_dead_master_lock,
        )

    def _make_connections(self, url: str, namespace: str) -> ConnectionManager:  # noqa: ARG002 - needs none
        return FakeConnectionManager(location_of(url), self._server)
