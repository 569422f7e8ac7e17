"""A server that is not the master: a step does nothing there, says so, and goes to the master as soon as it can."""

from __future__ import annotations

import asyncio
import time

import pytest
from proxy import Proxy
from redis import Redis
from redis_view import run_command

from taskhero import Settings, TaskHero
from taskhero.backends.protocol import (
    DelayedJobEntry,
    DueJob,
    Entry,
    Failed,
    HeldLock,
    LockSpec,
    PeriodicTask,
    PostponedByPlugin,
    Preparation,
    Process,
    PromotionTarget,
    QueueLockGuard,
    Released,
    Removal,
    Retried,
    Settlement,
    Subscription,
    Succeeded,
)
from taskhero.backends.records.inspection import FailedEntry, FailedRetry, StoredDelayedJob, WorkerRemoval
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
    (claim,) = (await backend.settle_and_claim(process, [], [1], ["q"])).claims
    await backend.schedule([DelayedJobEntry(LATER, "q", RAW), DelayedJobEntry(LATER, "q", RAW, unique=False)])
    await run_command(backend, "RPUSH", "resque:failed", FAILURE)
    await run_command(backend, "SADD", "resque:workers", "other:1:q")
    await run_command(backend, "SET", "resque:lock", "1")
    # It follows no server, so that it keeps what it has.
    server.command("REPLICAOF", "127.0.0.1", 1)
    yield backend, process, claim, server, master
    await backend.close()


async def everything(server):
    with Redis(port=server.port) as client:
        return {key: client.dump(key) for key in client.scan_iter()}


