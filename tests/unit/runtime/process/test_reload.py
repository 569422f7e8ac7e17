"""Changes of files are noticed where a program's files are, and nowhere else."""

from __future__ import annotations

import asyncio
import os

import pytest

from taskhero.runtime.process.reload import FileWatcher

pytestmark = pytest.mark.anyio


async def change(sources: FileWatcher) -> str:
    async with asyncio.timeout(10):
        return await anext(sources.changes())


async def test_a_file_that_is_added_changed_or_removed_is_noticed(tmp_path):
    sources = FileWatcher([tmp_path], interval=0.01)
    source = tmp_path / "package" / "shop.py"
    source.parent.mkdir()
    source.write_text("a = 1")
    assert await change(sources) == str(source)
    os.utime(source, ns=(1, 1))
    assert await change(sources) == str(source)
    source.unlink()
    assert await change(sources) == str(source)


async def test_a_change_before_anybody_waits_counts(tmp_path):
    sources = FileWatcher([tmp_path], interval=0.01)
    (tmp_path / "shop.py").write_text("")
    assert await change(sources) == str(tmp_path / "shop.py")


async def test_other_files_do_not_matter(tmp_path):
    for folder in (".venv", "__pycache__", "node_modules", "src"):
        (tmp_path / folder).mkdir()
    sources = FileWatcher([tmp_path], interval=0.01)
    for folder in (".venv", "__pycache__", "node_modules"):
        (tmp_path / folder / "a.py").write_text("")
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "src" / "z.py").write_text("")
    assert await change(sources) == str(tmp_path / "src" / "z.py")
