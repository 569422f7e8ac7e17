"""A driver behind a proxy that loses replies, and each step whose reply may be lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import attrs
import pytest
from proxy import Proxy
from redis_view import run_command

from taskhero.backends.protocol import (
    DelayedJobEntry,
    DueJob,
    Entry,
    Failed,
    LockSpec,
    NextRun,
    PeriodicTask,
    PostponedByPlugin,
    Preparation,
    Prepared,
    Process,
    PromotionTarget,
    QueueLockGuard,
    Released,
    Removal,
    Retried,
    Settlement,
    Succeeded,
)
from taskhero.backends.redis import RedisBackend
from taskhero.backends.redis.scripts import script
from taskhero.wire.workers import new_process_name

__all__ = [
    "CASES",
    "ENDINGS",
    "LOCKS",
    "RAW",
    "READING",
    "Case",
    "P",
    "a_claim",
    "a_claim_with_locks",
    "a_guarded_claim",
    "a_queued_job",
    "case_id",
    "counted",
    "direct",
    "end_with_locks",
    "keys",
    "lossy",
    "nothing",
    "prepare",
    "registered",
    "sha",
]


RAW = '{"class":"t","queue":"q","args":[1]}'
P = Process(new_process_name(), ("q",))
QUEUED, COUNTER = "lock:t:q:[1]", "resque-retry:t:1"
LOCKS = (LockSpec("workerslock:t:q:[1]", 60), LockSpec("workerslock:other", 60))
LONG_AGO = 5
LATER = 4_000_000_000


def sha(name: str) -> str:
    return script(name).sha


@pytest.fixture
async def direct(redis_url: str):
    """A driver with an honest connection, for looking and preparing."""
    backend = RedisBackend(redis_url)
    await backend.connect()
    for file in resources.files("taskhero.backends.redis").joinpath("lua").iterdir():
        name = file.name.removesuffix(".lua")
        if not name.startswith("_"):
            await run_command(backend, "SCRIPT", "LOAD", script(name).text)
    yield backend
    await backend.close()


@pytest.fixture
async def lossy(redis_url: str, direct: RedisBackend):
    """A driver behind the proxy, and the proxy."""
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    async with Proxy(port) as proxy:
        backend = RedisBackend(f"redis://127.0.0.1:{proxy.port}/0")
        await backend.connect()
        yield backend, proxy
        await backend.close()


@attrs.frozen
class Case:
    """One verb: what is stored before it, the call, what marks its request, and what can be seen of its effect."""

    verb: str
    prepare: Callable[[RedisBackend, RedisBackend], Awaitable[Any]]
    call: Callable[[RedisBackend, Any], Awaitable[Any]]
    request: str
    effect: Callable[[RedisBackend], Awaitable[Any]]
    id: str = ""


async def nothing(direct: RedisBackend, lossy: RedisBackend) -> None:
    """No preparation."""


async def keys(direct: RedisBackend) -> Any:
    """All that lies in the store, but for what tells the time."""
    found = {}
    for key in await run_command(direct, "KEYS", "*"):
        kind = await run_command(direct, "TYPE", key)
        command = {
            b"string": ("GET",),
            b"list": ("LRANGE", 0, -1),
            b"set": ("SMEMBERS",),
            b"zset": ("ZRANGE", 0, -1),
            b"hash": ("HKEYS",),
        }[kind]
        value = await run_command(direct, command[0], key, *command[1:])
        found[key] = sorted(value) if kind == b"set" else value
    # Times, and wake-ups without a waiting process, are not what is asked here.
    return {key: value for key, value in found.items() if b"wake" not in key and b":ping:" not in key}


async def a_queued_job(direct: RedisBackend, lossy: RedisBackend) -> None:
    await lossy.register(P, [1, 2], 60)
    await direct.push([Entry("q", RAW)])


async def a_claim(direct: RedisBackend, lossy: RedisBackend) -> Any:
    await a_queued_job(direct, lossy)
    return (await lossy.settle_and_claim(P, [], [1], ["q"])).claims[0]


async def a_guarded_claim(direct: RedisBackend, lossy: RedisBackend) -> Any:
    """Its queue-lock remains, and an attempt of an equal job was counted."""
    await lossy.register(P, [1, 2], 60)
    await direct.push([Entry("q", RAW, guards=(QueueLockGuard(QUEUED, 60),))])
    await run_command(direct, "SET", f"resque:{COUNTER}", 0)
    return (await lossy.settle_and_claim(P, [], [1], ["q"])).claims[0]


def prepare(backend: RedisBackend, claim: Any) -> Awaitable[Any]:
    return backend.prepare(P, [Preparation(claim, release=(QUEUED,), hold=LOCKS, counter=COUNTER)])


async def a_claim_with_locks(direct: RedisBackend, lossy: RedisBackend) -> Any:
    claim = await a_guarded_claim(direct, lossy)
    assert list(await prepare(lossy, claim)) == [Prepared(count=0)]
    return claim


def end_with_locks(backend: RedisBackend, claim: Any) -> Awaitable[Any]:
    settlement = Settlement(claim, Succeeded(), release=tuple(lock.key for lock in LOCKS), forget=(COUNTER,))
    return backend.settle_and_claim(P, [settlement], [], [])


async def a_locked_job(direct: RedisBackend, lossy: RedisBackend) -> None:
    await direct.push([Entry("q", RAW, guards=(QueueLockGuard(QUEUED, 60),))])


async def an_empty_queue(direct: RedisBackend, lossy: RedisBackend) -> None:
    await a_queued_job(direct, lossy)
    await direct.remove("q", [Removal(RAW)])


async def a_due_job(direct: RedisBackend, lossy: RedisBackend) -> None:
    # As a scheduler finds it that was away: its moment is over.
    await run_command(direct, "RPUSH", f"resque:delayed:{LONG_AGO}", RAW)
    await run_command(direct, "SADD", f"resque:timestamps:{RAW}", f"delayed:{LONG_AGO}")
    await run_command(direct, "ZADD", "resque:delayed_queue_schedule", LONG_AGO, LONG_AGO)


async def a_dead_process(direct: RedisBackend, lossy: RedisBackend) -> Any:
    await a_claim(direct, lossy)
    return (await direct.leases()).leases


async def led(direct: RedisBackend, lossy: RedisBackend) -> None:
    assert await direct.lead("me", 60)


async def a_begun_claim(direct: RedisBackend, lossy: RedisBackend) -> Any:
    claim = await a_claim(direct, lossy)
    assert await direct.mark_exclusive(P, claim)
    return claim


async def registered(direct: RedisBackend, lossy: RedisBackend) -> None:
    await lossy.register(P, [1], 60)


TICK = PeriodicTask(
    name="tick",
    queue="q",
    raw=RAW,
    equivalent_payloads=(RAW,),
    guards=(QueueLockGuard(QUEUED, 60),),
    holds=("workerslock:t",),
    frequency=9,
)
NIGHTLY = PeriodicTask(name="nightly", queue="q", raw=RAW, equivalent_payloads=(RAW,), cron="@daily")


async def a_stopped_task(direct: RedisBackend, lossy: RedisBackend) -> None:
    await direct.stop_periodic(TICK)


def end_with_next(backend: RedisBackend, claim: Any) -> Awaitable[Any]:
    return backend.settle_and_claim(
        P, [Settlement(claim, Succeeded(), next_run=NextRun("tick", RAW, (RAW,), 100))], [], []
    )


def settle(ending: Any) -> Callable[[RedisBackend, Any], Awaitable[Any]]:
    return lambda backend, claim: backend.settle_and_claim(P, [Settlement(claim, ending)], [], [])


ENDINGS = {
    "done": Succeeded(),
    "failed": Failed('{"failed":1}'),
    "given-back": Released(),
    "delayed": PostponedByPlugin(100),
    "retried": Retried('{"failed":1}', "resque-retry:t:1", 3, (100.0,)),
}

CASES = [
    Case("push", nothing, lambda b, _: b.push([Entry("q", RAW)]), sha("push"), keys),
    Case("schedule", nothing, lambda b, _: b.schedule([DelayedJobEntry(LATER, "q", RAW)]), sha("schedule"), keys),
    Case(
        "promote",
        a_due_job,
        lambda b, _: b.promote([PromotionTarget(DueJob(LONG_AGO, RAW), "q")]),
        sha("promote"),
        keys,
    ),
    Case("register", nothing, lambda b, _: b.register(P, [1], 60), sha("heartbeat"), keys),
    Case("deregister_slots", a_claim, lambda b, _: b.deregister_slots(P, [1]), sha("deregister_slots"), keys),
    Case("deregister", a_claim, lambda b, _: b.deregister(P), sha("deregister_slots"), keys),
    Case(
        "settle_and_claim",
        a_queued_job,
        lambda b, _: b.settle_and_claim(P, [], [1], ["q"]),
        sha("claim"),
        keys,
        "claim",
    ),
    *(
        Case("settle_and_claim", a_claim, settle(ending), sha("settle_and_claim"), keys, name)
        for name, ending in ENDINGS.items()
    ),
    Case("prepare", a_guarded_claim, prepare, sha("prepare"), keys),
    Case("settle_and_claim", a_claim_with_locks, end_with_locks, sha("settle_and_claim"), keys, "locks"),
    Case("settle_and_claim", a_claim, end_with_next, sha("settle_and_claim"), keys, "next"),
    Case("declare_periodic", nothing, lambda b, _: b.declare_periodic([TICK], 60), sha("declare_periodic"), keys),
    Case("ensure_periodic", nothing, lambda b, _: b.ensure_periodic([TICK]), sha("ensure_periodic"), keys),
    Case("restart_periodic", a_stopped_task, lambda b, _: b.restart_periodic(TICK), sha("restart_periodic"), keys),
    Case("stop_periodic", a_queued_job, lambda b, _: b.stop_periodic(TICK), sha("restart_periodic"), keys),
    Case("resume_periodic", a_stopped_task, lambda b, _: b.resume_periodic(["tick"]), sha("resume_periodic"), keys),
    Case("fire_cron", nothing, lambda b, _: b.fire_cron(NIGHTLY, None, 9, 1), sha("fire_cron"), keys),
    Case("mark_exclusive", a_claim, lambda b, claim: b.mark_exclusive(P, claim), sha("mark_exclusive"), keys),
    Case(
        "mark_exclusive",
        a_begun_claim,
        lambda b, c: b.mark_exclusive(P, c, exclusive=False),
        sha("mark_exclusive"),
        keys,
        "taken-back",
    ),
    Case("rescue", a_dead_process, lambda b, dead: b.rescue(dead, 10), sha("rescue"), keys),
    Case("lead", nothing, lambda b, _: b.lead("me", 60), sha("acquire_lease"), lambda d: d.leader()),
    Case("resign", led, lambda b, _: b.resign("me"), sha("release_lease"), keys),
    Case("remove", a_queued_job, lambda b, _: b.remove("q", [Removal(RAW)]), sha("remove"), keys),
    Case("remove", a_locked_job, lambda b, _: b.remove("q", [Removal(RAW, 0, (QUEUED,))]), sha("remove"), keys, "lock"),
    Case("delete_queue", a_queued_job, lambda b, _: b.delete_queue("q"), sha("delete_queue"), keys),
    Case(
        "delete_queue",
        an_empty_queue,
        lambda b, _: b.delete_queue("q", only_if_empty=True),
        sha("delete_queue"),
        keys,
        "empty",
    ),
]
READING = {
    "due": (lambda b: b.due(10), sha("due")),
    "claims": (lambda b: b.claims(P), "MGET"),
    "leader": (lambda b: b.leader(), sha("lease_owner")),
    "queues": (lambda b: b.queues(), "SMEMBERS"),
    "length": (lambda b: b.length("q"), "LLEN"),
    "queued": (lambda b: b.queued("q"), "LRANGE"),
    "failed_count": (lambda b: b.failed_count(), "LLEN"),
    "failed": (lambda b: b.failed(), "LRANGE"),
    "stats": (lambda b: b.stats(), "SCAN"),
    "notify": (lambda b: b.notify(["q"]), sha("notify")),
}


def case_id(case: Case) -> str:
    return f"{case.verb}-{case.id}" if case.id else case.verb


async def counted(direct: RedisBackend) -> int:
    """In how many places the one job is, ended or not."""
    total = 0
    for key in await run_command(direct, "KEYS", "*"):
        if key.startswith((b"resque:queue:", b"resque:delayed:")) or key == b"resque:failed":
            total += await run_command(direct, "LLEN", key)
        elif key.startswith(f"resque:worker:{P.name}".encode()) and not key.endswith(b":started"):
            total += 1
    return total
