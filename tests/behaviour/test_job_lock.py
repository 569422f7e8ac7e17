"""A job-lock: of equal jobs, one runs at a time."""

from __future__ import annotations

import asyncio

import pytest

from taskhero import hookimpl
from taskhero.plugins import JobLock

pytestmark = pytest.mark.anyio


class Work:
    """A task that runs until it is let go on, and tells how many run at once."""

    def __init__(self, harness, app, *plugins):
        self.running = self.most = 0
        self.done = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.error = None

        @app.task(name="work", plugins=plugins)
        async def work(n):
            self.running += 1
            self.most = max(self.most, self.running)
            self.begun.set()
            harness.look()
            try:
                await self.go_on.wait()
                if self.error is not None:
                    raise self.error
                self.done.append(n)
            finally:
                self.running -= 1

        self.task = work


async def test_equal_jobs_never_run_at_once_and_all_of_them_run(harness):
    """With node-resque's plugin, one of several blocked copies in one second is postponed and the rest fail."""
    app = harness.app(processors=4)
    work = Work(harness, app, JobLock(delay=1))
    async with app.running():
        assert await app.queue.enqueue_many([work.task.job(1)] * 4) == 4
        await work.begun.wait()
        await harness.happened("re_enqueue", 3)
        assert await app.queue.stats() == {}
        work.go_on.set()
        for copies in range(1, 4):
            await harness.happened("success", copies)
            harness.later(app, 2)
            await harness.until(lambda copies=copies: len(harness.told("success")) > copies)
        assert work.done == [1, 1, 1, 1]
        assert work.most == 1
        assert await app.queue.failed_count() == 0
        assert (await app.queue.stats())["processed"] == 4


async def test_jobs_with_other_args_or_in_other_queues_run_side_by_side(harness):
    app = harness.app(processors=3)
    work = Work(harness, app, JobLock())
    async with app.running():
        await work.task.enqueue(1)
        await work.task.enqueue(2)
        await work.task.options(queue="other").enqueue(1)
        await harness.until(lambda: work.running == 3)
        work.go_on.set()
        await harness.happened("success", 3)
        assert work.most == 3


async def test_a_copy_that_is_not_to_be_requeued_is_dropped(harness):
    app = harness.app()
    work = Work(harness, app, JobLock(requeue=False))
    async with app.running():
        await app.queue.enqueue_many([work.task.job(1)] * 2)
        await harness.happened("refused")
        work.go_on.set()
        await harness.happened("success")
        assert (await app.queue.stats())["processed"] == 1
        assert await app.queue.length("default") == 0


async def test_a_key_of_ones_own_says_which_jobs_are_equal(harness):
    app = harness.app()
    work = Work(harness, app, JobLock(key=lambda job: "workerslock:one-for-all", requeue=False))
    async with app.running():
        await app.queue.enqueue_many([work.task.job(1), work.task.job(2)])
        await harness.happened("refused")
        work.go_on.set()
        await harness.happened("success")


@pytest.mark.parametrize("end", ["success", "failure", "refused", "after_hook"])
async def test_the_lock_goes_however_the_job_ends(harness, end):
    """node-resque's lock stays for an hour if a later plugin refuses the job or an earlier after-hook fails."""

    class Meddling:
        @hookimpl
        def taskhero_before_perform(self, job):
            return end != "refused"

        @hookimpl
        def taskhero_after_perform(self, job):
            if end == "after_hook":
                raise RuntimeError("no")

    app = harness.app(processors=1)
    work = Work(harness, app, Meddling(), JobLock(requeue=False), Meddling())
    work.go_on.set()
    work.error = ValueError("no") if end == "failure" else None
    told = {"after_hook": "failure"}.get(end, end)
    async with app.running():
        for times in (1, 2, 3):
            await work.task.enqueue(1)
            await harness.happened(told, times)
        assert len(harness.told("refused")) == (3 if end == "refused" else 0)


