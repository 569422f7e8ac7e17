"""A periodic task in processes that are killed has one chain, never overlaps and continues within seconds."""

from __future__ import annotations

import asyncio
import itertools
import time
from types import MappingProxyType

import pytest
from processes import Workers
from redis_view import run_command

from taskhero import TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

NODE = {
    "min_task_processors": 2,
    "max_task_processors": 2,
    "queues": ["rhythm"],
    "scheduler": True,
    "heartbeat_interval": 0.2,
    "rescue_after": 1.0,
    "leader_lock_timeout": 2,
    "timeout": 0.5,
}
#: The frequency of one second, the lease of a dead process, that of a dead leader, and a look or two.
SOON = 9.0


def runs_of(workers, killed_at=MappingProxyType({})):
    """All runs as begin and end; one without an end ended with its process."""
    runs = []
    for worker in workers.all:
        begun = [float(line.split()[1]) for line in worker.said if line.startswith("begin")]
        ended = [float(line.split()[1]) for line in worker.said if line.startswith("end")]
        runs += zip(begun, [*ended, *[killed_at.get(worker, time.time())] * (len(begun) - len(ended))], strict=True)
    return sorted(runs)


def assert_no_overlap(runs):
    for (_, end), (begin, _) in itertools.pairwise(runs):
        assert begin >= end, runs


async def assert_one_chain(url):
    """What is left when all nodes have stopped: one job, delayed or queued."""
    async with TaskHero(url) as app:
        at = (await app.backend.due(1)).next_at
        delayed = await run_command(app.backend, "LLEN", f"resque:delayed:{at}") if at is not None else 0
        moments = await run_command(app.backend, "ZCARD", "resque:delayed_queue_schedule")
        assert (max(delayed, moments) + await app.queue.length("rhythm")) == 1
        assert await run_command(app.backend, "KEYS", "resque:workerslock:*") == []


async def first(*waits):
    """Wait until one of these is over."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def has_run(workers, nodes, times):
    """Wait until the task has run so often in all."""
    async with asyncio.timeout(2 * SOON + times):
        while (runs := len(runs_of(workers))) < times:
            told = [sum(line.startswith("begin") for line in node.said) for node in nodes]
            if sum(told) == runs:
                await first(*(node.tells("begin", count + 1) for node, count in zip(nodes, told, strict=True)))


async def goes_on(worker, since):
    """Wait for the next run there; it must begin in time."""
    runs = sum(line.startswith("end") for line in worker.said)
    await worker.tells("end", runs + 1, within=SOON)
    assert time.monotonic() - since < SOON


async def test_three_nodes_that_start_at_once_have_one_chain(redis_url):
    async with Workers(redis_url, program="rhythm.py", **NODE) as workers:
        nodes = await asyncio.gather(*(workers.start() for _ in range(3)))
        await has_run(workers, nodes, 6)
        for node in nodes:
            assert await node.stop() == 0
        runs = runs_of(workers)
        assert_no_overlap(runs)
        # From the end of a run to the next one it is a second, rounded to whole ones.
        assert all(begin - end >= 0.4 for (_, end), (begin, _) in itertools.pairwise(runs))
        await assert_one_chain(redis_url)


@pytest.mark.parametrize("when", ["during-a-run", "between-runs", "while-it-leads"])
async def test_whoever_is_killed_it_goes_on(redis_url, when):
    async with Workers(redis_url, program="rhythm.py", **NODE) as workers:
        if when == "while-it-leads":
            # A scheduler alone, that keeps the chain of nodes that have none.
            victim = await workers.start(min_task_processors=0, max_task_processors=0)
            await victim.tells("leads")
        else:
            victim = await workers.start("victim" if when == "during-a-run" else "")
            await victim.tells("begin" if when == "during-a-run" else "end")
        heir = await workers.start()
        victim.kill()
        killed, moment = time.monotonic(), time.time()
        await victim.ended()
        await goes_on(heir, killed)
        await goes_on(heir, time.monotonic())
        assert await heir.stop() == 0
        assert_no_overlap(runs_of(workers, {victim: moment}))
        await assert_one_chain(redis_url)


async def test_when_all_were_killed_it_goes_on_with_the_next_start(redis_url):
    """No lock of a dead process keeps the task from running, and the claimed job continues the chain."""
    async with Workers(redis_url, program="rhythm.py", **NODE) as workers:
        for _ in range(2):
            victims = await asyncio.gather(*(workers.start("victim") for _ in range(2)))
            await first(*(victim.tells("begin", within=SOON) for victim in victims))
            for victim in victims:
                victim.kill()
        heir = await workers.start()
        await goes_on(heir, time.monotonic())
        await goes_on(heir, time.monotonic())
        assert await heir.stop() == 0
        await assert_one_chain(redis_url)


async def test_a_restart_of_redis_does_not_end_it(start_server):
    """It was away for a while, with an append-only file: what was accepted is there again."""
    server = start_server("redis7", "--appendonly", "yes", "--appendfsync", "always")
    async with Workers(server.url, program="rhythm.py", **NODE) as workers:
        nodes = [await workers.start() for _ in range(2)]
        await has_run(workers, nodes, 1)
        server.kill()
        server.restart()
        await has_run(workers, nodes, len(runs_of(workers)) + 3)
        for node in nodes:
            assert await node.stop() == 0
        await assert_one_chain(server.url)
