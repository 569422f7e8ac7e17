"""Notice changed files of a program, for development."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

__all__ = ["FileWatcher"]

#: Folders that do not contain a program's own files.
_IGNORED_FOLDERS: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"})


class FileWatcher:
    """Watches the Python files below some folders by polling.

    Args:
        folders: The folders.
        interval: Seconds between two scans.
    """

    def __init__(self, folders: Iterable[Path], *, interval: float = 0.5) -> None:
        self._folders = tuple({folder.resolve() for folder in folders})
        self._interval = interval
        # Changes count from here, not from the first call of `changes`.
        self._known = self._scan()

    async def changes(self) -> AsyncIterator[str]:
        """Yield the path of one file after each scan that found changed, added or removed files."""
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
        folders[:] = [name for name in folders if name not in _IGNORED_FOLDERS and not name.startswith(".")]
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(parent, name)  # noqa: PTH118
