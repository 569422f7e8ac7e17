"""Small steps that many tests share."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, TypeVar

import attrs

from taskhero.backends.protocol import (
    Claim,
    DelayedJobEntry,
    Entry,
    HeldLock,
    Leases,
    LockSpec,
    Preparation,
    Process,
    PromotionTarget,
    RefusedByPlugin,
    Settlement,
    Succeeded,
)
from taskhero.wire.workers import new_process_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from taskhero.backends.protocol import (
        Backend,
        Disposition,
        DueJob,
        HeartbeatReply,
        Lease,
        RescuedJob,
        SettleAndClaimReply,
        Subscription,
        Wakeup,
    )

__all__ = [
    "LEASE",
    "QUIET",
    "blocked_by",
    "claim",
    "claim_one",
    "due",
    "free_locks",
    "hold",
    "job",
    "leases_except",
    "let_waits_begin",
    "long",
    "make_process",
    "moves_of",
    "now_of",
    "payloads_of",
    "push",
    "registered",
    "rescue",
    "schedule",
    "send_heartbeat",
    "settle",
    "start_wait",
    "wake",
    "within",
    "without_leases",
]

#: Length of a lease, in seconds, where a test does not depend on it.
LEASE = 60.0
#: Seconds after which an expected event counts as missing. Each suite sets its own (`Suite.patience`).
PATIENCE = 5.0
#: Seconds that a test waits for a wait to begin, or for an event that must not happen.
QUIET = 0.05

Result = TypeVar("Result")


def job(number: object = 1, queue: str = "q") -> str:
    """Return the payload of a job as a program would write it."""
    return f'{{"class":"task","queue":{json.dumps(queue)},"args":[{json.dumps(number)}]}}'


def make_process(number: int = 1, queues: tuple[str, ...] = ("q",)) -> Process:
    """Return a process's name and queues."""
    return Process(new_process_name("kit", 1000 + number, f"th{number:010x}"), queues)


async def registered(
    backend: Backend, number: int = 1, *, slots: Sequence[int] = (1,), queues: tuple[str, ...] = ("q",)
) -> Process:
    """Register a process and return it."""
    process = make_process(number, queues)
    await backend.register(process, slots, LEASE)
    return process


async def push(backend: Backend, *payloads: str, queue: str = "q") -> None:
    """Store payloads in a queue."""
    assert list(await backend.push([Entry(queue, raw) for raw in payloads])) == [True] * len(payloads)


async def schedule(backend: Backend, at: int, *payloads: str, queue: str = "q") -> None:
    """Delay payloads to a due time in the future, in Unix seconds."""
    answers = await backend.schedule([DelayedJobEntry(at, queue, raw) for raw in payloads])
    assert list(answers) == ["delayed"] * len(payloads)


async def now_of(backend: Backend) -> int:
    """Return the backend's time, rounded down to a whole Unix second."""
    return int((await backend.due(1)).now)


async def due(backend: Backend, limit: int = 1000) -> list[DueJob]:
    """Return the jobs that are due."""
    return list((await backend.due(limit)).jobs)


def moves_of(jobs: Iterable[DueJob], queue: str = "q") -> list[PromotionTarget]:
    """Return a promotion of each job to the end of a queue."""
    return [PromotionTarget(due_job, queue) for due_job in jobs]


async def claim(
    backend: Backend, process: Process, slots: Sequence[int] = (1,), queues: Sequence[str] = ("q",)
) -> list[Claim]:
    """Claim jobs for these slots."""
    return list((await backend.settle_and_claim(process, (), slots, queues)).claims)


async def claim_one(backend: Backend, process: Process, slot: int = 1, queue: str = "q") -> Claim:
    """Claim the one job that must be available."""
    claims = await claim(backend, process, (slot,), (queue,))
    assert len(claims) == 1, f"queue {queue!r} must hold one job to claim, but the claims are {claims}"
    return claims[0]


async def settle(
    backend: Backend, process: Process, claimed: Claim, disposition: Disposition | None = None
) -> SettleAndClaimReply:
    """Record how a job ended, and claim nothing."""
    return await backend.settle_and_claim(process, [Settlement(claimed, disposition or Succeeded())], (), ())


