"""Small steps that many tests take."""

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
    "at_ease",
    "beat",
    "blocked_by",
    "claim",
    "claim_one",
    "due",
    "free_locks",
    "hold",
    "in_line",
    "job",
    "leases_but",
    "long",
    "make_process",
    "moves_of",
    "now_of",
    "push",
    "raws",
    "registered",
    "rescue",
    "schedule",
    "settle",
    "told",
    "wake",
    "within",
]

#: Seconds of a process's lease, in tests for which its length does not matter.
LEASE = 60.0
#: Seconds after which what should come has not come; each suite sets its own (`Suite.patience`).
PATIENCE = 5.0
#: Seconds in which what should not come, or a wait to begin, has time to.
QUIET = 0.05

Result = TypeVar("Result")


def job(number: object = 1, queue: str = "q") -> str:
    """The text of a job, as a program would write it."""
    return f'{{"class":"task","queue":{json.dumps(queue)},"args":[{json.dumps(number)}]}}'


def make_process(number: int = 1, queues: tuple[str, ...] = ("q",)) -> Process:
    """A process's name and queues."""
    return Process(new_process_name("kit", 1000 + number, f"th{number:010x}"), queues)


async def registered(
    backend: Backend, number: int = 1, *, slots: Sequence[int] = (1,), queues: tuple[str, ...] = ("q",)
) -> Process:
    """A process that others see."""
    process = make_process(number, queues)
    await backend.register(process, slots, LEASE)
    return process


async def push(backend: Backend, *texts: str, queue: str = "q") -> None:
    """Store texts in a queue."""
    assert list(await backend.push([Entry(queue, raw) for raw in texts])) == [True] * len(texts)


async def schedule(backend: Backend, at: int, *texts: str, queue: str = "q") -> None:
    """Delay texts to a moment that is not here yet."""
    answers = await backend.schedule([DelayedJobEntry(at, queue, raw) for raw in texts])
    assert list(answers) == ["delayed"] * len(texts)


async def now_of(backend: Backend) -> int:
    """The backend's time, floored."""
    return int((await backend.due(1)).now)


async def due(backend: Backend, limit: int = 1000) -> list[DueJob]:
    """The jobs whose moment has come."""
    return list((await backend.due(limit)).jobs)


def moves_of(jobs: Iterable[DueJob], queue: str = "q") -> list[PromotionTarget]:
    """Each job to the end of a queue."""
    return [PromotionTarget(due_job, queue) for due_job in jobs]


async def claim(
    backend: Backend, process: Process, slots: Sequence[int] = (1,), queues: Sequence[str] = ("q",)
) -> list[Claim]:
    """Claim jobs for these slots."""
    return list((await backend.settle_and_claim(process, (), slots, queues)).claims)


async def claim_one(backend: Backend, process: Process, slot: int = 1, queue: str = "q") -> Claim:
    """Claim the job that must be there."""
    claims = await claim(backend, process, (slot,), (queue,))
    assert len(claims) == 1, f"one job was to be claimed from {queue!r}, it was {claims}"
    return claims[0]


async def settle(
    backend: Backend, process: Process, claimed: Claim, ending: Disposition | None = None
) -> SettleAndClaimReply:
    """Tell how a job ended, and claim nothing."""
    return await backend.settle_and_claim(process, [Settlement(claimed, ending or Succeeded())], (), ())


async def beat(
    backend: Backend,
    process: Process,
    slots: Sequence[int] = (1,),
    *,
    full: bool = False,
    locks: Sequence[HeldLock] = (),
    seen: str = "",
) -> HeartbeatReply:
    """Renew a lease, from a thread."""
    return await asyncio.to_thread(backend.heartbeat, process, slots, LEASE, full=full, locks=locks, seen=seen)


def told(answer: HeartbeatReply) -> HeartbeatReply:
    """What a beat says of its own process: the leases of others are left out."""
    return attrs.evolve(answer, leases=Leases())


# rescue


async def leases_but(backend: Backend, *living: Process) -> list[Lease]:
    """The leases of all processes but these."""
    names = {process.name for process in living}
    return [lease for lease in (await backend.leases()).leases if lease.process not in names]


async def rescue(backend: Backend, *living: Process, limit: int = 10) -> list[RescuedJob]:
    """Rescue from all processes but these, as an engine does that saw their leases unchanged for long enough."""
    return list(await backend.rescue(await leases_but(backend, *living), limit))


# locks


async def blocked_by(backend: Backend, process: Process, claimed: Claim, *keys: str, timeout: int = 3600) -> int | None:
    """Let a job take these locks; the position of the one that somebody else holds, or None."""
    wanted = Preparation(claimed, hold=tuple(LockSpec(key, timeout) for key in keys))
    (answer,) = await backend.prepare(process, [wanted])
    assert answer.is_current, "the claim is still the process's"
    return answer.blocked_by


async def hold(backend: Backend, process: Process, claimed: Claim, key: str, timeout: int = 3600) -> HeldLock:
    """Let a job take a lock that is free."""
    assert await blocked_by(backend, process, claimed, key, timeout=timeout) is None
    return HeldLock(claimed, LockSpec(key, timeout))


async def free_locks(backend: Backend, *keys: str) -> list[str]:
    """Which of these locks are free: another process's job can take them. They stay as they are."""
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


def raws(claims: Iterable[Claim]) -> list[str]:
    """The texts of claims."""
    return [claimed.raw for claimed in claims]


# waiting


async def within(awaitable: Awaitable[Result]) -> Result:
    """The result, which must come in time."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def long() -> float:
    """Seconds that no test waits for: what ends such a wait is not its timeout."""
    return 10 * PATIENCE


async def wake(backend: Backend, process: Process, interest: Subscription, *, schedule: bool = False) -> Wakeup:
    """Wait until there may be jobs, or an earlier moment; what wakes it for another reason does not count."""
    while True:
        answer = await backend.wait(process, interest, long())
        assert answer.jobs or answer.schedule, "a wait ended for nothing before its time was up"
        if answer.schedule if schedule else answer.jobs:
            return answer


async def in_line(
    backend: Backend, process: Process, interest: Subscription, *, schedule: bool = False
) -> asyncio.Task[Wakeup]:
    """A wait under way; a wake-up may be spurious, so it is begun again if it ends before anything happened."""
    for _ in range(5):
        waiting = asyncio.create_task(wake(backend, process, interest, schedule=schedule))
        await at_ease()
        if not waiting.done():
            return waiting
        await waiting
    raise AssertionError("waits end again and again though nothing happens")


async def at_ease(seconds: float = QUIET) -> None:
    """Give those who wait the time to get in line: no verb tells whether they are."""
    await asyncio.sleep(seconds)
