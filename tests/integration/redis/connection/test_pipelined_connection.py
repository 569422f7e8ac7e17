"""Each command gets its own answer, on whichever connection, whoever stops waiting and whatever breaks."""

from __future__ import annotations

import asyncio

import pytest
from redis_view import connections_of, is_listening, pipelined_connection_of, run_command

from taskhero.backends.protocol import Entry, Process, Subscription
from taskhero.backends.redis import RedisBackend
from taskhero.backends.redis.connection import pipelined, topologies
from taskhero.backends.redis.notify import notifier
from taskhero.errors import BackendRefused, ReplyLost
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'
READERS = pytest.mark.parametrize("reader", ["hiredis", "redis-py"])


@pytest.fixture
async def backend(redis_url, monkeypatch):
    """A connected driver with few connections."""
    monkeypatch.setattr(topologies, "MAX_CONNECTIONS", 3)
    backend = RedisBackend(redis_url)
    await backend.connect()
    yield backend
    await backend.close()


async def test_many_calls_at_once_share_few_connections_and_none_is_lost(backend):
    call = connections_of(backend).call

    async def ask(caller):
        for number in range(50):
            assert await call("ECHO", f"{caller} {number}") == f"{caller} {number}".encode()

    await asyncio.gather(*map(ask, range(12)))
    clients = (await call("CLIENT", "LIST")).decode().splitlines()
    assert len(clients) <= 4, "three, and one that looked for the version"


async def test_one_who_asks_when_another_has_just_been_answered_keeps_the_connection(backend, monkeypatch):
    """That one would give it to those who wait for a connection."""
    link = connections_of(backend)
    await link.call("PING")
    ready = pipelined_connection_of(backend)
    answer, others = ready._answer, []

    def answer_and_let_another_ask(reply):
        monkeypatch.setattr(ready, "_answer", answer)
        others.append(asyncio.create_task(link.call("ECHO", "second")))
        answer(reply)

    monkeypatch.setattr(ready, "_answer", answer_and_let_another_ask)
    monkeypatch.setattr(link, "_queueing", 1)
    assert await link.call("ECHO", "first") == b"first"
    assert await others[0] == b"second"


