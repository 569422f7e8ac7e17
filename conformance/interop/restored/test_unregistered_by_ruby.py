"""A Ruby worker or console takes a worker of ours off the list, by the commands that Resque 3.0 was seen to send."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
import redis
from harm_rules import harms
from polling import until
from processes import Workers
from state_watcher import look

pytestmark = pytest.mark.anyio

QUICK = {"heartbeat_interval": 0.3, "rescue_after": 1.0, "timeout": 0.2, "grace": 0.0}
STUCK, PRUNED = "Resque::DirtyExit", "Resque::PruneDeadWorkerDirtyExit"


def unregister(url, worker, exception):
    """What `unregister_worker` does: the job in hand becomes a failure, then everything of the worker is deleted."""
    with contextlib.closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        busy = json.loads(client.get(f"resque:worker:{worker}") or "{}")
        if busy:
            failure = {"failed_at": "2026/11/23 19:13:14 UTC", "payload": busy["payload"], "exception": exception}
            failure |= {"error": "told by Ruby", "backtrace": [], "worker": worker, "queue": busy["queue"]}
            client.rpush("resque:failed", json.dumps(failure, ensure_ascii=False, separators=(",", ":")))
        with client.pipeline(transaction=False) as pipe:
            pipe.srem("resque:workers", worker)
            pipe.delete(f"resque:worker:{worker}")
            pipe.delete(f"resque:worker:{worker}:started")
            pipe.hdel("resque:workers:heartbeat", worker)
            pipe.delete(f"resque:stat:processed:{worker}")
            pipe.delete(f"resque:stat:failed:{worker}")
            pipe.execute()


async def test_a_living_worker_that_ruby_takes_off_the_list_is_back_and_its_job_is_counted_once(place, stage):
    """It shows its job again, which is settled once; what Ruby listed as failed stays listed."""
    app = stage.app(processors=1, scheduler=False, settings={"queues": ("work",), **QUICK})
    began, release = [], asyncio.Event()

    @app.task(queue="work")
    async def hold(n):
        began.append(n)
        stage.look()
        await release.wait()

    async with app.running():
        await hold.enqueue(1)
        await stage.until(lambda: began)
        (worker,) = look(place.url)["workers"][2]
        unregister(place.url, worker, STUCK)
        await until(lambda: look(place.url).get("workers", ("", 0, ()))[2] == (worker,))
        assert worker in look(place.url)["workers:heartbeat"][2]
        await until(lambda: f"worker:{worker}" in look(place.url))
        (working,) = (await app.queue.all_working_on()).values()
        assert (working.job.name, working.job.args, working.queue) == ("hold", [1], "work")
        assert harms(look(place.url)) == []
        release.set()
        await hold.enqueue(2)
        await stage.happened("success", 2)
        assert began == [1, 2]
        assert f"worker:{worker}" not in look(place.url)
        (listed,) = await app.queue.failed()
        assert (listed.job.name, listed.job.args, listed.exception) == ("hold", [1], STUCK)
        assert (await app.queue.stats())["processed"] == 2
        # Whoever retries it runs it again.
        assert await app.queue.retry_and_remove_failed(listed) is True
        await stage.happened("success", 3)
        assert began == [1, 2, 1]


async def test_a_job_that_goes_on_after_ruby_took_its_worker_off_the_list_is_rescued(place, stage):
    """Its claim exists again, so the job is not lost if its process dies then."""
    app = stage.app(processors=1, scheduler=False, settings={"queues": ("work",), **QUICK})
    did = []

    @app.task(queue="work")
    async def hold(n):
        did.append(n)

    async with Workers(place.url, queues=["work"], max_task_processors=1, **QUICK) as others, app:
        victim = await others.start("victim")
        await hold.enqueue(1)
        await victim.says("began 1")
        (worker,) = look(place.url)["workers"][2]
        unregister(place.url, worker, STUCK)
        await until(lambda: f"worker:{worker}" in look(place.url))
        victim.kill()
        await victim.ended()
        async with app.running():
            await stage.happened("success")
        assert did == [1]
    assert harms(look(place.url)) == []


async def test_a_worker_that_was_cleaned_from_here_does_not_take_its_job_back(place, stage):
    """Whoever cleaned it listed the job as failed on purpose: its end is not recorded, whatever Ruby does later."""
    app = stage.app(processors=1, scheduler=False, settings={"queues": ("work",), **QUICK})
    began, release = asyncio.Event(), asyncio.Event()

    @app.task(queue="work")
    async def hold(n):
        began.set()
        await release.wait()

    async with app.running():
        await hold.enqueue(1)
        async with asyncio.timeout(20):
            await began.wait()
        (worker,) = look(place.url)["workers"][2]
        assert await app.queue.force_clean_worker(worker.rpartition(":")[0]) is not None
        for _ in range(2):
            await until(lambda: look(place.url).get("workers", ("", 0, ()))[2] == (worker,))
            unregister(place.url, worker, STUCK)
        await until(lambda: look(place.url).get("workers", ("", 0, ()))[2] == (worker,))
        assert f"worker:{worker}" not in look(place.url)
        release.set()
        await stage.happened("gone")
        assert (await app.queue.stats()).get("processed", 0) == 0


async def test_a_job_that_ruby_failed_with_its_dead_process_is_not_rescued_too(place, stage):
    """And nothing of the process stays: its pings, which Ruby does not know, go with its lease."""
    app = stage.app(processors=1, scheduler=False, settings={"queues": ("work",), **QUICK})
    did = []

    @app.task(queue="work")
    async def hold(n):
        did.append(n)

    async with Workers(place.url, queues=["work"], max_task_processors=1, **QUICK) as others, app:
        victim = await others.start("victim")
        await hold.enqueue(1)
        await victim.says("began 1")
        victim.kill()
        await victim.ended()
        (worker,) = look(place.url)["workers"][2]
        unregister(place.url, worker, PRUNED)
        name = worker.rpartition(":")[0]
        assert f"worker:ping:{name}" in look(place.url)
        async with app.running():
            await until(lambda: f"worker:ping:{name}" not in look(place.url))
            await hold.enqueue(2)
            await stage.happened("success")
        assert did == [2]
        (listed,) = await app.queue.failed()
        assert (listed.job.args, listed.exception, listed.worker) == ([1], PRUNED, worker)
        assert name not in str(look(place.url).get("taskhero:processes")) + str(look(place.url).get("taskhero:workers"))
    assert harms(look(place.url)) == []
