"""Looking at workers: the same on every store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from worker_entries import JOB, MULTI, NODE, NODE_WORKS, RUBY, RUBY_WORKS, busy, foreign

from taskhero import Job, Working
from taskhero.backends.protocol import Entry, QueueLockGuard
from taskhero.conformance.steps import registered
from taskhero.errors import InvalidLockName
from taskhero.models import Details, WorkerState

pytestmark = pytest.mark.anyio


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
