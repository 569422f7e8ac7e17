"""A producer's clock that is wrong: the store's clock decides when a job is due, on every store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskhero import RetryLater, hookimpl
from taskhero.clock import ManualClock
from taskhero.errors import AlreadyScheduled
from taskhero.plugins import Retry

pytestmark = pytest.mark.anyio

HOUR = 3600.0


@pytest.fixture(params=[-HOUR, HOUR], ids=["slow", "fast"])
def wrong(request, harness):
    """The clock of the machine that enqueues, an hour off."""
    return ManualClock(harness.clock.now() + request.param)


class Notes:
    """Notes what a hook is told."""

    def __init__(self):
        self.told = []

    @hookimpl
    def taskhero_before_enqueue(self, job, ctx):
        self.told.append((job.name, ctx.at, ctx.delay))


async def test_a_delay_is_counted_by_the_stores_clock(harness, wrong):
    app = harness.app(clock=wrong)
    app.task(name="tick")(lambda: None)
    async with app.running():
        harness.clock.advance(0.25)
        assert await app.queue.enqueue_in(3, "tick")
        assert await app.queue.timestamps() == [datetime.fromtimestamp(harness.clock.now() + 3.75, UTC)]
        harness.later(app, 3.5)
        assert (await app.backend.due(10)).jobs == []
        harness.later(app, 0.25)
        await harness.happened("success")


async def test_a_delay_of_nothing_is_now(harness, wrong):
    app = harness.app(scheduler=False, clock=wrong)
    async with app:
        assert await app.queue.enqueue_in(0, "tick", queue="q")
        assert await app.queue.length("q") == 1


async def test_a_moment_is_compared_with_the_stores_clock(harness, wrong):
    """What has passed there is now, and what has not is never early, whatever the producer believes."""
    app = harness.app(scheduler=False, clock=wrong)
    now = datetime.fromtimestamp(harness.clock.now(), UTC)
    async with app:
        assert await app.queue.enqueue_at(now - timedelta(seconds=0.5), "past", queue="q")
        assert await app.queue.enqueue_at(now + timedelta(seconds=0.5), "soon", queue="q")
        assert await app.queue.enqueue_at(now + timedelta(seconds=1800, microseconds=1), "later", queue="q")
        assert [job.name for job in await app.queue.queued("q")] == ["past"]
        assert await app.queue.timestamps() == [now + timedelta(seconds=1), now + timedelta(seconds=1801)]


async def test_equal_jobs_in_one_second_of_the_store_are_one(harness, wrong):
    """However the clock of the producer moves meanwhile."""
    app = harness.app(scheduler=False, clock=wrong)
    async with app:
        assert await app.queue.enqueue_in(60, "tick", queue="q")
        wrong.advance(17)
        with pytest.raises(AlreadyScheduled, match="the same second, 60 s from now"):
            await app.queue.enqueue_in(60, "tick", queue="q")
        assert await app.queue.enqueue_in(60, "tick", queue="q", suppress_duplicate=True) is False


async def test_hooks_see_the_delay_and_an_estimate(harness, wrong):
    notes = Notes()
    app = harness.app(scheduler=False, clock=wrong, plugins=(notes,))
    moment = datetime.fromtimestamp(harness.clock.now() + 2 * HOUR, UTC)
    async with app:
        await app.queue.enqueue_in(timedelta(seconds=2.5), "in", queue="q")
        await app.queue.enqueue_at(moment, "at", queue="q")
        await app.queue.enqueue("now", queue="q")
    estimate = datetime.fromtimestamp(wrong.now() + 3, UTC)
    assert notes.told == [("in", estimate, 2.5), ("at", moment, None), ("now", None, None)]


async def test_a_retry_waits_by_the_stores_clock(harness, wrong):
    app = harness.app(clock=wrong, processors=1)

    @app.task(plugins=(Retry(limit=3),))
    async def fetch():
        raise RetryLater(5)

    async with app.running():
        await fetch.enqueue()
        await harness.happened("retry")
        assert await app.queue.timestamps() == [datetime.fromtimestamp(harness.clock.now() + 5, UTC)]


async def test_a_periodic_task_starts_and_goes_on_by_the_stores_clock(harness, wrong):
    app = harness.app(clock=wrong, processors=1)

    @app.task(frequency=10)
    async def tick():
        pass

    async with app.running():
        await harness.happened("success")
        await harness.until(lambda: harness.told("re_enqueue"))
        assert await app.queue.timestamps() == [datetime.fromtimestamp(harness.clock.now() + 10, UTC)]
        assert await app.queue.enqueue_recurrent("tick")
        assert await app.queue.timestamps() == [datetime.fromtimestamp(harness.clock.now() + 10, UTC)]
