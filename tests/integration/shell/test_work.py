"""`taskhero work` as a real process on a real Redis: signals, stopping, bursts."""

from __future__ import annotations

import asyncio
import re
import signal
import socket

import pytest
from commands import commands

from taskhero import TaskHero

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

ONE = {"max_task_processors": 1, "queues": ["work"]}
HASTY = {"heartbeat_interval": 0.2, "rescue_after": 1.0, "timeout": 0.5}


@pytest.fixture
def server(start_server):
    """A server of this test's own."""
    return start_server("redis7")


@pytest.fixture
async def app(server):
    """A producer."""
    async with TaskHero(server.url) as app:
        yield app


def workers(server) -> int:
    """How many task processors others see."""
    return int(server.command("SCARD", "resque:workers")[1:])


@pytest.fixture
async def run():
    async with commands() as running:
        yield running


@pytest.fixture
def url(app):
    return app.backend.location


async def waiting(app) -> list[object]:
    return [(job.name, *job.args) for job in await app.queue.queued("work")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_jobs_end_and_claims_no_more(app, server, url, run, number):
    worker = await run.work(url=url, **ONE)
    assert workers(server) == 1
    await app.queue.enqueue("hold", [1], "work")
    await app.queue.enqueue("quick", [2], "work")
    await worker.shows("^began 1$")
    worker.send(number)
    await worker.shows(f"stops because of {number.name}")
    worker.send(signal.SIGALRM)
    assert await worker.ended() == 0
    assert "did 1" in worker.said
    assert worker.said.count("closed") == 1
    assert await waiting(app) == [("quick", 2)]
    assert await app.queue.stats() == {"processed": 1}
    assert workers(server) == 0


async def test_what_does_not_end_in_the_grace_period_goes_back_to_the_front_and_is_no_rescue(app, server, url, run):
    worker = await run.work(
        "-c", "2", url=url, queues=["work"], min_task_processors=2, max_task_processors=2, grace=0.2
    )
    for n in (1, 2, 3):
        await app.queue.enqueue("hold", [n], "work")
    await worker.shows("^began 2$")
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0
    jobs = await app.queue.queued("work")
    assert [job.args for job in jobs] == [[1], [2], [3]]
    assert "rescues" not in str([job.raw for job in jobs])
    assert workers(server) == 0
    assert await app.queue.failed_count() == 0


@pytest.mark.parametrize("task", ["thread", "to_thread", "own_thread", "stubborn"])
async def test_it_exits_with_0_though_something_never_ends(app, server, url, run, task):
    worker = await run.work(url=url, grace=0.1, **ONE)
    await app.queue.enqueue(task, [], "work")
    await worker.shows(f"^began {task}$")
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0
    assert await waiting(app) == [(task,)]
    assert workers(server) == 0


@pytest.mark.parametrize("task", ["hold", "hog"])
async def test_a_second_signal_ends_it_at_once_and_the_job_is_rescued(app, server, url, run, task):
    worker = await run.work(url=url, **ONE, **HASTY)
    await app.queue.enqueue(task, [1] if task == "hold" else [], "work")
    await worker.shows("^began")
    worker.send(signal.SIGTERM)
    # A task that holds up the loop keeps the first one from being told of; both are seen all the same.
    if task == "hold":
        await worker.shows("stops because of")
    while worker.process.returncode is None:
        worker.send(signal.SIGINT)
        await asyncio.wait({asyncio.ensure_future(worker.process.wait())}, timeout=0.2)
    # Of two signals that come together, either may be seen first.
    assert await worker.ended() in {128 + signal.SIGINT, 128 + (signal.SIGTERM if task == "hog" else signal.SIGINT)}
    assert await waiting(app) == []
    heir = await run.work(url=url, **ONE, **HASTY)
    await heir.shows("^began")


async def test_a_stop_waits_no_longer_than_it_must_for_redis(server, run):
    worker = await run.work(url=server.url, grace=0.1, **ONE)
    server.kill()
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_redis_away_at_the_start_is_told_once_and_waited_for(server, run):
    server.stop()
    worker = await run.start("work", "--app", "shop:app", url=server.url)
    await worker.shows(f"cannot reach Redis at {server.url}.*the process retries")
    server.restart()
    await worker.shows("is available after")
    await worker.shows("works: 1 to 10 task processors, queues \\*, a scheduler")
    assert len([line for line in worker.said if "cannot reach" in line]) == 1
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0


@pytest.mark.parametrize("login", ["", ":wr0ng@"])
async def test_a_refused_password_at_the_start_is_an_error_and_not_waited_for(start_server, run, login):
    url = start_server("redis7", "--requirepass", "right").url.replace("//", f"//{login}")
    worker = await run.start("work", "--app", "shop:app", url=url)
    assert await worker.ended() == 1
    (said,) = [line for line in worker.said if line not in {"open", "closed"}]
    assert re.match(r"Error: Redis at redis://\S*127.0.0.1:\d+/0 refused the password", said)
    assert "wr0ng" not in said


async def test_a_password_that_is_refused_while_it_works_is_waited_for(server, app, url, run):
    worker = await run.work(url=url, **ONE, **HASTY)
    assert server.command("CONFIG", "SET", "requirepass", "another") == b"+OK"
    with socket.create_connection((server.host, server.port), timeout=10) as line:
        line.sendall(b"AUTH another\r\nCLIENT KILL TYPE normal\r\n")
        assert line.recv(5) == b"+OK\r\n"
        await worker.shows("worker .*refused the password")
        line.sendall(b'CONFIG SET requirepass ""\r\n')
    await app.queue.enqueue("quick", [1], "work")
    await worker.shows("^did 1 in")
    await worker.shows("worker .* reached its backend again")
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0
    assert len([line for line in worker.said if "worker" in line and "refused the password" in line]) == 1


async def test_a_signal_while_redis_is_away_ends_it(server, run):
    server.stop()
    worker = await run.start("work", "--app", "shop:app", url=server.url)
    await worker.shows("the process retries")
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_redis_that_does_not_answer_at_the_start_is_told_and_waited_for(server, run):
    server.pause()
    worker = await run.start("work", "--app", "shop:app", url=server.url)
    await worker.shows("gave no answer within 5 s; the process retries")
    server.resume()
    await worker.shows("works:")


async def test_a_signal_while_redis_does_not_answer_ends_it(server, run):
    server.pause()
    worker = await run.start("work", "--app", "shop:app", url=server.url)
    # There is nothing to see of a process that waits for an answer, so it gets the signal when it may.
    while worker.process.returncode is None:
        worker.send(signal.SIGTERM)
        await asyncio.wait({asyncio.ensure_future(worker.process.wait())}, timeout=0.5)
    server.resume()
    assert await worker.ended() in {0, -signal.SIGTERM, 128 + signal.SIGTERM}


async def test_a_burst_empties_the_queues_and_waits_for_no_delayed_job(app, server, url, run):
    await app.queue.enqueue("chain", [5], "work")
    for n in range(50):
        await app.queue.enqueue("quick", [n], "work")
    await app.queue.enqueue_in(3600, "quick", [50], "work")
    worker = await run.work("--burst", url=url)
    assert await worker.ended() == 0
    assert "did chain 0" in worker.said
    assert await app.queue.stats() == {"processed": 56}
    assert server.command("ZCARD", "resque:delayed_queue_schedule") == b":1"
    assert workers(server) == 0
    assert any("its queues are empty" in line for line in worker.said)


async def test_a_burst_lets_running_jobs_end(app, server, url, run):
    await app.queue.enqueue("hold", [1], "work")
    worker = await run.work("--burst", url=url, min_task_processors=3, max_task_processors=3)
    await worker.shows("^began 1$")
    await app.queue.enqueue("quick", [2], "work")
    await worker.shows("^did 2 in")
    worker.send(signal.SIGALRM)
    assert await worker.ended() == 0
    assert await app.queue.stats() == {"processed": 2}


async def test_options_beat_the_settings(app, server, url, run, tmp_path):
    (tmp_path / "more.py").write_text(
        "from taskhero import task\n@task(queue='urgent')\nasync def more():\n    print('did more', flush=True)\n"
    )
    worker = await run.work(
        *("--queue", "urgent", "-q", "work", "--min-processors", "2", "-c", "3", "--no-scheduler"),
        *("--tasks", str(tmp_path), "--backend", url),
        url="memory://",
        scheduler=True,
    )
    (ready,) = await worker.shows("works: (.*)$")
    assert ready[1] == f"2 to 3 task processors, queues urgent, work, on {url}"
    await app.queue.enqueue("more", [], "urgent")
    await worker.shows("^did more$")
    worker.send(signal.SIGINT)
    assert await worker.ended() == 0


async def test_uvloop_is_used_where_it_is_installed(run):
    worker = await run.work(url="memory://")
    assert "open uvloop" in worker.said


async def test_app_run_returns_to_the_program_after_a_stop(run, tmp_path):
    (tmp_path / "program.py").write_text(
        "import logging\nfrom taskhero import TaskHero\nlogging.basicConfig(level='INFO')\n"
        "app = TaskHero()\nif __name__ == '__main__':\n    app.run()\n    print('after', flush=True)\n"
    )
    program = await run.start(module="program", cwd=tmp_path)
    await program.shows("works: 1 to 10 task processors")
    program.send(signal.SIGINT)
    assert await program.ended() == 0
    assert "after" in program.said
