"""Tasks with a frequency: one chain in the whole cluster, for any number of programs and after each ending of a run."""

from __future__ import annotations

import pytest
from periodic_ticks import SPELLINGS, delayed

from taskhero.backends.protocol import DelayedJobEntry, Entry
from taskhero.plugins import Retry

pytestmark = pytest.mark.anyio


# --- the chain


async def test_it_runs_at_once_and_again_a_frequency_after_the_end_of_each_run(harness, ticks):
    """The due time counts from the end of a run and rounds to the nearest second, so no drift adds up."""
    app = harness.app()
    ticks.declare(app)
    async with app.running():
        await harness.happened("scheduler.re_enqueue")
        assert (ticks.runs, await delayed(harness, app)) == (1, [10])
        harness.later(app, 10)
        await harness.until(lambda: ticks.runs == 2)
        await harness.happened("scheduler.re_enqueue", 2)
        ticks.go_on.clear()
        harness.later(app, 10)
        await harness.until(lambda: ticks.running)
        assert await delayed(harness, app) == []
        harness.clock.advance(7.4)
        ticks.go_on.set()
        told = await harness.happened("scheduler.re_enqueue", 3)
        assert told[-1].timestamp == int(harness.clock.now() + 10)
        assert told[-1].job.name == "tick"
        assert len(harness.told("scheduler.enqueue")) == 1


async def test_its_job_on_the_wire_is_that_of_actionhero(harness, ticks):
    app = harness.app(scheduler=False)
    ticks.declare(app)
    async with app:
        assert await app.queue.enqueue_all_recurrent() == ["tick"]
        assert await app.queue.enqueue_all_recurrent() == []
        assert await app.backend.queued("default") == [SPELLINGS[0]]


async def test_it_runs_again_after_a_failure_which_is_listed(harness, ticks):
    app = harness.app()
    ticks.declare(app)
    ticks.error = ValueError("no")
    async with app.running():
        for runs in (1, 2, 3):
            await harness.happened("scheduler.re_enqueue", runs)
            assert (ticks.runs, await delayed(harness, app)) == (runs, [10])
            harness.later(app, 10)
        assert await app.queue.failed_count() >= 3


async def test_with_retries_the_next_run_comes_after_the_last_attempt(harness, ticks):
    app = harness.app()
    ticks.declare(app, plugins=(Retry(limit=2, delay=3),))
    ticks.error = ValueError("no")
    async with app.running():
        await harness.happened("retry")
        assert await delayed(harness, app) in ([3], [4])
        assert harness.told("scheduler.re_enqueue") == []
        harness.later(app, 4)
        await harness.happened("scheduler.re_enqueue")
        assert await delayed(harness, app) == [10]


async def test_a_success_is_no_failure_whatever_becomes_of_the_next_run(harness, ticks):
    """One step stores the end of a run and the next run, so no later call can fail and change the outcome."""
    app = harness.app()
    ticks.declare(app)
    async with app.running():
        for runs in (1, 2):
            await harness.happened("scheduler.re_enqueue", runs)
            harness.later(app, 10)
        await harness.happened("success", 3)
        stats = await app.queue.stats()
        assert (stats["processed"], stats.get("failed", 0), ticks.runs) == (3, 0, 3)


async def test_a_stop_gives_the_run_back_and_the_chain_goes_on(harness, ticks):
    app = harness.app()
    ticks.declare(app)
    ticks.go_on.clear()
    async with app:
        async with app.running():
            await harness.until(lambda: ticks.running)
        await harness.happened("given_back")
        assert await app.queue.length("default") == 1
        ticks.go_on.set()
        async with app.running():
            await harness.happened("scheduler.re_enqueue")
            assert (ticks.runs, await delayed(harness, app)) == (2, [10])
            assert await app.queue.length("default") == 0


# --- one of it