async def test_the_answer_to_one_who_stopped_waiting_reaches_nobody_else(backend):
    call = connections_of(backend).call
    for turns in range(8):
        asking = asyncio.create_task(call("ECHO", "mine"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        answers = await asyncio.gather(*(call("ECHO", f"{turns} {number}") for number in range(6)))
        assert answers == [f"{turns} {number}".encode() for number in range(6)]


async def test_an_error_is_told_to_who_asked_and_the_connection_stays(backend):
    call = connections_of(backend).call
    first = await call("CLIENT", "ID")
    for _ in range(3):
        with pytest.raises(BackendRefused, match="refused NONSENSE"):
            await call("NONSENSE")
    assert await call("CLIENT", "ID") == first


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced_without_an_error(backend):
    call = connections_of(backend).call
    for _ in range(5):
        mine = await call("CLIENT", "ID")
        other = RedisBackend(backend.location)
        await other.connect()
        await run_command(other, "CLIENT", "KILL", "ID", mine)
        await other.close()
        async with asyncio.timeout(5):
            while (current := pipelined_connection_of(backend)) is not None and not current.lost:
                await asyncio.sleep(0)
        assert await call("CLIENT", "ID") != mine
        assert await call("ECHO", "x") == b"x"


async def test_a_connection_that_breaks_before_the_answer_is_told_as_a_lost_reply(backend, redis_url):
    call = connections_of(backend).call
    mine = await call("CLIENT", "ID")
    asking = asyncio.create_task(call("BLPOP", "nothing", 0))
    other = RedisBackend(redis_url)
    await other.connect()
    async with asyncio.timeout(5):
        while b"cmd=blpop" not in await run_command(other, "CLIENT", "LIST", "ID", mine):
            await asyncio.sleep(0)
    await run_command(other, "CLIENT", "KILL", "ID", mine)
    with pytest.raises(ReplyLost, match="may or may not"):
        await asking
    await other.close()
    assert await call("ECHO", "x") == b"x"


async def test_an_answer_that_does_not_come_ends_the_connection_and_the_next_call_has_another(backend, monkeypatch):
    monkeypatch.setattr(pipelined, "REPLY_TIMEOUT", 0.1)
    await run_command(backend, "PING")
    with pytest.raises(ReplyLost, match=r"within 0\.1 seconds"):
        await run_command(backend, "BLPOP", "nothing", 0)
    assert await run_command(backend, "ECHO", "x") == b"x"


async def test_what_is_no_redis_ends_the_connection_and_not_the_program(backend, monkeypatch):
    await run_command(backend, "PING")
    ready = pipelined_connection_of(backend)
    asking = asyncio.create_task(run_command(backend, "BLPOP", "nothing", 0))
    async with asyncio.timeout(5):
        while ready.idle:
            await asyncio.sleep(0)
    ready.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ReplyLost):
        await asking
    assert await run_command(backend, "ECHO", "x") == b"x"


@READERS
async def test_an_answer_to_nothing_ends_the_connection(backend, reader, monkeypatch):
    if reader == "redis-py":
        monkeypatch.setattr(pipelined, "_Push", None)
    ended = asyncio.Event()
    connection = await connections_of(backend).dedicated_connection(protocol=3)
    talk = pipelined.take_over(connection, on_lost=ended.set) or pipelined.RedisPyConnection(
        connection, on_lost=ended.set
    )
    assert isinstance(talk, pipelined.HiredisConnection) == (reader == "hiredis")
    assert await talk.ask_all([("ECHO", "a"), ("ECHO", "b")]) == [b"a", b"b"]
    await connection.send_command("ECHO", "behind its back")
    async with asyncio.timeout(5):
        await ended.wait()
    with pytest.raises(ConnectionError):
        await talk.ask_all([("ECHO", "a")])
    await talk.close()


@READERS
@pytest.mark.parametrize("schedule", [False, True], ids=["jobs", "jobs-and-schedule"])
async def test_a_foreign_push_wakes_the_tracking_listener(backend, redis_url, reader, schedule, monkeypatch):
    if reader == "redis-py":
        monkeypatch.setattr(pipelined, "_Push", None)
    me, interest = Process(new_process_name(), ("q",)), Subscription(queues=("q",), schedule=schedule)
    pusher = RedisBackend(redis_url)
    await pusher.connect()
    for _ in range(5):
        task = asyncio.create_task(backend.wait(me, interest, 20))
        async with asyncio.timeout(5):
            while not is_listening(backend, me):
                await asyncio.sleep(0)
        await run_command(pusher, "RPUSH", "resque:queue:q", RAW)
        async with asyncio.timeout(5):
            assert (await task).jobs
        await run_command(pusher, "DEL", "resque:queue:q")
    await pusher.push([Entry("q", RAW)])
    assert (await backend.wait(me, interest, 5)).jobs
    await pusher.close()


async def test_a_push_of_another_program_is_not_looked_for_once_more_before_the_claim(backend, redis_url):
    """Redis says which key changed, so that one who waits for the schedule, too, need not ask again."""
    me, interest = Process(new_process_name(), ("q",)), Subscription(queues=("q",), schedule=True)
    pusher = RedisBackend(redis_url)
    await pusher.connect()
    task = asyncio.create_task(backend.wait(me, interest, 20))
    async with asyncio.timeout(5):
        while not is_listening(backend, me):
            await asyncio.sleep(0)
    await run_command(pusher, "CONFIG", "RESETSTAT")
    await run_command(pusher, "RPUSH", "resque:queue:q", RAW)
    assert (await task).jobs
    assert b"cmdstat_exists" not in await run_command(pusher, "INFO", "commandstats")
    await pusher.close()


async def test_an_idle_tracking_listener_keeps_its_seat_with_two_commands(backend, redis_url, monkeypatch):
    """It renews it, and sees that its connection still answers; what it watches it need not name again."""
    monkeypatch.setattr(notifier, "TRACKING_RENEWAL", 0)
    me, interest = Process(new_process_name(), ("q",)), Subscription(queues=("q",), all_queues=True, schedule=True)
    assert not (await backend.wait(me, interest, 0.01)).jobs
    await run_command(backend, "CONFIG", "RESETSTAT")
    for _ in range(5):
        assert not (await backend.wait(me, interest, 0.01)).jobs
    stats = (await run_command(backend, "INFO", "commandstats")).decode().split()
    calls = {line.split(":")[0]: line.split("calls=")[1].split(",")[0] for line in stats if "calls=" in line}
    asked = {name: int(count) for name, count in calls.items() if name in {"cmdstat_evalsha", "cmdstat_ping"}}
    assert asked == {"cmdstat_evalsha": 5, "cmdstat_ping": 5}
    assert not {"cmdstat_exists", "cmdstat_scard", "cmdstat_blpop", "cmdstat_client"} & calls.keys()
