"""Processes that share a file, and are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from taskhero import Settings, TaskHero
from taskhero.backends.protocol import Process, Subscription
from taskhero.clock import ManualClock
from taskhero_sqlite import SqliteBackend

pytestmark = pytest.mark.anyio


def program(code, *words, stdout=subprocess.PIPE):
    """A Python process that runs this code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], env=environment, stdout=stdout, text=True)


PUSHER = """
import asyncio, sys
from taskhero.backends.protocol import Entry
from taskhero_sqlite import SqliteBackend

async def main():
    backend = SqliteBackend(sys.argv[1])
    await backend.connect()
    for number in range(int(sys.argv[2])):
        await backend.push([Entry("q", f"{number} a"), Entry("q", f"{number} b")])
        print(number, flush=True)
    await backend.close()

asyncio.run(main())
"""


async def test_a_process_that_is_killed_loses_nothing_and_halves_nothing(path):
    """What was answered is stored; of what was not, all or nothing."""
    process = program(PUSHER, path, 1_000_000)
    for _ in range(20):
        said = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    said = max([said, *(int(line) for line in process.stdout.read().splitlines() if line)])
    process.wait(20)
    process.stdout.close()
    backend = SqliteBackend(path)
    await backend.connect()
    stored = await backend.queued("q")
    assert len(stored) >= 2 * (said + 1)
    assert stored == [f"{number} {half}" for number in range(len(stored) // 2) for half in "ab"]
    await backend.close()


async def test_a_push_of_another_process_wakes_who_waits(path):
    """Long before the time is up."""
    backend = SqliteBackend(path)
    await backend.connect()
    wait = asyncio.create_task(backend.wait(Process("p", ("q",)), Subscription(queues=("q",)), 60))
    process = program(PUSHER, path, 1)
    async with asyncio.timeout(20):
        assert (await wait).jobs
    process.communicate(timeout=20)
    await backend.close()


WORKER = """
import asyncio, os, sys
from taskhero import Settings, TaskHero
from taskhero_sqlite import SqliteBackend

app = TaskHero(SqliteBackend(sys.argv[1]), settings=Settings(min_task_processors=5, max_task_processors=5))

@app.task(queue="q")
async def note(number: int) -> None:
    os.write(1, f"{number}\\n".encode())

app.run(burst=True)
"""


async def test_several_processes_work_each_job_once(path):
    """Three workers start at the same time, on a file that is not there yet, and stop when all is done."""
    processes = [program(WORKER, path) for _ in range(2)]
    app = TaskHero(SqliteBackend(path), settings=Settings())
    app.task(queue="q", name="note")(_note)
    async with app:
        await app.queue.enqueue_many([app.queue.job("note", [number]) for number in range(300)])
    processes.append(program(WORKER, path))
    done = [await asyncio.to_thread(process.communicate, timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    numbers = [int(number) for out, _ in done for number in out.split()]
    assert sorted(numbers) == list(range(300))
    async with app:
        assert (await app.queue.stats())["processed"] == 300


HOLDER = """
import asyncio, sys
from taskhero import Settings, TaskHero
from taskhero_sqlite import SqliteBackend

quick = Settings(min_task_processors=1, max_task_processors=1, heartbeat_interval=0.2, rescue_after=1)
app = TaskHero(SqliteBackend(sys.argv[1]), settings=quick)

@app.task(queue="q")
async def note(number: int) -> None:
    print("begun", number, flush=True)
    if sys.argv[2] == "holds":
        await asyncio.Event().wait()

app.run(burst=True)
"""


async def test_a_job_whose_worker_is_killed_is_done_by_another(path):
    """It is held by the dead process until it is rescued."""
    app = TaskHero(SqliteBackend(path), settings=Settings())
    app.task(queue="q", name="note")(_note)
    async with app:
        await app.queue.enqueue("note", [7])
    holder = program(HOLDER, path, "holds")
    assert await asyncio.to_thread(holder.stdout.readline) == "begun 7\n"
    async with app:
        assert await app.queue.length("q") == 0
    holder.kill()
    holder.communicate(timeout=20)
    # A process that saw its lease unchanged for long enough takes the job from it.
    rescuer = SqliteBackend(path)
    await rescuer.connect()
    assert [one.queue for one in await rescuer.rescue((await rescuer.leases()).leases, 10)] == ["q"]
    await rescuer.close()
    heir = program(HOLDER, path, "ends")
    out, _ = await asyncio.to_thread(heir.communicate, timeout=60)
    assert (heir.returncode, out) == (0, "begun 7\n")
    async with app:
        assert (await app.queue.stats())["processed"] == 1


async def _note(number: int) -> None: ...


async def test_what_a_killed_worker_held_is_listed_and_tried_again(path):
    """All of it from another process: what the worker does, that it is silent, and its job among the failures."""
    app = TaskHero(SqliteBackend(path), settings=Settings())
    app.task(queue="q", name="note")(_note)
    async with app:
        await app.queue.enqueue("note", [7])
        holder = program(HOLDER, path, "holds")
        assert await asyncio.to_thread(holder.stdout.readline) == "begun 7\n"
        ((worker, working),) = (await app.queue.all_working_on()).items()
        assert (working.queue, working.job.name, working.job.args) == ("q", "note", [7])
        assert await app.queue.clean_old_workers(30) == {}
    holder.kill()
    holder.communicate(timeout=20)
    later = TaskHero(SqliteBackend(path, clock=ManualClock(time.time() + 60)), settings=Settings())
    later.task(queue="q", name="note")(_note)
    async with later:
        assert list(await later.queue.clean_old_workers(30)) == [worker]
        assert (await later.queue.workers(), await later.queue.length("q")) == ({}, 0)
        (failed,) = await later.queue.failed()
        assert (failed.job.args, failed.worker) == ([7], worker)
        assert await later.queue.retry_and_remove_failed(failed) is True
        assert (await later.queue.failed_count(), await later.queue.length("q")) == (0, 1)


TICKER = """
import os, sys, time
from taskhero import Settings, TaskHero
from taskhero_sqlite import SqliteBackend

quick = Settings(
    queues="q", min_task_processors=1, max_task_processors=1, scheduler=True, heartbeat_interval=0.2, rescue_after=1
)
app = TaskHero(SqliteBackend(sys.argv[1]), settings=quick)

@app.task(queue="q", frequency=1)
async def tick() -> None:
    os.write(1, f"{time.time()}\\n".encode())

app.run()
"""


async def test_a_periodic_task_is_one_chain_that_outlives_its_processes(path):
    """Two processes declare it and keep it going; when both are killed, the next one goes on."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as said:

        async def ticks(count):
            async with asyncio.timeout(30):
                return [float(await asyncio.to_thread(said.readline)) for _ in range(count)]

        processes = [program(TICKER, path, stdout=writing) for _ in range(2)]
        try:
            first = await ticks(3)
            # A run comes a second after the last one ended, rounded to a whole one.
            assert min(after - before for before, after in pairwise(first)) > 0.4
            for process in processes:
                process.kill()
            processes.append(program(TICKER, path, stdout=writing))
            await ticks(1)
        finally:
            os.close(writing)
            for process in processes:
                process.kill()
                process.wait(20)