@pytest.mark.parametrize("raw", SPELLINGS)
async def test_all_spellings_are_the_same_job(harness, ticks, raw):
    """The lock of the chain refuses an enqueue of each spelling, and a worker performs each spelling."""
    app = harness.app()
    tick = ticks.declare(app)
    async with app:
        await app.backend.push([Entry("default", raw, guards=app.tasks.scope_of("tick").guards(tick.job()))])
        for args in ([], [{}], [None], {}):
            assert await app.queue.enqueue("tick", args) is False
        assert await app.queue.enqueue_all_recurrent() == []
        async with app.running():
            await harness.happened("scheduler.re_enqueue")
            assert (ticks.runs, await delayed(harness, app)) == (1, [10])


async def test_nothing_is_enqueued_while_a_copy_is_delayed(harness, ticks):
    app = harness.app(scheduler=False, processors=0)
    tick = ticks.declare(app)
    async with app:
        for raw in SPELLINGS:
            await app.backend.schedule([DelayedJobEntry(int(harness.clock.now()) + 5, "default", raw)])
            assert await tick.enqueue() is False
            assert await app.queue.enqueue_all_recurrent() == []
            assert await app.queue.stop_recurrent("tick") == 1
            await app.backend.resume_periodic(["tick"])


async def test_beginning_anew_leaves_one_copy_in_whatever_second_it_is_called(harness, ticks):
    """With ActionHero, three calls in three seconds leave three chains."""
    app = harness.app(scheduler=False, processors=0)
    tick = ticks.declare(app)
    async with app:
        await tick.enqueue()
        for _ in range(3):
            assert await app.queue.enqueue_recurrent("tick") is True
            harness.clock.advance(1)
        assert (await app.queue.length("default"), await delayed(harness, app)) == (0, [9])


async def test_a_stopped_task_is_gone_in_every_spelling(harness, ticks):
    """ActionHero does not find the copies that it wrote."""
    app = harness.app(scheduler=False, processors=0)
    ticks.declare(app)
    async with app:
        await app.backend.push([Entry("default", raw) for raw in SPELLINGS])
        at = int(harness.clock.now()) + 5
        await app.backend.schedule([DelayedJobEntry(at, "default", raw) for raw in SPELLINGS])
        assert await app.queue.stop_recurrent("tick") == 2 * len(SPELLINGS)
        assert (await app.queue.length("default"), await delayed(harness, app)) == (0, [])


async def test_an_app_that_starts_during_a_run_begins_no_second_chain(harness, ticks):
    """During a run the lock of the queued job is free and no copy is delayed."""
    first, second = harness.app(), harness.app()
    ticks.declare(first)
    ticks.declare(second)
    ticks.go_on.clear()
    async with first.running():
        await harness.until(lambda: ticks.running)
        async with second.running():
            assert await second.queue.enqueue_all_recurrent() == []
            await second.scheduler.enqueue_periodic()
            ticks.go_on.set()
            await harness.happened("scheduler.re_enqueue")
            for runs in (2, 3):
                harness.later(first, 10)
                second.scheduler.request_promotion()
                await harness.happened("scheduler.re_enqueue", runs)
            assert await delayed(harness, first) == [10]
            assert (ticks.runs, ticks.most) == (3, 1)


async def test_an_enqueue_during_a_run_is_an_extra_run_and_no_second_chain(harness, ticks):
    app = harness.app(processors=3)
    tick = ticks.declare(app)
    async with app.running():
        await harness.happened("scheduler.re_enqueue")
        await app.queue.delete_queue("default")
        ticks.go_on.clear()
        harness.later(app, 10)
        await harness.until(lambda: ticks.running)
        assert await tick.enqueue() is True
        # It finds that another one runs, and goes.
        await harness.happened("refused")
        ticks.go_on.set()
        await harness.happened("scheduler.re_enqueue", 2)
        assert (ticks.most, await delayed(harness, app)) == (1, [10])


async def test_a_job_with_arguments_is_no_copy_of_the_chain(harness):
    """It has its own locks, and moves nothing."""
    app = harness.app()
    seen = []

    @app.task(frequency=10)
    async def report(*, day="today"):
        seen.append(day)

    async with app.running():
        await harness.happened("scheduler.re_enqueue")
        harness.clock.advance(4)
        assert await report.enqueue(day="yesterday") is True
        await harness.happened("success", 2)
        assert (seen, await delayed(harness, app)) == (["today", "yesterday"], [6])
