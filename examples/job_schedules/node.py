"""The scheduler package of your choice, on the leader alone: here APScheduler, in any number of processes.

Run it a few times, with the URL of a Redis, and end the one that enqueues: another one takes over.
(For plain cron expressions you need no package: `@app.task(cron="*/5 * * * *")`.)
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from taskhero import Settings, TaskHero


@asynccontextmanager
async def schedules(_app: TaskHero) -> AsyncIterator[None]:
    """Every process has the schedule; what it says is done by one of them."""
    jobs = AsyncIOScheduler(timezone=UTC)
    jobs.add_job(enqueue_hello, "cron", second="*")
    jobs.start()
    try:
        yield
    finally:
        jobs.shutdown()


app = TaskHero(
    sys.argv[1] if len(sys.argv) > 1 else "redis://localhost:6379/0",
    settings=Settings(scheduler=True, max_task_processors=1, leader_lock_timeout=2),
    lifespan=schedules,
)


@app.task
async def say_hello(*, time: str) -> None:
    """Say it."""
    print(f"hello of {time}", flush=True)


async def enqueue_hello() -> None:
    """Called in each process, each second."""
    if app.scheduler is not None and app.scheduler.leader:
        await say_hello.enqueue(time=datetime.now(UTC).strftime("%H:%M:%S"))
        print(f"{os.getpid()} enqueued it", flush=True)


@app.on("scheduler.leader")
def begin() -> None:
    """From here on it is this process's turn."""
    print(f"{os.getpid()} leads", flush=True)


@app.on("leader_lost")
def end() -> None:
    """It stops, or could not renew its lease."""
    print(f"{os.getpid()} leads no longer", flush=True)


if __name__ == "__main__":
    app.run()
