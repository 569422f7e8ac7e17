"""A server that is not the master: every step says so, does nothing, and goes to the master as soon as there is a way."""

from __future__ import annotations

import asyncio

import pytest

from taskhero.backends.inspected import Cleaning, DelayedEntry, FailedEntry, FailedRetry
from taskhero.backends.protocol import (
    Delayed,
    Done,
    DueJob,
    Entry,
    Failed,
    FreeLock,
    GivenBack,
    HeldLock,
    Interest,
    Lock,
    Move,
    Periodic,
    Preparation,
    Process,
    Removal,
    Retried,
    Settlement,
    TimedEntry,
)
from taskhero.backends.redis import RedisBackend
from taskhero.errors import BackendUnavailable
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

RAW = '{"class":"t","queue":"q","args":[1]}'
LATER = 4_000_000_000
FAILURE = '{"payload":' + RAW + ',"queue":"q"}'


@pytest.fixture(params=["redis7", "redis62", "valkey9"])
def kind(request):
    return request.param


@pytest.fixture
async def replica(start_server, kind):
    """A driver on a server that was a master until now, with a process that holds a job; the process and its claim."""
    server, master = start_server(kind), start_server(kind)
    backend = RedisBackend(server.url)
    await backend.connect()
    process = Process(new_process_name(), ("q",))
    await backend.register(process, [1, 2], 60)
    await backend.push([Entry("q", RAW), Entry("q", RAW)])
    (claim,) = (await backend.exchange(process, [], [1], ["q"])).claims
    await backend.schedule([TimedEntry(LATER, "q", RAW), TimedEntry(LATER, "q", RAW, unique=False)])
    await backend._link.call("RPUSH", "resque:failed", FAILURE)
    await backend._link.call("SADD", "resque:workers", "other:1:q")
    await backend._link.call("SET", "resque:lock", "1")
    # It follows no server, so that it keeps what it has.
    server.command("REPLICAOF", "127.0.0.1", 1)
    yield backend, process, claim, server, master
    await backend.close()


async def everything(server):
    from redis import Redis

    with Redis(port=server.port) as client:
        return {key: client.dump(key) for key in client.scan_iter()}


STEPS = {
    "push": lambda b, p, c: b.push([Entry("q", RAW)]),
    "push with a guard": lambda b, p, c: b.push([Entry("q", RAW, guards=(FreeLock("l", 9),))]),
    "schedule": lambda b, p, c: b.schedule([TimedEntry(LATER, "q", RAW, unique=False)]),
    "schedule for now": lambda b, p, c: b.schedule([TimedEntry(1, "q", RAW)]),
    "promote": lambda b, p, c: b.promote([Move(DueJob(LATER, RAW), "q")]),
    "register": lambda b, p, c: b.register(p, [1, 2], 60),
    "retire": lambda b, p, c: b.retire(p, [1]),
    "exchange": lambda b, p, c: b.exchange(p, [], [2], ["q"]),
    "done": lambda b, p, c: b.exchange(p, [Settlement(c, Done())], [], []),
    "failed": lambda b, p, c: b.exchange(p, [Settlement(c, Failed(FAILURE))], [], []),
    "given back": lambda b, p, c: b.exchange(p, [Settlement(c, GivenBack())], [], []),
    "delayed": lambda b, p, c: b.exchange(p, [Settlement(c, Delayed(5))], [], []),
    "retried": lambda b, p, c: b.exchange(p, [Settlement(c, Retried(FAILURE, "n", 3, (1.0,)))], [], []),
    "prepare": lambda b, p, c: b.prepare(p, [Preparation(c, hold=(Lock("l", 9),))]),
    "begin": lambda b, p, c: b.begin(p, c),
    "lead": lambda b, p, c: b.lead("me", 60),
    "ensure": lambda b, p, c: b.ensure([Periodic(name="t", queue="q", raw=RAW, forms=(RAW,), frequency=5)]),
    "remove": lambda b, p, c: b.remove("q", [Removal(RAW)]),
    "delete_queue": lambda b, p, c: b.delete_queue("q"),
    "remove_delayed": lambda b, p, c: b.remove_delayed([DelayedEntry(LATER, RAW)]),
    "remove_failed": lambda b, p, c: b.remove_failed([FailedEntry(FAILURE)]),
    "retry_failed": lambda b, p, c: b.retry_failed([FailedRetry(FailedEntry(FAILURE), Entry("q", RAW))]),
    "delete_lock": lambda b, p, c: b.delete_lock("lock"),
    "clean_worker": lambda b, p, c: b.clean_worker(Cleaning(id="other:1:q")),
    "beat": lambda b, p, c: asyncio.to_thread(b.beat, p, [1], 60, full=False),
    "full beat": lambda b, p, c: asyncio.to_thread(b.beat, p, [1], 60, full=True, locks=[HeldLock(c, Lock("l", 9))]),
    "wait": lambda b, p, c: b.wait(p, Interest(schedule=True), 5),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_on_a_replica_says_that_nothing_was_done(replica, step):
    backend, process, claim, server, _ = replica
    before = await everything(server)
    with pytest.raises(BackendUnavailable):
        await STEPS[step](backend, process, claim)
        # A wait ends once, since the server may have moved; the next one says that it is still here.
        await STEPS[step](backend, process, claim)
    assert await everything(server) == before
