"""Following the Redis master that Sentinels name, whichever connection of a process notices first that it moved."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from contextlib import AsyncExitStack, ExitStack

import pytest
from redis import Redis
from redis_view import connections_of
from sentinel_stub import SentinelStub

from taskhero.backends.protocol import Entry, Process, Subscription
from taskhero.backends.redis import RedisBackend
from taskhero.errors import BackendError, BackendUnavailable
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'
JOBS = Subscription(queues=("q",))
SCHEDULE = Subscription(schedule=True)
ORDERS = list(itertools.permutations(("heartbeat", "pool", "line", "tracking")))


@pytest.fixture
def two_servers(start_server):
    return start_server("redis7"), start_server("redis7")


@pytest.fixture
def sentinels():
    """Start stubs, and give the URL that names them."""
    with ExitStack() as stack:

        def enter(*stubs: SentinelStub) -> str:
            for stub in stubs:
                stack.enter_context(stub)
            return "redis+sentinel://" + ",".join(f"127.0.0.1:{stub.port}" for stub in stubs) + "/jobs/0"

        yield enter


@pytest.fixture
async def connect():
    """Connect a driver to a URL; it is closed with the test."""
    async with AsyncExitStack() as stack:

        async def enter(url: str, name: str = "mine") -> RedisBackend:
            backend = RedisBackend(f"{url}?client_name={name}")
            await backend.connect()
            stack.push_async_callback(backend.close)
            return backend

        yield enter


def clients(server, name="mine"):
    with Redis(port=server.port) as client:
        return sorted(each["cmd"] for each in client.client_list() if each["name"] == name)


async def until(condition, within=3.0):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.01)


def notices(backend, process, other):
    """Ways in which a process uses its connections."""
    return {
        "heartbeat": lambda: asyncio.to_thread(backend.heartbeat, process, [1], 60, full=False),
        # Not to a queue of which the tracking listener hears.
        "pool": lambda: backend.push([Entry("other", RAW)]),
        "line": lambda: backend.wait(other, SCHEDULE, 0.05),
        "tracking": lambda: backend.wait(process, JOBS, 0.05),
    }


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_all_connections_follow_whichever_looks_first(two_servers, sentinels, connect, order):
    """No Sentinel tells of it: the old master refuses to write, and that is all."""
    old, new = two_servers
    sentinel = SentinelStub(old.port, deaf=True)
    backend = await connect(sentinels(sentinel))
    process, other = Process(new_process_name(), ("q",)), Process(new_process_name(), ())
    await backend.register(process, [1], 60)
    uses = notices(backend, process, other)
    for use in order:
        await uses[use]()
    assert len(clients(old)) == 4
    sentinel.master = new.port
    old.command("REPLICAOF", "127.0.0.1", new.port)
    # Each works at once. A wait ends once because the server moved. The tracking listener only reads, so its wait may
    # have seen the old master before.
    for use in order * 3:
        await uses[use]()
    await until(lambda: len(clients(new)) == 4 and not clients(old))
    assert await backend.push([Entry("q", RAW)]) == [True]
    with Redis(port=new.port) as client:
        assert client.llen("resque:queue:q") == 1
        assert client.zscore("resque:taskhero:processes", process.name)


@pytest.mark.parametrize("hogged", [False, True], ids=["", "while a task blocks the event loop"])
async def test_the_event_of_a_sentinel_is_followed_while_the_old_master_goes_on(
    two_servers, sentinels, connect, hogged
):
    """So after a planned failover, and where the old master is cut off from the Sentinels but not from us."""
    old, new = two_servers
    sentinel = SentinelStub(old.port)
    backend = await connect(sentinels(sentinel))
    process, other = Process(new_process_name(), ("q",)), Process(new_process_name(), ())
    for use in notices(backend, process, other).values():
        await use()
    waits = [
        asyncio.create_task(backend.wait(process, JOBS, 60)),
        asyncio.create_task(backend.wait(other, SCHEDULE, 60)),
    ]
    await until(lambda: "blpop" in clients(old))
    await sentinel.subscribed()
    sentinel.switch(new.port)
    if hogged:
        reached = threading.Event()
        threading.Thread(target=_tell_when_reached, args=(new, reached), daemon=True).start()
        await asyncio.sleep(0)
        assert reached.wait(3), "the heartbeat waits for the event loop"
    async with asyncio.timeout(3):
        # What came to the new master before is not lost: both look.
        assert (await waits[0]).jobs
        assert (await waits[1]).schedule
    await until(lambda: not clients(old))
    await until(lambda: clients(new))


def _tell_when_reached(server, reached):
    while not clients(server):
        time.sleep(0.01)
    reached.set()


async def test_a_sentinel_that_has_not_heard_of_the_failover_yet_is_not_believed(two_servers, sentinels, connect):
    old, new = two_servers
    late, informed = SentinelStub(old.port), SentinelStub(old.port)
    backend = await connect(sentinels(late, informed))
    await informed.subscribed()
    informed.switch(new.port)
    await until(lambda: connections_of(backend).address.generation > 1)
    new.command("CLIENT", "KILL", "TYPE", "normal")
    for _ in range(3):
        await asyncio.to_thread(connections_of(backend).address.find)
        assert await backend.push([Entry("q", RAW)]) == [True]
    assert new.command("LLEN", "resque:queue:q") == b":3"


async def test_a_sentinel_without_a_word_does_not_delay_the_others(two_servers, sentinels, connect):
    old, new = two_servers
    mute, speaking = SentinelStub(old.port, mute=True), SentinelStub(old.port, deaf=True)
    url = sentinels(mute, speaking)
    begun = time.monotonic()
    backend = await connect(url)
    speaking.master = new.port
    old.command("REPLICAOF", "127.0.0.1", new.port)
    assert await backend.push([Entry("q", RAW)]) == [True]
    assert time.monotonic() - begun < 3


async def test_an_old_master_that_does_not_answer_any_more_delays_nobody(two_servers, sentinels, connect):
    """Connections to it hang, in the heartbeat, in a step and in a wait; answers would be waited for 5 s."""
    old, new = two_servers
    sentinel = SentinelStub(old.port)
    backend = await connect(sentinels(sentinel))
    process, other = Process(new_process_name(), ("q",)), Process(new_process_name(), ())
    for use in notices(backend, process, other).values():
        await use()
    await sentinel.subscribed()
    old.pause()
    hanging = [asyncio.create_task(use()) for use in notices(backend, process, other).values()]
    await asyncio.sleep(0)
    sentinel.switch(new.port)
    begun = time.monotonic()
    await asyncio.wait(hanging, timeout=10)
    assert all(task.done() for task in hanging)
    for task in hanging:
        task.exception()
    assert await backend.push([Entry("q", RAW)]) == [True]
    assert (await asyncio.to_thread(backend.heartbeat, process, [1], 60, full=True)) is not None
    assert time.monotonic() - begun < 3
    old.resume()


async def test_a_driver_whose_sentinels_are_gone_says_so_and_comes_back_with_them(two_servers, sentinels, connect):
    old, new = two_servers
    sentinel = SentinelStub(old.port)
    backend = await connect(sentinels(sentinel))
    await sentinel.subscribed()
    sentinel.close()
    old.kill()
    with pytest.raises(BackendError):
        await backend.push([Entry("q", RAW)])
    with pytest.raises(BackendUnavailable):
        await backend.push([Entry("q", RAW)])
    sentinel.master = new.port
    sentinel.open()
    await until(lambda: connections_of(backend).address.generation > 1, within=10)
    assert await backend.push([Entry("q", RAW)]) == [True]
    assert "127.0.0.1" in backend.location
