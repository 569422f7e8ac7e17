"""A shop whose app is on a real server, and the command `taskhero` in its folder."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from taskhero import TaskHero
from taskhero.cli.main import taskhero as command
from taskhero.wire.failures import Description, encode_failure

__all__ = ["MENDING", "Shop", "asked", "shop"]

SHOP = """
import os
from taskhero import TaskHero, hookimpl
from taskhero.plugins import QueueLock

class Closed:
    @hookimpl
    def taskhero_before_enqueue(self, job, ctx):
        if job.args == [-1, -1]:
            raise OSError("the calendar is away")
        return job.args != [0, 0]

app = TaskHero(os.environ["SHOP_URL"], plugins=[Closed()])

@app.task(queue="math")
def add(a: int, b: int) -> int:
    return a + b

@app.task(queue="math", plugins=(QueueLock(),))
def once(n: int) -> None: ...

@app.task(frequency=3600)
async def clean_up() -> None: ...
"""
#: Every verb that asks before it changes something, with arguments.
MENDING = [
    ["queues", "delete", "math"],
    ["delayed", "delete", "--all"],
    ["workers", "clean", "--age", "60"],
    ["workers", "clean", "old:1+1"],
    ["workers", "retry-stuck"],
    ["failed", "retry", "0"],
    ["failed", "retry", "--all"],
    ["failed", "remove", "0"],
    ["failed", "remove", "--all"],
    ["locks", "delete", "lock:x"],
]


class Shop:
    """A folder with `shop.py` whose app is on a server, and the command in it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.url: str = server.url

    def __call__(self, *words: str, typed: str = "") -> Result:
        """Run a verb on the app."""
        told = CliRunner().invoke(command, [*words, "--app", "shop:app"], input=typed, prog_name="taskhero")
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        assert "Traceback" not in told.stderr
        return told

    def json(self, *words: str, code: int = 0) -> Any:
        """What a verb prints with ``--json``."""
        told = self(*words, "--json")
        assert told.exit_code == code, told.output
        return json.loads(told.stdout)

    def do(self, work: Callable[[TaskHero], Awaitable[Any]]) -> Any:
        """Do something with an app of no tasks on the server."""

        async def main() -> Any:
            async with TaskHero(self.url) as app:
                return await work(app)

        return asyncio.run(main())

    def redis(self, *words: str | bytes | int) -> None:
        """Send a command to the server."""
        assert not self.server.command(*words).startswith(b"-"), words

    def fail(self, name: str, *args: Any, queue: str = "math", exception: str = "LookupError", age: float = 0) -> None:
        """List a failure."""
        raw = json.dumps({"class": name, "args": args})
        description = Description(exception, f"no {name}", ["Traceback", "  line"])
        failed_at = time.time() - age
        text = encode_failure(description, raw=raw, queue=queue, worker="host:17+1", failed_at=failed_at)
        self.redis("RPUSH", "resque:failed", text)

    def failures(self) -> list[Any]:
        """The arguments of all that is listed as failed."""
        return [each.job.args for each in self.do(lambda app: app.queue.failed())]

    def queued(self, queue: str = "math") -> list[Any]:
        """The arguments of all that waits in a queue."""
        return [each.args for each in self.do(lambda app: app.queue.queued(queue))]

    def leave_worker(self, name: str = "old:1+1", queues: str = "math", args: tuple[Any, ...] = (7,)) -> None:
        """A worker of node-resque, busy for an hour."""
        date = datetime.fromtimestamp(time.time() - 3600, UTC).isoformat()
        working = {"run_at": date, "queue": "math", "payload": {"class": "add", "args": list(args)}, "worker": name}
        self.redis("SADD", "resque:workers", f"{name}:{queues}")
        self.redis("SET", f"resque:worker:{name}:{queues}", json.dumps(working))


@pytest.fixture
def shop(start_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """An app on a server."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    server = start_server("redis7")
    monkeypatch.setenv("SHOP_URL", server.url)
    return Shop(server)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at a terminal."""
    monkeypatch.setattr("taskhero.cli.parameters._is_interactive", lambda: True)
