"""What installed distributions bring: entry points, where they come from, and what is wrong with them.

A distribution of somebody else may be broken in any way; nothing here lets it stop the program.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["BROKEN", "Origin", "entry_points_of", "error_reason", "origin_of"]

#: What code that is imported or called for the first time may raise: also an exit, which is not the user's wish.
BROKEN: Final = (Exception, SystemExit)


@attrs.frozen
class Origin:
    """Which distribution brings something.

    Attributes:
        name: Its name, ``""`` if it does not say.
        version: Its version, ``""`` if it does not say.
    """

    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip() or "an unnamed distribution"


def entry_points_of(group: str) -> list[EntryPoint]:
    """The entry points of a group, by name and then by what they stand for; the same one twice comes once."""
    points = {(point.name, point.value): point for point in metadata.entry_points(group=group)}
    return [point for _, point in sorted(points.items())]


def origin_of(point: EntryPoint) -> Origin:
    """The distribution that brings an entry point, as far as its metadata can be read."""
    try:
        return Origin(point.dist.name or "", point.dist.version or "") if point.dist is not None else Origin()
    except BROKEN:
        return Origin()


def error_reason(error: BaseException) -> str:
    """Why something is broken, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"SystemExit: it ends the program when it is imported{f' ({text})' if text else ''}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
