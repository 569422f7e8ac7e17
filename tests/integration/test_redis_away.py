"""Redis goes away and comes back: work goes on by itself, nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path

import pytest

from taskhero import Settings, TaskHero
from taskhero.errors import BackendError, BackendUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

RESTARTS = 50
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def test_work_goes_on_within_a_second_of_each_return_of_redis(start_server):
    server = start_server("redis7", *DURABLE)
    settings = Settings(queues="q", max_task_processors=4, scheduler=True, timeout=0.5, heartbeat_interval=0.5)
    app = TaskHero(server.url, settings=settings)
    done: dict[int, asyncio.Event] = {n: asyncio.Event() for n in range(RESTARTS + 1)}
    counts = dict.fromkeys(done, 0)

    @app.task(queue="q")
    async def note(n: int) -> None:
        counts[n] += 1
        done[n].set()

    async with app.running():
        await note.enqueue(RESTARTS)
        await asyncio.wait_for(done[RESTARTS].wait(), 10)
        await asyncio.to_thread(server.restart)
        tasks_before, files_before = len(asyncio.all_tasks()), open_files()
        late = []
        for n in range(RESTARTS):
            if n % 2:
                await asyncio.to_thread(server.kill)
                with pytest.raises(BackendError):
                    await note.enqueue(n)
            await asyncio.to_thread(server.restart)
            back = time.monotonic()
            await enqueue_when_back(note, n)
            await asyncio.wait_for(done[n].wait(), 10)
            late.append(time.monotonic() - back)
        gc.collect()
        assert len(asyncio.all_tasks()) <= tasks_before + 3
        assert open_files() <= files_before + 3
        assert sorted(late)[-3] < 1.5, "each backoff is short; a machine may stumble once or twice"
    assert all(counts.values())


async def enqueue_when_back(task, n):
    """Enqueue once; a connection that was cut by the restart is told apart from a push that may be stored."""
    async with asyncio.timeout(10):
        while True:
            try:
                await task.enqueue(n)
                return
            except BackendUnavailable:
                await asyncio.sleep(0)


async def test_a_producer_is_told_within_its_timeout_that_redis_does_not_answer(start_server):
    server = start_server("redis7")
    app = TaskHero(server.url)
    async with app:
        await app.queue.enqueue("t", [1], "q")
        server.pause()
        try:
            began = time.monotonic()
            with pytest.raises(BackendError, match="127.0.0.1"):
                await app.queue.enqueue("t", [2], "q")
            assert time.monotonic() - began < 10
        finally:
            server.resume()
        assert await app.queue.enqueue("t", [3], "q")
