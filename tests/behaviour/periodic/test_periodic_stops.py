"""Periodic tasks that are stopped, and that continue."""

from __future__ import annotations

import contextlib

import pytest
from periodic_ticks import delayed

from taskhero import hookimpl
from taskhero.backends.protocol import StopReason

pytestmark = pytest.mark.anyio


async def test_what_was_stopped_stays_so_across_restarts_until_it_is_enqueued(harness, ticks):
    app = harness.app()
    tick = ticks.declare(app)
    async with app:
        async with app.running():
            await harness.happened("scheduler.re_enqueue")
            assert await app.queue.stop_recurrent("tick") == 1
        for _ in range(2):
            async with app.running():
                assert await app.queue.enqueue_all_recurrent() == []
                await app.scheduler.enqueue_periodic()
                assert (await app.queue.length("default"), await delayed(harness, app), ticks.runs) == (0, [], 1)
        assert await tick.enqueue() is True
        async with app.running():
            await harness.happened("scheduler.re_enqueue", 2)
            assert await delayed(harness, app) == [10]


@pytest.mark.parametrize("how", ["enqueue_recurrent", "enqueue_in", "enqueue_many", "by_name"])
async def test_each_way_to_enqueue_it_lets_a_stopped_task_go_on(harness, ticks, how):
    app = harness.app(scheduler=False, processors=0)
    tick = ticks.declare(app)
    async with app:
        await app.queue.stop_recurrent("tick")
        await {
            "enqueue_recurrent": lambda: app.queue.enqueue_recurrent("tick"),
            "enqueue_in": lambda: tick.enqueue_in(3),
            "enqueue_many": lambda: app.queue.enqueue_many([tick.job()]),
            "by_name": lambda: app.queue.enqueue("tick"),
        }[how]()
        (known,) = (await app.backend.declare_periodic(app.queue.declared_periodic(), 60)).tasks
        assert known.stopped is None


class Closed:
    """A plugin that lets no job in: it refuses each job, or its guards fail."""

    def __init__(self):
        self.how = None

    @hookimpl
    def taskhero_before_enqueue(self):
        return self.how != "refuses"

    @hookimpl
    def taskhero_guards(self):
        if self.how == "fails":
            raise ValueError("no guards")
        return ()


@pytest.mark.parametrize("closed", ["refuses", "fails"])
@pytest.mark.parametrize("how", ["enqueue", "enqueue_in", "enqueue_many"])
async def test_an_enqueue_that_a_plugin_prevents_leaves_a_stopped_task_stopped(harness, ticks, how, closed):
    plugin = Closed()
    app = harness.app(scheduler=False, processors=0)
    tick = ticks.declare(app, plugins=(plugin,))
    async with app:
        await app.queue.stop_recurrent("tick")
        plugin.how = closed
        with pytest.raises(ValueError, match="no guards") if closed == "fails" else contextlib.nullcontext():
            await {
                "enqueue": tick.enqueue,
                "enqueue_in": lambda: tick.enqueue_in(3),
                "enqueue_many": lambda: app.queue.enqueue_many([tick.job()]),
            }[how]()
        plugin.how = None
        (known,) = (await app.backend.declare_periodic(app.queue.declared_periodic(), 60)).tasks
        assert known.stopped is StopReason.ASKED


async def test_a_run_that_is_under_way_when_its_task_is_stopped_is_the_last(harness, ticks):
    app = harness.app()
    ticks.declare(app)
    ticks.go_on.clear()
    async with app.running():
        await harness.until(lambda: ticks.running)
        assert await app.queue.stop_recurrent("tick") == 0
        ticks.go_on.set()
        await harness.happened("success")
        await app.scheduler.enqueue_periodic()
        assert (await app.queue.length("default"), await delayed(harness, app), ticks.runs) == (0, [], 1)


async def test_without_reenqueue_on_error_a_failure_stops_it_until_the_next_start(harness, ticks):
    app = harness.app()
    ticks.declare(app, reenqueue_on_error=False)
    ticks.error = ValueError("no")
    async with app:
        async with app.running():
            await harness.happened("failure")
            await app.scheduler.enqueue_periodic()
            assert (await app.queue.length("default"), await delayed(harness, app), ticks.runs) == (0, [], 1)
            (known,) = (await app.backend.declare_periodic()).tasks
            assert known.stopped is StopReason.FAILED
        ticks.error = None
        async with app.running():
            await harness.happened("scheduler.re_enqueue")
            assert ticks.runs == 2


async def test_names_that_are_not_periodic_or_not_known(harness):
    app = harness.app(scheduler=False, processors=0)

    @app.task
    async def plain():
        pass

    async with app:
        assert await app.queue.enqueue_recurrent("plain") is False
        assert await app.queue.stop_recurrent("plain") == 0
        for call in (app.queue.enqueue_recurrent, app.queue.stop_recurrent):
            with pytest.raises(LookupError, match="does not declare a task 'plan'; did you mean 'plain'"):
                await call("plan")
