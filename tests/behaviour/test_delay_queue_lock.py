"""A delay-queue-lock: no job beside an equal one that is delayed."""

from __future__ import annotations

import asyncio

import pytest

from taskhero import AlreadyScheduled
from taskhero.plugins import DelayQueueLock

pytestmark = pytest.mark.anyio


def declare(app, **options):
    @app.task(queue="math", plugins=(DelayQueueLock(),), **options)
    async def add(a, b):
        return a + b

    return add


async def test_a_job_is_refused_while_an_equal_one_is_delayed_and_others_are_not(harness):
    app = harness.app(scheduler=False, processors=1)
    add = declare(app)
    async with app:
        assert await add.enqueue_in(60, 1, 2)
        assert [await add.enqueue(1, 2), await add.enqueue(2, 1)] == [False, True]
        assert await add.options(queue="other").enqueue(1, 2)
        assert [job.args for job in await app.queue.queued("math")] == [[2, 1]]


async def test_it_holds_for_later_jobs_too_and_for_all_at_once(harness):
    """node-resque checks in a separate step, and only when a job is enqueued for now."""
    app = harness.app(scheduler=False)
    add = declare(app)
    async with app:
        stored = await asyncio.gather(*(add.enqueue_in(60 + n, 1, 2) for n in range(20)))
        assert sorted(stored) == [False] * 19 + [True]
        assert await add.enqueue_in(3600, 1, 2) is False
        assert await add.enqueue(1, 2) is False


async def test_the_delayed_job_itself_is_promoted_and_done(harness):
    app = harness.app()
    add = declare(app)
    async with app.running():
        assert await add.enqueue_in(60, 1, 2)
        harness.later(app, 61)
        await harness.happened("success")
        assert await add.enqueue(1, 2), "nothing is delayed any more"
        await harness.happened("success", 2)


async def test_an_index_that_names_a_job_that_is_gone_refuses_nothing(harness):
    """node-resque trusts the index, so a delayed job that was deleted by hand blocks its equals without end."""
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    add = declare(app)
    async with app:
        text = '{"class":"add","queue":"math","args":[1,2]}'
        await harness.redis(app, "SADD", f"resque:timestamps:{text}", "delayed:1999999999")
        assert await add.enqueue(1, 2)


async def test_without_it_equal_jobs_of_one_second_are_told_apart_by_an_error(harness):
    app = harness.app(scheduler=False)

    @app.task
    async def add(a, b):
        pass

    async with app:
        await add.enqueue_in(60, 1, 2)
        with pytest.raises(AlreadyScheduled):
            await add.enqueue_in(60, 1, 2)
