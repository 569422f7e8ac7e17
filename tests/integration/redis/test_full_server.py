"""A server that is full (``noeviction``) refuses new jobs, and goes on with those that it has: none is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import servers
from redis_view import run_command

from taskhero import Settings, TaskHero
from taskhero.backends.protocol import (
    DelayedJobEntry,
    Entry,
    Failed,
    NextRun,
    PeriodicTask,
    PostponedByPlugin,
    Process,
    PromotionTarget,
    QueueLockGuard,
    Released,
    Retried,
    SettleAndClaimReply,
    Settlement,
    Succeeded,
)
from taskhero.backends.redis import RedisBackend
from taskhero.errors import BackendRefused
from taskhero.wire.jobs import rescue_count, unmark
from taskhero.wire.workers import new_process_name

pytestmark = pytest.mark.anyio

LEASE = 60.0


def job(n: int) -> str:
    return f'{{"class":"note","queue":"q","args":[{n}]}}'


@pytest.fixture(params=servers.KINDS)
def server(request: pytest.FixtureRequest, start_server: Any) -> servers.Server:
    """A server of its own, which evicts nothing."""
    server: servers.Server = start_server(request.param, "--maxmemory-policy", "noeviction")
    return server


def fill(server: servers.Server) -> None:
    """No memory is left, whatever is deleted."""
    assert server.command("CONFIG", "SET", "maxmemory", "1") == b"+OK"
    assert server.command("SET", "one", "more").startswith(b"-OOM")


def free(server: servers.Server) -> None:
    """There is memory again."""
    assert server.command("CONFIG", "SET", "maxmemory", "0") == b"+OK"


@pytest.fixture
async def backend(server: servers.Server) -> Any:
    """A connected driver."""
    backend = RedisBackend(server.url)
    await backend.connect()
    yield backend
    await backend.close()


async def registered(backend: RedisBackend, *slots: int, lease: float = LEASE) -> Process:
    process = Process(new_process_name(), ("q",))
    await backend.register(process, slots, lease)
    return process


async def push(backend: RedisBackend, *numbers: int) -> None:
    await backend.push([Entry("q", job(n)) for n in numbers])


async def exchange(backend: RedisBackend, process: Process, settled: Any = (), free: Any = ()) -> SettleAndClaimReply:
    return await backend.settle_and_claim(process, settled, free, ["q"])


async def test_jobs_are_claimed_and_settled_on_a_full_server(server: servers.Server, backend: RedisBackend) -> None:
    """However they end: each ending moves or deletes what is there, and makes room in the end."""
    process = await registered(backend, 1, 2, 3, 4, 5)
    await push(backend, 1, 2, 3, 4, 5, 6)
    fill(server)
    claims = (await exchange(backend, process, free=[1, 2, 3, 4, 5])).claims
    assert [claim.raw for claim in claims] == [job(n) for n in range(1, 6)]
    retried = Retried(entry='{"retried":2}', counter="resque-retry:note:2", limit=3, delays=(100.0,))
    endings = [Failed(entry='{"failed":1}'), retried, Released(), PostponedByPlugin(100.0), Succeeded()]
    for claim, ending in zip(claims, endings, strict=True):
        answer = await exchange(backend, process, [Settlement(claim, ending)])
        assert (answer.gone, answer.unsettled) == ([], []), ending
    assert await backend.failed() == ['{"failed":1}']
    assert await backend.queued("q") == [job(3), job(6)]
    assert await backend.stats() == {
        "processed": 1,
        f"processed:{process.worker(5)}": 1,
        "failed": 2,
        f"failed:{process.worker(1)}": 1,
        f"failed:{process.worker(2)}": 1,
    }
    assert (await backend.claims(process)).claims == []


async def test_a_batch_is_settled_and_the_next_one_claimed_at_once(
    server: servers.Server, backend: RedisBackend
) -> None:
    process = await registered(backend, 1, 2)
    await push(backend, 1, 2, 3)
    claims = (await exchange(backend, process, free=[1, 2])).claims
    fill(server)
    settled = [Settlement(claims[0], Failed(entry="{}")), Settlement(claims[1], Succeeded())]
    answer = await exchange(backend, process, settled, [1, 2])
    assert (answer.unsettled, [claim.raw for claim in answer.claims]) == ([], [job(3)])


async def test_pushes_and_delays_are_refused_whole(server: servers.Server, backend: RedisBackend) -> None:
    fill(server)
    with pytest.raises(BackendRefused, match=r"(?i)memory"):
        await push(backend, 1, 2)
    with pytest.raises(BackendRefused, match=r"(?i)memory"):
        await backend.schedule([DelayedJobEntry(4_000_000_000, "q", job(1))])
    free(server)
    assert await run_command(backend, "DBSIZE") == 0


async def test_a_living_process_stays_alive_on_a_full_server(server: servers.Server, backend: RedisBackend) -> None:
    """No other process takes its jobs, and it needs not register again."""
    process, other = await registered(backend, 1, lease=1.0), await registered(backend, 1)
    await push(backend, 1)
    (claim,) = (await exchange(backend, process, free=[1])).claims
    seen = (await backend.leases()).leases
    fill(server)
    for full in (False, True):
        assert (await asyncio.to_thread(backend.heartbeat, process, (1,), LEASE, full=full)).alive
    until = await run_command(backend, "ZSCORE", "resque:taskhero:processes", process.name)
    (now, _) = await run_command(backend, "TIME")
    assert float(until) / 1000 > int(now) + LEASE - 10
    assert await backend.mark_exclusive(process, claim)
    newcomer = await registered(backend, 1)
    assert (await exchange(backend, newcomer)).registered
    assert await backend.rescue(seen, 10) == []
    assert await backend.lead(other.name, 10)
    assert await backend.resign(other.name)


async def test_the_jobs_of_the_dead_and_of_those_who_leave_go_back(
    server: servers.Server, backend: RedisBackend
) -> None:
    dead, leaving, retiring = await registered(backend, 1), await registered(backend, 1), await registered(backend, 1)
    await push(backend, 1, 2, 3)
    for process in (dead, leaving, retiring):
        assert len((await exchange(backend, process, free=[1])).claims) == 1
    fill(server)
    await backend.deregister_slots(retiring, [1])
    assert (await backend.deregister(leaving)).released == 1
    await asyncio.to_thread(backend.heartbeat, dead, (1,), 0.001, full=False)
    expired = next(lease for lease in (await backend.leases()).leases if lease.process == dead.name)
    rescued = await backend.rescue([expired], 10)
    assert [rescue_count(one.raw) for one in rescued] == [0]
    assert sorted(map(unmark, await backend.queued("q"))) == [job(1), job(2), job(3)]


async def test_due_jobs_are_promoted_on_a_full_server(server: servers.Server, backend: RedisBackend) -> None:
    (now, _) = await run_command(backend, "TIME")
    await backend.schedule([DelayedJobEntry(int(now) + 1, "q", job(1))])
    fill(server)
    async with asyncio.timeout(10):
        while not (due := (await backend.due(10)).jobs):
            await asyncio.sleep(0.01)
    assert await backend.promote([PromotionTarget(due[0], "q")]) == ["queued"]
    assert await backend.queued("q") == [job(1)]


async def test_chains_go_on_on_a_full_server_and_slots_of_cron_wait(
    server: servers.Server, backend: RedisBackend
) -> None:
    """A chain's next run takes the place of the last one; a slot is a new job, and is not seen before it is stored."""
    tick = PeriodicTask(
        name="tick",
        queue="q",
        raw=job(1),
        equivalent_payloads=(job(1),),
        guards=(QueueLockGuard("lock:tick", 60),),
        frequency=1,
    )
    nightly = PeriodicTask(name="nightly", queue="q", raw=job(2), equivalent_payloads=(job(2),), cron="@daily")
    process = await registered(backend, 1)
    await push(backend, 1)
    (claim,) = (await exchange(backend, process, free=[1])).claims
    fill(server)
    answer = await exchange(
        backend, process, [Settlement(claim, Succeeded(), next_run=NextRun("tick", job(1), (job(1),), 100))]
    )
    assert len(answer.next_runs) == 1
    assert [known.task for known in (await backend.declare_periodic([tick, nightly], 60)).tasks] == [nightly, tick]
    assert await backend.stop_periodic(tick) == 1
    assert await backend.resume_periodic(["tick"]) == 1
    assert await backend.ensure_periodic([tick]) == ["enqueued"]
    assert await backend.restart_periodic(tick) is not None
    (seen,) = [known.cron_cursor for known in (await backend.declare_periodic()).tasks if known.cron_cursor]
    with pytest.raises(BackendRefused, match=r"(?i)memory"):
        await backend.fire_cron(nightly, seen, seen + 60, 1)
    free(server)
    assert await backend.fire_cron(nightly, seen, seen + 60, 1) == "stored"
    assert await backend.queued("q") == [job(2)]


