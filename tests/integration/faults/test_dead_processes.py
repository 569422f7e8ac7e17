"""A process that dies loses nothing: real processes, kill -9."""

from __future__ import annotations

import asyncio
import time

import pytest
from processes import WorkerProcess, Workers

from taskhero import TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PROCESSORS = {"min_task_processors": 3, "max_task_processors": 3, "queues": ["work"]}
RESCUE_LIMIT = 3
HASTY = {"rescue_limit": RESCUE_LIMIT, "heartbeat_interval": 0.2, "rescue_after": 1.0, "timeout": 0.5}
HASTIEST = {**HASTY, "rescue_after": 0.5, "grace": 0.1}


@pytest.fixture
async def app(redis_url: str):
    """A producer on the same server, which declares nothing."""
    app = TaskHero(redis_url)
    async with app:
        yield app


async def test_jobs_of_a_killed_process_are_done_by_another_within_15_seconds(start_server):
    url = start_server("redis7").url  # one kind will do: it takes as long as the defaults say
    async with Workers(url, **PROCESSORS) as workers, TaskHero(url) as app:
        victim = await workers.start("victim")
        for n in range(5):
            await app.queue.enqueue("hold", [n], "work")
        await victim.says("began 0", "began 1", "began 2")
        heir = await workers.start()
        await heir.says("did 3", "did 4")
        victim.kill()
        killed = time.monotonic()
        await heir.says("did 0", "did 1", "did 2")
        assert time.monotonic() - killed < 15.5
        assert await heir.stop() == 0
        assert heir.said.count("did 0") == 1
        assert await app.queue.stats() == {"processed": 5}
        assert await app.queue.failed_count() == 0
        assert await app.queue.length("work") == 0


async def test_a_job_that_kills_its_process_is_convicted_and_its_neighbours_are_not(app, redis_url):
    async with Workers(redis_url, **PROCESSORS, **HASTY) as workers:
        await app.queue.enqueue("hold", [1], "work")
        await app.queue.enqueue("hold", [2], "work")
        await app.queue.enqueue("poison", [], "work")
        deaths = 0
        worker = await workers.start("victim")
        while await dies_before_a_failure_is_listed(worker, app):
            deaths += 1
            worker = await workers.start()
        await worker.stop()
        (failure,) = await app.queue.failed()
        assert failure.job.name == "poison"
        assert failure.exception == "KilledItsProcess"
        # Once among others, when nobody can tell whose fault it was, and then alone.
        assert deaths == 1 + RESCUE_LIMIT
    assert (await app.queue.stats())["processed"] == 2
    assert await app.queue.length("work") == 0


async def test_a_job_that_kills_its_process_only_after_a_while_is_convicted_too(start_server):
    """It outlasts the time for which it is kept alone at first, so it is kept alone for longer when it comes again.

    It even kills its process just when the turn of another one has come, whom nobody must convict for that.
    """
    url = start_server("redis7").url
    async with Workers(url, **PROCESSORS, **HASTIEST) as workers, TaskHero(url) as app:
        await app.queue.enqueue("slow_poison", [1.25], "work")
        deaths = 0
        worker = await workers.start("victim")
        await worker.says("began slow_poison")
        await app.queue.enqueue("hold", [1], "work")
        while await dies_before_a_failure_is_listed(worker, app):
            deaths += 1
            # Once before it was quarantined, twice when the other one was about to run alone, and then alone.
            assert deaths <= 3 + RESCUE_LIMIT, "it comes back for ever"
            worker = await workers.start("victim")
        assert await worker.stop() == 0
        (failure,) = await app.queue.failed()
        assert (failure.job.name, failure.exception) == ("slow_poison", "KilledItsProcess")
        heir = await workers.start()
        await processed(app, 1)
        assert await heir.stop() == 0
        assert await app.queue.stats() == {"processed": 1, "failed": 1}
        assert await app.queue.length("work") == 0


