"""Halves of what other programs wrote before they died: no task and no job waits for them."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from redis_view import connections_of, run_command

from taskhero import Settings, TaskHero
from taskhero.backends.protocol import DelayedJobEntry, Entry, NotDelayed, PeriodicTask, PromoteResult, PromotionTarget
from taskhero.backends.redis import RedisBackend
from taskhero.clock import ManualClock
from taskhero.plugins import DelayQueueLock, JobLock

pytestmark = pytest.mark.anyio

NOW = 4_000_000_000
MASTER_LOCK = "resque:resque:resque_scheduler_master_lock"
JOB = '{"class":"t","queue":"q","args":[1]}'
TICK = '{"class":"tick","queue":"default","args":[{}]}'


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW + 0.5)


@pytest.fixture
async def backend(redis_url: str, clock: ManualClock):
    backend = RedisBackend(redis_url, clock=clock)
    await backend.connect()
    yield backend
    await backend.close()


async def leave(backend: RedisBackend, moment: object, *texts: str, index: bool = True) -> None:
    for text in texts:
        await run_command(backend, "RPUSH", f"resque:delayed:{moment}", text)
        if index:
            await run_command(backend, "SADD", f"resque:timestamps:{text}", f"delayed:{moment}")


# delayed jobs


async def test_a_job_that_stops_an_equal_one_is_adopted_in_that_step(backend):
    """So the other one is refused only as long as this one is really to come."""
    await leave(backend, NOW - 60, JOB)
    entry = Entry("q", JOB, guards=(NotDelayed((JOB,)),))
    assert list(await backend.push([entry])) == [False]
    due = await backend.due(10)
    assert list(await backend.promote([PromotionTarget(job, "q") for job in due.jobs])) == [PromoteResult.QUEUED]
    assert list(await backend.push([entry])) == [True]


async def test_many_orphans_are_adopted_in_batches_of_the_scan(backend, monkeypatch):
    """The first batch is adopted before the scan ends, so the names of a large store are never all in memory."""
    calls = []
    send = connections_of(backend).send

    async def noted(name, packed):
        calls.append(name)
        return await send(name, packed)

    payloads = [f'{{"class":"t","queue":"q","args":[{number}]}}' for number in range(3300)]
    for number, payload in enumerate(payloads):
        await leave(backend, NOW + number, payload, index=False)
    monkeypatch.setattr(connections_of(backend), "send", noted)
    assert await backend.adopt() == len(payloads)
    assert calls.index("EVALSHA") < len(calls) - 1 - calls[::-1].index("SCAN")
    assert calls.count("EVALSHA") >= len(payloads) / 500
    assert len(await backend.due_times()) == len(payloads)
    assert await backend.adopt() == 0


async def test_a_periodic_task_whose_next_run_was_left_runs_and_wakes_a_scheduler(backend):
    await leave(backend, NOW - 60, TICK)
    task = PeriodicTask(name="tick", queue="default", raw=TICK, equivalent_payloads=(), frequency=1.0)
    assert list(await backend.ensure_periodic([task])) == ["delayed"]
    assert (await backend.due(10)).next_at == NOW - 60
    assert await run_command(backend, "LLEN", "resque:taskhero:wake-schedule") == 1


async def test_an_index_without_its_list_stops_nothing_and_goes(backend):
    await run_command(backend, "SADD", f"resque:timestamps:{JOB}", f"delayed:{NOW + 60}")
    assert list(await backend.push([Entry("q", JOB, guards=(NotDelayed((JOB,)),))])) == [True]
    assert await run_command(backend, "EXISTS", f"resque:timestamps:{JOB}") == 0
    answers = await backend.schedule([DelayedJobEntry(NOW + 60, "q", JOB)])
    assert list(answers) == ["delayed"]


@pytest.mark.parametrize("moment", [NOW - 60, NOW + 60])
async def test_a_moment_without_its_list_goes_when_it_is_due(backend, clock, moment):
    await run_command(backend, "ZADD", "resque:delayed_queue_schedule", moment, moment)
    assert list(await backend.due_times()) == []
    assert await backend.adopt() == 0
    clock.advance(100)
    assert list((await backend.due(10)).jobs) == []
    assert await run_command(backend, "EXISTS", "resque:delayed_queue_schedule") == 0


@pytest.mark.parametrize(
    ("moment", "second"),
    [(f"{NOW}.25", NOW + 1), (f"0{NOW}", NOW), ("4e9", NOW), ("0", 0), ("1.5e1", 15)],
)
async def test_a_job_is_adopted_however_its_moment_is_written(backend, moment, second):
    await leave(backend, moment, JOB)
    assert await backend.adopt() == 1
    assert list(await backend.due_times()) == [(second, 1)]
    assert await backend.delayed(second) == [JOB]
    assert await run_command(backend, "SMEMBERS", f"resque:timestamps:{JOB}") == [f"delayed:{second}".encode()]
    if str(second) != moment:
        assert await run_command(backend, "EXISTS", f"resque:delayed:{moment}") == 0
    assert await backend.adopt() == 0


async def test_what_is_no_list_of_delayed_jobs_is_left_alone(backend):
    await run_command(backend, "HSET", "resque:delayed:last_enqueued_at", "tick", "2026-11-23 10:34:20 +0000")
    await run_command(backend, "SET", f"resque:delayed:{NOW}", "no list")
    await leave(backend, "later", JOB)
    await leave(backend, "-5", JOB)
    await leave(backend, "nan", JOB)
    await leave(backend, NOW + 1, "no job", index=False)
    before = await run_command(backend, "LRANGE", "resque:delayed:later", 0, -1)
    assert await backend.adopt() == 1
    assert await run_command(backend, "LRANGE", "resque:delayed:later", 0, -1) == before
    assert list(await backend.due_times()) == [(NOW + 1, 1)]


async def test_many_jobs_are_adopted_and_a_wrong_score_is_put_right(backend):
    texts = [json.dumps({"class": "t", "queue": "q", "args": [n]}, separators=(",", ":")) for n in range(1200)]
    for number, text in enumerate(texts):
        await leave(backend, NOW + number, text, index=False)
    await leave(backend, NOW + 5000, *texts[:1100], index=False)
    await run_command(backend, "ZADD", "resque:delayed_queue_schedule", "+inf", NOW)
    assert await backend.adopt() == 2300
    assert len(await backend.due_times()) == 1201
    assert await run_command(backend, "ZSCORE", "resque:delayed_queue_schedule", NOW) == str(NOW).encode()
    removed = await backend.remove_delayed((await backend.search_delayed(limit=5000)).entries[:1200])
    assert list(removed) == [1] * 1200


async def test_a_job_that_appears_while_a_scheduler_runs_is_run(redis_url):
    ran = []
    app = TaskHero(redis_url, settings=Settings(scheduler=True, max_task_processors=1, leader_lock_timeout=1))

    @app.task(queue="q", plugins=(DelayQueueLock(),))
    async def t(n):
        ran.append(n)

    link = RedisBackend(redis_url)
    await link.connect()
    try:
        async with app.running():
            async with _deadline():
                while await app.queue.leader() is None:
                    pass
            await leave(link, int(time.time()) - 60, JOB)
            assert await t.enqueue(1) is False
            async with _deadline():
                while not ran:
                    await app.queue.stats()
                assert await t.enqueue(1) is True
    finally:
        await link.close()


def _deadline():
    return asyncio.timeout(15)


# locks


@pytest.mark.parametrize("text", ["{second}", "{second}.75", " {second}"])
async def test_a_lock_of_node_without_a_lifetime_ends(redis_url, text):
    """As node-resque left it when it died between SETNX and EXPIRE."""
    ran = []
    app = TaskHero(redis_url, settings=Settings(max_task_processors=1))

    @app.task(queue="q", plugins=(JobLock(),))
    async def t(n):
        ran.append(n)

    async with app:
        lock = "resque:workerslock:t:q:[1]"
        await run_command(app.backend, "SET", lock, text.format(second=int(time.time()) - 61))
        await t.enqueue(1)
        async with app.running(), _deadline():
            while not ran:
                await app.queue.stats()


async def test_a_lock_of_a_running_job_without_a_lifetime_stops_no_periodic_task(backend, clock):
    lock = "workerslock:tick:default:[{}]"
    await run_command(backend, "SET", f"resque:{lock}", NOW - 30)
    task = PeriodicTask(name="tick", queue="default", raw=TICK, equivalent_payloads=(), frequency=1.0, holds=(lock,))
    assert list(await backend.ensure_periodic([task])) == ["running"]
    clock.advance(30)
    assert list(await backend.ensure_periodic([task])) == ["enqueued"]


# the master lock


async def test_a_lock_that_gets_a_lifetime_lives(backend, clock):
    """Ruby's scheduler gives it one with each poll; the 10 minutes begin anew without it."""
    await run_command(backend, "SET", MASTER_LOCK, "ruby:1")
    for _ in range(11):
        assert (await backend.due(1)).yielded
        clock.advance(50)
    await run_command(backend, "EXPIRE", MASTER_LOCK, 180)
    assert (await backend.due(1)).yielded
    await run_command(backend, "PERSIST", MASTER_LOCK)
    for _ in range(12):
        seen = await backend.due(1)
        assert seen.yielded
        clock.advance(50)
    assert not (await backend.due(1)).yielded


