"""Reading queues, counters and claims, and removing jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import Entry, Failed, QueueLockGuard, Removal, Settlement, Succeeded
from taskhero.conformance.promises import promise
from taskhero.conformance.steps import (
    claim,
    claim_one,
    free_locks,
    hold,
    job,
    make_process,
    payloads_of,
    push,
    registered,
    settle,
)
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.conformance.suite import Views

__all__ = ["QueueInspection"]

#: A range, and the positions that it returns of five entries.
SLICES = [
    ((0, -1), [0, 1, 2, 3, 4]),
    ((0, 0), [0]),
    ((1, 3), [1, 2, 3]),
    ((3, 100), [3, 4]),
    ((-2, -1), [3, 4]),
    ((-100, 1), [0, 1]),
    ((-3, 3), [2, 3]),
    ((4, 4), [4]),
    ((5, 6), []),
    ((3, 1), []),
    ((0, -6), []),
]
_slices = pytest.mark.parametrize(("positions", "expected"), SLICES, ids=[f"{a}..{b}" for (a, b), _ in SLICES])


class QueueInspection(Suite):
    """`Backend.queues`, `length`, `queued`, `remove`, `delete_queue`, `stats` and `claims`."""

    @promise("queues", "Return the names of all known queues, sorted.", "An empty queue stays known.")
    async def test_queues_are_sorted_and_stay_known(self, backend: Backend) -> None:
        """Empty queues too. No queue is known at first."""
        assert await backend.queues() == []
        process = await registered(backend)
        for queue in ("q", "b", "a", "B"):
            await push(backend, job(1), queue=queue)
        await settle(backend, process, await claim_one(backend, process))
        await backend.remove("a", [Removal(job(1))])
        assert await backend.queues() == sorted(["q", "b", "a", "B"])

    @promise("length", "Return the number of jobs in the queue, 0 if the queue is unknown.")
    async def test_lengths(self, backend: Backend, views: Views) -> None:
        """A claimed job does not count. Other processes see the same."""
        process = await registered(backend)
        await push(backend, job(1), job(2), job(2))
        assert await backend.length("q") == 3
        await claim_one(backend, process)
        assert await (await views()).length("q") == 2
        assert await backend.length("unknown") == 0
        assert await backend.queues() == ["q"]

    @_slices
    @promise("queued", "Return the payloads from position *start* to *stop*, both included.")
    @promise("queued", "Positions count from 0, negative ones from the end.")
    async def test_a_part_of_a_queue(self, backend: Backend, positions: tuple[int, int], expected: list[int]) -> None:
        """Both ends are included."""
        await push(backend, *map(job, range(5)))
        assert await backend.queued("q", *positions) == [job(number) for number in expected]

    @promise("queued", "Return the payloads from position *start* to *stop*, both included.")
    async def test_looking_changes_nothing(self, backend: Backend) -> None:
        """All of a queue, twice. An unknown queue is empty."""
        await push(backend, job(1), job(2))
        for _ in range(2):
            assert await backend.queued("q") == [job(1), job(2)]
        assert await backend.queued("unknown") == []

    @pytest.mark.parametrize(
        ("count", "left", "removed"),
        [
            (0, "bcd", 3),
            (1, "bacad", 1),
            (2, "bcad", 2),
            (5, "bcd", 3),
            (-1, "abacd", 1),
            (-2, "abcd", 2),
            (-5, "bcd", 3),
        ],
    )
    @promise("remove", "Remove entries by their exact payloads.")
    async def test_entries_are_removed(self, backend: Backend, count: int, left: str, removed: int) -> None:
        """From the front or the end. The others keep their order."""
        await push(backend, *"abacad")
        assert list(await backend.remove("q", [Removal("a", count)])) == [removed]
        assert await backend.queued("q") == list(left)

    @promise("remove", "Remove entries by their exact payloads.")
    async def test_what_is_not_there_is_not_removed(self, backend: Backend) -> None:
        """A payload that differs by one blank, another queue's job, and a claimed job."""
        process = await registered(backend)
        await push(backend, job(1), job(2))
        claimed = await claim_one(backend, process)
        assert list(await backend.remove("q", [Removal(job(2) + " ")])) == [0]
        assert list(await backend.remove("other", [Removal(job(2))])) == [0]
        assert list(await backend.remove("q", [Removal(claimed.raw)])) == [0]
        assert await backend.queued("q") == [job(2)]
        assert list((await backend.claims(process)).claims) == [claimed]
        assert await backend.queues() == ["q"]

    @promise("remove", "Remove entries by their exact payloads.")
    @promise("remove", "Each removal is one atomic step, together with the locks that it releases.")
    async def test_many_are_removed_in_the_order_given(self, backend: Backend) -> None:
        """Each finds what the ones before it left, even if a backend splits a large call."""
        assert list(await backend.remove("q", [])) == []
        await push(backend, *"abab", *map(str, range(500)))
        removals = [Removal("b", 1), Removal("a", -1), Removal("b"), Removal("b"), *map(Removal, map(str, range(499)))]
        assert list(await backend.remove("q", removals)) == [1, 1, 1, 0, *[1] * 499]
        assert await backend.queued("q") == ["a", "499"]

    @promise("remove", "These locks are released, whatever their owner, if an entry was removed and none with its")
    async def test_the_last_entry_releases_its_locks(self, backend: Backend) -> None:
        """Earlier ones do not, since an equal payload is still queued. Each removal has its own locks."""
        locks = tuple(QueueLockGuard(f"lock:{name}", 3600) for name in "abcd")
        await backend.push([Entry("q", job(1), guards=locks)])
        await push(backend, job(1), job(1), job(2))
        first = Removal(job(1), 1, ("lock:a", "lock:b"))
        keys = [lock.key for lock in locks]
        assert list(await backend.remove("q", [first, first])) == [1, 1]
        assert await free_locks(backend, *keys) == []
        removals = [Removal(job(2)), Removal("none", 0, ("lock:c",)), first, Removal(job(3), 0, ("lock:d",))]
        assert list(await backend.remove("q", removals)) == [1, 0, 1, 0]
        assert await free_locks(backend, *keys) == ["lock:a", "lock:b"]

    @promise("remove", "These locks are released, whatever their owner, if an entry was removed and none with its")
    async def test_what_was_not_removed_releases_nothing(self, backend: Backend) -> None:
        """The job was claimed meanwhile, and the next job may have its lock already."""
        process = await registered(backend)
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:a", 3600),))])
        claimed = await claim_one(backend, process)
        assert list(await backend.remove("q", [Removal(job(1), 0, ("lock:a",))])) == [0]
        assert list(await backend.remove("unknown", [Removal(job(1), 0, ("lock:a",))])) == [0]
        assert await free_locks(backend, "lock:a") == []
        await hold(backend, process, claimed, "work:a")
        await push(backend, job(2))
        assert list(await backend.remove("q", [Removal(job(2), 0, ("work:a",))])) == [1]
        assert await free_locks(backend, "work:a") == ["work:a"]

    @promise("delete_queue", "With *only_if_empty*, a queue that holds jobs or cannot be read does not change, and")
    async def test_an_empty_queue_only_is_deleted(self, backend: Backend) -> None:
        """A job may have arrived after a client saw that the queue was empty."""
        await push(backend, job(1))
        assert await backend.delete_queue("q", only_if_empty=True) == 0
        assert (await backend.queues(), await backend.queued("q")) == (["q"], [job(1)])
        await backend.remove("q", [Removal(job(1))])
        assert await backend.delete_queue("q", only_if_empty=True) == 0
        assert await backend.queues() == []
        assert await backend.delete_queue("unknown", only_if_empty=True) == 0

    @promise("delete_queue", "Delete the queue and all its jobs, and return their number.")
    async def test_a_queue_is_deleted(self, backend: Backend) -> None:
        """Other queues and claims stay. The queue may return, empty."""
        process = await registered(backend)
        await push(backend, job(1), job(2), job(3))
        await push(backend, job(4), queue="other")
        claimed = await claim_one(backend, process)
        assert await backend.delete_queue("q") == 2
        assert await backend.queues() == ["other"]
        assert await backend.length("q") == 0
        assert await backend.delete_queue("q") == 0
        assert await backend.delete_queue("unknown") == 0
        assert list((await backend.claims(process)).claims) == [claimed]
        await push(backend, job(5))
        assert await backend.queued("q") == [job(5)]

    @promise("delete_queue", "Delete the queue and all its jobs, and return their number.")
    async def test_what_was_deleted_is_not_claimed(self, backend: Backend) -> None:
        """Even by a claim that names the queue."""
        process = await registered(backend)
        await push(backend, job(1))
        await backend.delete_queue("q")
        assert await claim(backend, process) == []

    @promise("stats", "Return all counters: ``processed``, ``failed``, and each of them with ``:<worker>``.")
    @promise("stats", "A counter that is not a number is omitted.")
    async def test_counters(self, backend: Backend, views: Views) -> None:
        """Of all processes and workers. Every process sees the same."""
        assert await backend.stats() == {}
        expected = {"processed": 0, "failed": 0}
        for number in (1, 2):
            process = await registered(backend, number, slots=(1, 2, 3))
            await push(backend, *map(job, range(6)))
            claims = await claim(backend, process, (1, 2, 3))
            dispositions = [
                Settlement(claimed, Failed("no") if claimed.slot == 3 else Succeeded()) for claimed in claims
            ]
            await backend.settle_and_claim(process, dispositions, (), ())
            expected["processed"] += 2
            expected["failed"] += 1
            expected |= {f"processed:{process.worker(slot)}": 1 for slot in (1, 2)}
            expected[f"failed:{process.worker(3)}"] = 1
        assert await backend.stats() == expected
        assert await (await views()).stats() == expected

    @promise("claims", "Return the claims that are stored for the workers of the process.")
    async def test_reading_claims_changes_nothing(self, backend: Backend) -> None:
        """They can still be settled."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        for _ in range(2):
            assert payloads_of((await backend.claims(process)).claims) == [job(1)]
        assert list((await settle(backend, process, claimed)).gone) == []
        assert list((await backend.claims(make_process())).claims) == []
