"""Read the private attributes of redis-py and asyncio. No other module of taskhero does.

They make commands faster, but another version may not have them. Each function therefore returns None for an
attribute that is missing or has another type, and its caller uses public functions of redis-py instead. One log line
for each attribute and process says so.
"""

from __future__ import annotations

import asyncio
import functools
import platform
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis import asyncio as async_redis
from redis.asyncio import connection as async_connection

from taskhero._internal.logs import get_logger

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection as AsyncConnection
    from redis.connection import AbstractConnection

__all__ = ["error_parser", "stream_transport", "thread_socket"]

logger = get_logger("taskhero.backends.redis")

_Value = TypeVar("_Value")

#: The classes that have sockets. Their subclasses, such as those of fakeredis, may not, so they are left alone.
_ASYNC_CONNECTIONS = frozenset(
    {async_redis.Connection, async_redis.SSLConnection, async_redis.UnixDomainSocketConnection}
)
_THREAD_CONNECTIONS = frozenset({redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection})

_reported: set[str] = set()


def stream_transport(connection: AsyncConnection) -> Any | None:
    """Return the transport of a connected connection.

    Returns:
        None if the connection is closed, or if its stream has unread data, which a new reader would not receive.
    """
    if type(connection) not in _ASYNC_CONNECTIONS or not connection.is_connected:
        return None
    writer = _read(connection, "_writer", asyncio.StreamWriter)
    reader = None if writer is None else _read(connection, "_reader", asyncio.StreamReader)
    unread = None if reader is None else _read(reader, "_buffer", bytearray)
    if writer is None or reader is None or unread is None:
        return None
    return None if unread or writer.is_closing() or reader.at_eof() else writer.transport


def thread_socket(connection: AbstractConnection) -> socket.socket | None:
    """Return the socket of a connection for threads, from the moment at which it is open."""
    return _read(connection, "_sock", socket.socket) if type(connection) in _THREAD_CONNECTIONS else None


@functools.cache
def error_parser() -> Callable[[str], Exception] | None:
    """Return the function that makes an exception of redis-py from the text of an error reply."""
    parser = getattr(async_connection, "DefaultParser", async_connection)
    parse_error: Callable[[str], Any] | None = _read(parser, "parse_error", Callable)  # type: ignore[arg-type]
    if parse_error is None:
        return None
    try:
        example = parse_error("ERR example")
    except TypeError:
        example = None
    if isinstance(example, Exception):
        return parse_error
    _report(parser, "parse_error")
    return None


def _read(owner: object, name: str, kind: type[_Value]) -> _Value | None:
    """Return the attribute of this name, or None if it is missing or of another type."""
    value = getattr(owner, name, None)
    if isinstance(value, kind):
        return value
    _report(owner, name)
    return None


def _report(owner: object, name: str) -> None:
    """Log that an attribute cannot be used, once in this process."""
    if name in _reported:
        return
    _reported.add(name)
    logger.warning(
        "redis-py %s on Python %s: the attribute %s of %s is missing or has another type, so taskhero uses public "
        "functions of redis-py, which take longer; install the version of redis-py that this taskhero was tested with",
        redis.__version__,
        platform.python_version(),
        name,
        getattr(owner if isinstance(owner, type) else type(owner), "__qualname__", owner),
    )
