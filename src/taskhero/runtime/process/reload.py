"""Noticing that a program's files have changed, for development."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

__all__ = ["FileWatcher"]

#: Folders in which nobody edits a program.
_ELSEWHERE: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"})


class FileWatcher:
    """The Python files below some folders, looked at twice a second.

    Args:
        folders: Where to look.
        interval: Seconds between two looks.
    """

    def __init__(self, folders: Iterable[Path], *, interval: float = 0.5) -> None:
        self._folders = tuple({folder.resolve() for folder in folders})
        self._interval = interval
        # From now on, not from when somebody begins to wait.
        self._known = self._scan()

    async def changes(self) -> AsyncIterator[str]:
        """Yield the path of a file whenever files were changed, added or removed."""
        while True:
            await asyncio.sleep(self._interval)
            now = await asyncio.to_thread(self._scan)
            changed = sorted(dict(set(now.items()) ^ set(self._known.items())))
            self._known = now
            if changed:
                yield changed[0]

    def _scan(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for folder in self._folders:
            for path in _files(str(folder)):
                try:
                    status = os.stat(path)  # noqa: PTH116 - thousands of them, twice a second
                except OSError:
                    continue
                found[path] = (status.st_mtime_ns, status.st_size)
        return found


def _files(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _ELSEWHERE and not name.startswith(".")]
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(parent, name)  # noqa: PTH118
