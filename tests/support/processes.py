"""Real worker processes for tests."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["WorkerProcess", "Workers"]

PROGRAM = Path(__file__).parent / "programs" / "worker.py"
PATIENCE = 30.0


class WorkerProcess:
    """One process that runs `programs/worker.py`; what it says can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []
        self.news = asyncio.Condition()
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            async with self.news:
                self.said.append(line.decode().strip())
                self.news.notify_all()
        async with self.news:
            self.news.notify_all()

    async def tells(self, beginning: str, times: int = 1, within: float = PATIENCE) -> None:
        """Wait until it has said so many lines that begin like this."""
        async with asyncio.timeout(within), self.news:
            await self.news.wait_for(lambda: sum(line.startswith(beginning) for line in self.said) >= times)

    async def says(self, *texts: str, within: float = PATIENCE) -> None:
        """Wait until it has said all of *texts*."""
        async with asyncio.timeout(within), self.news:
            await self.news.wait_for(lambda: all(text in self.said for text in texts) or self.reader.done())
        missing = [text for text in texts if text not in self.said]
        assert not missing, f"the process ended without saying {missing}; it said {self.said}"

    async def says_times(self, text: str, times: int, within: float = PATIENCE) -> None:
        """Wait until it has said *text* so often."""
        async with asyncio.timeout(within), self.news:
            await self.news.wait_for(lambda: self.said.count(text) >= times or self.reader.done())
        assert self.said.count(text) >= times, f"the process ended; it said {self.said}"

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def freeze(self) -> None:
        """Stop it where it is, as a laptop's sleep does."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        with suppress(ProcessLookupError):
            self.process.kill()

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
            await self.reader
        return code

    async def stop(self) -> int:
        """Let it stop in order; its exit code."""
        if self.process.stdin is not None and self.process.returncode is None:
            self.process.stdin.close()
        return await self.ended()


class Workers:
    """Starts worker processes on one server, and ends them all; *program* stands in `programs/`."""

    def __init__(self, url: str, *, program: str = "worker.py", **settings: Any) -> None:
        self._url = url
        self._program = PROGRAM.with_name(program)
        self._settings = settings
        self.all: list[WorkerProcess] = []

    async def start(self, role: str = "", **settings: Any) -> WorkerProcess:
        """Start one and wait until it works."""
        options = json.dumps({**self._settings, **settings, "role": role})
        worker = WorkerProcess(
            await asyncio.create_subprocess_exec(
                sys.executable,
                str(self._program),
                self._url,
                options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )
        self.all.append(worker)
        async with asyncio.timeout(PATIENCE), worker.news:
            await worker.news.wait_for(
                lambda: any(line.startswith("ready") for line in worker.said) or worker.reader.done()
            )
        return worker

    def said(self) -> list[str]:
        """What all of them have said, those that ended among them."""
        return [line for worker in self.all for line in worker.said]

    async def __aenter__(self) -> Workers:
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.all:
            worker.kill()
            await worker.ended()
