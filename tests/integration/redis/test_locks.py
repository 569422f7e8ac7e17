"""Locks and counters as they lie in Redis, beside those that node-resque writes there."""

from __future__ import annotations

import asyncio

import pytest
from redis_view import run_command

from taskhero.backends.protocol import (
    Claim,
    Entry,
    Failed,
    HeldLock,
    LockSpec,
    Preparation,
    Prepared,
    Process,
    QueueLockGuard,
    Retried,
    Settlement,
    Succeeded,
)
from taskhero.backends.redis import RedisBackend
from taskhero.clock import ManualClock
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'
QUEUED, WORKING = "lock:t:q:[1]", "workerslock:t:q:[1]"
COUNTER, LAST_ERROR = "resque-retry:t:1", "failure-resque-retry:t:1"
NOW = 4_000_000_000
LEASE = 1000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW + 0.5)


@pytest.fixture
async def backend(redis_url: str, clock: ManualClock):
    backend = RedisBackend(redis_url, clock=clock)
    await backend.connect()
    yield backend
    await backend.close()


@pytest.fixture
async def process(backend: RedisBackend) -> Process:
    process = Process(new_process_name(), ("q",))
    await backend.register(process, [1, 2], LEASE)
    return process


@pytest.fixture
async def claim(backend: RedisBackend, process: Process) -> Claim:
    await backend.push([Entry("q", RAW)])
    return (await backend.settle_and_claim(process, [], [1], ["q"])).claims[0]


async def call(backend: RedisBackend, command: str, name: str, *rest: object):
    return await run_command(backend, command, f"resque:{name}", *rest)


async def ask(backend: RedisBackend, process: Process, *preparations: Preparation) -> list[Prepared]:
    return list(await backend.prepare(process, preparations))


async def stored(backend: RedisBackend) -> dict[bytes, bytes | None]:
    """All locks and counters."""
    found = [name for part in ("*lock*", "*retry*") for name in await run_command(backend, "KEYS", part)]
    return {name: await run_command(backend, "GET", name) for name in found}


# what we write


@pytest.mark.parametrize("timeout", [60, 3600])
async def test_a_lock_says_when_it_lapses_and_whose_it_is(backend, process, claim, timeout):
    assert await ask(backend, process, Preparation(claim, hold=(LockSpec(WORKING, timeout),))) == [Prepared()]
    value = await call(backend, "GET", WORKING)
    assert value == f"{NOW + timeout + 1}:{process.name}+1/{claim.token}".encode()
    assert (timeout - 30) * 1000 < await call(backend, "PTTL", WORKING) <= timeout * 1000


@pytest.mark.parametrize("timeout", [60, 3600])
async def test_a_beat_says_anew_when_it_lapses(backend, process, claim, clock, timeout):
    lock = LockSpec(WORKING, timeout)
    await ask(backend, process, Preparation(claim, hold=(lock,)))
    clock.advance(7)
    beat = await asyncio.to_thread(backend.heartbeat, process, [1], 500, full=False, locks=[HeldLock(claim, lock)])
    assert (beat.alive, beat.lost) == (True, ())
    value = await call(backend, "GET", WORKING)
    assert value == f"{NOW + 7 + timeout + 1}:{process.name}+1/{claim.token}".encode()
    assert (timeout - 30) * 1000 < await call(backend, "PTTL", WORKING) <= timeout * 1000


@pytest.mark.parametrize(("delays", "wait"), [((5.0,), 5), ((0.2, 9.0), 1), ((86_400.0,), 86_400)])
async def test_a_counter_lapses_a_day_after_the_wait_and_so_does_the_last_error(backend, process, claim, delays, wait):
    ending = Retried("no", COUNTER, 3, delays, last_error=(LAST_ERROR, '{"error":"\xe9\udcff"}'))
    answer = await backend.settle_and_claim(process, [Settlement(claim, ending)], [], [])
    assert list(answer.attempts) == [(claim, 1)]
    assert await stored(backend) == {
        f"resque:{COUNTER}".encode(): b"0",
        f"resque:{LAST_ERROR}".encode(): b'{"error":"\xc3\xa9\xff"}',
    }
    for name in (COUNTER, LAST_ERROR):
        assert wait + 86_400 - 30 < await call(backend, "TTL", name) <= wait + 86_400


async def test_nothing_is_left_when_a_job_has_ended(backend, process):
    await backend.push([Entry("q", RAW, guards=(QueueLockGuard(QUEUED, 60),))])
    (claim,) = (await backend.settle_and_claim(process, [], [1], ["q"])).claims
    await call(backend, "SET", COUNTER, 0)
    await call(backend, "SET", LAST_ERROR, "{}")
    wanted = Preparation(claim, release=(QUEUED,), hold=(LockSpec(WORKING, 60),), counter=COUNTER)
    assert await ask(backend, process, wanted) == [Prepared(count=0)]
    settlement = Settlement(claim, Succeeded(), release=(WORKING,), forget=(COUNTER, LAST_ERROR))
    await backend.settle_and_claim(process, [settlement], [], [])
    assert await stored(backend) == {}


