"""Pausing and failing jobs of an app that runs inside another program, where no signal is handled."""

from __future__ import annotations

import asyncio

import pytest

from taskhero import Settings, TaskHero
from taskhero.errors import StoppedBySignal

pytestmark = pytest.mark.anyio
LIMIT = 10


async def test_the_multi_worker_is_paused_and_fails_what_runs():
    app = TaskHero(settings=Settings(max_task_processors=1))
    events: asyncio.Queue[str] = asyncio.Queue()

    @app.task
    async def work(n: int) -> None:
        events.put_nowait(f"began {n}")
        await asyncio.Event().wait()

    app.on("failure", lambda event: events.put_nowait(type(event.error).__name__))

    async def next_event() -> str:
        return await asyncio.wait_for(events.get(), LIMIT)

    async with app.running():
        workers = app.multi_worker
        assert workers is not None
        assert not workers.paused
        await work.enqueue(1)
        assert await next_event() == "began 1"
        assert workers.pause()
        assert workers.paused
        assert not workers.pause()
        assert workers.fail_running(lambda: StoppedBySignal("told by a test")) == 1
        assert await next_event() == "StoppedBySignal"
        await work.enqueue(2)
        assert workers.fail_running(lambda: StoppedBySignal("told by a test")) == 0
        assert await app.queue.length("default") == 1
        assert workers.resume()
        assert await next_event() == "began 2"
        assert workers.fail_running(lambda: StoppedBySignal("told by a test")) == 1
        assert await next_event() == "StoppedBySignal"
        workers.pause()
    async with app.running():
        assert app.multi_worker is not None
        assert not app.multi_worker.paused, "a pause lasts as long as the run"
