"""Workers of both kinds on one queue, fed by producers of both kinds; and what each side says of the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest
from polling import until
from processes import Workers
from state_watcher import look

pytestmark = pytest.mark.anyio

JOBS = 10_000
EACH = 3


async def feed_by_node(resque, numbers):
    await resque("callsAtOnce", [["enqueue", "work", "quick", [n]] for n in numbers])


async def feed_from_here(app, numbers):
    """One by one and in bulk in turn, with a pause for others."""
    for start in range(0, len(numbers), 500):
        chunk = numbers[start : start + 500]
        await app.queue.enqueue_many([app.queue.job("quick", [n], "work") for n in chunk[:400]])
        await asyncio.gather(*(app.queue.enqueue("quick", [n], "work") for n in chunk[400:]))


async def test_10000_jobs_of_both_producers_are_performed_once_each_by_a_mixed_fleet(place, stage, make_resque):
    nodes = [make_resque() for _ in range(EACH)]
    app = stage.app(processors=0, scheduler=False)
    # None is taken away meanwhile, which would take its counter along.
    two = {"min_task_processors": 2, "max_task_processors": 2}
    async with app, Workers(place.url, queues=["work"], timeout=0.2, **two) as workers:
        fleet = await asyncio.gather(*(workers.start() for _ in range(EACH)))
        both = {"minTaskProcessors": 2, "maxTaskProcessors": 2}
        for node, kind, options in zip(nodes, ("worker", "worker", "multi"), ({}, {}, both), strict=True):
            await node("declare", {"quick": {}})
            await node("start", "worker", kind, {"queues": ["work"], **options})
        producer = make_resque()

        async def all_processed():
            return (await app.queue.stats()).get("processed", 0) >= JOBS

        await asyncio.gather(
            feed_by_node(producer, range(0, JOBS, 2)),
            feed_from_here(app, range(1, JOBS, 2)),
        )
        await until(all_processed, 60)
        ours, theirs = await app.queue.stats(), await producer.queue("stats")
        assert ours == {name: int(count) for name, count in theirs.items()}
        by_node = [await node("performed", 0) for node in nodes]
        for node in nodes:
            await node("stop", "worker")
        for worker in fleet:
            assert await worker.stop() == 0
        by_us = [[int(line.split()[1]) for line in worker.said if line.startswith("did ")] for worker in fleet]
        performed = Counter(args[0] for jobs in by_node for _, args in jobs)
        performed.update(n for numbers in by_us for n in numbers)
        assert performed == dict.fromkeys(range(JOBS), 1)
        # Each side had its part; neither waited for the other to be gone.
        assert all(sum(map(len, side)) > 100 for side in (by_node, by_us))
        counted = {name: count for name, count in ours.items() if name.startswith("processed:")}
        assert sum(counted.values()) == JOBS
        assert await app.queue.failed_count() == 0
    left = look(place.url)
    assert [key for key in left if key.startswith(("worker", "queue:"))] == []


@contextlib.asynccontextmanager
async def holding(stage, resque):
    """A job in the hands of a worker on each side, with a failure from each side."""
    app = stage.app(processors=1, scheduler=False, settings={"queues": ("ours", "also:ours")})
    began, release = asyncio.Event(), asyncio.Event()

    @app.task(queue="ours", wire="list")
    async def hold(*args):
        began.set()
        await release.wait()

    @app.task(queue="ours", wire="list")
    async def fail(*args):
        raise ValueError("é 😀")

    given = {"hold": {"does": "hold"}, "fail": {"does": "fail"}}
    await resque("declare", given)
    async with app.running():
        await resque("start", "worker", "worker", {"queues": ["theirs"], "name": "node:1"})
        await fail.enqueue(1.0, "é", {"2": [], "1": None})
        await resque.queue("enqueue", "theirs", "fail", [1.5, "é", {}])
        await stage.happened("failure")
        await resque("told", "failure", 1)
        await hold.enqueue("a", 1)
        await resque.queue("enqueue", "theirs", "hold", ["b", 2])
        async with asyncio.timeout(20):
            await began.wait()
        await resque("performed", 2)
        await hold.enqueue("waits", [])
        await resque.queue("enqueue", "theirs", "hold", ["waits", {}])
        yield app
        release.set()
        await resque("release")
        await resque("stop", "worker")


async def test_both_sides_say_the_same_of_queues_workers_counters_and_failures(place, stage, resque):
    async with holding(stage, resque) as app:
        theirs = resque.queue
        assert await app.queue.queues() == sorted(await theirs("queues")) == ["ours", "theirs"]
        for queue in ("ours", "theirs"):
            seen = await theirs("queued", queue, 0, -1)
            assert [(job.name, job.args) for job in await app.queue.queued(queue)] == [
                (job["class"], job["args"]) for job in seen
            ]
            assert await app.queue.length(queue) == await theirs("length", queue) == 1
        assert await app.queue.stats() == {name: int(n) for name, n in (await theirs("stats")).items()}
        assert (await app.queue.stats())["failed"] == 2

        assert await app.queue.failed_count() == await theirs("failedCount") == 2
        seen = await theirs("failed", 0, -1)
        for ours, other in zip(await app.queue.failed(), seen, strict=True):
            assert (ours.job.name, ours.job.args) == (other["payload"]["class"], other["payload"]["args"])
            assert (ours.queue, ours.worker) == (other["queue"], other["worker"])
            assert (ours.exception, ours.error) == (other["exception"], other["error"])
            assert ours.backtrace == other["backtrace"]
            assert ours.failed_at is not None
        assert {one.exception for one in await app.queue.failed()} == {"ValueError", "TypeError"}


async def test_node_sees_our_workers_and_what_they_work_on_as_it_sees_its_own(place, stage, resque):
    async with holding(stage, resque):
        workers = await resque.queue("workers")
        ours = next(name for name in workers if name != "node:1")
        assert workers == {"node:1": "theirs", ours: "ours,also:ours"}
        working = await resque.queue("allWorkingOn")
        assert set(working) == {"node:1", ours}
        assert working[ours]["worker"] == ours
        assert working[ours]["queue"] == "ours"
        assert working[ours]["payload"] == {"class": "hold", "queue": "ours", "args": ["a", 1]}
        assert working["node:1"]["payload"]["args"] == ["b", 2]
        assert await resque.queue("cleanOldWorkers", 3_600_000) == {}
        assert (await resque.queue("workers")) == workers
