"""What operators do with a worker process by signals, as real processes on a real Redis."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal

import pytest
from commands import commands
from process_inspection import lives, until

from taskhero import TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

ONE = {"max_task_processors": 1, "queues": ["work"]}
TWO = {"min_task_processors": 2, "max_task_processors": 2, "queues": ["work"]}
PID = r"worker process \d of \d has pid (\d+)"


@pytest.fixture
def server(start_server):
    return start_server("redis7")


@pytest.fixture
async def app(server):
    """A producer."""
    async with TaskHero(server.url) as app:
        yield app


@pytest.fixture
async def run():
    async with commands() as running:
        yield running


def workers(server) -> int:
    return int(server.command("SCARD", "resque:workers")[1:])


async def pids(command, number) -> list[int]:
    return [int(match[1]) for match in await command.shows(PID, times=number)]


async def failures(app, number) -> list[str]:
    """The exceptions of the failures, once there are *number*."""
    while await app.queue.failed_count() < number:
        await asyncio.sleep(0.02)
    return [each.exception for each in await app.queue.failed()]


async def waiting(app) -> list[object]:
    return [(job.name, *job.args) for job in await app.queue.queued("work")]


async def stop(worker, number=signal.SIGTERM) -> None:
    worker.send(number)
    assert await worker.ended() == 0


# --- SIGQUIT and SIGHUP -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
async def test_it_stops_in_order_however_often_it_is_asked(app, server, run, number):
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("hold", [1], "work")
    await app.queue.enqueue("quick", [2], "work")
    await worker.shows("^began 1$")
    worker.send(number)
    await worker.shows(f"stops because of {number.name}")
    for _ in range(3):
        worker.send(number)
    worker.send(signal.SIGALRM)
    assert await worker.ended() == 0
    assert "did 1" in worker.said
    assert await waiting(app) == [("quick", 2)]
    assert workers(server) == 0


async def test_sigterm_after_sigquit_ends_it_at_once(app, server, run):
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("hold", [1], "work")
    await worker.shows("^began 1$")
    worker.send(signal.SIGQUIT)
    await worker.shows("stops because of SIGQUIT")
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 128 + signal.SIGTERM


async def test_a_signal_of_the_terminal_leaves_the_processes_of_tasks_alone(app, server, run):
    """Ctrl+Backslash sends SIGQUIT to all processes of the group."""
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("in_process", [0.3], "work")
    await worker.shows(r"^began in_process (\d+)$")
    os.killpg(worker.pid, signal.SIGQUIT)
    assert await worker.ended() == 0
    assert "did in_process" in worker.said
    assert await app.queue.stats() == {"processed": 1}


# --- SIGUSR1 ------------------------------------------------------------------------------------------------------


async def test_running_jobs_fail_and_the_process_works_on(app, server, run):
    worker = await run.work(url=server.url, **TWO)
    for n in (1, 2):
        await app.queue.enqueue("hold", [n], "work")
        await worker.shows(f"^began {n}$")
    worker.send(signal.SIGUSR1)
    await worker.shows("fails its 2 running jobs, ordered by SIGUSR1$")
    assert await failures(app, 2) == ["StoppedBySignal"] * 2
    (first, _) = await app.queue.failed()
    assert re.match(rf"the worker process {worker.pid} failed its running jobs, ordered by SIGUSR1", first.error)
    await app.queue.enqueue("quick", [3], "work")
    await worker.shows("^did 3 in")
    await stop(worker)
    assert workers(server) == 0


async def test_a_thread_sees_that_it_is_cancelled_and_keeps_its_processor_until_it_ends(app, server, run):
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("thread", [], "work")
    await worker.shows("^began thread$")
    await app.queue.enqueue("quick", [1], "work")
    worker.send(signal.SIGUSR1)
    assert await failures(app, 1) == ["StoppedBySignal"]
    await worker.shows("fails its 1 running jobs")
    await app.queue.enqueue("quick", [2], "work")
    assert await waiting(app) == [("quick", 1), ("quick", 2)]
    await stop(worker)


async def test_a_thread_that_looks_at_the_flag_frees_its_processor(app, server, run):
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("watchful", [], "work")
    await worker.shows("^began watchful$")
    await app.queue.enqueue("quick", [1], "work")
    worker.send(signal.SIGUSR1)
    await worker.shows("^watchful is cancelled$")
    await worker.shows("^did 1 in")
    assert await failures(app, 1) == ["StoppedBySignal"]
    await stop(worker)


async def test_a_process_of_a_task_is_killed_and_gone(app, server, run):
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("in_process", [1000], "work")
    ((match),) = await worker.shows(r"^began in_process (\d+)$")
    child = int(match[1])
    # As a service manager or a terminal may do it.
    os.killpg(worker.pid, signal.SIGUSR1)
    assert await failures(app, 1) == ["StoppedBySignal"]
    await asyncio.to_thread(until, lambda: not lives(child))
    await app.queue.enqueue("in_process", [0], "work")
    await worker.shows("^did in_process$")
    await stop(worker)


async def test_a_task_that_ignores_its_cancellation_fails_once_and_leaks_nothing(app, server, run):
    worker = await run.work(url=server.url, grace=30, **TWO)
    await app.queue.enqueue("stubborn", [], "work")
    await worker.shows("^began stubborn$")
    for _ in range(2):
        worker.send(signal.SIGUSR1)
    assert await failures(app, 1) == ["StoppedBySignal"]
    await app.queue.enqueue("quick", [1], "work")
    await worker.shows("^did 1 in")
    worker.send(signal.SIGUSR1)
    await worker.shows("fails its 0 running jobs, ordered by SIGUSR1$")
    await stop(worker)  # without waiting for the grace period
    assert await app.queue.failed_count() == 1
    assert await app.queue.stats() == {"processed": 1, "failed": 1}
    assert await waiting(app) == []
    assert workers(server) == 0


async def test_it_is_tried_again_where_a_plugin_says_so(app, server, run):
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("persistent", [], "work")
    await worker.shows("^attempt 1$")
    worker.send(signal.SIGUSR1)
    await worker.shows("^attempt 2$")
    worker.send(signal.SIGUSR1)
    assert await failures(app, 1) == ["StoppedBySignal"]
    await stop(worker)


async def test_it_hastens_a_stop(app, server, run):
    worker = await run.work(url=server.url, grace=60, **ONE)
    await app.queue.enqueue("hold", [1], "work")
    await worker.shows("^began 1$")
    worker.send(signal.SIGQUIT)
    await worker.shows("stops because of SIGQUIT")
    worker.send(signal.SIGUSR1)
    assert await worker.ended() == 0
    assert await failures(app, 1) == ["StoppedBySignal"]
    assert workers(server) == 0


# --- SIGUSR2 and SIGCONT ------------------------------------------------------------------------------------------


async def test_a_pause_lets_running_jobs_go_on_and_claims_none_until_it_is_over(app, server, run):
    worker = await run.work(url=server.url, timeout=0.1, heartbeat_interval=0.2, rescue_after=1, **ONE)
    await app.queue.enqueue("hold", [1], "work")
    await worker.shows("^began 1$")
    for _ in range(2):
        worker.send(signal.SIGUSR2)
    await worker.shows("pauses, ordered by SIGUSR2")
    await app.queue.enqueue("quick", [2], "work")
    worker.send(signal.SIGALRM)
    await worker.shows("^did 1$")
    await app.queue.enqueue_in(1, "quick", [3], "work")
    # Its scheduler goes on, and so do its heartbeats: longer than its lease lasts.
    while len(await waiting(app)) < 2:
        await asyncio.sleep(0.02)
    assert not [line for line in worker.said if line.startswith("did 2")]
    assert len(await app.queue.workers()) == 1
    for _ in range(2):
        worker.send(signal.SIGCONT)
    await worker.shows("^did 3 in")
    assert len([line for line in worker.said if " pauses, " in line]) == 1
    assert len([line for line in worker.said if " resumes, " in line]) == 1
    await stop(worker)


async def test_a_stop_works_while_it_is_paused_and_resuming_then_claims_nothing(app, server, run):
    worker = await run.work(url=server.url, **ONE)
    await app.queue.enqueue("hold", [1], "work")
    await worker.shows("^began 1$")
    worker.send(signal.SIGUSR2)
    await worker.shows("pauses, ordered by SIGUSR2")
    await app.queue.enqueue("quick", [2], "work")
    worker.send(signal.SIGTERM)
    worker.send(signal.SIGCONT)  # as systemd does
    await worker.shows("stops because of SIGTERM")
    worker.send(signal.SIGALRM)
    assert await worker.ended() == 0
    assert "did 1" in worker.said
    assert await waiting(app) == [("quick", 2)]


async def test_a_burst_waits_while_it_is_paused(app, server, run):
    await app.queue.enqueue("hold", [1], "work")
    worker = await run.work("--burst", url=server.url, **ONE)
    await worker.shows("^began 1$")
    worker.send(signal.SIGUSR2)
    await worker.shows("pauses, ordered by SIGUSR2")
    await app.queue.enqueue("quick", [2], "work")
    worker.send(signal.SIGALRM)
    await worker.shows("^did 1$")
    assert await waiting(app) == [("quick", 2)]
    worker.send(signal.SIGCONT)
    assert await worker.ended() == 0
    assert await app.queue.stats() == {"processed": 2}


async def test_signals_while_it_waits_for_redis_at_the_start_are_obeyed(app, server, run):
    await app.queue.enqueue("quick", [1], "work")
    server.pause()
    worker = await run.start("work", "--app", "shop:app", url=server.url, **ONE)
    await worker.shows("gave no answer within 5 s; the process retries")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR2):
        worker.send(number)
    await worker.shows("pauses, ordered by SIGUSR2")
    server.resume()
    await worker.shows("works: ")
    assert await waiting(app) == [("quick", 1)]
    worker.send(signal.SIGCONT)
    await worker.shows("^did 1 in")
    await stop(worker)


async def test_signals_while_the_app_is_imported_are_obeyed(app, server, run):
    await app.queue.enqueue("quick", [1], "work")
    worker = await run.start("work", "--app", "slow_shop:app", url=server.url, **ONE)
    await worker.shows("^importing$")
    worker.send(signal.SIGUSR1)
    worker.send(signal.SIGUSR2)
    worker.send(signal.SIGALRM)
    await worker.shows("pauses, ordered by SIGUSR2")
    await worker.shows("works: ")
    assert await waiting(app) == [("quick", 1)]
    await stop(worker)


# --- several processes --------------------------------------------------------------------------------------------


async def test_a_parent_passes_sigquit_on_as_a_stop(app, server, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    children = await pids(parent, 2)
    for n in (1, 2):
        await app.queue.enqueue("hold", [n], "work")
        await parent.shows(f"^began {n}$")
    for _ in range(2):
        parent.send(signal.SIGQUIT)
    await parent.shows("stops because of the parent process", times=2)
    for pid in children:
        os.kill(pid, signal.SIGALRM)
    assert await parent.ended() == 0
    assert {"did 1", "did 2"} <= set(parent.said)
    assert workers(server) == 0


async def test_a_parent_passes_sigusr1_on_and_all_work_on_also_while_they_stop(app, server, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, grace=60, **ONE)
    for n in (1, 2):
        await app.queue.enqueue("hold", [n], "work")
        await parent.shows(f"^began {n}$")
    parent.send(signal.SIGUSR1)
    assert await failures(app, 2) == ["StoppedBySignal"] * 2
    for n in (3, 4):
        await app.queue.enqueue("hold", [n], "work")
        await parent.shows(f"^began {n}$")
    parent.send(signal.SIGTERM)
    await parent.shows("stops because of", times=2)
    parent.send(signal.SIGUSR1)
    assert await parent.ended() == 0
    assert await failures(app, 4) == ["StoppedBySignal"] * 4
    assert workers(server) == 0


async def test_one_signal_to_all_processes_of_a_service_fails_each_job_once(app, server, run):
    parent = await run.work("--processes", "1", "--reload", url=server.url, **ONE)
    (child,) = await pids(parent, 1)
    for n in (1, 2):
        await app.queue.enqueue("hold", [n], "work")
    await parent.shows("^began 1$")
    os.kill(child, signal.SIGUSR1)
    await parent.shows("^began 2$")
    # The parent is slower than its child, which has begun the next job meanwhile.
    parent.send(signal.SIGUSR1)
    await parent.shows("passes SIGUSR1 on to its 1 worker processes")
    parent.send(signal.SIGTERM)
    await parent.shows("stops because of the parent process")
    os.kill(child, signal.SIGALRM)
    assert await parent.ended() == 0
    assert "did 2" in parent.said
    assert await failures(app, 1) == ["StoppedBySignal"]


@pytest.mark.parametrize("processes", [1, 2])
async def test_signals_at_any_moment_lose_and_double_no_job(app, server, run, processes):
    """Each job is done once or has failed once, whatever signals came between its claim and its end."""
    worker = await run.work("--processes", str(processes), url=server.url, ready=processes, timeout=0.1, **TWO)
    chance = random.Random(13)
    for _ in range(60):
        await app.queue.enqueue_many([app.queue.job("short", [n], "work") for n in range(10)])
        for _ in range(chance.randrange(4)):
            worker.send(chance.choice([signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT]))
            await asyncio.sleep(chance.random() * 0.01)
    worker.send(signal.SIGCONT)
    while sum(map((await app.queue.stats()).get, ("processed", "failed"), (0, 0))) < 600:
        worker.send(signal.SIGCONT)
        await asyncio.sleep(0.05)
    await stop(worker)
    stats = await app.queue.stats()
    assert stats["processed"] + stats["failed"] == 600
    assert await app.queue.failed_count() == stats["failed"] > 0
    assert {each.exception for each in await app.queue.failed()} == {"StoppedBySignal"}
    assert await waiting(app) == []
    assert workers(server) == 0


async def test_a_parent_pauses_all_also_those_that_start_meanwhile(app, server, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    first, _ = await pids(parent, 2)
    parent.send(signal.SIGUSR2)
    await parent.shows("pauses, ordered by the parent process", times=2)
    await app.queue.enqueue("quick", [1], "work")
    os.kill(first, signal.SIGKILL)
    await parent.shows("pauses, ordered by the parent process", times=3)
    await parent.shows("works: ", times=3)
    assert await waiting(app) == [("quick", 1)], "it would have claimed the job when it started"
    parent.send(signal.SIGCONT)
    await parent.shows("resumes, ordered by the parent process", times=2)
    await parent.shows("^did 1 in")
    assert len([line for line in parent.said if "passes SIGUSR2 on" in line]) == 1
    await stop(parent)


async def test_a_stop_works_while_all_are_paused(app, server, run):
    parent = await run.work("--processes", "2", url=server.url, ready=2, **ONE)
    parent.send(signal.SIGUSR2)
    await parent.shows("pauses, ordered by the parent process", times=2)
    await app.queue.enqueue("quick", [1], "work")
    parent.send(signal.SIGTERM)
    parent.send(signal.SIGCONT)
    assert await parent.ended() == 0
    assert await waiting(app) == [("quick", 1)]
    assert workers(server) == 0