STEPS = {
    "push": lambda b, p, c: b.push([Entry("q", RAW)]),
    "push with a guard": lambda b, p, c: b.push([Entry("q", RAW, guards=(QueueLockGuard("l", 9),))]),
    "schedule": lambda b, p, c: b.schedule([DelayedJobEntry(LATER, "q", RAW, unique=False)]),
    "schedule for now": lambda b, p, c: b.schedule([DelayedJobEntry(1, "q", RAW)]),
    "promote": lambda b, p, c: b.promote([PromotionTarget(DueJob(LATER, RAW), "q")]),
    "register": lambda b, p, c: b.register(p, [1, 2], 60),
    "deregister_slots": lambda b, p, c: b.deregister_slots(p, [1]),
    "settle_and_claim": lambda b, p, c: b.settle_and_claim(p, [], [2], ["q"]),
    "done": lambda b, p, c: b.settle_and_claim(p, [Settlement(c, Succeeded())], [], []),
    "failed": lambda b, p, c: b.settle_and_claim(p, [Settlement(c, Failed(FAILURE))], [], []),
    "given back": lambda b, p, c: b.settle_and_claim(p, [Settlement(c, Released())], [], []),
    "delayed": lambda b, p, c: b.settle_and_claim(p, [Settlement(c, PostponedByPlugin(5))], [], []),
    "retried": lambda b, p, c: b.settle_and_claim(p, [Settlement(c, Retried(FAILURE, "n", 3, (1.0,)))], [], []),
    "prepare": lambda b, p, c: b.prepare(p, [Preparation(c, hold=(LockSpec("l", 9),))]),
    "mark_exclusive": lambda b, p, c: b.mark_exclusive(p, c),
    "lead": lambda b, p, c: b.lead("me", 60),
    "ensure_periodic": lambda b, p, c: b.ensure_periodic(
        [PeriodicTask(name="t", queue="q", raw=RAW, equivalent_payloads=(RAW,), frequency=5)]
    ),
    "remove": lambda b, p, c: b.remove("q", [Removal(RAW)]),
    "delete_queue": lambda b, p, c: b.delete_queue("q"),
    "remove_delayed": lambda b, p, c: b.remove_delayed([StoredDelayedJob(LATER, RAW)]),
    "remove_failed": lambda b, p, c: b.remove_failed([FailedEntry(FAILURE)]),
    "retry_failed": lambda b, p, c: b.retry_failed([FailedRetry(FailedEntry(FAILURE), Entry("q", RAW))]),
    "delete_lock": lambda b, p, c: b.delete_lock("lock"),
    "remove_worker": lambda b, p, c: b.remove_worker(WorkerRemoval(id="other:1:q")),
    "heartbeat": lambda b, p, c: asyncio.to_thread(b.heartbeat, p, [1], 60, full=False),
    "full beat": lambda b, p, c: asyncio.to_thread(
        b.heartbeat, p, [1], 60, full=True, locks=[HeldLock(c, LockSpec("l", 9))]
    ),
    "wait": lambda b, p, c: b.wait(p, Subscription(schedule=True), 5),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_on_a_replica_says_that_nothing_was_done(replica, step):
    backend, process, claim, server, _ = replica
    before = await everything(server)
    if step == "wait":
        # It ends once without an error, since the server may have moved; the next one says that it has not.
        assert (await STEPS[step](backend, process, claim)).schedule
    with pytest.raises(BackendUnavailable):
        await STEPS[step](backend, process, claim)
    assert await everything(server) == before


def clients(port, name):
    """What the server says of the connections that have this name."""
    with Redis(port=port) as client:
        return [each for each in client.client_list() if each["name"] == name]


async def until(condition, within):
    """Look again and again, since what another process does is no event here."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


async def test_behind_a_proxy_every_connection_reaches_the_new_master(start_server, kind):
    """New ones are led there; those that there are go on to reach the old master, which is a replica now."""
    old, new = (start_server(kind, "--repl-diskless-sync-delay", "0") for _ in range(2))
    begun = []
    async with Proxy(old.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0?client_name="
        settings = Settings(
            queues=("q",), min_task_processors=2, max_task_processors=2, scheduler=True, heartbeat_interval=1
        )
        apps = [TaskHero(url + name, settings=settings) for name in ("first", "second")]
        for app in apps:

            @app.task(queue="q")
            async def note(number: int) -> None:
                begun.append(number)

        async with apps[0].running(), apps[1].running():
            # One of them hears of the pushes of other programs, the other one waits in line.
            await until(lambda: len(clients(old.port, "first")) >= 3 and len(clients(old.port, "second")) >= 3, 10)
            new.command("REPLICAOF", "127.0.0.1", old.port)
            await until(lambda: replication(new)["master_link_status"] == "up", 10)
            new.command("REPLICAOF", "NO", "ONE")
            proxy.lead_to(new.port)
            old.command("REPLICAOF", "127.0.0.1", new.port)
            new.command("RPUSH", "resque:queue:q", '{"class":"note","queue":"q","args":[1]}')
            await until(lambda: begun == [1], 5)
            for name in ("first", "second"):
                await until(lambda name=name: len(clients(new.port, name)) >= 3 and not clients(old.port, name), 5)
            assert await apps[0].queue.enqueue("note", [2], "q")
            await until(lambda: begun == [1, 2], 3)


def replication(server):
    with Redis(port=server.port) as client:
        return client.info("replication")


ANSWERS = {
    "READONLY": "-READONLY You can't write against a read only replica.",
    "LOADING": "-LOADING Redis is loading the dataset in memory",
    "MASTERDOWN": "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN": "-CLUSTERDOWN The cluster is down",
    "UNBLOCKED": "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("scheme", ["redis", "unix"])
async def test_a_connection_whose_server_cannot_act_is_replaced_and_the_job_is_stored_once(
    start_server, answer, scheme, tmp_path
):
    server = start_server("redis7")
    acts, answered = [True], []

    async def serve(reader, writer):
        """A connection that was made while the server could act, and is no use when it cannot."""
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", server.port)
        mine = acts[0]
        try:
            while data := await reader.read(1 << 20):
                if mine and not acts[0]:
                    answered.append(data)
                    writer.write(ANSWERS[answer].encode() + b"\r\n")
                else:
                    upstream_writer.write(data)
                    writer.write(await upstream_reader.read(1 << 20))
        except ConnectionError:
            pass
        finally:
            writer.close()
            upstream_writer.close()

    if scheme == "unix":
        front = await asyncio.start_unix_server(serve, tmp_path / "front.sock")
        url = f"unix://{tmp_path}/front.sock?db=0"
    else:
        front = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"redis://127.0.0.1:{front.sockets[0].getsockname()[1]}/0"
    backend = RedisBackend(url)
    await backend.connect()
    process = Process(new_process_name(), ("q",))
    await asyncio.to_thread(backend.heartbeat, process, [1], 60, full=True)
    acts[0] = False
    assert await backend.push([Entry("q", RAW)]) == [True]
    assert (await asyncio.to_thread(backend.heartbeat, process, [1], 60, full=True)).alive
    assert await backend.length("q") == 1
    # The heartbeat does not use its old connection either, since the driver knows.
    assert len(answered) == 1
    await backend.close()
    front.close()
