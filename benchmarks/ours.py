"""taskhero's part of the benchmarks: ``python ours.py VERB URL JOBS``; the verbs are those of `main`.

It prints one line of JSON. The loop is uvloop's where it is installed, as in a worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import attrs

from taskhero import Settings, TaskHero, hookimpl
from taskhero.plugins import JobLock, QueueLock, Retry

try:
    from uvloop import new_event_loop
except ImportError:
    new_event_loop = asyncio.new_event_loop

PROCESSORS = 50


class Ledger:
    """Notes each job that is done: each number once, and the time from the first to the last."""

    def __init__(self, count: int) -> None:
        self.seen = bytearray(count)
        self.left = count
        self.begun = self.ended = 0.0
        self.cpu_begun = self.cpu_ended = 0.0
        self.full = asyncio.Event()

    def done(self, number: int) -> None:
        if not self.begun:
            self.begun, self.cpu_begun = time.perf_counter(), time.process_time()
        if self.seen[number]:
            raise RuntimeError(f"job {number} was done twice")
        self.seen[number] = 1
        self.left -= 1
        if not self.left:
            self.ended, self.cpu_ended = time.perf_counter(), time.process_time()
            self.full.set()


@attrs.frozen(eq=False)
class Plain:
    """A plugin whose hooks decide nothing."""

    @hookimpl
    def taskhero_before_perform(self, job: object, ctx: object) -> None: ...

    @hookimpl
    def taskhero_after_perform(self, job: object, ctx: object, outcome: object) -> None: ...


@attrs.frozen(eq=False)
class Awaited:
    """The same with async hooks."""

    @hookimpl
    async def taskhero_before_perform(self, job: object, ctx: object) -> None: ...

    @hookimpl
    async def taskhero_after_perform(self, job: object, ctx: object, outcome: object) -> None: ...


@attrs.frozen(eq=False)
class Mixed:
    """One of each, which take less."""

    @hookimpl
    async def taskhero_before_perform(self, ctx: object) -> None: ...

    @hookimpl
    def taskhero_after_perform(self, outcome: object) -> None: ...


def settings(queues: tuple[str, ...]) -> Settings:
    return Settings(queues=queues, min_task_processors=PROCESSORS, max_task_processors=PROCESSORS)


async def drain(url: str, count: int, *plugins: object) -> object:
    """Do all jobs; those on Redis are there already, those in memory are stored first."""
    app = TaskHero(url, settings=settings(("bench",)), plugins=plugins)
    ledger = Ledger(count)

    @app.task(name="noop", queue="bench")
    async def noop(number: int) -> None:
        ledger.done(number)

    failures: list[object] = []

    @app.on("failure")
    def failure(event: object) -> None:
        failures.append(event)
        ledger.full.set()

    async with app:
        if url.startswith("memory:"):
            await app.queue.enqueue_many([noop.job(number) for number in range(count)])
        async with app.running():
            await ledger.full.wait()
        if failures:
            raise RuntimeError(f"a job failed: {failures[0]}")
        left, stats = await app.queue.length("bench"), await app.queue.stats()
        if left or int(stats["processed"]) != count or ledger.left:
            raise RuntimeError(f"{left} jobs are left, {stats} counted")
    return {"seconds": ledger.ended - ledger.begun, "cpu": ledger.cpu_ended - ledger.cpu_begun}


async def drain_with_hooks(url: str, count: int) -> object:
    return await drain(url, count, Plain(), Awaited(), Mixed())


async def drain_with_queue_lock(url: str, count: int) -> object:
    return await drain(url, count, QueueLock())


async def drain_with_job_lock(url: str, count: int) -> object:
    return await drain(url, count, JobLock())


async def drain_with_retry(url: str, count: int) -> object:
    return await drain(url, count, Retry(limit=3))


async def enqueue_many(url: str, count: int) -> object:
    app = TaskHero(url)

    @app.task(name="noop", queue="bench")
    async def noop(number: int) -> None: ...

    async with app:
        begun = time.perf_counter()
        stored = await app.queue.enqueue_many([noop.job(number) for number in range(count)])
        seconds = time.perf_counter() - begun
        if stored != count or await app.queue.length("bench") != count:
            raise RuntimeError(f"{stored} jobs stored instead of {count}")
    return {"seconds": seconds}


async def enqueue(url: str, count: int) -> object:
    """100 callers, each of which enqueues one job after the other."""
    app = TaskHero(url)

    @app.task(name="noop", queue="bench")
    async def noop(number: int) -> None: ...

    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await noop.enqueue(number)

    async with app:
        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(100)))
        seconds = time.perf_counter() - begun
        if await app.queue.length("bench") != count:
            raise RuntimeError("not all jobs were stored")
    return {"seconds": seconds}


async def pick_up(url: str, count: int) -> object:
    """Tell when each job began; who pushes them is told by a line when the worker is idle."""
    app = TaskHero(url, settings=settings(tuple(f"bench{n}" for n in range(5))))
    delays: list[float] = []
    full = asyncio.Event()

    @app.task(name="noop", queue="bench0")
    async def noop(pushed: float) -> None:
        delays.append(time.perf_counter() - pushed)
        if len(delays) == count:
            full.set()

    async with app.running():
        await asyncio.sleep(0.5)
        print(json.dumps({"ready": True}), flush=True)
        await full.wait()
    return {"delays": delays}


async def idle(url: str, count: int) -> object:
    """Do nothing for *count* seconds."""
    app = TaskHero(url, settings=settings(tuple(f"bench{n}" for n in range(20))))
    async with app.running():
        await asyncio.sleep(2)
        print(json.dumps({"ready": True}), flush=True)
        await asyncio.sleep(count)
    return {}


def main() -> None:
    what, url, count = sys.argv[1:]
    with_plugins = (drain_with_hooks, drain_with_queue_lock, drain_with_job_lock, drain_with_retry)
    verbs = {verb.__name__: verb for verb in (drain, *with_plugins, enqueue_many, enqueue, pick_up, idle)}
    work = verbs[what](url, int(count))
    profile = os.environ.get("BENCH_PROFILE")
    if profile:
        import cProfile

        with cProfile.Profile() as profiler:
            result = asyncio.Runner(loop_factory=new_event_loop).run(work)
        profiler.dump_stats(profile)
    else:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            result = runner.run(work)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
