"""A folder with an app that verbs can be run on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from taskhero.cli.main import taskhero as command

SHOP = '''
from taskhero import Settings, TaskHero

app = TaskHero(settings=Settings(max_task_processors=1))
away = TaskHero("redis://ann:s3cr3t@127.0.0.1:1/0")


@app.task(queue="math", timeout=3)
def add(a: int, b: int) -> int:
    """Add two numbers.

    In a thread.
    """
    return a + b


@app.task
async def send_mail(*, to: str) -> None:
    """Write to somebody."""
    raise LookupError(f"nobody is called {to}\\nreally")


away.task(name="add")(add.function)
'''


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module `shop` in the working directory, with `app` in memory and `away` on a Redis that is not there."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    sys.modules.pop("shop", None)
    import shop as module

    yield module
    sys.modules.pop("shop", None)


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the command as a terminal would."""

    def invoke(*words: str, **variables: str) -> Result:
        told = CliRunner().invoke(command, words, env=variables, prog_name="taskhero")
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        assert "Traceback" not in told.stderr
        return told

    return invoke


@pytest.fixture
def filled(shop: Any) -> Any:
    """The same module; a job of `add` waits in its app, another is delayed, and two of `send_mail` have failed."""

    async def fill() -> None:
        failed = asyncio.Event()
        seen: list[object] = []

        @shop.app.on("failure")
        def count(event: object) -> None:
            seen.append(event)
            if len(seen) == 2:
                failed.set()

        async with shop.app.running():
            await shop.send_mail.enqueue(to="ann")
            await shop.send_mail.enqueue(to="\x1b[2Jbob")
            await asyncio.wait_for(failed.wait(), 20)
        async with shop.app:
            await shop.add.enqueue(1, 2)
            await shop.add.enqueue_in(3600, 3, 4)

    asyncio.run(fill())
    return shop