async def test_another_holder_lives_and_a_dead_lock_that_comes_to_life_stops_again(backend, clock):
    await run_command(backend, "SET", MASTER_LOCK, "ruby:1")
    for _ in range(13):
        seen = await backend.due(1)
        clock.advance(50)
    assert seen.foreign.dead
    await backend.schedule([DelayedJobEntry(int(clock.now()) + 1, "q", JOB)])
    clock.advance(5)
    jobs = (await backend.due(10)).jobs
    await run_command(backend, "SET", MASTER_LOCK, "ruby:2")
    assert list(await backend.promote([PromotionTarget(job, "q") for job in jobs])) == [PromoteResult.MISSED]
    assert (await backend.due(1)).yielded
    await run_command(backend, "SET", MASTER_LOCK, "ruby:1", "EX", 180)
    assert list(await backend.promote([PromotionTarget(job, "q") for job in jobs])) == [PromoteResult.MISSED]


async def test_it_can_be_forbidden(redis_url, clock):
    backend = RedisBackend(redis_url, clock=clock, ignore_dead_master_lock=False)
    await backend.connect()
    try:
        await run_command(backend, "SET", MASTER_LOCK, "ruby:1")
        for _ in range(30):
            seen = await backend.due(1)
            assert seen.yielded
            clock.advance(50)
        assert not seen.foreign.dead
    finally:
        await backend.close()


async def test_a_lock_of_a_wrong_type_stops_the_promotion_and_is_shown(backend):
    await run_command(backend, "HSET", MASTER_LOCK, "a", "b")
    seen = await backend.due(1)
    assert (seen.yielded, seen.foreign.holder) == (True, "not text but a hash")
    assert (await backend.overview()).foreign.key == MASTER_LOCK


async def test_what_is_noted_of_it_is_bounded(backend, clock):
    await run_command(backend, "SET", MASTER_LOCK, "ruby:1")
    await backend.due(1)
    assert 0 < await run_command(backend, "PTTL", "resque:taskhero:master-lock") <= 3_600_000
    await run_command(backend, "DEL", MASTER_LOCK)
    await backend.due(1)
    assert await run_command(backend, "EXISTS", "resque:taskhero:master-lock") == 0
