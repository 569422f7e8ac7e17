"""What one side locks, the other side refuses; a retry that one side begins, the other counts on."""

from __future__ import annotations

import asyncio
import time

import pytest
from any_args import AnyArgs

from taskhero import current
from taskhero.plugins import DelayQueueLock, JobLock, QueueLock, Retry

pytestmark = pytest.mark.anyio

SOME = AnyArgs(7).lists(120)
LATER = 4_000_000_000
WORKER = {"queues": ["jobs"]}


def guarded(stage, *plugins, **more):
    """An app with a task of the name `guarded`, guarded by the plugins."""
    app = stage.app(**more)
    worked = []

    @app.task(name="guarded", queue="jobs", wire="list", plugins=plugins)
    async def task(*args):
        worked.append(list(args))
        stage.look()

    return app, worked


def halves():
    """Some jobs for each side to begin with."""
    return SOME[::2], SOME[1::2]


# --- queue-locks -------------------------------------------------------------------------------------------------


async def test_a_job_is_queued_once_whichever_side_comes_first(stage, resque):
    app, _ = guarded(stage, QueueLock(), processors=0, scheduler=False)
    await resque("declare", {"guarded": {"plugins": ["QueueLock"]}})
    ours, theirs = halves()
    async with app:
        for args in ours:
            assert await app.queue.enqueue("guarded", args)
        assert await resque("calls", [["enqueue", "jobs", "guarded", args] for args in theirs]) == [True] * 60
        assert await resque("calls", [["enqueue", "jobs", "guarded", args] for args in ours]) == [False] * 60
        assert [await app.queue.enqueue("guarded", args) for args in theirs] == [False] * 60
        assert await app.queue.enqueue_many([app.queue.job("guarded", args) for args in SOME]) == 0
        assert await app.queue.length("jobs") == 120


@pytest.mark.parametrize("worked_by", ["node", "taskhero"])
async def test_the_lock_goes_when_either_side_begins_the_job(stage, resque, worked_by):
    app, worked = guarded(stage, QueueLock(), processors=1 if worked_by == "taskhero" else 0, scheduler=False)
    await resque("declare", {"guarded": {"plugins": ["QueueLock"]}})
    async with app:
        assert await app.queue.enqueue("guarded", [1])
        assert await resque.queue("enqueue", "jobs", "guarded", [2])
        if worked_by == "node":
            await resque("start", "worker", "worker", WORKER)
            await resque("performed", 2)
            await resque("stop", "worker")
        else:
            async with app.running():
                await stage.until(lambda: len(worked) == 2)
        assert await stage.redis(app, "KEYS", "resque:lock:*") == []
        assert await resque.queue("enqueue", "jobs", "guarded", [1])
        assert await app.queue.enqueue("guarded", [2])


async def test_a_lock_that_node_left_behind_long_ago_is_taken_over(stage, resque):
    app, _ = guarded(stage, QueueLock(), processors=0, scheduler=False)
    await resque("declare", {"guarded": {"plugins": ["QueueLock"]}})
    async with app:
        await stage.redis(app, "SET", "resque:lock:guarded:jobs:[1]", str(int(time.time()) - 5))
        assert await app.queue.enqueue("guarded", [1])
        assert not await resque.queue("enqueue", "jobs", "guarded", [1])


async def test_a_job_deleted_here_frees_the_lock_that_node_took(stage, resque):
    app, _ = guarded(stage, QueueLock(), processors=0, scheduler=False)
    await resque("declare", {"guarded": {"plugins": ["QueueLock"]}})
    async with app:
        assert await resque.queue("enqueue", "jobs", "guarded", [1])
        assert await app.queue.delete("jobs", "guarded", [1]) == 1
        assert await resque.queue("enqueue", "jobs", "guarded", [1])


# --- delay-queue-locks -------------------------------------------------------------------------------------------


async def test_no_job_is_queued_while_the_other_side_delays_an_equal_one(stage, resque):
    app, _ = guarded(stage, DelayQueueLock(), processors=0, scheduler=False)
    await resque("declare", {"guarded": {"plugins": ["DelayQueueLock"]}})
    ours, theirs = halves()
    async with app:
        for args in ours:
            assert await app.queue.enqueue_at(LATER, "guarded", args)
        await resque("calls", [["enqueueAt", LATER * 1000, "jobs", "guarded", args] for args in theirs])
        assert await resque("calls", [["enqueue", "jobs", "guarded", args] for args in ours]) == [False] * 60
        assert [await app.queue.enqueue("guarded", args) for args in theirs] == [False] * 60
        # A job delayed twice to one second is refused by either side too.
        for args in theirs[:5]:
            assert not await app.queue.enqueue_at(LATER, "guarded", args, suppress_duplicate=True)
        again = [["enqueueAt", LATER * 1000, "jobs", "guarded", args, True] for args in ours[:5]]
        assert await resque("calls", again) == [None] * 5
        assert await app.queue.length("jobs") == 0
        assert await stage.redis(app, "LLEN", f"resque:delayed:{LATER}") == 120


# --- job-locks ---------------------------------------------------------------------------------------------------


async def test_a_job_waits_here_while_node_performs_an_equal_one(stage, resque):
    app, worked = guarded(stage, JobLock(delay=0.5))
    await resque("declare", {"guarded": {"plugins": ["JobLock"], "does": "hold"}})
    async with app:
        await resque.queue("enqueue", "jobs", "guarded", ["é", {"2": 1, "1": 1.0}])
        await resque("start", "worker", "worker", WORKER)
        await resque("performed", 1)
        async with app.running():
            await app.queue.enqueue("guarded", ["é", {"2": 1, "1": 1.0}])
            await stage.happened("re_enqueue", 2)
            assert worked == []
            await resque("release")
            await resque("told", "success", 1)
            await resque("stop", "worker")
            await stage.until(lambda: worked == [["é", {"2": 1, "1": 1}]])
            await stage.happened("success")
        assert await stage.redis(app, "KEYS", "resque:workerslock:*") == []


