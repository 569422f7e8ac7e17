"""The atomic steps: one Lua file each, sent by its hash."""

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
    from collections.abc import Sequence

    from taskhero.backends.redis.connection.connection_manager import ConnectionManager

__all__ = ["PreparedScript", "Script", "run_script", "script"]

_INCLUDE = re.compile(r"^--!include (\w+)$", re.MULTILINE)


@attrs.frozen
class Script:
    """A Lua script's text and hash."""

    name: str
    text: str
    sha: str


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")


@cache
def script(name: str) -> Script:
    """The script of this name, with what it includes."""
    text = _INCLUDE.sub(lambda match: _read("_" + match[1]), _read(name))
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, text, sha)


class PreparedScript:
    """A script that is run again and again with the same keys and arguments, but for the last few of these.

    All that stays the same is put into the server's form once, since for a small step that takes longer than the rest.

    Args:
        name: The script.
        keys: Its keys.
        arguments: The arguments that stay the same.
        changing: How many arguments follow.
    """

    def __init__(
        self, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int], changing: int
    ) -> None:
        wanted = script(name)
        parts = ["EVALSHA", wanted.sha, len(keys), *keys, *arguments]
        self._by_text = ("EVAL", wanted.text, *parts[2:])
        self._head = b"*%d\r\n%b" % (len(parts) + changing, b"".join(map(_bulk, parts)))

    async def run(self, link: ConnectionManager, *changing: str) -> Any:
        """Run it with these last arguments; its text is sent only if the server does not know it yet."""
        try:
            return await link.call_packed("EVALSHA", self._head + b"".join(map(_bulk, changing)))
        except BackendRefused as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        return await link.call(*self._by_text, *changing)


def _bulk(part: str | bytes | int) -> bytes:
    """A word of a command as it is sent."""
    word = part if isinstance(part, bytes) else str(part).encode()
    return b"$%d\r\n%b\r\n" % (len(word), word)


async def run_script(
    link: ConnectionManager, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]
) -> Any:
    """Run a script; its text is sent only if the server does not know it yet."""
    wanted = script(name)
    try:
        return await link.call("EVALSHA", wanted.sha, len(keys), *keys, *arguments)
    except BackendRefused as error:
        if not isinstance(error.__cause__, NoScriptError):
            raise
    return await link.call("EVAL", wanted.text, len(keys), *keys, *arguments)