# what others wrote


#: Without a lifetime, a lock counts for 60 seconds after its second.
HONOURED = [(value, ()) for value in (str(NOW + 3601), str(NOW), str(NOW - 59), "true", "", "someone:else")]
HONOURED += [(value, ("EX", 1000)) for value in (str(NOW + 3601), str(NOW - 3601), "true")]


@pytest.mark.parametrize(("value", "life"), HONOURED)
async def test_a_running_jobs_lock_of_another_program_is_honoured_while_it_exists(backend, process, claim, value, life):
    await call(backend, "SET", WORKING, value, *life)
    lock = LockSpec(WORKING, 60)
    assert await ask(backend, process, Preparation(claim, hold=(lock,))) == [Prepared(blocked_by=0)]
    held = HeldLock(claim, lock)
    assert (await asyncio.to_thread(backend.heartbeat, process, [1], LEASE, full=True, locks=[held])).lost == (held,)
    await backend.settle_and_claim(process, [Settlement(claim, Succeeded(), release=(WORKING,))], [], [])
    assert await call(backend, "GET", WORKING) == value.encode()


@pytest.mark.parametrize("value", [str(NOW + 3601), "true", ""])
async def test_a_queued_jobs_lock_goes_whoever_wrote_it(backend, process, claim, value):
    await call(backend, "SET", QUEUED, value)
    assert await ask(backend, process, Preparation(claim, release=(QUEUED,))) == [Prepared()]
    assert await stored(backend) == {}


@pytest.mark.parametrize(("value", "count"), [("0", 0), ("41", 41), ("-1", -1), ("", None), ("x", None), ("1.5", None)])
async def test_a_counter_of_another_program_is_read(backend, process, claim, value, count):
    await call(backend, "SET", COUNTER, value)
    assert await ask(backend, process, Preparation(claim, counter=COUNTER)) == [Prepared(count=count)]


async def test_a_counter_of_the_wrong_type_is_no_number(backend, process, claim):
    await call(backend, "RPUSH", COUNTER, "0")
    wanted = Preparation(claim, hold=(LockSpec(WORKING, 60),), counter=COUNTER)
    assert await ask(backend, process, wanted, wanted) == [Prepared(), Prepared()]


async def test_a_running_jobs_lock_keeps_a_guard_out_until_it_lapses(backend, process, claim, clock):
    await ask(backend, process, Preparation(claim, hold=(LockSpec("shared", 60),)))
    guarded = Entry("q", RAW, guards=(QueueLockGuard("shared", 60),))
    assert list(await backend.push([guarded])) == [False]
    clock.advance(64)
    assert list(await backend.push([guarded])) == [True]


# what it costs


async def commands(backend: RedisBackend, process: Process, settlement: Settlement) -> dict[str, int]:
    """How often Redis ran which command while a job's end was recorded."""
    await backend.settle_and_claim(process, [], [], [])
    await run_command(backend, "CONFIG", "RESETSTAT")
    answer = await backend.settle_and_claim(process, [settlement], [], [])
    assert (list(answer.gone), list(answer.unsettled)) == ([], [])
    lines = (await run_command(backend, "INFO", "commandstats")).decode().splitlines()
    stats = dict(line.removeprefix("cmdstat_").split(":calls=") for line in lines if line.startswith("cmdstat_"))
    return {name: int(calls.split(",")[0]) for name, calls in stats.items() if name not in {"config|resetstat", "info"}}


@pytest.mark.parametrize("ending", [Succeeded(), Failed("no")], ids=["done", "failed"])
async def test_locks_cost_two_commands_a_job_and_nothing_where_there_are_none(backend, process, ending):
    await backend.push([Entry("q", RAW)] * 3)
    (first,) = (await backend.settle_and_claim(process, [], [1], ["q"])).claims
    # The server may not know the script yet.
    await backend.settle_and_claim(process, [Settlement(first, ending)], [], [])
    plain, locked = (await backend.settle_and_claim(process, [], [1, 2], ["q"])).claims
    await ask(backend, process, Preparation(locked, hold=(LockSpec("a", 60), LockSpec("b", 60))))
    without = await commands(backend, process, Settlement(plain, ending))
    with_locks = await commands(backend, process, Settlement(locked, ending, release=("a", "b"), forget=("c", "d")))
    differences = {name: with_locks[name] - without[name] for name in with_locks.keys() | without.keys()}
    assert {name: more for name, more in differences.items() if more} == {"mget": 1, "del": 1}
