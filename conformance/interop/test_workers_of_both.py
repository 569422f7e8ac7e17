"""Each side sees the workers, locks and counters of both, and cleans the other's workers."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from any_args import EDGES, meaning
from polling import until
from processes import Workers

from taskhero.clock import ManualClock
from taskhero.plugins import JobLock, QueueLock

pytestmark = pytest.mark.anyio

#: What a node worker can say of the job in its hands: its script makes `{}` of `[]`, and leaves 14 digits of a number.
HELD = ["é 😀", 1.0, 1e21, -0.0, {"2": {"a": "\u2028"}, "1": None}]
LATER = 4_000_000_000
#: Since any moment, even one that node's clock has yet to reach.
ANY_AGE = -60_000
HOLD = {"hold": {"does": "hold", "plugins": ["JobLock"]}, "waits": {"plugins": ["QueueLock"]}, "note": {}}


def same(left, right):
    assert meaning(left) == meaning(right)


@contextlib.asynccontextmanager
async def holding(stage, resque, args):
    """An app and a node worker that each hold a job; beside each of them an idle worker."""
    app = stage.app(processors=2, settings={"queues": ("ours", "also:ours"), "heartbeat_interval": 0.25})
    began, release = [], asyncio.Event()

    @app.task(name="hold", queue="also:ours", wire="list", plugins=(JobLock(),))
    async def hold(*args):
        began.append(list(args))
        stage.look()
        await release.wait()

    @app.task(name="waits", queue="stay", wire="list", plugins=(QueueLock(),))
    async def waits(*args): ...

    await resque("declare", HOLD)
    async with app.running():
        await resque("start", "busy", "worker", {"queues": ["theirs", "also:theirs"], "name": "node:1"})
        await resque("start", "idle", "worker", {"queues": ["none"], "name": "node:2"})
        await hold.enqueue(*args)
        await stage.until(lambda: began)
        await resque.queue("enqueue", "also:theirs", "hold", args)
        await resque("performed", 1)
        try:
            yield app, began, release
        finally:
            release.set()
            await resque("release")
            for name in ("busy", "idle"):
                await resque("stop", name)


def busy_of(working):
    """The names of those of ours that work."""
    return [name for name, what in working.items() if what not in (None, "started") and not name.startswith("node")]


async def test_both_sides_say_the_same_of_workers_locks_counters_and_all_at_once(stage, resque):
    args = HELD
    async with holding(stage, resque, args) as (app, _, _):
        leader = await resque("start", "scheduler", "scheduler")
        await resque("told", "leader", 1)
        await stage.happened("scheduler.leader")
        await resque.queue("enqueue", "none", "note", [1])
        await resque("told", "success", 1)
        await app.queue.enqueue("waits", args)
        await resque.queue("enqueue", "stay too", "waits", args)
        await app.queue.enqueue_at(LATER, "waits", args)
        await resque.queue("enqueueAt", LATER * 1000, "theirs", "note", args)

        workers = await resque.queue("workers")
        assert len(workers) == 4
        assert await app.queue.workers() == workers
        theirs, ours = await resque.queue("allWorkingOn"), await app.queue.all_working_on()
        assert ours.keys() == theirs.keys()
        assert len(busy_of(theirs)) == 1
        for name, working in ours.items():
            if working is None:
                assert theirs[name] == "started"
                assert await resque.queue("workingOn", name, workers[name]) is None
                continue
            seen = theirs[name]
            assert (
                (working.worker, working.queue) == (seen["worker"], seen["queue"]) == (name, seen["payload"]["queue"])
            )
            assert working.job.name == seen["payload"]["class"] == "hold"
            same([working.job.args, seen["payload"]["args"]], [args, args])
            assert abs(working.run_at.timestamp() - time.time()) < 30
            assert working == await app.queue.working_on(name, workers[name])

        locks = await app.queue.locks()
        assert locks == await resque.queue("locks")
        assert sorted(name.partition(":[")[0] for name in locks) == [
            *("lock:waits:stay", "lock:waits:stay too"),
            *("workerslock:hold:also:ours", "workerslock:hold:also:theirs"),
        ]
        text = '["é 😀",1,1e+21,0,{"1":null,"2":{"a":"\u2028"}}]'
        assert {name.partition(":[")[2] for name in locks} == {text[1:]}
        # Either side deletes what the other locked.
        assert await app.queue.delete_lock(f"lock:waits:stay too:{text}") == 1
        assert await resque.queue("delLock", f"lock:waits:stay:{text}") == 1
        assert len(await app.queue.locks()) == len(await resque.queue("locks")) == 2

        counted = {name: int(count) for name, count in (await resque.queue("stats")).items()}
        assert await app.queue.stats() == counted
        details = await app.queue.details()
        assert details.queues == {name: await resque.queue("length", name) for name in await resque.queue("queues")}
        assert (details.queues["stay"], details.queues["stay too"]) == (1, 1)
        assert {worker.name: worker.queues for worker in details.workers} == workers
        assert {worker.name: worker.working for worker in details.workers} == ours
        assert details.stats == {"processed": 1, "failed": 0}
        assert [worker.processed for worker in details.workers if worker.name == "node:2"] == [
            counted["processed:node:2"]
        ]
        assert details.failed == await resque.queue("failedCount") == 0
        assert details.delayed == sum(map(len, (await resque.queue("allDelayed")).values())) == 2
        # Each side has a leader of its own.
        assert await resque.queue("leader") == leader
        assert details.leader == await app.queue.leader() == app.scheduler.name != leader
        await resque("stop", "scheduler")


async def test_node_cleans_a_worker_of_ours_whose_job_goes_on(stage, resque):
    """It asks how long a job runs, not whether its worker lives: what it fails may be done all the same."""
    async with holding(stage, resque, list(EDGES)) as (app, began, release):
        (name,) = busy_of(await app.queue.all_working_on())
        assert await resque.queue("cleanOldWorkers", 3_600_000) == {}
        failure = await resque.queue("forceCleanWorker", name)
        listed = next(failed for failed in await app.queue.failed() if failed.worker == name)
        assert (listed.exception, listed.queue) == ("Worker Timeout (killed manually)", "also:ours")
        assert listed.job.name == failure["payload"]["class"] == "hold"
        same([listed.job.args, failure["payload"]["args"]], [list(EDGES)] * 2)
        # It is there again within a heartbeat, for its job is still in its hands.

        async def registered():
            return name in await resque.queue("workers")

        await until(registered)
        release.set()
        await stage.happened("success")
        assert await resque.queue("retryAndRemoveFailed", failure) is True
        await stage.until(lambda: len(began) == 2)
        same(began[1], list(EDGES))
        await stage.happened("success", 2)


async def test_a_job_of_a_process_that_died_is_rescued_though_node_cleaned_its_worker(place, stage, resque):
    brief = {"heartbeat_interval": 0.25, "rescue_after": 1, "queues": ("work",)}
    heir = stage.app(processors=1, scheduler=False, settings=brief)
    did = []

    @heir.task(queue="work")
    async def hold(n):
        did.append(n)

    one = {"min_task_processors": 1, "max_task_processors": 1}
    async with Workers(place.url, **brief, **one) as workers:
        victim = await workers.start("victim")
        await resque.queue("enqueue", "work", "hold", [1e21])
        await victim.says("began 1e+21")
        victim.kill()
        await victim.ended()
        (failure,) = (await resque.queue("cleanOldWorkers", ANY_AGE)).values()
    assert failure["payload"] == {"class": "hold", "queue": "work", "args": [1e21]}
    async with heir.running():
        await stage.happened("success")
        assert did == [1e21]
        # What node-resque listed is for a person to remove.
        assert await resque.queue("removeFailed", (await resque.queue("failed", 0, -1))[0]) == 1
    assert place.command("KEYS", "resque:worker:*") == b"*0"


async def test_a_worker_of_node_is_cleaned_here_and_what_it_held_is_retried_by_node(stage, resque):
    async with holding(stage, resque, HELD) as (app, _, _):
        failed = await app.queue.force_clean_worker("node:1")
        same(failed.job.args, HELD)
        assert await app.queue.force_clean_worker("node:2") is None
        (ours, _), theirs = await app.queue.workers(), await resque.queue("workers")
        assert ours in theirs
        assert len(theirs) == 2
        assert await stage.redis(app, "KEYS", "resque:worker:node:*") == []
        (seen,) = await resque.queue("failed", 0, -1)
        assert (seen["worker"], seen["queue"]) == ("node:1", "also:theirs")
        assert seen["backtrace"][1] == "queue#forceCleanWorker"
        await resque.queue("retryStuckJobs")
        assert await resque.queue("del", "also:theirs", "hold", HELD) == 1
        assert await app.queue.failed_count() == 0


async def test_workers_of_a_node_process_that_died_are_cleaned_here_by_age(stage, resque, make_resque):
    """What the worker's own note has lost cannot be given back."""
    noted = [*HELD, {}, 123456789.12346]
    stage.clock = ManualClock(time.time())
    app = stage.app(processors=0, scheduler=False)
    async with app:
        dying = make_resque()
        await dying("declare", HOLD)
        await dying("start", "busy", "worker", {"queues": ["jobs"], "name": "node:1"})
        await dying("start", "idle", "worker", {"queues": ["none"], "name": "node:2"})
        await resque.queue("enqueue", "jobs", "hold", [*HELD, [], 123456789.12345679])
        await dying("performed", 1)
        dying.process.kill()
        dying.process.wait()
        assert await app.queue.clean_old_workers(3600) == {}
        stage.clock.advance(3601)
        cleaned = await app.queue.clean_old_workers(3600)
        assert cleaned.keys() == {"node:1"}
        same(cleaned["node:1"].job.args, noted)
        assert await resque.queue("workers") == {}
        (failure,) = await resque.queue("failed", 0, -1)
        assert await resque.queue("retryAndRemoveFailed", failure) is True
        assert await app.queue.delete("jobs", "hold", noted) == 1
