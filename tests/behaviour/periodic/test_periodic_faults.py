"""Periodic tasks whose runs are refused, lost or enqueued by another leader."""

from __future__ import annotations

import pytest
from periodic_ticks import delayed

from taskhero import Queue, hookimpl
from taskhero.plugins import JobLock, QueueLock

pytestmark = pytest.mark.anyio


class Meddling:
    """A plugin that keeps a run from happening."""

    how = None

    @hookimpl
    def taskhero_before_perform(self, job):
        if self.how == "raises":
            raise RuntimeError("no")
        return self.how != "refuses"


@pytest.mark.parametrize("how", ["refuses", "raises"])
async def test_a_plugin_that_keeps_a_run_from_happening_does_not_end_the_chain(harness, ticks, how):
    """ActionHero enqueues the next run only after a run that took place."""
    meddling = Meddling()
    app = harness.app(plugins=(meddling,))
    ticks.declare(app)
    meddling.how = how
    async with app.running():
        await harness.happened("scheduler.re_enqueue")
        meddling.how = None
        harness.later(app, 10)
        await harness.happened("success")
        assert ticks.runs == 1


async def test_whatever_made_its_job_disappear_the_leader_enqueues_it(harness, ticks):
    """Here a person deletes every copy."""
    app = harness.app()
    ticks.declare(app)
    async with app.running():
        await harness.until(lambda: app.scheduler.leader)
        await harness.happened("scheduler.re_enqueue")
        await app.queue.stop_recurrent("tick")
        await app.backend.resume_periodic(["tick"])
        assert (await app.queue.length("default"), await delayed(harness, app)) == (0, [])
        harness.later(app, 10)
        await harness.until(lambda: ticks.runs == 2)


async def test_any_leader_keeps_the_chains_of_other_apps(harness, ticks):
    """It does not declare the task, nor work its queue."""
    guardian = harness.app(processors=0)
    worker = harness.app()
    ticks.declare(worker)
    async with guardian.running():
        await harness.until(lambda: guardian.scheduler.leader)
        async with worker.running():
            await harness.happened("scheduler.re_enqueue")
            await worker.queue.stop_recurrent("tick")
            await worker.backend.resume_periodic(["tick"])
            assert not worker.scheduler.leader
            await guardian.scheduler.enqueue_periodic()
            await harness.until(lambda: ticks.runs == 2)
            (told,) = [event for event in harness.told("scheduler.enqueue") if event.owner == guardian.scheduler.name]
            assert (told.queue, told.job.name) == ("default", "tick")


async def test_a_promoted_copy_holds_its_lock(harness, ticks):
    """ActionHero asks no plugin at promotion."""
    app = harness.app(processors=0)
    tick = ticks.declare(app)
    async with app.running():
        await harness.happened("scheduler.enqueue")
        await app.queue.enqueue_recurrent("tick")
        harness.later(app, 10)
        await harness.happened("scheduler.transferred_job")
        assert await tick.enqueue() is False
        assert await app.queue.length("default") == 1


async def test_a_queue_of_ones_own_is_asked_at_the_start(harness, ticks):
    """ActionHero 20 and later ignore such overrides silently."""
    asked = []

    class Own(Queue):
        async def enqueue_all_recurrent(self):
            asked.append(names := await super().enqueue_all_recurrent())
            return names

    app = harness.app(queue=Own)
    ticks.declare(app)
    async with app.running():
        await harness.happened("scheduler.re_enqueue")
        assert asked == [["tick"]]


async def test_plugins_of_its_own_take_the_place_of_those_that_it_would_get(harness, ticks):
    app = harness.app()
    tick = ticks.declare(app, plugins=(QueueLock(timeout=60), JobLock(delay=2)))
    guards = app.tasks.scope_of("tick").guards(tick.job())
    assert [guard.timeout for guard in guards if hasattr(guard, "timeout")] == [60]
    (need,) = app.tasks.scope_of("tick").needs(tick.job())
    assert need.otherwise.delay == 2