async def send_heartbeat(
    backend: Backend,
    process: Process,
    slots: Sequence[int] = (1,),
    *,
    full: bool = False,
    locks: Sequence[HeldLock] = (),
    seen: str = "",
) -> HeartbeatReply:
    """Send a heartbeat from a thread."""
    return await asyncio.to_thread(backend.heartbeat, process, slots, LEASE, full=full, locks=locks, seen=seen)


def without_leases(answer: HeartbeatReply) -> HeartbeatReply:
    """Return a heartbeat's reply without the leases of other processes."""
    return attrs.evolve(answer, leases=Leases())


# rescue


async def leases_except(backend: Backend, *live: Process) -> list[Lease]:
    """Return the leases of all processes except these."""
    names = {process.name for process in live}
    return [lease for lease in (await backend.leases()).leases if lease.process not in names]


async def rescue(backend: Backend, *live: Process, limit: int = 10) -> list[RescuedJob]:
    """Rescue from all processes except these, as an engine whose `rescue_after` has passed."""
    return list(await backend.rescue(await leases_except(backend, *live), limit))


# locks


async def blocked_by(backend: Backend, process: Process, claimed: Claim, *keys: str, timeout: int = 3600) -> int | None:
    """Prepare a job with these locks. Return the position of the first that another owner holds, or None."""
    wanted = Preparation(claimed, hold=tuple(LockSpec(key, timeout) for key in keys))
    (answer,) = await backend.prepare(process, [wanted])
    assert answer.is_current, "the claim must still belong to the process"
    return answer.blocked_by


async def hold(backend: Backend, process: Process, claimed: Claim, key: str, timeout: int = 3600) -> HeldLock:
    """Let a job take a lock that is free."""
    assert await blocked_by(backend, process, claimed, key, timeout=timeout) is None
    return HeldLock(claimed, LockSpec(key, timeout))


async def free_locks(backend: Backend, *keys: str) -> list[str]:
    """Return those of these locks that another process's job can take, and leave all as they are."""
    rival, found = make_process(99, ("rivals",)), []
    await backend.register(rival, (1,), LEASE)
    await push(backend, job("rival", "rivals"), queue="rivals")
    claimed = await claim_one(backend, rival, queue="rivals")
    for key in keys:
        if await blocked_by(backend, rival, claimed, key) is None:
            found.append(key)
            await backend.prepare(rival, [Preparation(claimed, release=(key,))])
    await settle(backend, rival, claimed, RefusedByPlugin())
    await backend.deregister(rival)
    await backend.delete_queue("rivals")
    return found


def payloads_of(claims: Iterable[Claim]) -> list[str]:
    """Return the payloads of claims."""
    return [claimed.raw for claimed in claims]


# waiting


async def within(awaitable: Awaitable[Result]) -> Result:
    """Return the result of an awaitable, or fail after `PATIENCE` seconds."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def long() -> float:
    """Return a timeout, in seconds, that no test reaches: something else ends such a wait."""
    return 10 * PATIENCE


async def wake(backend: Backend, process: Process, subscription: Subscription, *, schedule: bool = False) -> Wakeup:
    """Wait until there may be jobs, or an earlier due time. Ignore wake-ups for the other reason."""
    while True:
        answer = await backend.wait(process, subscription, long())
        assert answer.jobs or answer.schedule, "a wait ended without a reason before its timeout"
        if answer.schedule if schedule else answer.jobs:
            return answer


async def start_wait(
    backend: Backend, process: Process, subscription: Subscription, *, schedule: bool = False
) -> asyncio.Task[Wakeup]:
    """Start a wait. A wake-up may be spurious, so start it again if it ends before anything happens."""
    for _ in range(5):
        waiting = asyncio.create_task(wake(backend, process, subscription, schedule=schedule))
        await let_waits_begin()
        if not waiting.done():
            return waiting
        await waiting
    raise AssertionError("five waits ended although nothing happened")


async def let_waits_begin(seconds: float = QUIET) -> None:
    """Sleep so that waits can begin, because no verb shows whether they have."""
    await asyncio.sleep(seconds)
