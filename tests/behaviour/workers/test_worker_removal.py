"""Taking dead workers from view: the same on every store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from worker_entries import JOB, MULTI, NODE, NODE_WORKS, RUBY, RUBY_WORKS, busy, foreign

from taskhero import FailedJob, Job, hookimpl
from taskhero.conformance.steps import LEASE, registered, send_heartbeat
from taskhero.errors import InvalidMoment, UnknownWorker
from taskhero.runtime.backoff import Outage
from taskhero.runtime.scheduler.stale_workers import StaleWorkers
from taskhero.wire.jobs import encode_job

pytestmark = pytest.mark.anyio


# --- cleaning ----------------------------------------------------------------------------------------------------


async def test_a_busy_worker_is_cleaned_by_force(harness):
    """One step unregisters the worker and stores the failure in node-resque's form."""
    app = harness.app(scheduler=False)
    async with app:
        process, _ = await busy(app, raw=JOB)
        failed = await app.queue.force_clean_worker(process.worker(1))
        host_line = failed.backtrace[0]
        assert failed == FailedJob(
            job=Job("slow", [{"a": 1}], "math", raw=JOB),
            queue="math",
            worker=process.worker(1),
            exception="Worker Timeout (killed manually)",
            error="Worker Timeout (killed manually)",
            backtrace=[host_line, "queue#forceCleanWorker", "taskhero"],
            failed_at=datetime.fromtimestamp(int(harness.clock.now()), UTC),
            raw=failed.raw,
        )
        assert host_line.startswith("killed by ")
        assert await app.queue.failed() == [failed]
        assert await app.queue.workers() == {process.worker(2): "math"}
        assert await app.queue.stats() == {"failed": 1}
        assert list((await app.backend.settle_and_claim(process, (), (), ())).claims) == []
        assert list((await app.backend.claims(process)).claims) == []


async def test_an_idle_worker_is_cleaned_by_force_and_nothing_is_counted(harness):
    """No key with the worker's name is left."""
    app = harness.app(scheduler=False)
    async with app:
        process, _ = await busy(app)
        name = process.worker(2)
        assert await app.queue.force_clean_worker(f"{name}:math") is None
        assert (await app.queue.workers(), await app.queue.stats()) == ({process.worker(1): "math"}, {})
        assert await app.queue.failed() == []
        if harness.is_redis:
            assert await harness.redis(app, "KEYS", f"*{name}*") == []
            await app.queue.force_clean_worker(process.worker(1))
            assert await harness.redis(app, "KEYS", f"*{process.worker(1)}*") == []
        with pytest.raises(UnknownWorker, match="pass a name"):
            await app.queue.force_clean_worker(name)


async def test_only_workers_that_were_silent_for_long_are_cleaned(harness):
    """The lease of a taskhero worker decides, not the machine's clock. A live worker stays."""
    app = harness.app(scheduler=False)
    async with app:
        process, _ = await busy(app)
        living = await registered(app.backend, 2, queues=("math",))
        harness.clock.advance(LEASE + 50)
        await send_heartbeat(app.backend, living)
        assert await app.queue.clean_old_workers(100) == {}
        assert set(await app.queue.workers()) == {process.worker(1), process.worker(2), living.worker(1)}
        harness.clock.advance(51)
        await send_heartbeat(app.backend, living)
        cleaned = await app.queue.clean_old_workers(100)
        assert {name: (failed.job.raw, failed.worker) for name, failed in cleaned.items()} == {
            process.worker(1): (JOB, process.worker(1))
        }
        assert await app.queue.workers() == {living.worker(1): "math"}
        assert await app.queue.failed() == list(cleaned.values())
        assert await app.queue.clean_old_workers(100) == {}
        assert await app.queue.failed_count() == 1


@pytest.mark.parametrize("age", [0, -1, float("nan"), "1"])
async def test_an_age_that_would_clean_the_living_is_refused(harness, age):
    app = harness.app(scheduler=False)
    async with app:
        await busy(app)
        with pytest.raises(InvalidMoment):
            await app.queue.clean_old_workers(age)
        assert len(await app.queue.workers()) == 2


