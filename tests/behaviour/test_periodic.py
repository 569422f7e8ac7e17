"""Tasks with a frequency: one chain in the whole cluster, whoever declares them and whatever happens to a run."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from taskhero import Queue, hookimpl
from taskhero.backends.protocol import DelayedJobEntry, Entry, StopReason
from taskhero.plugins import JobLock, QueueLock, Retry

pytestmark = pytest.mark.anyio

SPELLINGS = (
    '{"class":"tick","queue":"default","args":[{}]}',
    '{"class":"tick","queue":"default","args":[null]}',
    '{"class":"tick","queue":"default","args":[]}',
    '{"class":"tick","args":[{}]}',
    '{"class":"tick","args":[],"queue":"default"}',
)


class Ticks:
    """What a task called tick did; it can be held up, and can fail."""

    def __init__(self, harness):
        self.stage = harness
        self.runs = self.running = self.most = 0
        self.error = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    def declare(self, app, **options):
        """Declare the task; several apps may declare the same one."""

        @app.task(name="tick", **{"frequency": 10, **options})
        async def tick():
            self.runs += 1
            self.running += 1
            self.most = max(self.most, self.running)
            self.stage.look()
            try:
                await self.go_on.wait()
                if self.error is not None:
                    raise self.error
            finally:
                self.running -= 1

        return tick


@pytest.fixture
def ticks(harness):
    return Ticks(harness)


async def delayed(harness, app, within=5000):
    """All that is delayed: moments from now on, in seconds, each as often as there are jobs."""
    now = int(harness.clock.now())
    harness.clock.advance(within)
    found = [job.at - now for job in (await app.backend.due(1000)).jobs]
    harness.clock.advance(-within)
    return found


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


# --- stopped


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


# --- whatever happens


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
