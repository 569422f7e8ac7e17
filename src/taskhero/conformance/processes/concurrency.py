"""Many clients at once: what the contract calls one step happens in one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import (
    Entry,
    Failed,
    PostponedByPlugin,
    PromoteResult,
    QueueLockGuard,
    Released,
    Retried,
    Settlement,
    Subscription,
    Succeeded,
)
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    claim,
    due,
    job,
    leases_except,
    moves_of,
    now_of,
    push,
    registered,
    schedule,
    send_heartbeat,
    within,
)
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from taskhero.backends.protocol import Backend, Claim, Disposition, Process
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["Concurrency"]

_INSTANT = "A claimed job is stored under its worker's name, with a new token, from the instant it leaves the queue."
_ONCE = "A settlement counts once."


@asynccontextmanager
async def _watched(
    source: Callable[[], Awaitable[int]], target: Callable[[], Awaitable[int]], total: int
) -> AsyncIterator[None]:
    """Watch jobs move from one place to another: none may be in neither place, or in both.

    Reading the source first shows a job that moves between the readings twice, and misses none. Reading the target
    first shows none twice.
    """
    stop = asyncio.Event()
    sums: list[tuple[int, int]] = []

    async def watch() -> None:
        while not stop.is_set():
            there = await source() + await target()
            here = await target() + await source()
            sums.append((there, here))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        stop.set()
        await within(watching)
    assert [there for there, _ in sums if there < total] == [], "for an instant, a job was in neither place"
    assert [here for _, here in sums if here > total] == [], "for an instant, a job was in two places"


class Concurrency(Suite):
    """Many processes over two connections, at the same time."""

    async def _held(self, backend: Backend, process: Process) -> int:
        return len((await backend.claims(process)).claims)

    @promise("settle_and_claim", _INSTANT)
    async def test_each_job_is_claimed_once(self, backend: Backend, views: Views) -> None:
        """By ten processes that claim at the same time, until no job is left."""
        other = await views()
        slots = range(1, 4)
        clients = [
            (view, await registered(view, number, slots=slots)) for number, view in enumerate([backend, other] * 5)
        ]
        await push(backend, *map(job, range(200)))
        claimed: list[str] = []

        async def work(view: Backend, process: Process) -> None:
            settled: list[Settlement] = []
            while True:
                answer = await view.settle_and_claim(process, settled, slots, ("q",))
                settled = [Settlement(held, Succeeded()) for held in answer.claims]
                claimed.extend(held.raw for held in answer.claims)
                if not settled:
                    return
                await asyncio.sleep(0)

        await within(asyncio.gather(*(work(view, process) for view, process in clients)))
        assert sorted(claimed) == sorted(map(job, range(200)))
        assert (await backend.stats())["processed"] == 200

    @promise("settle_and_claim", _INSTANT)
    async def test_a_job_is_in_the_queue_or_claimed(self, backend: Backend, views: Views) -> None:
        """Never in neither place and never in both, while it is claimed."""
        other, process = await views(), await registered(backend, slots=range(1, 41))
        await push(backend, *map(job, range(40)))
        async with _watched(lambda: other.length("q"), lambda: self._held(backend, process), 40):
            for slot in range(1, 41):
                assert len(await claim(backend, process, (slot,))) == 1
                await asyncio.sleep(0)

    @pytest.mark.parametrize("place", ["failures", "queue", "delayed", "retried"])
    @promise("settle_and_claim", "One step stores the job at its destination (failed list, delayed set or queue) and")
    @needs("clock")
    async def test_a_job_is_claimed_or_at_its_destination(self, backend: Backend, views: Views, place: str) -> None:
        """Never in neither place and never in both, while it is settled."""
        other, process = await views(), await registered(backend, slots=range(1, 31))
        await push(backend, *map(job, range(30)))
        claims = await claim(backend, process, range(1, 31))
        dispositions: dict[str, Disposition] = {
            "failures": Failed("no"),
            "queue": Released(),
            "delayed": PostponedByPlugin(0),
            "retried": Retried("no", "retry:a", 100, (0.0,)),
        }
        counts: dict[str, Callable[[], Awaitable[int]]] = {
            "failures": other.failed_count,
            "queue": lambda: other.length("q"),
        }
        # A delay of 0 seconds makes a job due at once.
        target = counts.get(place, lambda: self._due(other))
        async with _watched(lambda: self._held(backend, process), target, 30):
            for held in claims:
                await backend.settle_and_claim(process, [Settlement(held, dispositions[place])], (), ())
                await asyncio.sleep(0)
        assert await target() == 30

    async def _due(self, backend: Backend) -> int:
        return len(await due(backend))

    @promise("settle_and_claim", _ONCE)
    async def test_of_many_settlements_of_one_claim_one_counts(self, backend: Backend, views: Views) -> None:
        """At the same time, over several connections, with different dispositions."""
        other, process = await views(), await registered(backend)
        await push(backend, job(1))
        (held,) = await claim(backend, process)
        dispositions: list[Disposition] = [Succeeded(), Failed("no"), Released(), PostponedByPlugin(100)] * 3
        answers = await asyncio.gather(
            *(
                view.settle_and_claim(process, [Settlement(held, disposition)], (), ())
                for view, disposition in zip([backend, other] * 6, dispositions, strict=True)
            )
        )
        assert sorted(len(answer.gone) for answer in answers) == [0] + [1] * 11
        stats = await backend.stats()
        places = [
            stats.get("processed", 0),
            await backend.failed_count(),
            await backend.length("q"),
            int((await backend.due(1)).next_at is not None),
        ]
        assert sorted(places) == [0, 0, 0, 1]

    @promise("promote", "A job that is no longer where `due` found it, or is not due, is `MISSED`.")
    @promise("promote", "Each promotion is one atomic step: the job is in exactly one place at every instant.")
    @needs("clock")
    async def test_each_job_is_promoted_once(self, backend: Backend, views: Views, clock: ManualClock) -> None:
        """By ten schedulers that all see the same due jobs."""
        other = await views()
        await schedule(backend, await now_of(backend) + 5, *map(job, range(50)))
        clock.advance(5)
        moves = moves_of(await due(backend))
        answers = await asyncio.gather(*(view.promote(moves) for view in [backend, other] * 5))
        counts = [answer for batch in answers for answer in batch]
        assert (counts.count(PromoteResult.QUEUED), counts.count(PromoteResult.MISSED)) == (50, 450)
        assert sorted(await backend.queued("q")) == sorted(map(job, range(50)))

    @promise("promote", "Each promotion is one atomic step: the job is in exactly one place at every instant.")
    @needs("clock")
    async def test_a_job_is_delayed_or_in_its_queue(self, backend: Backend, views: Views, clock: ManualClock) -> None:
        """Never in neither place and never in both, while it is promoted."""
        other = await views()
        await schedule(backend, await now_of(backend) + 5, *map(job, range(40)))
        clock.advance(5)
        moves = moves_of(await due(backend))
        async with _watched(lambda: self._due(other), lambda: other.length("q"), 40):
            for move in moves:
                assert list(await backend.promote([move])) == [PromoteResult.QUEUED]
                await asyncio.sleep(0)

    @promise("rescue", "Each job is one atomic step.")
    async def test_a_job_is_claimed_or_rescued(self, backend: Backend, views: Views) -> None:
        """Never in neither place and never in both, while it is taken from a dead process."""
        rescuer, process = await views(), await registered(backend, 1, slots=range(1, 31))
        await push(backend, *map(job, range(30)))
        assert len(await claim(backend, process, range(1, 31))) == 30
        dead = await leases_except(backend)
        async with _watched(lambda: self._held(backend, process), lambda: rescuer.length("q"), 30):
            for _ in range(30):
                assert len(await rescuer.rescue(dead, 1)) == 1
                await asyncio.sleep(0)

    @promise("push", "Guards are checked in the order of the entries, so an entry sees the locks of earlier ones.")
    @promise("QueueLockGuard", "Store the job only if lock *key* is free, and take it.")
    async def test_a_lock_is_taken_once(self, backend: Backend, views: Views) -> None:
        """Whatever the number of clients that try at the same time."""
        other = await views()
        guards = (QueueLockGuard("lock:a", 60),)
        answers = await asyncio.gather(
            *(
                view.push([Entry("q", job([number, twice]), guards=guards) for twice in range(2)])
                for number, view in enumerate([backend, other] * 10)
            )
        )
        assert sum(stored for batch in answers for stored in batch) == 1
        assert await backend.length("q") == 1

    @promise("wait", "A wake-up may be late or spurious, but is never lost for longer than *timeout*.")
    @promise("wait", "A job wakes about one waiting process.")
    async def test_all_verbs_at_once(self, backend: Backend, views: Views) -> None:
        """Producers, workers, schedulers and readers do not disturb each other."""
        other = await views()
        process = await registered(backend, slots=(1, 2))
        stale = await leases_except(backend)
        await send_heartbeat(backend, process)
        done: list[Claim] = []

        async def produce() -> None:
            for number in range(50):
                await push(other, job(number))

        async def work() -> None:
            settled: list[Settlement] = []
            while len(done) < 50:
                answer = await backend.settle_and_claim(process, settled, (1, 2), ("q",))
                done.extend(answer.claims)
                settled = [Settlement(held, Succeeded()) for held in answer.claims]
                if not settled:
                    await backend.wait(process, Subscription(queues=("q",)), 0.5)
            await backend.settle_and_claim(process, settled, (), ())

        async def look() -> None:
            while len(done) < 50:
                looks = other.queues(), other.queued("q"), other.stats(), other.due(10), other.leases()
                await asyncio.gather(*looks, other.rescue(stale, 10))
                await asyncio.sleep(0)

        await within(asyncio.gather(produce(), work(), look()))
        assert sorted(held.raw for held in done) == sorted(map(job, range(50)))
        assert (await backend.stats())["processed"] == 50
