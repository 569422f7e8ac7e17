"""Keep the slots that processes have registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["RegisteredSlots"]

#: The number of workers that a heartbeat checks if it is not full. The next heartbeat checks the next ones.
_CHECKED_WORKERS = 1000


class RegisteredSlots:
    """The slots that each process of this backend has registered, and those that the next heartbeat checks.

    Redis lists workers of all processes in one set. So the slots of one process are known only here.
    """

    def __init__(self) -> None:
        self._slots: dict[str, set[int]] = {}
        self._checked_to = 0

    def add(self, process: str, slots: Iterable[int]) -> None:
        """Record that a process has registered these slots."""
        self._slots.setdefault(process, set()).update(slots)

    def remove(self, process: str, slots: Iterable[int]) -> None:
        """Record that a process has deregistered these slots."""
        self._slots.get(process, set()).difference_update(slots)

    def forget(self, process: str) -> None:
        """Record that a process has deregistered."""
        self._slots.pop(process, None)

    def of(self, process: str) -> list[int]:
        """Return the registered slots of a process, in order."""
        return sorted(self._slots.get(process, ()))

    def next_to_check(self, slots: Sequence[int]) -> Sequence[int]:
        """Return the slots to check next, after those that the last heartbeat checked."""
        first = self._checked_to if self._checked_to < len(slots) else 0
        self._checked_to = first + _CHECKED_WORKERS
        return slots[first : self._checked_to]