async def test_a_job_waits_in_node_while_it_is_performed_here(stage, resque):
    app = stage.app(scheduler=False, settings={"queues": ("jobs",)}, processors=1)
    began, release = asyncio.Event(), asyncio.Event()

    @app.task(name="guarded", queue="jobs", plugins=(JobLock(),))
    async def guarded(text):
        began.set()
        await release.wait()

    options = {"JobLock": {"enqueueTimeout": 500}}
    await resque("declare", {"guarded": {"plugins": ["JobLock"], "pluginOptions": options}})
    async with app.running():
        await resque.queue("enqueue", "jobs", "guarded", ["é"])
        async with asyncio.timeout(20):
            await began.wait()
        # The only processor is busy, so that node-resque takes the next one.
        await resque("start", "worker", "worker", WORKER)
        await resque.queue("enqueue", "jobs", "guarded", ["other"])
        assert await resque("performed", 1) == [["guarded", ["other"]]]
        await resque.queue("enqueue", "jobs", "guarded", ["é"])
        async with asyncio.timeout(20):
            while not await resque.queue("scheduledAt", "jobs", "guarded", ["é"]):
                pass
        release.set()
        await stage.happened("success")
    await resque("start", "scheduler", "scheduler")
    assert await resque("performed", 2) == [["guarded", ["other"]], ["guarded", ["é"]]]
    await resque("stop", "worker")
    await resque("stop", "scheduler")


# --- retries -----------------------------------------------------------------------------------------------------

COUNTER, TRACE = "resque:resque-retry:trying:x-1", "resque:failure-resque-retry:trying:x-1"


class Trying:
    """A job that always fails, on both sides, with three attempts."""

    def __init__(self, stage, resque):
        self.stage, self.resque = stage, resque
        self.attempts = []
        self.app = stage.app(scheduler=False)

        @self.app.task(name="trying", queue="jobs", plugins=(Retry(limit=3, delay=1, jitter=0),))
        async def trying(a, b):
            self.attempts.append(current().attempt)
            raise ValueError("what a task says")

    async def declare(self):
        options = {"Retry": {"retryLimit": 3, "retryDelay": 1000}}
        given = {"trying": {"does": "fail", "plugins": ["Retry"], "pluginOptions": options}}
        await self.resque("declare", given)

    async def in_node(self, event):
        """Let node-resque perform it once."""
        await self._promote()
        await self.resque("start", "worker", "worker", WORKER)
        await self.resque("told", event, 1)
        await self.resque("stop", "worker")

    async def here(self, event):
        """Let taskhero perform it once."""
        await self._promote()
        self.stage.events.clear()
        async with self.app.running():
            return (await self.stage.happened(event))[0]

    async def _promote(self):
        """No scheduler runs while the job does, so that it is performed once a turn."""
        await self.resque("forget")
        if not await self.app.queue.length("jobs"):
            await self.resque("start", "scheduler", "scheduler")
            await self.resque("told", "transferredJob", 1)
            await self.resque("stop", "scheduler")

    async def counted(self):
        return await self.stage.redis(self.app, "GET", COUNTER)


async def test_a_retry_that_node_began_is_counted_on_here_and_the_reverse(stage, resque):
    trying = Trying(stage, resque)
    await trying.declare()
    async with trying.app:
        await resque.queue("enqueue", "jobs", "trying", ["x", 1])
        await trying.in_node("reEnqueue")
        assert await trying.counted() == b"0"
        retry = await trying.here("retry")
        assert (retry.attempt, retry.limit, trying.attempts) == (2, 3, [2])
        assert await trying.counted() == b"1"
        await trying.in_node("failure")
        assert await stage.redis(trying.app, "EXISTS", COUNTER, TRACE) == 0
        (failed,) = await trying.app.queue.failed()
        assert (failed.exception, failed.error) == ("TypeError", "what a job says")
        assert (failed.job.name, failed.job.args, failed.queue) == ("trying", ["x", 1], "jobs")


async def test_a_retry_that_was_begun_here_is_counted_on_by_node_and_the_reverse(stage, resque):
    trying = Trying(stage, resque)
    await trying.declare()
    async with trying.app:
        await trying.app.queue.enqueue("trying", ["x", 1])
        assert (await trying.here("retry")).attempt == 1
        assert await trying.counted() == b"0"
        await trying.in_node("reEnqueue")
        assert await trying.counted() == b"1"
        await trying.here("failure")
        assert trying.attempts == [1, 3]
        assert await stage.redis(trying.app, "EXISTS", COUNTER, TRACE) == 0
        (failed,) = await trying.app.queue.failed()
        assert (failed.exception, failed.job.args) == ("ValueError", ["x", 1])


async def test_nodes_count_lives_for_its_delay_in_milliseconds_taken_as_seconds(stage, resque):
    """taskhero's count lives a day longer than the delay. With a short delay node-resque loses its count."""
    trying = Trying(stage, resque)
    await trying.declare()
    async with trying.app:
        await resque.queue("enqueue", "jobs", "trying", ["x", 1])
        await trying.in_node("reEnqueue")
        assert 900 < await stage.redis(trying.app, "TTL", COUNTER) <= 1000
        await trying.here("retry")
        assert 86300 < await stage.redis(trying.app, "TTL", COUNTER) <= 86401
