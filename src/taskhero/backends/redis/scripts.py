"""Load the Lua scripts, one per atomic step, and encode the commands that run them."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["CallPart", "PreparedScript", "Script", "ScriptCall", "encode_command", "script"]

_INCLUDE = re.compile(r"^--!include (\w+)$", re.MULTILINE)


def _bulk(part: str | bytes | float) -> bytes:
    """Return one part of a command as a bulk string of the Redis protocol."""
    encoded = part if isinstance(part, bytes) else str(part).encode()
    return b"$%d\r\n%b\r\n" % (len(encoded), encoded)


def _encode(parts: tuple[Any, ...]) -> bytes:
    """Return the bytes of a command."""
    return b"*%d\r\n%b" % (len(parts), b"".join(map(_bulk, parts)))


try:
    from hiredis import pack_command as _pack_command
except ImportError:
    encode_command: Callable[[tuple[Any, ...]], bytes] = _encode
else:
    # It needs a tenth of the time for long commands.
    encode_command = _pack_command


@attrs.frozen
class Script:
    """A Lua script: its name, its source with all includes, and its SHA-1 hash."""

    name: str
    text: str
    sha: str


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")


@cache
def script(name: str) -> Script:
    """Return the script of this name, with all files that it includes."""
    text = _INCLUDE.sub(lambda match: _read("_" + match[1]), _read(name))
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, text, sha)


class CallPart:
    """Keys and arguments of a script, in the order in which it reads them.

    Each method adds values of one kind. In Lua, the function `read_...` of the same name reads one of them
    (``_arguments.lua``). Loops that many jobs pass through append to the lists directly.

    Attributes:
        keys: The keys.
        arguments: The arguments.
    """

    __slots__ = ("arguments", "keys")

    def __init__(self) -> None:
        self.keys: list[str | bytes] = []
        self.arguments: list[str | bytes | int] = []

    def key(self, *keys: str) -> None:
        """Add keys. Lua: `read_key`."""
        for key in keys:
            self.keys.append(key.encode("utf-8", "surrogateescape"))

    def key_list(self, keys: Collection[str]) -> None:
        """Add several keys, and their number as an argument. Lua: `read_keys`."""
        self.arguments.append(len(keys))
        self.key(*keys)

    def text(self, *values: str) -> None:
        """Add texts. Lua: `read_text`."""
        for value in values:
            self.arguments.append(value.encode("utf-8", "surrogateescape"))

    def texts(self, values: Collection[str]) -> None:
        """Add several texts, after their number. Lua: `read_texts`."""
        self.arguments.append(len(values))
        self.text(*values)

    def number(self, *values: int) -> None:
        """Add numbers. Lua: `read_number`."""
        self.arguments += values

    def flag(self, *values: bool) -> None:
        """Add flags. Lua: `read_flag`."""
        for value in values:
            self.arguments.append("1" if value else "0")

    def optional(self, *values: str | float | None) -> None:
        """Add values that may be left out. Lua: `read_optional`, which returns a text or nil."""
        for value in values:
            self.text("" if value is None else str(value))

    def extend(self, part: CallPart) -> None:
        """Add the keys and arguments of another part."""
        self.keys += part.keys
        self.arguments += part.arguments


class ScriptCall(CallPart):
    """A call of a script.

    Args:
        name: The name of the script.
        keys: The first keys.

    Attributes:
        encoded: The encoded command that runs it by its hash, if it was prepared.
    """

    __slots__ = ("encoded", "name")

    def __init__(self, name: str, *keys: str) -> None:
        super().__init__()
        self.name = name
        self.encoded: bytes | None = None
        self.key(*keys)

    def command(self, *, by_source: bool = False) -> tuple[str | bytes | int, ...]:
        """Return the command that runs the script by its hash, or by its source, which the server then stores."""
        called = script(self.name)
        head = ("EVAL", called.text) if by_source else ("EVALSHA", called.sha)
        return (*head, len(self.keys), *self.keys, *self.arguments)


class PreparedScript:
    """A script that runs many times with the same keys and arguments, except for the last few arguments.

    The constant part is encoded for the wire once. For a small step, encoding takes longer than everything else.

    Args:
        call: The script with its keys, and the arguments that stay the same.
        changing: The number of arguments that `with_last` appends.
    """

    def __init__(self, call: ScriptCall, changing: int) -> None:
        self._call = call
        command = call.command()
        self._head = b"*%d\r\n%b" % (len(command) + changing, b"".join(map(_bulk, command)))

    def with_last(self, *changing: str) -> ScriptCall:
        """Return a call with these last arguments."""
        call = ScriptCall(self._call.name)
        call.extend(self._call)
        call.arguments += changing
        call.encoded = self._head + b"".join(map(_bulk, changing))
        return call
