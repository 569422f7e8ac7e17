"""Whatever taskhero does, nothing lies in Redis at any moment that would hurt Ruby's or node-resque's readers."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest
from any_args import AnyArgs
from harm_rules import harms
from polling import until
from processes import Workers
from ruby_pruning import pruned
from state_watcher import Watcher, look

from taskhero.plugins import DelayQueueLock, JobLock, QueueLock, Retry

pytestmark = pytest.mark.anyio

#: Half of a surrogate pair in a log line cannot be reported by pytest-xdist.
QUIET = {"worker_logging": {"failure": "off", "retry": "off"}}
#: A quick life: leases run out, and signs of life come, within the test.
QUICK = {"heartbeat_interval": 0.3, "rescue_after": 1.0, "timeout": 0.2, "grace": 0.0}


def tasks_of_all_kinds(app):
    """Tasks that succeed, fail in odd ways, are tried again, and have locks."""

    @app.task(queue="work", wire="list")
    async def fine(*args):
        await asyncio.sleep(0)

    @app.task(queue="wörk spaces/and:colons", wire="list")
    def threaded(*args):
        return args

    @app.task(queue="work", wire="list")
    async def broken(*args):
        raise ValueError("é 😀 \ud83d \0 <b>&\nsecond line")

    @app.task(queue="work", plugins=(Retry(limit=3, delay=1, jitter=0),), wire="list")
    async def trying(*args):
        raise KeyError(args)

    @app.task(queue="locked", plugins=(QueueLock(), JobLock(delay=1)), wire="list")
    async def locked(*args):
        await asyncio.sleep(0.05)

    @app.task(queue="locked", plugins=(DelayQueueLock(),), wire="list")
    async def delayed(*args):
        await asyncio.sleep(0)

    @app.task(queue="work", timeout=0.1)
    async def slow():
        await asyncio.Event().wait()

    @app.task(queue="work")
    async def hold(n):
        await asyncio.sleep(0)

    return fine, threaded, broken, trying, locked, delayed, slow, hold


def is_left_to_do(dump):
    """Whether a job is queued, delayed or in a worker's hands."""
    busy = (key for key in dump if key.startswith("worker:") and not key.startswith("worker:ping:"))
    return any(key.startswith(("queue:", "delayed:")) for key in dump) or any(not k.endswith(":started") for k in busy)


async def test_a_full_run_leaves_nothing_in_redis_at_any_moment_that_hurts_another_reader(place, stage):
    app = stage.app(processors=4, settings={**QUICK, **QUIET, "min_task_processors": 1, "check_interval": 0.05})
    fine, threaded, broken, trying, locked, delayed, slow, hold = tasks_of_all_kinds(app)
    args = AnyArgs(3).lists(60)
    with Watcher(place.url) as watcher:
        async with Workers(place.url, queues=["work"], max_task_processors=1, **QUICK) as others, app:
            victim = await others.start("victim")
            await hold.enqueue(1)
            await victim.says("began 1")
            async with app.running():
                for one in args:
                    await fine.enqueue(*one)
                    await threaded.enqueue(*one)
                for one in args[::6]:
                    await broken.enqueue(*one)
                    await trying.enqueue(*one)
                    await locked.enqueue(*one)
                    await locked.enqueue_in(timedelta(seconds=1), *one)
                    await delayed.enqueue_at(datetime.now(UTC) + timedelta(seconds=1), *one)
                    await delayed.enqueue(*one)
                await slow.enqueue()
                await app.queue.enqueue("nobody knows this", [1], "work")
                victim.kill()
                await stage.happened("rescue")
                await until(lambda: not is_left_to_do(look(place.url)))
                stats = await app.queue.stats()
        end = look(place.url)
    assert watcher.harms() == set()
    assert len(watcher.seen) > 100
    # Those that always fail, those that were tried three times, the slow and the unknown one.
    assert len(end["failed"][2]) == 10 + 10 + 2
    assert stats["failed"] == 10 + 3 * 10 + 2
    assert stats["processed"] >= 60 + 60 + 10 + 10 + 1
    for busy in ("worker:ping:", "delayed:", "failure-resque-retry:", "lock:", "workerslock:", "queue:w"):
        assert watcher.was(lambda dump, busy=busy: any(key.startswith(busy) for key in dump)), busy
    # What stays when all have stopped: what is to be done, what was done, and no trace of who did it.
    assert harms(end) == []
    left = {key for key in end if not key.startswith(("queue", "stat:processed", "stat:failed", "failed", "taskhero:"))}
    assert left == set()


async def test_texts_that_kill_a_ruby_worker_are_taken_out_of_its_way(place, stage):
    """They lie in a queue because somebody else put them there; they end as failures that can be shown and retried."""
    poison = ["xx", "", "null", "[1]", "1", '{"class":"t"', "\ufeff{}", '{"class":"t","args":[NaN]}', '{"args":[]}']
    poison += ['{"class":"t","args":["\\ud83d"]}', '{"class":"t","args":["\n"]}', '{"class":"t","args":[1e400]}']
    raws = [text.encode() for text in poison] + [b'{"class":"\xff","args":[]}', b"[" * 2000]
    app = stage.app(processors=2, settings=QUIET)
    async with app:
        await stage.redis(app, "SADD", "resque:queues", "q")
        await stage.redis(app, "RPUSH", "resque:queue:q", *raws)
        async with app.running():
            await stage.happened("failure", len(raws))
    end = look(place.url)
    assert harms(end) == []
    assert len(end["failed"][2]) == len(raws)


