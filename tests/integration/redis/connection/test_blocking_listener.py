"""Waits that are given up half-way, or whose connection is silently gone."""

from __future__ import annotations

import asyncio

import pytest
from proxy import Proxy
from redis_view import connections_of, run_command, set_tracking

from taskhero.backends.protocol import Entry, Process, Subscription, Wakeup
from taskhero.backends.redis import RedisBackend
from taskhero.backends.redis.connection import pipelined
from taskhero.backends.redis.notify import blocking_listener, notifier
from taskhero.errors import BackendUnavailable, ReplyLost
from taskhero.wire.workers import new_process_name

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

RAW = '{"class":"t","queue":"q","args":[1]}'
ONE = Subscription(queues=("q",))
TWO = Subscription(queues=("q", "other"))
LONG = 20


@pytest.fixture
async def backend(redis_url: str):
    """A driver that waits in line."""
    backend = RedisBackend(redis_url)
    await backend.connect()
    set_tracking(backend, enabled=False)
    yield backend
    await backend.close()


@pytest.fixture
async def pusher(redis_url: str):
    """Another one, which pushes and looks."""
    backend = RedisBackend(redis_url)
    await backend.connect()
    yield backend
    await backend.close()


async def blocked(looker: RedisBackend) -> int:
    return (await run_command(looker, "CLIENT", "LIST")).decode().count("cmd=blpop")


async def begin(
    backend: RedisBackend, looker: RedisBackend, me: Process, interest: Subscription
) -> asyncio.Task[Wakeup]:
    """Wait, and return as soon as the server knows."""
    task = asyncio.create_task(backend.wait(me, interest, LONG))
    async with asyncio.timeout(10):
        while not await blocked(looker):
            assert not task.done()
    return task


async def give_up(task: asyncio.Task[Wakeup]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_jobs(backend: RedisBackend, me: Process, interest: Subscription, within: float = 5) -> None:
    async with asyncio.timeout(within):
        while not (await backend.wait(me, interest, LONG)).jobs:
            pass


async def test_a_wait_that_is_cancelled_while_it_leaves_an_older_one_loses_no_wake_up(backend, pusher, monkeypatch):
    me, link = Process(new_process_name(), ("q",)), connections_of(backend)
    await give_up(await begin(backend, pusher, me, ONE))
    call, leaving, may_leave = link.call, asyncio.Event(), asyncio.Event()

    async def slow_call(*command):
        if "UNBLOCK" in command:
            leaving.set()
            await may_leave.wait()
        return await call(*command)

    monkeypatch.setattr(link, "call", slow_call)
    task = asyncio.create_task(backend.wait(me, TWO, LONG))
    await asyncio.wait_for(leaving.wait(), 5)
    await give_up(task)
    # The older wait gets this wake-up.
    await pusher.push([Entry("q", RAW)])
    may_leave.set()
    await until_jobs(backend, me, TWO)
    await give_up(await begin(backend, pusher, me, ONE))
    assert await blocked(pusher) == 1, "no wait was left behind that would swallow the next wake-up"


async def test_a_wake_up_that_comes_in_the_instant_in_which_a_wait_is_left_is_not_lost(
    backend, pusher, server, monkeypatch
):
    me, link = Process(new_process_name(), ("q",)), connections_of(backend)
    await give_up(await begin(backend, pusher, me, ONE))
    call = link.call

    async def late_call(*command):
        if "UNBLOCK" not in command:
            return await call(*command)
        # It is not blocked any more when asked, though what it was woken by is still under way.
        assert server.command("RPUSH", "resque:taskhero:wake:q", "1") == b":1"
        monkeypatch.setattr(link, "call", call)
        return 0

    monkeypatch.setattr(link, "call", late_call)
    assert (await asyncio.wait_for(backend.wait(me, TWO, LONG), 5)).jobs


@pytest.mark.parametrize("tracking", [False, True], ids=["in-line", "as-tracking-listener"])
async def test_a_wait_notices_that_its_connection_is_silently_gone(pusher, redis_url, monkeypatch, tracking):
    """As after a firewall forgot it: there is no error, and no wake-up would ever come."""
    monkeypatch.setattr(blocking_listener, "OVERDUE", 0.2)
    monkeypatch.setattr(pipelined, "REPLY_TIMEOUT", 0.2)
    monkeypatch.setattr(notifier, "TRACKING_RENEWAL", 0.1)
    me = Process(new_process_name(), ("q",))
    async with Proxy(int(redis_url.rsplit(":", 1)[1].split("/")[0])) as proxy:
        backend = RedisBackend(f"redis://127.0.0.1:{proxy.port}/0")
        await backend.connect()
        set_tracking(backend, enabled=tracking)
        assert await backend.wait(me, ONE, 0.05) == Wakeup()
        task = asyncio.create_task(backend.wait(me, ONE, 0.3))
        await asyncio.sleep(0)
        proxy.silence()
        # The pool's connections are gone as well, which a command notices by itself.
        await connections_of(backend)._pool.disconnect()
        with pytest.raises((BackendUnavailable, ReplyLost)):  # noqa: PT012 - one of the next waits raises
            await task
            async with asyncio.timeout(5):
                while True:
                    await backend.wait(me, ONE, 0.1)
        if tracking:
            await run_command(pusher, "RPUSH", "resque:queue:q", RAW)
        else:
            await pusher.push([Entry("q", RAW)])
        await until_jobs(backend, me, ONE)
        await backend.close()
