"""Fixtures that give tests a real server: `server`, `redis_url`, `start_server`.

A missing program skips the test with its reason, and fails it where the environment variable CI is set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import pytest
import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["StartServer", "redis_url", "server", "server_pool", "start_server"]


class StartServer(Protocol):
    """What the fixture `start_server` gives."""

    def __call__(self, kind: str, *options: str) -> servers.Server:
        """Start a private server that ends with the test."""
        ...


def start_kind(kind: str, *options: str) -> servers.Server:
    try:
        return servers.start(kind, *options)
    except servers.MissingProgram as missing:
        if os.environ.get("CI"):
            pytest.fail(f"{kind} is required where CI is set: {missing}", pytrace=False)
        pytest.skip(f"{kind}: {missing}")


@pytest.fixture(scope="session")
def server_pool() -> Iterator[dict[str, servers.Server]]:
    """The servers of this test run (of this worker of it), by kind; each is started when it is first needed."""
    pool: dict[str, servers.Server] = {}
    yield pool
    for server in pool.values():
        server.close()


@pytest.fixture(scope="session", params=servers.KINDS)
def server(request: pytest.FixtureRequest, server_pool: dict[str, servers.Server]) -> servers.Server:
    """A server of each kind in turn, shared by all tests: leave it as you found it, but for its data."""
    kind = request.param
    if kind not in server_pool:
        server_pool[kind] = start_kind(kind)
    return server_pool[kind]


@pytest.fixture
def redis_url(server: servers.Server) -> str:
    """URL of database 0 of `server`, emptied."""
    assert server.command("FLUSHALL") == b"+OK"
    return server.url


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start private servers, ``start_server(kind, *options)``, that a test may kill; they end with it."""
    started: list[servers.Server] = []

    def start(kind: str, *options: str) -> servers.Server:
        started.append(start_kind(kind, *options))
        return started[-1]

    yield start
    for server in started:
        server.close()