async def test_node_finds_by_its_bytes_whatever_is_written_here(place, stage, resque):
    """It removes and retries what it has read and written anew, so that must give the same bytes."""
    app = stage.app(processors=2, scheduler=False, settings=QUIET)
    args = AnyArgs(5).lists(100)

    @app.task(queue="work", wire="list", plugins=(QueueLock(),))
    async def broken(*args):
        raise ValueError("é 😀 \ud83d \0 <b>&\nsecond line", args)

    async with app:
        for one in args:
            await broken.enqueue(*one)
            await broken.enqueue_at(4_000_000_000, *one)
        before = look(place.url)
        async with app.running():
            await stage.happened("failure", len(args))
    texts = [*before["queue:work"][2], *before["delayed:4000000000"][2], *look(place.url)["failed"][2]]
    assert len(texts) == 3 * len(args)
    assert await resque("rewritten", texts) == texts


# --- pruning by a Ruby worker ------------------------------------------------------------------------------------


def ruby_prunes(dump, *, host, queues, now=None):
    """What a Ruby worker that starts on *host* would take out."""
    beats = dump["workers:heartbeat"][2]
    processes = {str(os.getpid()): "python -m pytest", "1": "init"}
    now = now or datetime.now(UTC)
    heartbeats = dict(zip(beats[::2], beats[1::2], strict=True))
    return pruned(dump["workers"][2], heartbeats, now=now, host=host, queues=queues, processes=processes)


@pytest.mark.parametrize("queues", [("work",), ("*",), ("a", "b")])
async def test_workers_survive_the_pruning_of_a_ruby_worker_on_the_same_host(place, stage, queues):
    app = stage.app(processors=3, settings={"queues": queues, "min_task_processors": 3})
    async with app.running():
        dump = look(place.url)
        assert len(dump["workers"][2]) == 3
        for theirs in (queues, ("*",), tuple(reversed(queues)), ("other",)):
            assert ruby_prunes(dump, host=socket.gethostname(), queues=theirs) == set()
        # The rules would have found them, had they nothing but the host's name, or no sign of life for so long.
        own_host = dump["workers"][2][0].split(":")[0]
        assert len(ruby_prunes(dump, host=own_host, queues=("*",))) == 3
        later = datetime.now(UTC) + timedelta(seconds=301)
        assert len(ruby_prunes(dump, host="elsewhere", queues=("other",), now=later)) == 3


async def test_a_worker_that_is_pruned_is_there_again_within_a_heartbeat_with_its_job(place, stage):
    """As Ruby does it: out of the set, its keys deleted, its job written to the failures."""
    app = stage.app(processors=1, scheduler=False, settings={"queues": ("work",), "heartbeat_interval": 0.3})
    began, release = asyncio.Event(), asyncio.Event()
    performed = []

    @app.task(queue="work")
    async def hold(n):
        performed.append(n)
        began.set()
        await release.wait()

    async with app.running():
        await hold.enqueue(1)
        async with asyncio.timeout(20):
            await began.wait()
        before = look(place.url)
        (worker,) = before["workers"][2]
        await stage.redis(app, "SREM", "resque:workers", worker)
        await stage.redis(app, "HDEL", "resque:workers:heartbeat", worker)
        await stage.redis(app, "DEL", f"resque:worker:{worker}:started")
        await until(lambda: look(place.url).get("workers", ("", 0, ()))[2] == (worker,), 2 * 0.3 + 2)
        now = look(place.url)
        assert now[f"worker:{worker}"] == before[f"worker:{worker}"]
        assert worker in now["workers:heartbeat"][2]
        assert harms(now) == []
        release.set()
        await stage.happened("success")
        assert performed == [1]
        stats = await app.queue.stats()
        assert (stats["processed"], stats.get("failed", 0)) == (1, 0)


async def test_a_worker_that_node_cleans_away_is_there_again_within_a_heartbeat(place, stage, resque):
    settings = {"queues": ("work",), "heartbeat_interval": 0.3, "min_task_processors": 3}
    app = stage.app(processors=3, scheduler=False, settings=settings)
    async with app.running():
        workers = look(place.url)["workers"][2]
        assert len(workers) == 3
        for worker in workers:
            await resque.queue("forceCleanWorker", worker.removesuffix(":work"))
        await until(lambda: set(look(place.url).get("workers", ("", 0, ()))[2]) == set(workers), 2 * 0.3 + 2)
        assert harms(look(place.url), but=frozenset({KNOWN})) == []


#: node-resque leaves a key behind when it connects.
KNOWN = "a key that no Resque knows is not written outside taskhero's own names"


async def test_a_job_that_pruning_wrote_to_the_failures_is_not_counted_as_done_here_too(place, stage):
    """Ruby deletes the claim and lists the job as failed; it ends before the next heartbeat could restore the claim."""
    app = stage.app(processors=1, scheduler=False, settings={"queues": ("work",), "heartbeat_interval": 3})
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
        entry = (
            '{"failed_at":"2026/11/23 10:34:12 UTC","payload":{"class":"hold","queue":"work","args":[1]},"exception":'
            '"Resque::PruneDeadWorkerDirtyExit","error":"Worker did not gracefully exit while processing hold",'
            f'"backtrace":[],"worker":"{worker}","queue":"work"}}'
        )
        await stage.redis(app, "RPUSH", "resque:failed", entry)
        await stage.redis(app, "SREM", "resque:workers", worker)
        await stage.redis(app, "DEL", f"resque:worker:{worker}", f"resque:worker:{worker}:started")
        await stage.redis(app, "HDEL", "resque:workers:heartbeat", worker)
        release.set()
        await stage.happened("gone")
        assert (await app.queue.stats()).get("processed", 0) == 0
        (failed,) = await app.queue.failed()
        assert failed.exception == "Resque::PruneDeadWorkerDirtyExit"
        # The slot works on.
        await hold.enqueue(2)
        await stage.happened("success")
        assert (await app.queue.stats())["processed"] == 1
