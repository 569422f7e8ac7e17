"""Without plugins, the way of a job calls nothing of the hooks."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager

import pytest

from taskhero import Settings, TaskHero, hookimpl

pytestmark = pytest.mark.anyio


class Hooked:
    @hookimpl
    def taskhero_before_enqueue(self, job): ...

    @hookimpl
    def taskhero_before_perform(self, job): ...


@contextmanager
def calls_of_hooks():
    """Collect each function of `taskhero.hooks` that this thread calls, those that attrs made included."""
    called: set[str] = set()

    def look(frame, event, _arg):
        if event == "call":
            file = frame.f_code.co_filename.replace("\\", "/")
            if "taskhero/hooks/" in file or "taskhero.hooks." in file:
                called.add(frame.f_code.co_name)

    sys.setprofile(look)
    try:
        yield called
    finally:
        sys.setprofile(None)


async def hooks_called_on_the_way_of_jobs(url: str, *plugins: object) -> set[str]:
    """Enqueue jobs that succeed and one that fails, in every way, and let them be worked."""
    app = TaskHero(url, settings=Settings(queues="q", min_task_processors=3, max_task_processors=3), plugins=plugins)
    ended: asyncio.Queue[str] = asyncio.Queue()

    @app.task(queue="q")
    async def awaited(n: int) -> None: ...

    @app.task(queue="q")
    def plain(n: int) -> None: ...

    @app.task(queue="q")
    async def failing(n: int) -> None:
        raise ValueError(n)

    app.on("success", lambda event: ended.put_nowait(event.job.name))
    app.on("failure", lambda event: ended.put_nowait(event.job.name))
    async with app.running():
        with calls_of_hooks() as called:
            assert await awaited.enqueue(1)
            assert await app.queue.enqueue("plain", [2])
            assert await app.queue.enqueue_many([failing.job(3), awaited.job(4)]) == 2
            assert await plain.enqueue_at(1, 5)
            names = [await asyncio.wait_for(ended.get(), 10) for _ in range(5)]
            assert await awaited.enqueue_in(1000, 6)
        assert sorted(names) == ["awaited", "awaited", "failing", "plain", "plain"]
    return called


@pytest.mark.parametrize("url", ["memory://", "fakeredis://"])
async def test_without_plugins_no_hook_machinery_is_called(url):
    assert await hooks_called_on_the_way_of_jobs(url) == set()


async def test_with_a_plugin_it_is_called():
    """So the test above would see it."""
    called = await hooks_called_on_the_way_of_jobs("memory://", Hooked())
    assert {"before_enqueue", "before_perform"} <= called
