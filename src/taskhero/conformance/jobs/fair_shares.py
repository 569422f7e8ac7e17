"""Fair shares: work spreads over the live processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskhero.conformance.promises import promise
from taskhero.conformance.steps import claim, job, push, registered, rescue
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend

__all__ = ["FairShares"]

_SHARE = "A call takes at most its fair share of a queue: the queue's length divided by the number of live"


class FairShares(Suite):
    """The number of jobs that a process may claim at once."""

    @promise("settle_and_claim", _SHARE)
    async def test_one_process_takes_all(self, backend: Backend) -> None:
        """No other process would run them."""
        process = await registered(backend, slots=range(1, 11))
        await push(backend, *map(job, range(7)))
        assert len(await claim(backend, process, range(1, 11))) == 7

    @pytest.mark.parametrize(
        ("processes", "jobs", "shares"),
        [(2, 10, (5, 3, 1, 1)), (2, 3, (2, 1)), (3, 1, (1,)), (3, 10, (4, 2, 2, 1, 1)), (4, 4, (1, 1, 1, 1))],
    )
    @promise("settle_and_claim", _SHARE)
    async def test_each_process_takes_its_share(
        self, backend: Backend, processes: int, jobs: int, shares: tuple[int, ...]
    ) -> None:
        """Its share of the current length, rounded up. Together the processes claim all jobs."""
        slots = range(1, 11)
        all_of_them = [await registered(backend, number, slots=slots) for number in range(processes)]
        await push(backend, *map(job, range(jobs)))
        taken = []
        free = {process.name: list(slots) for process in all_of_them}
        for turn in range(len(shares)):
            process = all_of_them[turn % processes]
            claims = await claim(backend, process, free[process.name])
            for claimed in claims:
                free[process.name].remove(claimed.slot)
            taken.append(len(claims))
        assert tuple(taken) == shares
        assert await backend.length("q") == 0

    @promise("settle_and_claim", _SHARE)
    async def test_no_more_than_the_free_slots(self, backend: Backend) -> None:
        """Even if the share is larger."""
        process = await registered(backend, 1, slots=(1, 2))
        await registered(backend, 2)
        await push(backend, *map(job, range(100)))
        assert len(await claim(backend, process, (1, 2))) == 2

    @promise("settle_and_claim", _SHARE)
    async def test_dead_processes_have_no_share(self, backend: Backend) -> None:
        """Even if they still hold jobs. Deregistered processes have none either."""
        dead = await registered(backend, 2, slots=(1, 2))
        await push(backend, job("a"), job("b"))
        assert len(await claim(backend, dead, (1, 2))) == 2
        process = await registered(backend, 1, slots=range(1, 11))
        left = await registered(backend, 3)
        await backend.deregister(left)
        await push(backend, *map(job, range(9)))
        assert len(await rescue(backend, process, limit=1)) == 1
        assert len(await claim(backend, process, range(1, 11))) == 10

    @promise("settle_and_claim", "Jobs are claimed queue by queue in the order given, each queue from its front.")
    @promise("settle_and_claim", "A later queue is used only if the earlier ones hold no more jobs or cannot be read.")
    async def test_a_share_takes_nothing_from_later_queues(self, backend: Backend) -> None:
        """While the first queue holds jobs, even if they are others' share, the process claims none from the second."""
        order = ("high", "low")
        first = await registered(backend, 1, slots=range(1, 11), queues=order)
        second = await registered(backend, 2, slots=range(1, 11), queues=order)
        for queue in order:
            await push(backend, *(job(number, queue) for number in range(4)), queue=queue)
        claims = await claim(backend, first, range(1, 11), order)
        assert [claimed.queue for claimed in claims] == ["high"] * 2
        assert [held.queue for held in await claim(backend, second, range(1, 11), order)] == ["high"]
        assert [held.queue for held in await claim(backend, second, range(2, 11), order)] == ["high", "low", "low"]
