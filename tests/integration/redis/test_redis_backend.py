"""Connecting: addresses, passwords, databases, servers that are away, too old or full."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from redis_view import run_command

from taskhero.backends.protocol import Entry, Process, Settlement, Succeeded
from taskhero.backends.redis import RedisBackend
from taskhero.errors import (
    BackendDenied,
    BackendRefused,
    BackendTooOld,
    BackendUnavailable,
    NotConnected,
    UnknownBackend,
)
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'


@pytest.fixture
async def backend(redis_url: str):
    """A connected driver."""
    backend = RedisBackend(redis_url)
    await backend.connect()
    yield backend
    await backend.close()


async def test_password_and_database_come_from_the_url(start_server):
    server = start_server("redis7", "--requirepass", "s3cret")
    url = server.url.replace("//", "//:s3cret@").replace("/0", "/3")
    backend = RedisBackend(url)
    await backend.connect()
    await backend.push([Entry("q", RAW)])
    assert await run_command(backend, "DBSIZE") > 0
    await backend.close()
    elsewhere = RedisBackend(url.replace("/3", "/0"))
    await elsewhere.connect()
    assert await elsewhere.queues() == []
    await elsewhere.close()
    assert "s3cret" not in repr(backend)
    assert "s3cret" not in backend.location


async def test_a_wrong_password_is_a_clear_error_without_the_password(start_server):
    server = start_server("redis7", "--requirepass", "right")
    backend = RedisBackend(server.url.replace("//", "//:wr0ng@"))
    with pytest.raises(BackendDenied, match="password") as caught:
        await backend.connect()
    assert "wr0ng" not in str(caught.value)
    assert str(server.port) in str(caught.value)


async def test_a_missing_password_is_a_clear_error_too(start_server):
    """Not one that leaves open whether the step was done."""
    server = start_server("redis7", "--requirepass", "right")
    backend = RedisBackend(server.url)
    with pytest.raises(BackendDenied, match="requires one that the URL does not have") as caught:
        await backend.connect()
    assert str(server.port) in str(caught.value)


async def test_a_server_that_is_away_is_a_clear_error_that_says_where_it_looked():
    backend = RedisBackend("redis://:pw@127.0.0.1:1/0")
    with pytest.raises(BackendUnavailable, match="127.0.0.1:1") as caught:
        await backend.connect()
    assert "pw" not in str(caught.value)


async def test_a_server_older_than_6_2_is_refused_with_a_sentence():
    async def old_server(reader, writer):
        info = b"# Server\r\nredis_version:5.0.14\r\n"
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for _ in range(data.count(b"*")):
                    writer.write(b"$%d\r\n%s\r\n" % (len(info), info) if b"INFO" in data else b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(old_server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    backend = RedisBackend(f"redis://127.0.0.1:{port}")
    with pytest.raises(BackendTooOld, match=r"5\.0\.14.*6\.2"):
        await backend.connect()
    server.close()
    await server.wait_closed()


async def test_a_broken_url_is_refused_without_its_password():
    with pytest.raises(UnknownBackend) as caught:
        await RedisBackend("redis://:hush@localhost:notaport/0").connect()
    assert "hush" not in str(caught.value)


async def test_use_before_connecting_and_after_closing_says_what_to_do(redis_url):
    backend = RedisBackend(redis_url)
    with pytest.raises(NotConnected, match="connect"):
        await backend.push([Entry("q", RAW)])
    await backend.connect()
    await backend.close()
    await backend.close()
    with pytest.raises(NotConnected):
        await backend.queues()
    await backend.connect()
    assert await backend.push([Entry("q", RAW)]) == [True]
    await backend.close()


async def test_the_namespace_stands_before_every_key(redis_url):
    backend = RedisBackend(redis_url, namespace="mine")
    await backend.connect()
    process = Process(new_process_name(), ("q",))
    await backend.register(process, [1], 60)
    await backend.push([Entry("q", RAW)])
    await backend.settle_and_claim(process, [], [1], ["q"])
    assert all(key.startswith(b"mine:") for key in await run_command(backend, "KEYS", "*"))
    await backend.close()


async def test_everything_of_our_own_in_redis_has_a_lifetime_or_is_a_bounded_set(backend):
    process = Process(new_process_name(), ("q",))
    await backend.register(process, [1], 60)
    await backend.push([Entry("q", RAW)])
    assert await backend.lead("me", 10)
    own = await run_command(backend, "KEYS", "resque:taskhero:*")
    assert own
    bounded = {b"resque:taskhero:" + name for name in (b"processes", b"renewals", b"leases", b"workers")}
    for key in own:
        if key not in bounded:
            assert await run_command(backend, "TTL", key) > 0, key
    claim = (await backend.settle_and_claim(process, [], [1], ["q"])).claims[0]
    await backend.settle_and_claim(process, [Settlement(claim, Succeeded())], [], [])
    await backend.deregister(process)
    await backend.resign("me")
    left = await run_command(backend, "KEYS", "resque:taskhero:*")
    assert [key for key in left if b"wake" not in key] == [b"resque:taskhero:leases"]
    assert 0 < await run_command(backend, "TTL", "resque:taskhero:leases") <= 86400


async def test_a_full_server_refuses_a_push_clearly_and_keeps_what_it_has(start_server):
    server = start_server("redis7", "--maxmemory-policy", "noeviction")
    backend = RedisBackend(server.url)
    await backend.connect()
    await backend.push([Entry("q", RAW)])
    await run_command(backend, "CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BackendRefused, match=r"(?i)memory"):
        await backend.push([Entry("q", RAW)])
    assert await backend.queued("q") == [RAW]
    await backend.close()


async def test_connections_that_the_server_closed_do_not_break_the_next_calls(backend):
    await asyncio.gather(*(backend.length("q") for _ in range(5)))
    other = RedisBackend(backend.location)
    await other.connect()
    await run_command(other, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    # Once the ends of the connections have come in, the pool opens new ones.
    await run_command(other, "PING")
    await asyncio.gather(*(backend.push([Entry("q", RAW)]) for _ in range(5)))
    assert await backend.length("q") == 5
    await other.close()


async def test_concurrent_pushes_share_round_trips_and_each_gets_its_own_answer(backend):
    await run_command(backend, "CONFIG", "RESETSTAT")
    wrong = "wrong-type"
    await run_command(backend, "SET", f"resque:queue:{wrong}", "a string")
    results = await asyncio.gather(
        *(backend.push([Entry("q" if n % 10 else wrong, RAW)]) for n in range(100)), return_exceptions=True
    )
    assert [type(result) for result in results] == [BackendRefused if n % 10 == 0 else list for n in range(100)]
    assert await backend.length("q") == 90
    assert "WRONGTYPE" in str(results[0])
    assert results[0] is not results[10]
    calls = await run_command(backend, "INFO", "commandstats")
    evalsha = next(line for line in calls.decode().splitlines() if line.startswith("cmdstat_evalsha:"))
    assert int(evalsha.split("calls=")[1].split(",")[0]) < 20


async def test_a_server_that_has_lost_the_scripts_receives_their_sources(backend):
    """Each caller sends them: a command, the prepared claim, and the heartbeat in its thread."""
    process = Process(new_process_name(), ("q",))
    await backend.register(process, (1,), 60)

    async def flush() -> None:
        await run_command(backend, "SCRIPT", "FLUSH")
        await run_command(backend, "CONFIG", "RESETSTAT")

    async def sent_sources() -> int:
        calls = (await run_command(backend, "INFO", "commandstats")).decode()
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in calls.splitlines() if "_eval:" in line)

    await flush()
    assert await backend.push([Entry("q", RAW)]) == [True]
    assert await sent_sources() == 1
    await flush()
    reply = await backend.settle_and_claim(process, (), (1,), ("q",))
    assert [claim.raw for claim in reply.claims] == [RAW]
    assert await sent_sources() == 1
    await flush()
    heartbeat = await asyncio.to_thread(backend.heartbeat, process, (1,), 60, full=True)
    assert heartbeat.alive
    assert await sent_sources() == 1


async def test_a_push_whose_caller_gave_up_before_it_was_sent_stores_nothing(backend):
    task = asyncio.create_task(backend.push([Entry("q", RAW)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await backend.push([Entry("other", RAW)])
    assert await backend.length("q") == 0


async def test_a_server_behind_a_unix_socket(start_server, tmp_path):
    path = tmp_path / "redis.sock"
    other = start_server("redis7", "--unixsocket", str(path))
    backend = RedisBackend(f"unix://{path}?db=2")
    await backend.connect()
    process = Process(new_process_name(), ("q",))
    await backend.register(process, (1,), 12.0)
    await backend.push([Entry("q", RAW)])
    assert await backend.queues() == ["q"]
    beat = await asyncio.to_thread(backend.heartbeat, process, (1,), 12.0, full=True)
    assert beat.alive
    await backend.deregister(process)
    await backend.close()
    there = RedisBackend(other.url.replace("/0", "/2"))
    await there.connect()
    assert await there.length("q") == 1
    await there.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://localhost/abc", "'abc' is not the number of a database"),
        ("redis://localhost:abc", "Port could not be cast"),
        (
            "redis://:s3cret@localhost/0?socket_timout=3",
            "'socket_timout' is not supported; supported are client_name, db, max_connections, password",
        ),
        (
            "rediss://localhost/0?ssl_cert_reqs=maybe",
            "cannot be 'maybe': give none, optional or required",
        ),
        ("redis://localhost?db=three", "its option db cannot be 'three': give a whole number from 0"),
        ("redis://localhost?db=-1", "its option db cannot be '-1'"),
        ("redis://localhost?max_connections=0", "max_connections cannot be '0': give a whole number"),
        (
            "redis://localhost?socket_connect_timeout=0",
            "connect_timeout cannot be '0': give a number of seconds",
        ),
        ("redis://localhost?socket_keepalive=maybe", "socket_keepalive cannot be 'maybe': give true or false"),
        ("redis://localhost?ssl_cert_reqs=none", "option 'ssl_cert_reqs' is not supported"),
        ("redis://localhost?pasword=s3cret", "option 'pasword' is not supported"),
        ("redis+sentinel://localhost/jobs?db=s3cret&password=s3cret", r"its option db cannot be '\*\*\*'"),
        (
            "redis+sentinel://localhost:26379",
            r"names no service; write redis\+sentinel://user:password@host:26379/service/0",
        ),
        ("unix://", "names no socket; write unix:///path/redis.sock"),
        ("redis://:s3cret/pw@localhost/0", "a character such as /, .* that must be written as %2F"),
    ],
)
def test_a_url_that_can_only_be_a_mistake_is_refused_where_it_is_written(url, why):
    with pytest.raises(UnknownBackend, match=why) as caught:
        RedisBackend(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [
        "decode_responses=true",
        "encoding=latin-1",
        "encoding_errors=replace",
        "protocol=3",
        "socket_timeout=1",
        "retry_on_timeout=true",
        "retry_on_error=ConnectionError",
        "retry=3",
        "health_check_interval=1",
        "parser_class=x",
        "connection_class=x",
        "redis_connect_func=x",
        "credential_provider=x",
        "host=elsewhere",
        "port=1",
        "path=/x",
        "timeout=1",
        "legacy_responses=false",
    ],
)
@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost/0",
        "rediss://localhost/0",
        "unix:///run/redis.sock",
        "redis+sentinel://localhost/jobs",
        "redis+cluster://localhost",
    ],
)
def test_an_option_that_would_change_what_the_driver_reads_or_repeats_is_refused(url, option):
    with pytest.raises(
        UnknownBackend, match=f"option '{option.split('=')[0]}' is not supported; supported are client_name"
    ):
        RedisBackend(f"{url}?{option}", namespace="{resque}")


@pytest.mark.parametrize("form", ["redis://{host}?db=3", "redis://{host}/1?db=3", "redis://{host}/3"])
async def test_the_database_of_a_url_is_used_and_shown_in_either_form(start_server, form):
    server = start_server("redis7")
    backend = RedisBackend(form.format(host=f"127.0.0.1:{server.port}"))
    await backend.connect()
    await backend.push([Entry("q", RAW)])
    await backend.close()
    there = RedisBackend(server.url.replace("/0", "/3"))
    await there.connect()
    assert await there.length("q") == 1
    await there.close()
    assert backend.location.endswith(("?db=3", "/3"))
