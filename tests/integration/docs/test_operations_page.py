"""docs/operations.md: its commands, in their order, on a real Redis show what the page says that they show."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from docs_pages import ROOT, Shell, console_steps, open_shell

from taskhero import Settings, TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

PAGE = ROOT / "docs" / "operations.md"
#: What is another one each time, as the page shows it.
CHANGING = {
    r"2026-11-23 \d\d:\d\d:\d\d\+00:00": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d",
    r"2026-11-23T\d\d:\d\d:\d\d\+00:00": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00",
    r"host\.th0123456789:17\+1": r"[^:]+\.th[0-9a-f]{10}:\d+\+\d+",
    r"/srv/shop/shop\.py": r"/\S+/shop\.py",
    r"redis://localhost:6379/0": r"redis://127\.0\.0\.1:\d+/0",
    r" +": r"\s+",
    r"─+": r"─+",
}


def pattern(line: str) -> str:
    """What a shown line may look like: times, names and the widths of columns are other ones each time."""
    found = ""
    rest = line.rstrip()
    while rest:
        for shown, meant in CHANGING.items():
            if match := re.match(shown, rest):
                found, rest = found + meant, rest[match.end() :]
                break
        else:
            found, rest = found + re.escape(rest[0]), rest[1:]
    return found + r"\s*"


def programs() -> tuple[str, str]:
    """`shop.py` with its mistake, and as it is after the fix."""
    wrong, fixed = re.findall(r"^```python fragment\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    head, mark, _ = wrong.partition('@app.task(queue="mail")')
    assert fixed.startswith(mark)
    return wrong, head + fixed


async def run(shell: Shell, command: str, lines: list[str]) -> None:
    """Run a command; all that it prints, but for empty lines, is what the page shows. Workers log besides."""
    begin = len(shell.shown)
    shell.type(f"{command}; echo ended with $?")
    ended = await shell.shows("^ended with")
    told = [line for line in shell.shown[begin:-1] if line.strip()]
    wanted = [line for line in lines if line.strip()]
    if command.startswith("taskhero work ") or not wanted:
        for line in wanted:
            assert line in told, told
    else:
        assert len(told) == len(wanted), "\n".join(told)
        for real, line in zip(told, wanted, strict=True):
            assert re.fullmatch(pattern(line), real), f"{command}\nthe page: {line!r}\nin truth: {real!r}"
    assert ended == "ended with 0", "\n".join(told)


async def test_the_page_is_true(start_server: Any, tmp_path: Path) -> None:
    """From a failing job to a paused worker, by what the page says and nothing else."""
    server = start_server("redis7")
    shop = tmp_path / "shop.py"
    wrong, fixed = (program.replace("redis://localhost:6379/0", server.url) for program in programs())
    shop.write_text(wrong)

    troubles = [
        ("resque:resque:resque_scheduler_master_lock", "app-host:4321", "EX", "180"),
        ("resque:pause-all-workers", "true"),
    ]

    def prepare(command: str) -> None:
        """What has gone wrong before this command is typed."""
        if command == "taskhero failed retry 0 --yes":
            shop.write_text(fixed)
        elif command == "taskhero workers":
            leave_a_worker(server)
        elif command.startswith("redis-cli TYPE "):
            key = command.split()[-1]
            server.command("DEL", key)
            assert server.command("SET", key, "no list") == b"+OK"
        elif command == "taskhero status":
            key, value, *life = troubles.pop(0)
            assert server.command("SET", key, value, *life) == b"+OK"

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    steps = console_steps(PAGE.read_text())
    async with open_shell(tmp_path, environment) as shell:
        for command, lines in steps:
            prepare(command)
            if command.startswith("redis-cli "):
                words = command.split()[1:]
                assert server.command(*words) == (b"+string" if words[0] == "TYPE" else b":1")
            else:
                await run(shell, command, lines)
    verbs = [command for command, _ in steps if command.startswith("taskhero ")]
    first = verbs.index("taskhero failed")
    assert [command.split()[1] for command in verbs[first : first + 4]] == ["failed", "failed", "failed", "work"]


async def test_workers_sign_on_again_when_redis_has_lost_everything(start_server: Any) -> None:
    """As the page promises: jobs that come then are worked, periodic tasks begin anew, and the workers are in view."""
    server = start_server("redis7")
    settings = Settings(max_task_processors=1, scheduler=True, timeout=0.5, heartbeat_interval=0.5, rescue_after=2)
    app = TaskHero(server.url, settings=settings)
    came, ran = asyncio.Event(), asyncio.Event()

    @app.task
    async def late() -> None:
        came.set()

    @app.task(frequency=1)
    async def again() -> None:
        ran.set()

    async with app.running(), asyncio.timeout(60):
        await ran.wait()
        assert server.command("FLUSHALL") == b"+OK"
        ran.clear()
        await late.enqueue()
        await came.wait()
        await ran.wait()
        while not await app.queue.workers():
            await asyncio.sleep(0)


def leave_a_worker(server: Any) -> None:
    """A worker of node-resque whose machine is gone, two hours ago."""
    then = time.time() - 7200
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then))
    name, queues = "old-host:17+1", "mail"
    job = {"class": "Resize", "args": [7], "queue": queues}
    working = {"run_at": date, "queue": queues, "payload": job, "worker": name}
    ping = {"time": int(then), "name": name, "queues": queues}
    server.command("SADD", "resque:workers", f"{name}:{queues}")
    server.command("SET", f"resque:worker:{name}:{queues}", json.dumps(working))
    server.command("SET", f"resque:worker:{name}:{queues}:started", date)
    server.command("SET", f"resque:worker:ping:{name}", json.dumps(ping))
