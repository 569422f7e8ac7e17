"""The command `taskhero` as a real process whose output can be waited for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import PATIENCE, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["PROGRAMS", "Command", "commands"]

PROGRAMS = Path(__file__).parent / "programs"


class Command(WorkerProcess):
    """One process, whose standard output and error are one text of lines."""

    async def shows(self, pattern: str, *, times: int = 1) -> list[re.Match[str]]:
        """Wait until *times* lines of it match, and return the matches."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.said if (match := re.search(pattern, line))]

        async with asyncio.timeout(PATIENCE), self.news:
            await self.news.wait_for(lambda: len(found()) >= times or self.reader.done())
        assert len(found()) >= times, f"ended without showing {pattern!r} {times} times:\n" + "\n".join(self.said)
        return found()


class Commands:
    """Starts commands and ends them all."""

    def __init__(self) -> None:
        self.all: list[Command] = []

    async def start(
        self, *words: str, url: str = "memory://", cwd: Path = PROGRAMS, module: str = "taskhero", **settings: Any
    ) -> Command:
        """Start ``taskhero`` (or another module) with these words; *settings* are those of the app `shop`."""
        environment = {**os.environ, "SHOP_URL": url, "SHOP_SETTINGS": json.dumps(settings)}
        command = Command(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *words),
                cwd=cwd,
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        )
        self.all.append(command)
        return command

    async def work(self, *words: str, url: str, ready: int = 1, **settings: Any) -> Command:
        """Start ``taskhero work`` for the app `shop`, and wait until *ready* processes work."""
        command = await self.start("work", "--app", "shop:app", *words, url=url, **settings)
        await command.shows(r"process \d+ works: ", times=ready)
        return command


@contextlib.asynccontextmanager
async def commands() -> AsyncIterator[Commands]:
    """Commands that end with the block."""
    started = Commands()
    try:
        yield started
    finally:
        for command in started.all:
            command.kill()
            await command.ended()
