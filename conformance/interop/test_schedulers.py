"""Schedulers of three languages on one Redis: each keeps to its own lease, and a delayed job is promoted once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter

import pytest
from polling import until
from processes import Workers
from state_watcher import Watcher, look

from taskhero import Settings, TaskHero

pytestmark = pytest.mark.anyio

MASTER_LOCK = "resque:resque:resque_scheduler_master_lock"
NODE_LOCK, OUR_LEASE = "resque_scheduler_leader_lock", "taskhero:leader"
JOBS = 5000
SECONDS = 3


def value(dump, key):
    """What a lock holds; of ours, which says when it lapses too, whose it is."""
    return dump[key][2][0].rpartition(" ")[2] if key in dump else None


async def test_nodes_and_ours_lead_side_by_side_and_touch_only_what_is_their_own(place, stage, resque):
    app = stage.app(processors=0, settings={"leader_lock_timeout": 1.0})
    with Watcher(place.url) as watcher:
        name = await resque("start", "scheduler", "scheduler", {"leaderLockTimeout": 1})
        await resque("told", "leader", 1)
        async with app.running():
            await stage.happened("leader")
            ours = value(look(place.url), OUR_LEASE)
            # Longer than each lease, so that both were renewed. node-resque has no clock that a test can set.
            begun = time.monotonic()
            while time.monotonic() < begun + 1.5:
                assert value(look(place.url), NODE_LOCK) == name
                assert value(look(place.url), OUR_LEASE) == ours
                await asyncio.sleep(0.02)
        assert value(look(place.url), NODE_LOCK) == name
        assert value(look(place.url), OUR_LEASE) is None
        async with app.running():
            await stage.happened("leader", 2)
            await resque("stop", "scheduler")
            assert value(look(place.url), NODE_LOCK) is None
            assert value(look(place.url), OUR_LEASE)
    assert {value(dump, NODE_LOCK) for dump in watcher.seen} == {None, name}
    assert ours in {value(dump, OUR_LEASE) for dump in watcher.seen}
    assert MASTER_LOCK.removeprefix("resque:") not in {key for dump in watcher.seen for key in dump}


async def delay(app, resque, jobs=JOBS, seconds=SECONDS):
    """5,000 jobs to some seconds, half of them by each side."""
    first = int(time.time()) + 2
    ours, theirs = range(0, jobs, 2), range(1, jobs, 2)

    async def here():
        for start in range(0, len(ours), 100):
            numbers = ours[start : start + 100]
            await asyncio.gather(*(app.queue.enqueue_at(first + n % seconds, "t", [n], "due") for n in numbers))

    calls = [["enqueueAt", (first + n % seconds) * 1000, "due", "t", [n]] for n in theirs]
    await asyncio.gather(here(), resque("callsAtOnce", calls))
    return first


async def promoted(place, at_least):
    """Wait until so many jobs are in the queue."""
    await until(lambda: int(place.command("LLEN", "resque:queue:due")[1:]) >= at_least)


def numbers(place):
    """How often each job is in the queue."""
    return Counter(json.loads(text)["args"][0] for text in look(place.url)["queue:due"][2])


def nothing_is_delayed(place):
    return not any(key.startswith(("delayed", "timestamps:")) for key in look(place.url))


async def test_5000_jobs_delayed_by_both_are_promoted_once_each_by_both(place, stage, resque):
    app = stage.app(processors=0)
    async with app:
        # Of one second, since node begins half a second early: of 2,000 jobs it would leave none for us.
        await delay(app, resque, seconds=1)
        await resque("start", "scheduler", "scheduler")
        async with app.running():
            await promoted(place, JOBS)
            await until(lambda: nothing_is_delayed(place))
        assert numbers(place) == dict.fromkeys(range(JOBS), 1)
        theirs = len(await resque("told", "transferredJob", 0))
        await resque("stop", "scheduler")
        assert theirs
        assert stage.told("transferred_job")
        # On a busy machine some were due before they were enqueued.
        assert theirs + len(stage.told("transferred_job")) <= JOBS


def standing(dump):
    """How often each job stands anywhere, delayed or queued."""
    lists = [elements for key, (_, _, elements) in dump.items() if key.startswith(("delayed:", "queue:"))]
    return Counter(json.loads(text)["args"][0] for texts in lists for text in texts)


def freeze(process):
    """Stop a process where it is, and wait until all its threads stand still."""
    process.send_signal(signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])


def settled(place):
    """Everything in Redis, when all is done that a process had sent before it was frozen."""
    seen = [look(place.url)]
    while len(seen) < 2 or seen[-2] != seen[-1]:
        seen.append(look(place.url))
    return seen[-1]


async def killed_with_empty_hands(place, process):
    """Kill node's scheduler at a moment at which it has no job between a list and a queue; what stood there then.

    In two of three of its round trips it has one, so it is frozen, looked at and let go on until it has none.
    """
    for pace in range(2, 102):
        freeze(process)
        dump = settled(place)
        if len(standing(dump)) == JOBS:
            process.kill()
            process.wait()
            return dump
        process.send_signal(signal.SIGCONT)
        await promoted(place, len(dump["queue:due"][2]) + pace % 13)
    pytest.fail("it had a job in its hands each time")


async def test_nodes_scheduler_is_killed_on_the_way(place, stage, make_resque):
    app = stage.app(processors=0, scheduler=False)
    helper = stage.app(processors=0)
    resque, victim = make_resque(), make_resque()
    async with app:
        await delay(app, resque)
        await victim("start", "scheduler", "scheduler")
        await promoted(place, 200)
        dump = await killed_with_empty_hands(place, victim.process)
        assert 200 <= len(dump["queue:due"][2]) < JOBS
        async with helper.running():
            await promoted(place, JOBS)
            await until(lambda: nothing_is_delayed(place))
        assert stage.told("transferred_job")
        assert numbers(place) == dict.fromkeys(range(JOBS), 1)


async def test_one_job_at_most_is_lost_with_nodes_scheduler_wherever_it_is_killed(place, stage, make_resque):
    """It holds a job in its hands between two commands: that window is its own."""
    app = stage.app(processors=0, scheduler=False)
    helper = stage.app(processors=0)
    resque, victim = make_resque(), make_resque()
    async with app:
        await delay(app, resque, 600)
        await victim("start", "scheduler", "scheduler")
        await promoted(place, 50)
        victim.process.kill()
        victim.process.wait()
        async with helper.running():
            await promoted(place, 599)
            await until(lambda: "delayed_queue_schedule" not in look(place.url))
        found = numbers(place)
    assert set(found.values()) == {1}
    assert 599 <= len(found) <= 600


async def test_our_scheduler_is_killed_on_the_way(place, stage, resque):
    app = stage.app(processors=0, scheduler=False)
    async with app, Workers(place.url, queues=["nothing"], max_task_processors=1, scheduler=True) as workers:
        victim = await workers.start()
        await delay(app, resque)
        await promoted(place, 2 * JOBS // SECONDS + 200)
        victim.kill()
        await resque("start", "scheduler", "scheduler")
        await promoted(place, JOBS)
        await resque("stop", "scheduler")
        assert numbers(place) == dict.fromkeys(range(JOBS), 1)
        assert nothing_is_delayed(place)


@pytest.mark.parametrize(("prefix", "lock"), [("", MASTER_LOCK), ("p", MASTER_LOCK.replace("resque_s", "p:resque_s"))])
async def test_nothing_is_promoted_while_rubys_lock_is_held_and_all_within_a_second_after_it(place, prefix, lock):
    told = asyncio.Event()
    app = TaskHero(place.url, settings=Settings(scheduler=True, resque_scheduler_prefix=prefix))
    app.on("yielded")(lambda _event: told.set())

    async def both_promoted():
        return await app.queue.length("due") == 2

    async with app:
        place.command("SET", lock, "localhost:15788", "PX", 1500)
        for text in ('{"class":"t","queue":"due","args":[1]}', '{"class":"t","queue":"due","args":[2]}'):
            place.command("RPUSH", "resque:delayed:5", text)
        place.command("ZADD", "resque:delayed_queue_schedule", 5, 5)
        with Watcher(place.url) as watcher:
            async with app.running(), asyncio.timeout(20):
                await told.wait()
                while place.command("EXISTS", lock) == b":1":
                    assert await app.queue.length("due") == 0
                    await asyncio.sleep(0.02)
                lapsed = time.monotonic()
                await until(both_promoted)
                assert time.monotonic() - lapsed < 1
    held = [dump for dump in watcher.seen if lock.removeprefix("resque:") in dump]
    assert held
    assert all("queue:due" not in dump and len(dump["delayed:5"][2]) == 2 for dump in held)
