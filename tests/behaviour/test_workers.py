"""Looking at workers, and taking dead ones from view: the same on every store."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from taskhero import FailedJob, Job, Working, hookimpl
from taskhero.backends.protocol import Entry, QueueLockGuard
from taskhero.conformance.steps import LEASE, claim_one, registered, send_heartbeat
from taskhero.errors import InvalidLockName, InvalidMoment, UnknownWorker
from taskhero.models import Details, WorkerState
from taskhero.runtime.backoff import Outage
from taskhero.runtime.scheduler.stale_workers import StaleWorkers
from taskhero.wire.jobs import encode_job

pytestmark = pytest.mark.anyio

JOB = '{"class":"slow","queue":"math","args":[{"a":1}]}'
RUBY, NODE, MULTI = "vm:14545:math,slow", "vm:18588:math", "vm:18825+1:math"
RUBY_WORKS = '{"queue":"slow","run_at":"2026-11-23T10:32:05Z","payload":{"class":"SlowJob","args":["hé",[],1.0e+21]}}'
NODE_WORKS = (
    '{"run_at":"Mon Nov 23 2026 10:36:31 GMT+0000 (Coordinated Universal Time)","worker":"vm:18588",'
    '"payload":{"class":"SlowJob","args":["x",{}],"queue":"math"},"queue":"math"}'
)


async def busy(app, number=1, raw=JOB, queues=("math",)):
    """A process that holds a job, and whose second task processor is idle."""
    process = await registered(app.backend, number, slots=(1, 2), queues=queues)
    await app.backend.push([Entry("math", raw)])
    return process, await claim_one(app.backend, process, queue="math")


async def foreign(harness, app, worker_id, *, working=None, ping=None, heartbeat=None, started=None):
    """A worker of another program, or new signs of life of one."""
    name = ":".join(worker_id.split(":")[:2])
    await harness.redis(app, "SADD", "resque:workers", worker_id)
    if working is not None:
        await harness.redis(app, "SET", f"resque:worker:{worker_id}", working)
    if started is not None:
        await harness.redis(app, "SET", f"resque:worker:{worker_id}:started", started)
    if ping is not None:
        value = json.dumps({"time": ping, "name": name, "queues": "math"})
        await harness.redis(app, "SET", f"resque:worker:ping:{name}", value)
    if heartbeat is not None:
        await harness.redis(app, "HSET", "resque:workers:heartbeat", worker_id, heartbeat)


# --- looking -----------------------------------------------------------------------------------------------------


async def test_workers_and_what_they_do(harness):
    """The listings name each worker with its queues, None for an idle worker and the job of a busy one."""
    app = harness.app(scheduler=False)
    async with app:
        assert (await app.queue.workers(), await app.queue.all_working_on()) == ({}, {})
        process, claim = await busy(app, queues=("math", "low"))
        first, second = process.worker(1), process.worker(2)
        assert await app.queue.workers() == {first: "math,low", second: "math,low"}
        working = await app.queue.working_on(first, "math,low")
        since = datetime.fromtimestamp(int(harness.clock.now()), UTC)
        assert working == Working(
            worker=first, queue="math", job=Job("slow", [{"a": 1}], "math", raw=JOB), run_at=since, raw=working.raw
        )
        assert claim.token in working.raw
        assert await app.queue.working_on(first, ("math", "low")) == working
        assert await app.queue.working_on(second, "math,low") is None
        assert await app.queue.working_on("nobody", "math") is None
        assert await app.queue.all_working_on() == {first: working, second: None}


async def test_details_of_an_app_that_works(harness):
    """While a task runs, the details show its empty queue and one worker with its job."""
    app = harness.app(processors=1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    @app.task(queue="testQueue")
    async def slow_task(*, a):
        begun.set()
        await go_on.wait()

    async with app.running():
        await slow_task.enqueue(a=1)
        await slow_task.enqueue_in(3600, a=2)
        await begun.wait()
        await harness.happened("leader")
        details = await app.queue.details()
        (worker,) = details.workers
        assert worker.working is not None
        assert (worker.working.queue, worker.working.job.name, worker.working.job.args) == (
            "testQueue",
            "slow_task",
            [{"a": 1}],
        )
        now = harness.clock.now()
        assert details == Details(
            now=details.now,
            queues={"testQueue": 0},
            workers=(
                WorkerState(
                    name=worker.name,
                    queues="*",
                    program="taskhero",
                    working=worker.working,
                    started_at=datetime.fromtimestamp(int(now), UTC),
                    alive_for=worker.alive_for,
                ),
            ),
            stats={"processed": 0, "failed": 0},
            leader=app.scheduler.name,
            delayed=1,
            failed=0,
            paused=False,
        )
        assert 0 < worker.alive_for <= 3600
        assert abs(details.now.timestamp() - now) < 0.01
        assert await app.queue.leader() == app.scheduler.name
        go_on.set()
        await harness.happened("success")
        details = await app.queue.details()
        assert (details.stats, details.workers[0].processed, details.workers[0].working) == (
            {"processed": 1, "failed": 0},
            1,
            None,
        )
        assert await app.queue.stats() == {"processed": 1, f"processed:{worker.name}": 1}


async def test_nobody_leads_at_first(harness):
    """`leader` returns None until a scheduler takes the leader lease, then its name."""
    app = harness.app(scheduler=False)
    async with app:
        assert await app.queue.leader() is None
        await app.backend.lead("somebody", 10)
        assert await app.queue.leader() == "somebody"


async def test_locks_are_listed_and_deleted(harness):
    """The names of the locks come without the namespace."""
    app = harness.app(scheduler=False)
    async with app:
        assert await app.queue.locks() == {}
        guards = (QueueLockGuard("lock:slow:math:[]", 60), QueueLockGuard("workerslock:slow:math:[]", 30))
        await app.backend.push([Entry("math", JOB, guards=guards)])
        second = int(harness.clock.now())
        assert await app.queue.locks() == {
            "lock:slow:math:[]": str(second + 61),
            "workerslock:slow:math:[]": str(second + 31),
        }
        assert await app.queue.delete_lock("lock:slow:math:[]") == 1
        assert await app.queue.delete_lock("lock:slow:math:[]") == 0
        assert list(await app.queue.locks()) == ["workerslock:slow:math:[]"]
        for wrong in ("queues", "", "resque:lock:slow:math:[]", None):
            with pytest.raises(InvalidLockName, match="pass one that locks"):
                await app.queue.delete_lock(wrong)
        assert await app.queue.queues() == ["math"]


async def test_workers_of_every_program_are_shown(harness):
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        await foreign(
            harness,
            app,
            RUBY,
            working=RUBY_WORKS,
            heartbeat="2026-11-23T10:32:04+00:00",
            started="2026-11-23 10:32:04 +0000",
        )
        await foreign(harness, app, NODE, working=NODE_WORKS, ping=1795430191, started="1795430190")
        await foreign(harness, app, MULTI)
        await harness.redis(app, "SET", "resque:stat:processed:vm:14545:math,slow", "3")
        await harness.redis(app, "SET", "resque:stat:failed:vm:18588", "2")
        assert await app.queue.workers() == {"vm:14545": "math,slow", "vm:18588": "math", "vm:18825+1": "math"}
        working = await app.queue.all_working_on()
        ruby = Working(
            worker="vm:14545",
            queue="slow",
            job=Job("SlowJob", ["hé", [], 1e21], "slow", raw='{"class":"SlowJob","args":["hé",[],1.0e+21]}'),
            run_at=datetime(2026, 11, 23, 10, 32, 5, tzinfo=UTC),
            raw=RUBY_WORKS,
        )
        node = Working(
            worker="vm:18588",
            queue="math",
            job=Job("SlowJob", ["x", {}], "math", raw='{"class":"SlowJob","args":["x",{}],"queue":"math"}'),
            run_at=datetime(2026, 11, 23, 10, 36, 31, tzinfo=UTC),
            raw=NODE_WORKS,
        )
        assert working == {"vm:14545": ruby, "vm:18588": node, "vm:18825+1": None}
        assert (await app.queue.details()).workers == (
            WorkerState(
                name="vm:14545",
                queues="math,slow",
                program="resque",
                working=ruby,
                started_at=datetime(2026, 11, 23, 10, 32, 4, tzinfo=UTC),
                seen_at=datetime(2026, 11, 23, 10, 32, 4, tzinfo=UTC),
                processed=3,
            ),
            WorkerState(
                name="vm:18588",
                queues="math",
                program="node-resque",
                working=node,
                started_at=datetime.fromtimestamp(1795430190, UTC),
                seen_at=datetime.fromtimestamp(1795430191, UTC),
                failed=2,
            ),
            WorkerState(name="vm:18825+1", queues="math"),
        )


async def test_garbage_of_workers_is_shown_as_such(harness):
    """A worker key, ping, heartbeat, counter and name that cannot be read."""
    if not harness.is_redis:
        return
    app = harness.app(scheduler=False)
    async with app:
        await foreign(harness, app, "a:1:q", working="garbage", heartbeat="no date", started="whenever")
        await foreign(harness, app, "b:1:q", working="[1]")
        await foreign(harness, app, "c:1:q", working='{"queue":1,"payload":{"class":5}}')
        await foreign(harness, app, "")
        await foreign(harness, app, "no colon")
        await harness.redis(app, "SADD", "resque:workers", b"\xff\xfe:1:q")
        await harness.redis(app, "HSET", "resque:worker:d:1:q", "no", "text")
        await harness.redis(app, "SADD", "resque:workers", "d:1:q")
        await harness.redis(app, "SET", "resque:worker:ping:b:1", "no json")
        await harness.redis(app, "SET", "resque:stat:processed:b:1", "many")
        await harness.redis(app, "RPUSH", "resque:stat:failed:b:1", "many")
        working = await app.queue.all_working_on()
        assert {name for name, found in working.items() if found and found.job.problem} == {"a:1", "b:1", "c:1", "d:1"}
        assert {name for name, found in working.items() if found is None} == {"", "no colon", "\udcff\udcfe:1"}
        states = {state.name: state for state in (await app.queue.details()).workers}
        assert "heartbeat: 'no date' is not a date" in states["a:1"].problem
        assert all(what in states["b:1"].problem for what in ("ping", "processed", "failed"))
        assert "working" in states["d:1"].problem
        assert (await app.queue.working_on("d:1", "q")).job.problem
        for name in working:
            await app.queue.force_clean_worker(name or "")
        assert await app.queue.workers() == {}
        failed = [(each.worker, each.job.args) for each in await app.queue.failed()]
        assert failed == [("a:1", ["garbage"]), ("b:1", ["[1]"]), ("c:1", ['{"class":5}'])]


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


async def test_workers_of_other_programs_are_cleaned_when_nothing_of_them_changed_while_somebody_watched(harness):
    """Their clocks are not believed: here they are years behind, as if they were long dead, or ahead."""
    if not harness.is_redis:
        return
    app, other = harness.app(scheduler=False), harness.app(scheduler=False)
    async with app, other:
        await foreign(harness, app, RUBY, working=RUBY_WORKS, heartbeat="2001-01-01T00:00:00+00:00")
        await foreign(harness, app, NODE, working=NODE_WORKS, ping=1)
        await foreign(harness, app, MULTI, ping=10**10)
        await foreign(harness, app, "dead:1:math")
        assert await app.queue.clean_old_workers(60) == {}, "nobody has watched yet"
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

        async def sweep_workers(self, age, *, ours):
            assert not ours, "they are rescued"
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


# --- few round trips ---------------------------------------------------------------------------------------------


async def test_a_hundred_workers_and_queues_are_shown_in_few_round_trips(harness):
    from test_delayed import count

    app = harness.app(scheduler=False)
    async with app:
        process = await registered(app.backend, slots=range(1, 101))
        await app.backend.push([Entry(f"queue{n:03}", JOB) for n in range(100)])
        asked = count(app)
        details = await app.queue.details()
        assert (len(details.workers), details.queues) == (100, {f"queue{n:03}": 1 for n in range(100)})
        assert details.workers[0].name == process.worker(1)
        assert asked() <= 3
        for look in (app.queue.workers, app.queue.all_working_on, app.queue.queues):
            assert len(await look()) == 100
            assert asked() <= 1
        await app.queue.stats()
        await app.queue.locks()
        assert asked() <= 6
