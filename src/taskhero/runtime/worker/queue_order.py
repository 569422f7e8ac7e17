"""Name the queues that a process claims from, in priority order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["STAR", "QueueOrder"]

#: In a list of queues: all queues that the list does not name, sorted.
STAR = "*"


class QueueOrder:
    """The queues to claim from, in priority order. All queues that are not declared replace ``*``, sorted.

    Args:
        declared: The queues as the settings name them.

    Attributes:
        current: The names as of the last `read`.
        star: Whether ``*`` is declared, so that `read` has an effect.
        complete: Whether the queues for ``*`` have been read.
    """

    __slots__ = ("_after", "_before", "_known", "complete", "current", "star")

    def __init__(self, declared: Sequence[str]) -> None:
        self.star = STAR in declared
        place = declared.index(STAR) if self.star else len(declared)
        self._before = tuple(declared[:place])
        self._after = tuple(declared[place + 1 :])
        self._known: list[str] = []
        self.complete = not self.star
        self.current: tuple[str, ...] = self._before + self._after

    def read(self, known: Iterable[str]) -> bool:
        """Set the names of all existing queues to *known*. Return whether `current` changed."""
        known = list(known)
        if not self.star or (self.complete and known == self._known):
            return False
        self._known, self.complete = known, True
        named = {*self._before, *self._after}
        others = sorted(name for name in known if name not in named)
        before, self.current = self.current, (*self._before, *others, *self._after)
        return self.current != before