async def test_a_long_innocent_is_neither_convicted_nor_keeps_its_process_from_other_work(start_server):
    """Another one kills its process again and again beside it; it never ends meanwhile."""
    url = start_server("redis7").url
    limit = {**HASTIEST, "rescue_limit": 2}
    async with Workers(url, **PROCESSORS, **limit) as workers, TaskHero(url) as app:
        await app.queue.enqueue("hold", [1], "work")
        victim = await workers.start("victim")
        await victim.says("began 1")
        await app.queue.enqueue("poison", [], "work")
        while await dies_before_a_failure_is_listed(victim, app):
            victim = await workers.start("victim")
        (failure,) = await app.queue.failed()
        assert failure.job.name == "poison"
        # Others are worked beside it when its time alone is over: 2 seconds, since one death was the other one's fault.
        await app.queue.enqueue("quick", [2], "work")
        await processed(app, 1, within=6)
        assert "did 1" not in workers.said()
        victim.kill()
        await victim.ended()
        heir = await workers.start()
        await processed(app, 2)
        assert await heir.stop() == 0
        assert await app.queue.stats() == {"processed": 2, "failed": 1}
        assert await app.queue.length("work") == 0


async def test_the_lock_of_a_killed_process_stops_no_job_for_longer_than_its_lease(start_server):
    """node-resque's lock stays for an hour, and jobs that meet it are refused or postponed meanwhile."""
    server = start_server("redis7")
    one = {**PROCESSORS, "min_task_processors": 1, "max_task_processors": 1, "scheduler": True}
    async with Workers(server.url, **one, **HASTY) as workers, TaskHero(server.url) as app:
        victim = await workers.start("victim")
        await app.queue.enqueue("alone", [1], "work")
        await victim.says("began alone 1")
        lock = "resque:workerslock:alone:work:[1]"
        assert server.command("EXISTS", lock) == b":1"
        heir = await workers.start()
        for _ in range(2):
            await app.queue.enqueue("alone", [1], "work")
        await app.queue.enqueue("alone", [2], "work")
        await heir.says("did alone 2")
        assert "began alone 1" not in heir.said
        victim.kill()
        killed = time.monotonic()
        await heir.says_times("did alone 1", 3)
        assert time.monotonic() - killed < 8
        assert await heir.stop() == 0
        assert server.command("EXISTS", lock) == b":0"
        assert await app.queue.stats() == {"processed": 4}
        assert await app.queue.failed_count() == 0


async def processed(app: TaskHero, count: int, within: float = 30.0) -> None:
    """Wait until so many jobs were done and recorded."""
    async with asyncio.timeout(within):
        while (await app.queue.stats()).get("processed", 0) < count:
            await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0.02))})


async def dies_before_a_failure_is_listed(worker: WorkerProcess, app: TaskHero) -> bool:
    died = asyncio.create_task(worker.ended())
    try:
        while not died.done() and not await app.queue.failed_count():
            await asyncio.wait({died}, timeout=0.05)
        return died.done()
    finally:
        died.cancel()


async def test_a_task_that_hogs_the_loop_is_not_taken_for_dead(app, redis_url):
    async with Workers(redis_url, **PROCESSORS, **HASTY) as workers:
        hog = await workers.start()
        await app.queue.enqueue("hog", [3.0], "work")
        await hog.says("began hog")
        other = await workers.start()
        await hog.says("did hog")
        assert await other.stop() == 0
        assert await hog.stop() == 0
        assert "began hog" not in other.said
    assert (await app.queue.stats()) == {"processed": 1}


async def test_another_scheduler_leads_within_seconds_of_the_leaders_death(app, redis_url):
    async with Workers(redis_url, scheduler=True, leader_lock_timeout=2.0, timeout=0.5) as workers:
        first = await workers.start()
        await first.says("leads")
        leader = await app.backend.leader()
        second = await workers.start()
        assert await app.backend.leader() == leader
        first.kill()
        await second.says("leads", within=10)
        assert await app.backend.leader() not in {leader, None}
        assert await second.stop() == 0
        assert await app.backend.leader() is None, "an orderly end lets go of the lease"