async def test_an_app_works_all_that_a_full_server_holds(server: servers.Server) -> None:
    """No job is lost, none done twice, its process lives; a task that enqueues fails, and may again with memory."""
    settings = Settings(
        queues="q", max_task_processors=4, scheduler=True, timeout=0.2, heartbeat_interval=0.1, rescue_after=0.5
    )
    app = TaskHero(server.url, settings=settings)
    begun = {n: asyncio.Event() for n in range(200)}
    done: list[int] = []
    refusals: list[BackendRefused] = []
    goes_on, ended = asyncio.Event(), asyncio.Event()

    @app.task(queue="q")
    async def note(n: int) -> None:
        begun[n].set()
        if n == 0:
            await goes_on.wait()
        if n == 1:
            try:
                await note.enqueue(2)
            except BackendRefused as error:
                refusals.append(error)
                raise
        done.append(n)
        if len(done) == len(begun) - 1:
            ended.set()

    async with app.running():
        await note.enqueue(0)
        await asyncio.wait_for(begun[0].wait(), 10)
        server.command("SET", "resque:pause-all-workers", "true")
        await app.queue.enqueue_many([note.job(n) for n in range(1, len(begun))])
        fill(server)
        full_at = await lease_end(server)
        server.command("DEL", "resque:pause-all-workers")
        await asyncio.wait_for(begun[199].wait(), 20)
        async with asyncio.timeout(20):
            while len(done) < len(begun) - 2:
                await asyncio.sleep(0.01)
        # Longer than a lease: who could not renew it would be rescued by now.
        async with asyncio.timeout(20):
            while await lease_end(server) < full_at + 3 * settings.rescue_after:
                await asyncio.sleep(0.01)
        goes_on.set()
        await asyncio.wait_for(ended.wait(), 10)
        with pytest.raises(BackendRefused):
            await note.enqueue(1)
        free(server)
        async with asyncio.timeout(10):
            while (await app.queue.stats())["processed"] < len(done):
                await asyncio.sleep(0.01)
    assert sorted(done) == [0, *range(2, 200)]
    assert len(refusals) == 1
    (failure,) = await app_failures(server)
    assert failure.exception == "BackendRefused"


async def lease_end(server: servers.Server) -> float:
    """Until when the only process lives, in unix seconds."""
    backend = RedisBackend(server.url)
    await backend.connect()
    try:
        _, lease = await run_command(backend, "ZRANGE", "resque:taskhero:processes", 0, -1, "WITHSCORES")
    finally:
        await backend.close()
    return float(lease) / 1000


async def app_failures(server: servers.Server) -> list[Any]:
    async with TaskHero(server.url) as app:
        assert await app.queue.length("q") == 0
        return await app.queue.failed()
