"""The command line as real processes on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from taskhero import Job, Settings, TaskHero

pytestmark = pytest.mark.anyio

SHOP = """
import os
from taskhero import Refused, TaskHero, hookimpl

class Closed:
    @hookimpl
    def taskhero_before_enqueue(self, job, ctx):
        return job.args != [0, 0]

app = TaskHero(os.environ["SHOP_URL"], plugins=[Closed()])

@app.task(queue="math")
def add(a: int, b: int) -> int:
    return a + b
"""


@pytest.fixture
def redis_url(start_server: Any) -> str:
    """One kind of server will do: what they have in common is tested below the command line."""
    return start_server("valkey9").url


@pytest.fixture
def taskhero(tmp_path: Path, redis_url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a folder with `shop.py`, whose app is on the server."""
    (tmp_path / "shop.py").write_text(SHOP)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "taskhero", *words],
            cwd=tmp_path,
            env={**os.environ, "SHOP_URL": redis_url, "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


async def test_enqueue_with_an_app_without_one_and_for_later(taskhero: Callable[..., Any], redis_url: str) -> None:
    told = taskhero("enqueue", "add", "--args", "[1, 2]", "--app", "shop:app")
    assert (told.returncode, told.stdout, told.stderr) == (0, "enqueued add [1, 2] in queue math\n", "")
    told = taskhero("enqueue", "Mail", "--args", '{"to": "ann"}', "-q", "mail", "--backend", redis_url, "--json")
    assert json.loads(told.stdout) == {
        "stored": True,
        "job": {"name": "Mail", "args": [{"to": "ann"}], "queue": "mail"},
        "at": None,
    }
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    (shown,) = re.findall(r"^`enqueue`:.*?```json\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert json.loads(shown).keys() == json.loads(told.stdout).keys()
    assert json.loads(shown)["job"].keys() == json.loads(told.stdout)["job"].keys()
    before = time.time()
    told = taskhero("enqueue", "add", "--args", "[3, 4]", "--in", "10m", "--app", "shop:app", "--json")
    at = datetime.fromisoformat(json.loads(told.stdout)["at"])
    assert before + 600 <= at.timestamp() <= time.time() + 601
    told = taskhero("enqueue", "add", "--args", "[3, 4]", "--at", "2099-01-01T00:00:00+01:00", "--app", "shop:app")
    assert told.stdout == "enqueued add [3, 4] in queue math for 2098-12-31T23:00:00+00:00\n"
    told = taskhero("enqueue", "add", "--args", "[3, 4]", "--at", "4070905200", "--app", "shop:app")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (
        "Error: a job of 'add' with the same arguments is already delayed to 2098-12-31T23:00:00+00:00\n"
    )
    told = taskhero("enqueue", "Old", "-q", "old", "--at", "2000-01-01T00:00:00Z", "--backend", redis_url, "--json")
    assert json.loads(told.stdout)["at"] is None
    told = taskhero("enqueue", "add", "--args", "[0, 0]", "--app", "shop:app", "--json")
    assert (told.returncode, json.loads(told.stdout)["stored"]) == (1, False)
    assert told.stderr == "Error: a plugin refused the job add [0, 0]; nothing was stored\n"
    async with TaskHero(redis_url) as app:
        assert await app.queue.queued("math") == [Job("add", [1, 2], "math", raw=(await app.backend.queued("math"))[0])]
        assert await app.queue.length("old") == 1
        (mail,) = await app.queue.queued("mail")
        assert (mail.name, mail.args) == ("Mail", [{"to": "ann"}])
        assert (await app.backend.due(10)).next_at == int(at.timestamp())


async def test_inspecting_what_others_wrote(taskhero: Callable[..., Any], redis_url: str) -> None:
    async with TaskHero(redis_url) as app:
        await app.queue.enqueue("add", [1], "math")
        await app.backend.lead("somebody", 60)
    told = json.loads(taskhero("status", "--backend", redis_url, "--json").stdout)
    assert told["queues"] == [{"name": "math", "length": 1}]
    assert (told["leader"], told["processed"], told["error"]) == ("somebody", 0, None)
    told = taskhero("status", "--backend", redis_url)
    assert redis_url in told.stdout.splitlines(), "where it looked is not wrapped"
    told = taskhero("queues", "--app", "shop:app")
    assert (told.returncode, told.stderr) == (0, "")
    assert "math" in told.stdout


async def test_status_watch_goes_on_until_ctrl_c(tmp_path: Path, redis_url: str) -> None:
    """Each look is a line of JSON; a job that comes meanwhile is seen; the exit code is 0."""
    words = ["status", "--watch", "--interval", "0.1", "--json", "--backend", redis_url]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskhero", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert json.loads(await process.stdout.readline())["queues"] == []
        async with TaskHero(redis_url) as app:
            await app.queue.enqueue("add", [1], "math")
        while not (queues := json.loads(await process.stdout.readline())["queues"]):
            pass
        assert queues == [{"name": "math", "length": 1}]
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["people", "programs"])
async def test_status_watch_tells_how_many_jobs_a_second(words: list[str], redis_url: str) -> None:
    """From the second look on; without a terminal, each look is printed."""
    words = ["status", "--watch", "--interval", "0.1", "--backend", redis_url, *words]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskhero", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        first = (await process.stdout.readline()).decode()
        if "--json" in words:
            assert json.loads(first)["rates"] is None
            told = json.loads(await process.stdout.readline())
            assert told["rates"] == {"processed": 0.0, "failed": 0.0}
        async with TaskHero(redis_url, settings=Settings(max_task_processors=1)) as app:
            app.task(name="quick")(quick)
            async with app.running():
                await app.queue.enqueue_many([app.queue.job("quick") for _ in range(20)])
                while not (found := rate_in((await process.stdout.readline()).decode())):
                    pass
        assert 0 < found <= 1000
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def quick() -> None:
    """Do nothing."""


def rate_in(line: str) -> float:
    """How many jobs a second were processed, if a line says so."""
    if line.startswith("{"):
        rates = json.loads(line)["rates"]
        return float(rates["processed"]) if rates else 0.0
    found = re.match(r"each second: processed ([\d.]+)", line)
    return float(found[1]) if found else 0.0


async def test_status_watch_outlives_an_outage(start_server: Any) -> None:
    """While the server is away, the last look is told with the reason; then it goes on."""
    server = start_server("valkey9")
    words = ["status", "--watch", "--interval", "0.1", "--json", "--backend", server.url]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskhero", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert json.loads(await process.stdout.readline())["error"] is None
        server.kill()
        while not (told := json.loads(await process.stdout.readline()))["error"]:
            pass
        assert told["queues"] == []
        server.restart()
        while json.loads(await process.stdout.readline())["error"]:
            pass
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