async def test_a_job_that_the_stop_gives_back_leaves_no_lock(harness):
    app = harness.app()
    work = Work(harness, app, JobLock(requeue=False))
    async with app:
        async with app.running():
            await work.task.enqueue(1)
            await work.begun.wait()
        await harness.happened("given_back")
        work.go_on.set()
        async with app.running():
            await harness.happened("success")
        assert harness.told("refused") == []


async def test_an_earlier_plugin_that_fails_takes_no_lock_from_the_job_that_runs(harness):
    """node-resque then runs the after-hooks of all plugins and deletes the lock of another job."""

    class Failing:
        fail = False

        @hookimpl
        def taskhero_before_perform(self, job):
            if self.fail:
                raise RuntimeError("no")

    failing = Failing()
    app = harness.app(processors=3)
    work = Work(harness, app, failing, JobLock(requeue=False))
    async with app.running():
        await work.task.enqueue(1)
        await work.begun.wait()
        failing.fail = True
        for times in (1, 2):
            await work.task.enqueue(1)
            await harness.happened("refused", times)
        work.go_on.set()
        await harness.happened("success")
        assert work.most == 1


async def test_only_its_owner_releases_a_lock(harness):
    """node-resque deletes the lock at a job's end, even if the lock expired and another job holds it."""
    if not harness.is_redis:
        return
    app = harness.app()
    work = Work(harness, app, JobLock())
    key = "resque:workerslock:work:default:[1]"
    async with app.running():
        await work.task.enqueue(1)
        await work.begun.wait()
        mine = (await harness.redis(app, "GET", key)).decode()
        lapses, _, owner = mine.partition(":")
        assert int(lapses) > harness.clock.now(), "node-resque reads the number before the colon"
        assert owner.startswith(app.multi_worker.process.name)
        theirs = f"{int(harness.clock.now()) + 500}"
        await harness.redis(app, "SET", key, theirs, "EX", 500)
        work.go_on.set()
        await harness.happened("success")
        assert await harness.redis(app, "GET", key) == theirs.encode()
        await work.task.enqueue(1)
        await harness.happened("re_enqueue")


async def test_the_lock_is_renewed_as_long_as_the_job_runs_and_lapses_with_its_process(harness):
    if not harness.is_redis:
        return
    app = harness.app(settings={"heartbeat_interval": 0.05, "rescue_after": 60})
    work = Work(harness, app, JobLock(timeout=1, requeue=False))
    key = "resque:workerslock:work:default:[1]"
    async with app.running():
        await work.task.enqueue(1)
        await work.begun.wait()
        assert 0 < await harness.redis(app, "PTTL", key) <= 1000
        for _ in range(3):
            # As if most of its time were over.
            await harness.redis(app, "PEXPIRE", key, 400)
            beats = len(harness.told("worker.ping"))
            await harness.happened("worker.ping", beats + 2)
            assert await harness.redis(app, "PTTL", key) > 400
        await work.task.enqueue(1)
        await harness.happened("refused")
        work.go_on.set()
        await harness.happened("success")
        assert await harness.redis(app, "EXISTS", key) == 0
        # No beat that was under way took it again.
        beats = len(harness.told("worker.ping"))
        await harness.happened("worker.ping", beats + 2)
        assert await harness.redis(app, "EXISTS", key) == 0


async def test_a_lock_that_somebody_else_has_meanwhile_is_told(harness):
    if not harness.is_redis:
        return
    app = harness.app(settings={"heartbeat_interval": 0.05})
    work = Work(harness, app, JobLock())
    async with app.running():
        await work.task.enqueue(1)
        await work.begun.wait()
        await harness.redis(app, "SET", "resque:workerslock:work:default:[1]", "1999999999")
        (error, *_) = await harness.happened("worker.error")
        assert "workerslock:work:default:[1]" in str(error.error)
        work.go_on.set()
        await harness.happened("success")
