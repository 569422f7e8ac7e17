"""A queue-lock: of equal jobs, one is queued."""

from __future__ import annotations

import asyncio

import pytest

from taskhero import hookimpl
from taskhero.backends.protocol import Entry
from taskhero.plugins import DelayQueueLock, JobLock, QueueLock, QueueLockGuard

pytestmark = pytest.mark.anyio


class Refusing:
    @hookimpl
    def taskhero_before_perform(self, job):
        return False


def declare(app, *plugins):
    @app.task(queue="math", plugins=plugins)
    async def add(a, b):
        return a + b

    return add


async def test_an_equal_job_is_refused_while_one_is_queued_and_others_are_not(harness):
    app = harness.app()
    add = declare(app, QueueLock())
    async with app:
        assert [await add.enqueue(1, 2), await add.enqueue(1, 2), await add.enqueue(2, 1)] == [True, False, True]
        assert await add.options(queue="other").enqueue(1, 2) is True
        assert [job.args for job in await app.queue.queued("math")] == [[1, 2], [2, 1]]


async def test_of_many_at_once_one_is_stored(harness):
    """node-resque takes the lock, sets its TTL and stores the job in three steps, with races between them."""
    app = harness.app()
    add = declare(app, QueueLock())
    async with app:
        assert sorted(await asyncio.gather(*(add.enqueue(1, 2) for _ in range(20)))) == [False] * 19 + [True]
        assert await app.queue.enqueue_many([add.job(n % 3, 7) for n in range(30)]) == 3


async def test_the_lock_goes_when_its_job_is_claimed_so_that_an_equal_one_can_be_queued_while_it_runs(harness):
    app = harness.app(processors=1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    @app.task(plugins=(QueueLock(),))
    async def report():
        begun.set()
        await go_on.wait()

    async with app.running():
        assert await report.enqueue()
        await begun.wait()
        assert [await report.enqueue(), await report.enqueue()] == [True, False]
        go_on.set()
        await harness.happened("success", 2)


async def test_the_lock_goes_when_another_plugin_refuses_the_job_it_was_claimed_for(harness):
    app = harness.app()
    add = declare(app, QueueLock(), Refusing())
    async with app.running():
        assert await add.enqueue(1, 2)
        await harness.happened("refused")
        assert await add.enqueue(1, 2)
        await harness.happened("refused", 2)


async def test_a_job_that_cannot_run_leaves_no_lock(harness):
    """Its args do not fit, so it fails without being called."""
    app = harness.app()
    add = declare(app, QueueLock())
    async with app.running():
        job = add.job(1, 2)
        job.args.append(3)
        assert await app.queue.push(job)
        await harness.happened("failure")
        assert await app.queue.push(job)
        await harness.happened("failure", 2)


@pytest.mark.parametrize("how", ["delete", "delete_some", "delete_queue"])
async def test_the_lock_goes_when_its_job_is_deleted(harness, how):
    app = harness.app()
    add = declare(app, QueueLock())
    async with app:
        assert await add.enqueue(1, 2)
        assert await add.enqueue(3, 4)
        if how == "delete_queue":
            assert await app.queue.delete_queue("math") == 2
            assert await app.queue.queues() == []
        else:
            assert await app.queue.delete("math", "add", [1, 2], 0 if how == "delete" else 1) == 1
        assert await add.enqueue(1, 2) is True
        assert await add.enqueue(3, 4) is (how == "delete_queue")


async def test_a_job_that_another_plugin_refuses_leaves_no_lock_behind(harness):
    """With ActionHero's order of plugins the lock stays for an hour, and the job cannot be queued again."""
    app = harness.app()
    add = declare(app, JobLock(), QueueLock(), DelayQueueLock())
    async with app.running():
        assert await add.enqueue_in(60, 1, 2)
        assert await add.enqueue(1, 2) is False
        harness.later(app, 61)
        await harness.happened("success")
        assert await add.enqueue(1, 2) is True
        await harness.happened("success", 2)


async def test_a_lock_that_lapsed_is_taken_anew(harness):
    app = harness.app(scheduler=False)
    add = declare(app, QueueLock(timeout=30))
    async with app:
        assert await add.enqueue(1, 2)
        harness.clock.advance(29)
        assert await add.enqueue(1, 2) is False
        harness.clock.advance(3)
        assert await add.enqueue(1, 2) is True
        assert await add.enqueue(1, 2) is False


async def test_a_delayed_job_is_merged_with_an_equal_one_that_waits_when_its_moment_comes(harness):
    app = harness.app(processors=0)
    add = declare(app, QueueLock())
    async with app.running():
        assert await add.enqueue_in(60, 1, 2)
        assert await add.enqueue(1, 2), "a delayed job holds no lock"
        harness.later(app, 61)
        (merged,) = await harness.happened("merged")
        assert (merged.job.name, merged.queue) == ("add", "math")
        assert await app.queue.length("math") == 1


async def test_a_key_of_ones_own_makes_other_jobs_equal(harness):
    app = harness.app()

    @app.task(plugins=(QueueLock(key=lambda job: f"lock:user-{job.args[0]}"),))
    async def sync(user, what):
        pass

    async with app:
        assert [await sync.enqueue(1, "mail"), await sync.enqueue(1, "files"), await sync.enqueue(2, "mail")] == [
            True,
            False,
            True,
        ]


async def test_the_lock_on_the_wire_is_that_of_node_resque(harness):
    if not harness.is_redis:
        return
    app = harness.app()
    add = declare(app, QueueLock(timeout=100))
    async with app:
        assert await add.enqueue(1, 2)
        key = "resque:lock:add:math:[1,2]"
        assert await harness.redis(app, "GET", key) == str(int(harness.clock.now()) + 101).encode()
        assert 90 < await harness.redis(app, "TTL", key) <= 100
        # Taken by the other side, it refuses ours; anything that is no number is taken for lapsed, as there.
        await harness.redis(app, "SET", "resque:lock:add:math:[5]", int(harness.clock.now()) + 100)
        assert await app.queue.push(app.queue.job("add", [1, 3])) is True
        await harness.redis(app, "SET", "resque:lock:add:math:[1,4]", int(harness.clock.now()) + 100)
        assert await add.enqueue(1, 4) is False
        await harness.redis(app, "SET", "resque:lock:add:math:[1,4]", "true")
        assert await add.enqueue(1, 4) is True


async def test_a_lock_that_was_left_behind_drops_no_delayed_job(harness):
    """ActionHero loses the job: it removes the job from the delayed set before the promotion refuses it."""
    app = harness.app()
    add = declare(app, QueueLock())
    async with app.running():
        await app.backend.push([Entry("elsewhere", "{}", guards=(QueueLockGuard("lock:add:math:[1,2]", 3600),))])
        assert await add.enqueue_in(60, 1, 2)
        harness.later(app, 61)
        await harness.happened("success")
        assert harness.told("merged") == []


async def test_jobs_that_share_a_lock_without_being_equal_wait_for_it(harness):
    """To drop one that was accepted would lose it."""
    app = harness.app(processors=1)
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    @app.task(plugins=(QueueLock(key="lock:one-at-a-time"),))
    async def sync(n):
        done.append(n)

    @app.task
    async def busy():
        begun.set()
        await go_on.wait()

    async with app.running():
        await busy.enqueue()
        await begun.wait()
        assert await sync.enqueue_in(60, 1)
        assert await sync.enqueue_in(61, 2)
        harness.later(app, 62)
        await harness.happened("transferred_job")
        assert await app.queue.length("default") == 1
        go_on.set()
        await harness.until(lambda: len(harness.told("success")) == 3)
        assert done == [1, 2]
