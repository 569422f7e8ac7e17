"""Parse and check the options of a Redis URL, and make the options of connections."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import exceptions as redis_errors
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

__all__ = [
    "CONNECT_TIMEOUT",
    "MAX_CONNECTIONS",
    "REPLY_TIMEOUT",
    "ManyHosts",
    "async_options",
    "check_database",
    "check_options",
    "thread_options",
]

CONNECT_TIMEOUT = 5.0
REPLY_TIMEOUT = 5.0
MAX_CONNECTIONS = 16

_LARGEST_PORT = 65535
_ANY: Final = (r"(?s).*", "any text")
_NUMBER: Final = (r"0|[1-9][0-9]{0,8}", "a whole number from 0")
_POSITIVE: Final = (r"[1-9][0-9]{0,8}", "a whole number from 1")
_SECONDS: Final = (r"(?=.*[1-9])[0-9]{1,6}(\.[0-9]{1,6})?", "a number of seconds above 0, such as 2.5")
_SWITCH: Final = (r"(?i)true|false|yes|no|on|off|1|0|t|f|y|n", "true or false")
#: The options that a URL may have after its "?", with a pattern and a description of their values. Other options are
#: errors: redis-py passes them to connections, where some change the replies and some repeat commands.
_OPTIONS: Final = {
    "client_name": _ANY,
    "db": _NUMBER,
    "max_connections": _POSITIVE,
    "password": _ANY,
    "socket_connect_timeout": _SECONDS,
    "socket_keepalive": _SWITCH,
    "ssl_ca_certs": _ANY,
    "ssl_ca_data": _ANY,
    "ssl_ca_path": _ANY,
    "ssl_cert_reqs": ("none|optional|required", "none, optional or required"),
    "ssl_certfile": _ANY,
    "ssl_check_hostname": _SWITCH,
    "ssl_ciphers": _ANY,
    "ssl_keyfile": _ANY,
    "ssl_min_version": _NUMBER,
    "ssl_password": _ANY,
    "username": _ANY,
}


def check_options(query: str, scheme: str) -> None:
    """Check that all options of a URL are supported and have valid values.

    Raises:
        ValueError: An option or a value is not supported. The message names the option and shows what is allowed.
    """
    known = [name for name in _OPTIONS if scheme.startswith("rediss") or not name.startswith("ssl_")]
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise ValueError(f"its option {name!r} is not supported; supported are {', '.join(known)}")
        pattern, description = _OPTIONS[name]
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"its option {name} cannot be {value!r}: give {description}")


def check_database(path: str) -> None:
    """Check that a path is the number of a database.

    Raises:
        ValueError: It is not. The message shows the path.
    """
    if path and not (path.isascii() and path.isdigit()):
        raise ValueError(f"{path!r} is not the number of a database: write one such as /0")


def async_options(**options: Any) -> dict[str, Any]:
    """Return the options of a connection for an event loop."""
    return {
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": AsyncRetry(NoBackoff(), 0),
        "redis_connect_func": _handshake,
        **options,
    }


async def _handshake(connection: AbstractConnection) -> None:
    """Run the handshake of redis-py with a time limit, which redis-py does not have.

    A frozen server, or a load balancer without a server, accepts connections and never answers.
    """
    try:
        async with asyncio.timeout(REPLY_TIMEOUT):
            await connection.on_connect()
    except TimeoutError:
        raise redis_errors.TimeoutError(
            f"it accepted the connection, but gave no answer within {REPLY_TIMEOUT:g} s"
        ) from None


def thread_options(**options: Any) -> dict[str, Any]:
    """Return the options of a connection for a thread."""
    return {
        "protocol": 2,
        "socket_timeout": REPLY_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        **options,
    }


class ManyHosts:
    """A URL with several hosts: ``scheme://[user:password@]host[:port],host[:port]...[/path][?options]``.

    Args:
        url: The URL.
        port: The port of hosts without a port.

    Attributes:
        hosts: The hosts and their ports.
        path: The parts of the path.
        secure: Whether connections use TLS.
        options: User, password and the options after the "?", as redis-py parses them.
    """

    def __init__(self, url: str, port: int) -> None:
        parts = urlsplit(url)
        check_options(parts.query, parts.scheme)
        login, at, hosts = parts.netloc.rpartition("@")
        self.hosts = [_host(host, port) for host in hosts.split(",")]
        self.path = [unquote(part) for part in parts.path.split("/") if part]
        self.secure = parts.scheme.startswith("rediss")
        # redis-py parses user, password and options.
        plain = f"{'rediss' if self.secure else 'redis'}://{login}{at}localhost?{parts.query}"
        options = cast("dict[str, Any]", dict(parse_url(plain)))
        for of_one_host in ("connection_class", "host", "port", "path"):
            options.pop(of_one_host, None)
        self.options = options


def _host(text: str, default: int) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^:\[\]\s]+)(?::(\d+))?", text)
    if found is None:
        raise ValueError(f"{text!r} is not host or host:port")
    port = int(found[2] or default)
    if not 0 < port <= _LARGEST_PORT:
        raise ValueError(f"{port} is not a port from 1 to {_LARGEST_PORT}")
    return found[1].strip("[]"), port
