"""Entry points of installed distributions: their origin, and what is wrong with them.

A third party's distribution can be broken in any way. None of these functions raises because of that.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["BROKEN", "Origin", "entry_points_of", "error_reason", "origin_of"]

#: What third-party code can raise when it is imported or called. An exit there is an error, not a request of the user.
BROKEN: Final = (Exception, SystemExit)


@attrs.frozen
class Origin:
    """The distribution that contains an entry point.

    Attributes:
        name: Its name, ``""`` if its metadata has none.
        version: Its version, ``""`` if its metadata has none.
    """

    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip() or "an unnamed distribution"


def entry_points_of(group: str) -> list[EntryPoint]:
    """Return the entry points of a group without duplicates, sorted by name and value."""
    points = {(point.name, point.value): point for point in metadata.entry_points(group=group)}
    return [point for _, point in sorted(points.items())]


def origin_of(point: EntryPoint) -> Origin:
    """Return the distribution of an entry point, as far as its metadata can be read."""
    try:
        return Origin(point.dist.name or "", point.dist.version or "") if point.dist is not None else Origin()
    except BROKEN:
        return Origin()


def error_reason(error: BaseException) -> str:
    """Return an error as one line."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"SystemExit: it ends the program when it is imported{f' ({text})' if text else ''}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
