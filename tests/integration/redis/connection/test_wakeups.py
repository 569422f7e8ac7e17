"""Who is woken by what, and how many."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from contextlib import AsyncExitStack

import pytest
from redis_view import connections_of, is_tracking, run_command, set_tracking, tracking_listener_of

from taskhero.backends.protocol import DelayedJobEntry, Entry, Process, Removal, Subscription, Wakeup
from taskhero.backends.redis import RedisBackend
from taskhero.backends.redis.notify.tracking_listener import TrackingListener
from taskhero.errors import BackendUnavailable
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'
Q = Subscription(queues=("q", "other"))
LONG = 20


def process() -> Process:
    return Process(new_process_name(), ("q", "other"))


@pytest.fixture
async def connect(redis_url: str):
    """Make drivers, each with its own connections, as processes would have."""
    async with AsyncExitStack() as stack:

        async def connect(url: str = redis_url) -> RedisBackend:
            backend = RedisBackend(url)
            await backend.connect()
            stack.push_async_callback(backend.close)
            return backend

        yield connect


async def waiting(backends: list[RedisBackend], interest: Subscription = Q) -> list[asyncio.Task[Wakeup]]:
    """Let each driver wait, and return when the server knows of all."""
    tasks = [asyncio.create_task(backend.wait(process(), interest, LONG)) for backend in backends]
    looker = backends[0]
    async with asyncio.timeout(10):
        while True:
            clients = (await run_command(looker, "CLIENT", "LIST")).decode().splitlines()
            blocked = sum("cmd=blpop" in line for line in clients)
            tracking = sum(" flags=t" in line or "cmd=exists" in line or "cmd=scard" in line for line in clients)
            if blocked + min(tracking, 1) >= len(backends) or any(task.done() for task in tasks):
                return tasks


async def foreign_push(backend: RedisBackend, queue: str = "q", raw: str = RAW) -> None:
    """Push as any Resque client does."""
    await run_command(backend, "SADD", "resque:queues", queue)
    await run_command(backend, "RPUSH", f"resque:queue:{queue}", raw)


async def settle_down(tasks: list[asyncio.Task[Wakeup]], done: int) -> int:
    """How many waits ended, once at least *done* have and the server has answered everything."""
    async with asyncio.timeout(10):
        while sum(task.done() for task in tasks) < done:
            await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    return sum(task.done() for task in tasks)


async def end(tasks: list[asyncio.Task[Wakeup]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_plain_rpush_of_another_program_wakes_an_idle_process(connect):
    backend = await connect()
    pusher = await connect()
    (task,) = await waiting([backend])
    await foreign_push(pusher)
    async with asyncio.timeout(5):
        assert (await task).jobs


async def test_a_foreign_push_to_a_queue_that_is_new_wakes_one_who_works_all(connect):
    backend, pusher = await connect(), await connect()
    everything = Subscription(queues=("q",), all_queues=True)
    (task,) = await waiting([backend], everything)
    await foreign_push(pusher, "brand-new")
    async with asyncio.timeout(5):
        assert (await task).jobs


@pytest.mark.parametrize("push", ["own", "foreign"])
async def test_one_job_wakes_about_one_of_many_processes(connect, push):
    backends = [await connect() for _ in range(12)]
    tasks = await waiting(backends)
    if push == "own":
        await backends[0].push([Entry("q", RAW)])
    else:
        await foreign_push(backends[0])
    await settle_down(tasks, 1)
    # A second push elsewhere is a signal that whatever the first one set off is over.
    await backends[0].push([Entry("other", RAW)])
    woken = await settle_down(tasks, 2)
    await end(tasks)
    assert 2 <= woken <= 4, "about one for each push, and the tracking listener hears of both"


async def test_a_push_that_the_busy_tracking_listener_hears_is_passed_on_to_another_process(connect):
    listener, other, pusher = await connect(), await connect(), await connect()
    busy = process()
    (task,) = [asyncio.create_task(listener.wait(busy, Q, LONG))]
    async with asyncio.timeout(10):
        while not is_tracking(listener, busy):
            await asyncio.sleep(0)
    await foreign_push(pusher)
    assert (await task).jobs
    # It has its hands full now and does not wait; the next push is for somebody else.
    await pusher.remove("q", [Removal(RAW)])
    await tracking_listener_of(listener, busy).track(["resque:queue:q"], None, None)
    (line,) = await waiting([other])
    await foreign_push(pusher)
    async with asyncio.timeout(5):
        assert (await line).jobs
    await end([line])


async def test_a_wait_that_was_cancelled_loses_no_wake_up(connect):
    backend, pusher = await connect(), await connect()
    set_tracking(backend, enabled=False)
    me = process()
    task = asyncio.create_task(backend.wait(me, Q, LONG))
    async with asyncio.timeout(10):
        while b"cmd=blpop" not in await run_command(pusher, "CLIENT", "LIST"):
            await asyncio.sleep(0)
    await end([task])
    await pusher.push([Entry("q", RAW)])
    async with asyncio.timeout(5):
        assert (await backend.wait(me, Q, LONG)).jobs


async def test_a_change_of_interest_takes_effect_while_an_older_wait_is_under_way(connect):
    backend, pusher = await connect(), await connect()
    set_tracking(backend, enabled=False)
    me = process()
    task = asyncio.create_task(backend.wait(me, Subscription(queues=("q",)), LONG))
    async with asyncio.timeout(10):
        while b"cmd=blpop" not in await run_command(pusher, "CLIENT", "LIST"):
            await asyncio.sleep(0)
    await end([task])
    await pusher.push([Entry("new", RAW)])
    async with asyncio.timeout(5):
        while not (await backend.wait(me, Subscription(queues=("new",)), LONG)).jobs:
            pass


@pytest.mark.parametrize("tracking", [True, False])
async def test_an_earlier_moment_wakes_the_scheduler_and_a_later_one_does_not(connect, tracking):
    backend, pusher = await connect(), await connect()
    set_tracking(backend, enabled=tracking)
    me = process()
    interest = Subscription(queues=("q",), schedule=True)

    async def until_schedule() -> None:
        while not (await backend.wait(me, interest, LONG)).schedule:
            pass

    task = asyncio.create_task(until_schedule())
    await pusher.schedule([DelayedJobEntry(4_000_000_000, "q", RAW)])
    async with asyncio.timeout(5):
        await task
    await pusher.schedule([DelayedJobEntry(4_000_000_001, "q", RAW)])
    assert not (await backend.wait(me, interest, 0.05)).schedule


async def test_a_server_that_refuses_tracking_is_told_once_and_waited_at_all_the_same(connect, redis_url, caplog):
    admin = await connect()
    await run_command(admin, "ACL", "SETUSER", "plain", "on", ">secret", "~*", "&*", "+@all", "-client")
    try:
        backend = await connect(redis_url.replace("//", "//plain:secret@"))
        pusher = await connect()
        with caplog.at_level(logging.INFO, "taskhero"):
            me = process()
            for _ in range(2):
                task = asyncio.create_task(backend.wait(me, Q, LONG))
                await pusher.push([Entry("q", RAW)])
                async with asyncio.timeout(5):
                    assert (await task).jobs
                await pusher.delete_queue("q")
        told = [record.getMessage() for record in caplog.records if "TRACKING" in record.getMessage()]
        assert len(told) == 1
        assert "secret" not in told[0]
    finally:
        await run_command(admin, "ACL", "DELUSER", "plain")


async def test_a_tracking_listener_whose_connection_is_killed_says_so_and_waits_again(connect):
    backend, pusher = await connect(), await connect()
    me = process()
    task = asyncio.create_task(backend.wait(me, Q, LONG))
    async with asyncio.timeout(10):
        while not is_tracking(backend, me):
            await asyncio.sleep(0)
    await run_command(pusher, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with contextlib.suppress(BackendUnavailable):
        await task
    task = asyncio.create_task(backend.wait(me, Q, LONG))
    await foreign_push(pusher)
    async with asyncio.timeout(5):
        assert (await task).jobs


async def test_many_idle_processes_share_one_seat_and_each_has_one_connection_more(connect):
    backends = [await connect() for _ in range(5)]
    tasks = await waiting(backends)
    clients = (await run_command(backends[0], "CLIENT", "LIST")).decode().splitlines()
    await end(tasks)
    assert sum(re.search(r" flags=\w*t", line) is not None for line in clients) == 1
    assert sum("cmd=blpop" in line for line in clients) == 4


async def test_a_tracking_listener_that_is_cancelled_at_any_moment_loses_no_wake_up(connect):
    backend, pusher = await connect(), await connect()
    me = process()
    interest = Subscription(queues=("q",), all_queues=True, schedule=True)
    for turns in range(30):
        await pusher.push([Entry("q", RAW)])
        await pusher.schedule([DelayedJobEntry(4_000_000_000 - turns, "q", RAW)])
        task = asyncio.create_task(backend.wait(me, interest, LONG))
        for _ in range(turns):
            await asyncio.sleep(0)
        await end([task])
        told = [] if task.cancelled() else [task.result()]
        async with asyncio.timeout(10):
            while not any(wake.jobs for wake in told):
                told.append(await backend.wait(me, interest, LONG))
            # A scheduler looks for itself after a cancelled wait at the latest when its time is up.
        await pusher.delete_queue("q")
        await backend.wait(me, interest, 0.01)


async def test_a_tracking_listener_whose_close_is_cancelled_leaves_no_connection_behind(connect):
    backend = await connect()
    for rounds in range(4):
        listener = TrackingListener(connections_of(backend), lambda: None)
        assert await listener.open()
        connection = listener._connection.connection
        closing = asyncio.create_task(listener.close())
        for _ in range(rounds):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        await listener.close()
        assert not connection.is_connected
