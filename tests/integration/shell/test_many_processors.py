"""As many task processors as the settings allow."""

from __future__ import annotations

import asyncio

import pytest

from taskhero import Settings, TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

MOST = 10_000


async def test_ten_thousand_processors_register_and_work_and_leave(start_server):
    """A script of Redis cannot hand on more than some thousand arguments at once."""
    server = start_server("redis7")
    settings = Settings(min_task_processors=MOST, max_task_processors=MOST, grace=0)
    app = TaskHero(server.url, settings=settings)
    running, at_once, all_at_once = 0, [], asyncio.Event()

    @app.task
    async def meet(n):
        nonlocal running
        running += 1
        at_once.append(n)
        if running == MOST:
            all_at_once.set()
        await all_at_once.wait()

    done = asyncio.Event()
    ended = []

    @app.on("success")
    def count(job):
        ended.append(job.args[0])
        if len(ended) == 2 * MOST:
            done.set()

    async with app:
        assert await app.queue.enqueue_many(meet.job(n) for n in range(2 * MOST)) == 2 * MOST
        async with app.running(), asyncio.timeout(60):
            await all_at_once.wait()
            assert server.command("SCARD", "resque:workers") == b":10000"
            await done.wait()
            assert sorted(ended) == list(range(2 * MOST))
        assert server.command("SCARD", "resque:workers") == b":0"
        assert await app.queue.failed_count() == 0
