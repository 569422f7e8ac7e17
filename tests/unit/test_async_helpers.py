"""Tasks end, even if they lose a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from taskhero._internal.async_helpers import cancel_and_wait

pytestmark = pytest.mark.anyio


async def test_a_task_that_loses_a_cancellation_is_cancelled_again():
    begun = asyncio.Event()
    lost = 0

    async def stubborn():
        nonlocal lost
        while True:
            try:
                begun.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    async def failing():
        raise ValueError

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(failing())]
    await begun.wait()
    async with asyncio.timeout(5):
        assert not await cancel_and_wait(tasks)
    assert lost == 2
    assert all(task.done() for task in tasks)
    assert isinstance(tasks[1].exception(), ValueError)


async def test_no_tasks_are_no_trouble():
    await cancel_and_wait([])


async def test_a_task_that_still_runs_after_the_limit_is_returned():
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def stubborn():
        while not may_end.is_set():
            try:
                begun.set()
                await may_end.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(stubborn())
    await begun.wait()
    assert await cancel_and_wait([task], limit=0.01) == {task}
    may_end.set()
    assert not await cancel_and_wait([task])
