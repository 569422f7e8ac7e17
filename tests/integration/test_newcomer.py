"""The way of a newcomer: from an empty folder to a worker on Redis, by what README.md says and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
HEADING = "## A worker on Redis, from an empty folder"
README_REDIS = "redis://localhost:6379/0"
#: Variables of this machine that lead a new environment to where packages are.
KEPT = ("PATH", "HOME", "LANG", "CI", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy")


def way() -> tuple[list[tuple[str, list[str]]], str]:
    """What that section of the README says: each command with the lines that it shows, and the program."""
    (section,) = re.findall(
        rf"^{re.escape(HEADING)}$(.*?)^## ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    (program,) = re.findall(r"^```python fragment\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert "`shop.py`" in section
    return steps, program


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


@pytest.fixture
async def shell(tmp_path: Path) -> Any:
    """A shell in an empty folder beside a clone, that knows nothing of the environment of these tests."""
    (tmp_path / "taskhero").symlink_to(ROOT)
    folder = tmp_path / "shop"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PIP_")}
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env={**kept, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    shell = Shell(process)
    yield shell
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


async def test_a_newcomer_comes_to_a_worker_on_redis_with_the_readme_alone(
    shell: Shell, start_server: Any, tmp_path: Path
) -> None:
    """Declare, enqueue, look, work, stop: each command ends with 0 and shows what the README says it shows."""
    steps, program = way()
    assert README_REDIS in program
    (tmp_path / "shop" / "shop.py").write_text(program.replace(README_REDIS, start_server("redis7").url))
    for command, lines in steps:
        shell.type(f"{command}; echo ended with $?")
        for line in lines:
            await shell.shows(re.escape(line))
        if command == "taskhero work":
            shell.interrupt()
        ended = await shell.shows("^ended with")
        if command.startswith("pip") and ended != "ended with 0" and not os.environ.get("CI"):
            pytest.skip("this machine cannot install packages: " + " ".join(shell.shown[-3:]))
        assert ended == "ended with 0", "\n".join(shell.shown)
    assert [command.split()[0] for command, _ in steps].count("taskhero") >= 4, "it leads as far as it says"
