"""Redis goes away and comes back: work goes on by itself, nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from pathlib import Path

import pytest
from processes import Workers

from taskhero import Settings, TaskHero
from taskhero.errors import BackendError, BackendUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

RESTARTS = 50
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def objects() -> int:
    """How many objects the program holds."""
    gc.collect()
    return len(gc.get_objects())


async def test_work_goes_on_within_a_second_of_each_return_of_redis(start_server):
    server = start_server("redis7", *DURABLE)
    settings = Settings(queues="q", max_task_processors=4, scheduler=True, timeout=0.5, heartbeat_interval=0.5)
    app = TaskHero(server.url, settings=settings)
    done: dict[int, asyncio.Event] = {n: asyncio.Event() for n in range(RESTARTS + 1)}
    counts = dict.fromkeys(done, 0)

    @app.task(queue="q")
    async def note(n: int) -> None:
        counts[n] += 1
        done[n].set()

    async with app.running():
        await note.enqueue(RESTARTS)
        await asyncio.wait_for(done[RESTARTS].wait(), 10)
        await asyncio.to_thread(server.restart)
        tasks_before, files_before, objects_before = len(asyncio.all_tasks()), open_files(), objects()
        late = []
        for n in range(RESTARTS):
            if n % 2:
                await asyncio.to_thread(server.kill)
                with pytest.raises(BackendError):
                    await note.enqueue(n)
            await asyncio.to_thread(server.restart)
            back = time.monotonic()
            await enqueue_when_back(note, n)
            await asyncio.wait_for(done[n].wait(), 10)
            late.append(time.monotonic() - back)
        assert objects() < objects_before + 20 * RESTARTS
        assert len(asyncio.all_tasks()) <= tasks_before + 3
        assert open_files() <= files_before + 3
        assert sorted(late)[-3] < 1.0, "each backoff is short; a machine may stumble once or twice"
    assert all(counts.values())


async def test_what_runs_while_redis_is_away_ends_and_is_recorded_on_its_return(start_server, caplog):
    """Redis comes back empty, too: then the process registers again. The log has the outage once, and its end once."""
    server = start_server("redis7", *DURABLE)
    caplog.set_level(logging.INFO, "taskhero")
    settings = Settings(queues="q", min_task_processors=3, max_task_processors=3, timeout=0.2, heartbeat_interval=0.2)
    app = TaskHero(server.url, settings=settings)
    began, goes_on, recovered = asyncio.Event(), asyncio.Event(), asyncio.Event()
    app.on("recovered", lambda _event: recovered.set())

    @app.task(queue="q")
    async def long() -> None:
        began.set()
        await goes_on.wait()

    def told(event: str) -> int:
        return sum(getattr(record, "event", None) == event for record in caplog.records)

    async with app.running():
        for outages, kept in enumerate((True, False), 1):
            for event in (began, goes_on, recovered):
                event.clear()
            await long.enqueue()
            await asyncio.wait_for(began.wait(), 10)
            await asyncio.to_thread(server.kill)
            async with asyncio.timeout(10):
                while told("outage") < outages:
                    await asyncio.sleep(0.01)
            goes_on.set()
            await asyncio.to_thread(server.restart, *(DURABLE if kept else ("--appendonly", "no")))
            await asyncio.wait_for(recovered.wait(), 10)
            assert (told("outage"), told("recovered")) == (outages, outages)
            async with asyncio.timeout(10):
                while kept and (await app.queue.stats()).get("processed") != 1:
                    await asyncio.sleep(0.01)
                while workers(server) < 3:
                    await asyncio.sleep(0.01)
        assert await app.queue.failed_count() == 0
        assert await app.queue.length("q") == 0


async def test_an_outage_that_is_longer_than_the_lease_starts_no_job_twice(start_server):
    """No process died, so none is rescued, and job-locks hold. One that dies after the outage is rescued as ever."""
    server = start_server("redis7", *DURABLE)
    quick = {"queues": ["work"], "heartbeat_interval": 0.4, "rescue_after": 2.0, "timeout": 0.5, "scheduler": True}
    three = {"min_task_processors": 3, "max_task_processors": 3}
    async with Workers(server.url, **quick, **three) as workers:
        first, second = await workers.start("victim"), await workers.start("victim")
        async with TaskHero(server.url) as app:
            await app.queue.enqueue("alone", [1], "work")
            for n in range(2, 7):
                await app.queue.enqueue("hold", [n], "work")
        jobs = ["began alone 1", *(f"began {n}" for n in range(2, 7))]
        async with asyncio.timeout(20):
            while not {*jobs} <= {*workers.said()}:
                await asyncio.sleep(0.01)
        others = [await workers.start() for _ in range(2)]
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(3 * quick["rescue_after"])  # nothing happens in an outage that a test could wait for
        await asyncio.to_thread(server.restart)
        async with TaskHero(server.url) as app:
            await app.queue.enqueue("alone", [1], "work")
            await app.queue.enqueue("quick", [7], "work")
            theirs = [line.removeprefix("began ") for line in second.said if line.startswith("began")]
            assert theirs
            second.kill()
            async with asyncio.timeout(20):
                while not {"did 7", *(f"did {name}" for name in theirs)} <= {*workers.said()}:
                    await asyncio.sleep(0.01)
            once = [line for line in first.said if line.startswith("began")]
            assert [workers.said().count(line) for line in once] == [1] * len(once)
            assert sorted(once + [f"began {name}" for name in theirs]) == sorted(jobs)
            first.kill()
            async with asyncio.timeout(20):
                while (await app.queue.stats()).get("processed", 0) < 8:
                    await asyncio.sleep(0.02)
            assert (workers.said().count("did alone 1"), await app.queue.failed_count()) == (2, 0)
        for other in others:
            assert await other.stop() == 0


def workers(server) -> int:
    """How many task processors others see."""
    return int(server.command("SCARD", "resque:workers")[1:])


async def enqueue_when_back(task, n):
    """Enqueue once; a connection that was cut by the restart is told apart from a push that may be stored."""
    async with asyncio.timeout(10):
        while True:
            try:
                await task.enqueue(n)
                return
            except BackendUnavailable:
                await asyncio.sleep(0)


async def test_connecting_to_a_redis_that_does_not_answer_ends_within_its_timeout(start_server):
    """The kernel accepts the connection of a process that is frozen; nothing else is ever heard of it."""
    server = start_server("redis7")
    app = TaskHero(server.url)
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(
            BackendUnavailable, match=r"cannot reach Redis at redis://127\.0\.0\.1.*no answer within 5 s"
        ):
            await asyncio.wait_for(app.start(), 20)
        assert time.monotonic() - began < 10
    finally:
        server.resume()
    async with app:
        assert await app.queue.enqueue("t", [1], "q")


async def test_a_producer_is_told_within_its_timeout_that_redis_does_not_answer(start_server):
    server = start_server("redis7")
    app = TaskHero(server.url)
    async with app:
        await app.queue.enqueue("t", [1], "q")
        server.pause()
        try:
            began = time.monotonic()
            with pytest.raises(BackendError, match="127.0.0.1"):
                await app.queue.enqueue("t", [2], "q")
            assert time.monotonic() - began < 10
        finally:
            server.resume()
        assert await app.queue.enqueue("t", [3], "q")
