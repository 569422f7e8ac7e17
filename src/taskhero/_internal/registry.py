"""Entries by name, to which plugins add."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries by name. Iterate over it for the names, sorted. A derived class checks what is added."""

    def __init__(self) -> None:
        self._entries: dict[str, T] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def clear(self) -> None:
        """Remove all entries."""
        self._entries = {}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Restore the entries if the block raises, so that a plugin is registered completely or not at all."""
        before = dict(self._entries)
        try:
            yield
        except BaseException:
            self._entries = before
            raise