async def test_workers_of_other_programs_are_cleaned_when_nothing_of_them_changed_while_it_was_watched(harness):
    """Their clocks are not believed: here they are years behind, as if they were long dead, or ahead."""
    if not harness.is_redis:
        return
    app, other = harness.app(scheduler=False), harness.app(scheduler=False)
    async with app, other:
        await foreign(harness, app, RUBY, working=RUBY_WORKS, heartbeat="2001-01-01T00:00:00+00:00")
        await foreign(harness, app, NODE, working=NODE_WORKS, ping=1)
        await foreign(harness, app, MULTI, ping=10**10)
        await foreign(harness, app, "dead:1:math")
        assert await app.queue.sweep_workers(60, watched_only=True) == [], "nothing was watched yet"
        harness.clock.advance(61)
        await foreign(harness, app, RUBY, heartbeat="2001-01-01T00:01:00+00:00")
        await foreign(harness, app, MULTI, ping=10**10 + 5)
        cleaned = await other.queue.sweep_workers(60)
        assert [(worker.name, worker.queues, worker.failed is None) for worker in cleaned] == [
            ("dead:1", "math", True),
            ("vm:18588", "math", False),
        ]
        (failed,) = await app.queue.failed()
        assert cleaned[1].failed == failed
        assert (failed.worker, failed.queue, failed.job.name, failed.job.args) == (
            "vm:18588",
            "math",
            "SlowJob",
            ["x", {}],
        )
        assert await app.queue.stats() == {"failed": 1}
        assert await app.queue.workers() == {"vm:14545": "math,slow", "vm:18825+1": "math"}
        assert await harness.redis(app, "KEYS", "*18588*") == []
        harness.clock.advance(61)
        assert list(await app.queue.clean_old_workers(60)) == ["vm:14545"]
        assert await app.queue.workers() == {}
        assert await harness.redis(app, "HLEN", "resque:workers:heartbeat") == 0
        assert await app.queue.stats() == {"failed": 2}


async def test_jobs_of_stuck_workers_are_retried(harness):
    """The failures of stuck workers are retried, up to `limit`, and the enqueue hooks run."""
    seen = []

    class Noting:
        @hookimpl
        def taskhero_before_enqueue(self, job):
            seen.append(job.args)

    app = harness.app(scheduler=False, plugins=[Noting()])
    async with app:
        for number in range(3):
            process, _ = await busy(app, number + 1, encode_job("slow", [number], "math"))
            await app.queue.force_clean_worker(process.worker(1))
        await app.queue.delete_queue("math")
        assert await app.queue.failed_count() == 3
        assert await app.queue.retry_stuck_jobs(limit=1) == 1
        assert await app.queue.retry_stuck_jobs() == 2
        assert await app.queue.retry_stuck_jobs() == 0
        assert sorted(job.args for job in await app.queue.queued("math")) == [[0], [1], [2]]
        assert sorted(seen) == [[0], [1], [2]]
        assert await app.queue.failed() == []


# --- the leader's care -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retry", [False, True])
async def test_the_leader_cleans_stuck_workers(harness, retry):
    app = harness.app(processors=0, settings={"stuck_worker_timeout": 0.2, "retry_stuck_jobs": retry})
    async with app.running():
        await harness.happened("leader")
        process, _ = await busy(app)
        if harness.is_redis:
            await foreign(harness, app, NODE, working=NODE_WORKS, ping=1)
            looks = asyncio.create_task(harness.happened("clean_stuck_worker"))
            while not looks.done():
                harness.clock.advance(0.3)
                await asyncio.wait([looks], timeout=0.05)
            (event,) = await looks
            assert (event.worker, event.queue, event.job.args) == ("vm:18588", "math", ["x", {}])
            assert event.duration >= 0.2
            assert [told.worker for told in harness.told("cleaning_worker")] == ["vm:18588"]
            await app.queue.force_clean_worker(process.worker(2))
            names = [job.name for job in await app.queue.queued("math")]
            assert (await app.queue.failed_count(), names) == ((0, ["SlowJob"]) if retry else (1, []))
        assert process.worker(1) in await app.queue.workers()


async def test_who_does_not_lead_cleans_nobody_and_an_error_ends_nothing(harness):
    class Queue:
        def __init__(self):
            self.asked = []
            self.news = asyncio.Event()

        async def sweep_workers(self, age, *, ours, watched_only):
            assert not ours, "they are rescued"
            assert watched_only, "the clocks of other programs may be wrong"
            self.asked.append(age)
            self.news.set()
            raise ConnectionError("away")

    class Scheduler:
        leader = False

    app, queue, scheduler, told = harness.app(), Queue(), Scheduler(), []

    ended = []
    care = StaleWorkers(
        queue=queue,
        scheduler=scheduler,
        settings=type(app.settings)(stuck_worker_timeout=0.02),
        emitter=None,
        name="me",
        outage=Outage(lambda who, error: told.append((who, str(error))), ended.append),
    )
    assert care.max_retry_delay == pytest.approx(0.005)
    care.start()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await queue.news.wait()
    assert queue.asked == []
    scheduler.leader = True
    async with asyncio.timeout(10):
        while len(queue.asked) < 2:
            queue.news.clear()
            await queue.news.wait()
    await care.stop()
    await care.stop()
    assert set(queue.asked) == {0.02}
    assert told == [("removing stale workers", "away")]
    assert ended == []
