"""What the pages of the documentation show, and a shell that their commands are typed into."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Shell", "console_steps", "open_shell", "section", "shape", "shown_json"]

ROOT = Path(__file__).parents[2]


def section(page: str, heading: str) -> str:
    """What stands under a heading of a page, until the next heading of its level."""
    level = heading.partition(" ")[0]
    found = re.findall(
        rf"^{re.escape(heading)}$(.*?)(?=^{level} |\Z)", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(found) == 1, f"{page} has no {heading!r}, or several"
    return str(found[0])


def console_steps(text: str) -> list[tuple[str, list[str]]]:
    """The commands of the console blocks in a text, each with the lines that it is said to show."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def shown_json(verb: str, at: int = 0) -> Any:
    """What docs/cli.md shows as the JSON of a verb: the block after the line that begins with its name."""
    page = (ROOT / "docs" / "cli.md").read_text()
    block = re.search(rf"^`{re.escape(verb)}`.*?" + r"```json\n(.*?)```\s*?" * (at + 1), page, re.MULTILINE | re.DOTALL)
    assert block is not None, f"docs/cli.md shows no JSON of {verb}"
    return json.loads(block[at + 1])


def shape(value: object) -> object:
    """A value with its keys, but of lists the first item only, and not what is in args."""
    if isinstance(value, dict):
        return {key: shape(item) if key != "args" else ... for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else []
    return None


class Shell:
    """A shell that is typed into; what its commands print can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.shown: list[str] = []

    def type(self, line: str) -> None:
        """Type a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def shows(self, wanted: str, within: float = 60) -> str:
        """Wait for a line that matches *wanted*."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            while line := await self._process.stdout.readline():
                self.shown.append(line.decode().rstrip())
                if re.search(wanted, self.shown[-1]):
                    return self.shown[-1]
        raise AssertionError(f"ended without showing {wanted!r}:\n" + "\n".join(self.shown))

    def interrupt(self) -> None:
        """Press Ctrl-C, which is for whatever runs in this terminal."""
        os.killpg(self._process.pid, signal.SIGINT)


@contextlib.asynccontextmanager
async def open_shell(folder: Path, environment: dict[str, str]) -> AsyncIterator[Shell]:
    """A shell in a folder; whatever it started ends with it."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Shell(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
