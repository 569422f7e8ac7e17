"""From a URL to a file and how it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, quote, unquote

import attrs

from taskhero.errors import UnknownBackend

__all__ = ["Address"]

_SYNCHRONOUS: Final = ("full", "normal")


@attrs.frozen(kw_only=True)
class Address:
    """A database and how it is used.

    Attributes:
        path: The file.
        timeout: Seconds that a step waits for those of other processes.
        poll: Seconds between two looks for what other processes did, while somebody waits.
        synchronous: ``full``: what was stored outlives a power failure; ``normal``: only the death of the process, but
            it is quicker.
    """

    path: Path
    timeout: float = 10.0
    poll: float = 0.02
    synchronous: str = "full"

    @classmethod
    def of(cls, url: str) -> Self:
        """Read ``sqlite:///relative/path.db`` or ``sqlite:////absolute/path.db``, as SQLAlchemy does.

        Raises:
            UnknownBackend: It names no file, or has an option that is unknown or out of its bounds.
        """
        place, _, query = url.partition("://")[2].partition("?")
        host, slash, name = place.partition("/")
        if host or not slash or not name or name == ":memory:":
            raise UnknownBackend(
                "sqlite:// needs a file: sqlite:///jobs.db is jobs.db in the working directory, sqlite:////srv/jobs.db "
                "is /srv/jobs.db (jobs in memory are memory://)"
            )
        options = dict(parse_qsl(query, keep_blank_values=True))
        return cls(path=Path(unquote(name)).absolute(), **{key: _option(key, text) for key, text in options.items()})

    @property
    def url(self) -> str:
        """The URL without its options."""
        return f"sqlite:///{quote(str(self.path))}"


def _option(key: str, text: str) -> Any:
    if key == "synchronous" and text.lower() in _SYNCHRONOUS:
        return text.lower()
    if key in {"timeout", "poll"}:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if 0.001 <= value <= 300:
            return value
    raise UnknownBackend(
        f"sqlite:// cannot have the option {key}={text}: there are timeout and poll, in seconds from 0.001 to 300, and "
        f"synchronous, {' or '.join(_SYNCHRONOUS)}"
    )
