"""Workers of the real node-resque: a living one is never cleaned, a killed one is, and each side mends the other's."""

from __future__ import annotations

import asyncio

import pytest

from taskhero import TaskHero
from taskhero.backends.redis import RedisBackend
from taskhero.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(server):
    """A server with nothing in it."""
    assert server.command("FLUSHALL") == b"+OK"
    return server


@pytest.fixture
async def app(store):
    """An app whose store has a clock that the test moves: hours from that of node's machine."""
    clock = ManualClock(4_000_000_000)
    async with TaskHero(RedisBackend(store.url, clock=clock), clock=clock) as app:
        app.move = clock.advance
        yield app


async def test_a_living_worker_is_not_cleaned_and_a_killed_one_is(app, store, start_node):
    worker = start_node("stuck.mjs", str(store.port))
    name = await asyncio.to_thread(worker.ask, ["work"])
    working = await app.queue.working_on(name, "slow")
    assert (working.job.name, working.job.args, working.queue) == ("SlowJob", ["x", {"a": 1}], "slow")
    assert await app.queue.sweep_workers(3600, watched_only=True) == []
    app.move(4000)
    assert await asyncio.to_thread(worker.ask, ["sign"])
    assert await app.queue.clean_old_workers(3600) == {}, "it lives, though its clock is years behind the store's"
    worker.process.kill()
    worker.process.wait()
    assert await app.queue.clean_old_workers(3600) == {}
    app.move(4000)
    cleaned = await app.queue.clean_old_workers(3600)
    assert list(cleaned) == [name]
    assert await app.queue.workers() == {}
    assert (await app.queue.failed(), await app.queue.stats()) == (list(cleaned.values()), {"failed": 1})
    # Now node-resque finds it by its own mark, and stores the job again.
    mender = start_node("stuck.mjs", str(store.port))
    (seen,) = await asyncio.to_thread(mender.ask, ["failed"])
    assert seen["exception"] == "Worker Timeout (killed manually)"
    assert await asyncio.to_thread(mender.ask, ["retryStuck"]) == [
        {"class": "SlowJob", "queue": "slow", "args": ["x", {"a": 1}]}
    ]
    assert await app.queue.failed_count() == 0


async def test_what_node_cleaned_is_retried_here(app, store, start_node):
    worker = start_node("stuck.mjs", str(store.port))
    name = await asyncio.to_thread(worker.ask, ["work"])
    assert await app.queue.workers() == {name: "slow"}
    await asyncio.to_thread(worker.ask, ["forceClean", name])
    assert await app.queue.failed_count() == 1
    assert await app.queue.retry_stuck_jobs() == 1
    (job,) = await app.queue.queued("slow")
    assert (job.name, job.args) == ("SlowJob", ["x", {"a": 1}])
    assert await app.queue.failed() == []
