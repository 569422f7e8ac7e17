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

    from .link import Link

__all__ = ["Script", "run", "script"]

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


async def run(link: Link, name: str, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
    """Run a script; its text is sent only if the server does not know it yet."""
    wanted = script(name)
    try:
        return await link.call("EVALSHA", wanted.sha, len(keys), *keys, *arguments)
    except BackendRefused as error:
        if not isinstance(error.__cause__, NoScriptError):
            raise
    return await link.call("EVAL", wanted.text, len(keys), *keys, *arguments)
