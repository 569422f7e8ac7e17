"""Load the Lua scripts, one per atomic step, and run them by their hash (EVALSHA)."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import attrs
from redis.exceptions import NoScriptError

from taskhero.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from taskhero.backends.redis.connection.connection_manager import ConnectionManager

__all__ = ["PreparedScript", "Script", "run_script", "script"]

_INCLUDE = re.compile(r"^--!include (\w+)$", re.MULTILINE)


@attrs.frozen
class Script:
    """A Lua script: its name, its source with all includes, and its SHA-1 hash."""

    name: str
    text: str
    sha: str

    def by_hash(self, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> tuple[Any, ...]:
        """Return the command that runs the script if the server has it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)

    def by_source(self, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> tuple[Any, ...]:
        """Return the command that runs the script and stores it in the server."""
        return ("EVAL", self.text, len(keys), *keys, *arguments)


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")


@cache
def script(name: str) -> Script:
    """Return the script of this name, with all files that it includes."""
    text = _INCLUDE.sub(lambda match: _read("_" + match[1]), _read(name))
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, text, sha)


class PreparedScript:
    """A script that runs many times with the same keys and arguments, except for the last few arguments.

    The constant part is encoded for the wire once. For a small step, encoding takes longer than everything else.

    Args:
        name: The name of the script.
        keys: Its keys.
        arguments: The arguments that stay the same.
        changing: The number of arguments that `run` appends.
    """

    def __init__(
        self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int], changing: int
    ) -> None:
        prepared = script(name)
        parts = prepared.by_hash(keys, arguments)
        self._by_source = prepared.by_source(keys, arguments)
        self._head = b"*%d\r\n%b" % (len(parts) + changing, b"".join(map(_bulk, parts)))

    async def run(self, connections: ConnectionManager, *changing: str) -> Any:
        """Run the script with these last arguments. Send its source only if the server does not have it."""
        packed = self._head + b"".join(map(_bulk, changing))
        reply = connections.call_packed("EVALSHA", packed)
        return await _reply_or(reply, lambda: connections.call(*self._by_source, *changing))


def _bulk(part: str | bytes | int) -> bytes:
    """Return one part of a command as a bulk string of the Redis protocol."""
    encoded = part if isinstance(part, bytes) else str(part).encode()
    return b"$%d\r\n%b\r\n" % (len(encoded), encoded)


async def run_script(
    connections: ConnectionManager, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]
) -> Any:
    """Run a script. Send its source only if the server does not have it."""
    prepared = script(name)
    reply = connections.call(*prepared.by_hash(keys, arguments))
    return await _reply_or(reply, lambda: connections.call(*prepared.by_source(keys, arguments)))


async def _reply_or(reply: Awaitable[Any], by_source: Callable[[], Awaitable[Any]]) -> Any:
    """Return the reply to a script's hash. If the server does not have the script, return that to its source."""
    try:
        return await reply
    except BackendRefused as error:
        if not isinstance(error.__cause__, NoScriptError):
            raise
    return await by_source()
