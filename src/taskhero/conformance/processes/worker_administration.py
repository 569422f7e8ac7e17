"""Showing an overview, locks and workers, and removing dead workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskhero.backends.protocol import Entry, Failed, Process, QueueLockGuard, Settlement, Succeeded
from taskhero.backends.records.inspection import FAILED, HeartbeatAge, Overview, RemoveWorkerResult, WorkerRemoval
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import (
    LEASE,
    claim,
    claim_one,
    free_locks,
    hold,
    job,
    now_of,
    push,
    registered,
    send_heartbeat,
    settle,
)
from taskhero.conformance.suite import Suite
from taskhero.wire.dates import parse_date
from taskhero.wire.workers import parse_working

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.backends.records.inspection import WorkerEntry
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["THEIRS", "THEIR_JOB", "WorkerAdministration", "entry_of", "heartbeat_age_of", "ids_of"]

#: The id of a worker of another program.
THEIRS = "host:1:q,other"
THEIR_JOB = '{"queue":"q","run_at":"2026-11-23T10:32:05Z","payload":{"class":"Task","args":[]}}'


async def heartbeat_age_of(backend: Backend, worker_id: str) -> float | None:
    """Return the heartbeat age of a worker, in seconds."""
    found = {age.id: age.seconds for age in await backend.heartbeat_ages()}
    return found.get(worker_id)


async def entry_of(backend: Backend, worker_id: str) -> WorkerEntry:
    """Return what the store holds of one worker."""
    (entry,) = await backend.workers([worker_id])
    return entry


async def ids_of(backend: Backend) -> list[str]:
    """Return the registered workers."""
    return [entry.id for entry in await backend.workers()]


class WorkerAdministration(Suite):
    """`Backend.overview`, `locks`, `delete_lock`, `workers`, `heartbeat_ages` and `remove_worker`."""

    @promise("overview", "Return queue lengths, failed list lengths, counter totals, leader and time, all of one")
    async def test_an_overview(self, backend: Backend, views: Views) -> None:
        """Of an empty store and of a used one. Other processes see the same."""
        now = await now_of(backend)
        empty = await backend.overview()
        assert now <= empty.now < now + self.patience
        assert empty == Overview(now=empty.now, lengths={}, failures={FAILED: 0})
        process = await registered(backend, slots=(1, 2, 3))
        await push(backend, job(1), job(2), job(3), job(4), job(5))
        await push(backend, job(1), queue="a")
        first, second, third = await claim(backend, process, (1, 2, 3))
        dispositions = [
            Settlement(first, Succeeded()),
            Settlement(second, Succeeded()),
            Settlement(third, Failed("no")),
        ]
        await backend.settle_and_claim(process, dispositions, (), ())
        await backend.delete_queue("a")
        await push(backend, job(1), job(2), job(3), queue="a b")
        await backend.lead("me", LEASE)
        seen = await (await views()).overview()
        assert seen == Overview(
            now=seen.now, lengths={"a b": 3, "q": 2}, failures={FAILED: 1}, processed=2, failed=1, leader="me"
        )
        assert list(seen.lengths) == ["a b", "q"]

    @promise("overview", "Return queue lengths, failed list lengths, counter totals, leader and time, all of one")
    @needs("clock")
    async def test_an_overview_names_no_leader_whose_lease_is_over(self, backend: Backend, clock: ManualClock) -> None:
        """By the backend's clock."""
        await backend.lead("me", 10)
        clock.advance(11)
        assert (await backend.overview()).leader is None

    @promise("overview", "Return queue lengths, failed list lengths, counter totals, leader and time, all of one")
    @needs("pausing")
    async def test_an_overview_shows_a_pause(self, backend: Backend) -> None:
        """While it lasts."""
        await self.set_paused(backend, paused=True)
        assert (await backend.overview()).paused is True
        await self.set_paused(backend, paused=False)
        assert (await backend.overview()).paused is False

    @promise("overview", "A value that cannot be read is None, or 0 for a counter.")
    @needs("wrong_types")
    async def test_an_overview_of_damaged_data(self, backend: Backend) -> None:
        """Each damaged item affects only its own value."""
        await push(backend, job(1), queue="bad")
        await push(backend, job(1))
        await self.break_queue(backend, "bad")
        await self.break_failures(backend)
        await self.break_counter(backend, "processed")
        seen = await backend.overview()
        assert seen == Overview(now=seen.now, lengths={"bad": None, "q": 1}, failures={FAILED: None})

    # locks

    @promise("locks", "Return the queue locks and job locks whose names begin with ``lock:`` or ``workerslock:``,")
    async def test_locks_of_both_kinds_are_listed(self, backend: Backend, views: Views) -> None:
        """With their values: a second, and for a running job its owner. Other names are not listed."""
        assert await backend.locks() == {}
        now = await now_of(backend)
        process = await registered(backend)
        guards = (QueueLockGuard("lock:a:q:[1]", 30), QueueLockGuard("mine", 30))
        await backend.push([Entry("q", job(1), guards=guards)])
        claimed = await claim_one(backend, process)
        await hold(backend, process, claimed, "workerslock:a:q:[1]", 30)
        found = await (await views()).locks()
        assert list(found) == ["lock:a:q:[1]", "workerslock:a:q:[1]"]
        number, owner = found["workerslock:a:q:[1]"].split(":", 1)
        assert owner == f"{process.worker(1)}/{claimed.token}"
        for second in (int(number), int(found["lock:a:q:[1]"])):
            assert now + 30 <= second <= now + 32 + self.patience

    @promise("locks", "A value that is not a string is described in words.")
    @needs("wrong_types")
    async def test_a_lock_of_the_wrong_type_is_listed(self, backend: Backend) -> None:
        """Beside the others. It can be deleted too."""
        await backend.push([Entry("q", job(1), guards=(QueueLockGuard("lock:a", 30),))])
        await self.break_lock(backend, "lock:bad")
        found = await backend.locks()
        assert list(found) == ["lock:a", "lock:bad"]
        assert found["lock:bad"].startswith("not text but ")
        assert await backend.delete_lock("lock:bad") is True
        assert list(await backend.locks()) == ["lock:a"]

    @promise("delete_lock", "Delete a lock, whatever its owner, and return False if it was free.")
    async def test_locks_are_deleted(self, backend: Backend) -> None:
        """A queued job's and a running one's."""
        process = await registered(backend)
        await backend.push(
            [Entry("q", job(1), guards=(QueueLockGuard("lock:a", 3600), QueueLockGuard("lock:b", 3600)))]
        )
        await hold(backend, process, await claim_one(backend, process), "workerslock:a")
        assert [await backend.delete_lock(key) for key in ("lock:a", "workerslock:a", "lock:c")] == [True, True, False]
        assert await backend.delete_lock("lock:a") is False
        assert await free_locks(backend, "lock:a", "workerslock:a", "lock:b") == ["lock:a", "workerslock:a"]

    # workers

    @promise("workers", "Return the stored data of all registered workers, sorted by id.")
    @promise("workers", "With *ids*, return the data of these workers, registered or not.")
    @promise("workers", "What taskhero stores under a worker's name begins as `taskhero.wire.workers.working_head`")
    async def test_workers_are_shown_with_what_they_do(self, backend: Backend, views: Views) -> None:
        """Idle and busy ones: their jobs and counters, their start, and how long their lease lasts."""
        assert list(await backend.workers()) == []
        now = await now_of(backend)
        process = await registered(backend, slots=(1, 2), queues=("q", "other"))
        await push(backend, job(1), job(2), job(3))
        done, failed = await claim(backend, process, (1, 2))
        await settle(backend, process, done)
        await settle(backend, process, failed, Failed("no"))
        claimed = await claim_one(backend, process)
        busy, idle = await (await views()).workers()
        assert (busy.id, idle.id) == (process.worker_id(1), process.worker_id(2))
        assert (busy.processed, busy.failed, idle.processed, idle.failed) == (1, None, None, 1)
        held = parse_working(busy.working or "")
        assert held is not None
        assert (held.raw, held.queue, held.worker) == (job(3), "q", process.worker(1))
        assert held.token == claimed.token
        assert idle.working is None
        for entry in (busy, idle):
            started = parse_date(entry.started)
            assert started is not None
            assert now <= started.timestamp() <= now + self.patience
            assert entry.alive_for is not None
            assert LEASE - self.patience < entry.alive_for <= LEASE
            assert entry.problems == {}
        wanted = [process.worker_id(2), "unknown", process.worker_id(2)]
        found = await backend.workers(wanted)
        assert [(entry.id, entry.started is None) for entry in found] == [
            (process.worker_id(2), False),
            ("unknown", True),
        ]
        assert list(await backend.workers([])) == []

    @promise("workers", "`problems` lists what cannot be read.")
    @needs("wrong_types", "foreign_workers")
    async def test_a_worker_that_cannot_be_read_is_shown(self, backend: Backend) -> None:
        """So are the others."""
        process = await registered(backend)
        await self.add_worker(backend, THEIRS, working=THEIR_JOB)
        await self.break_worker(backend, THEIRS)
        theirs, ours = sorted(await backend.workers(), key=lambda entry: entry.id != THEIRS)
        assert (theirs.id, theirs.working) == (THEIRS, None)
        assert theirs.problems["working"]
        assert (ours.id, ours.problems) == (process.worker_id(1), {})
        assert await backend.remove_worker(WorkerRemoval(id=THEIRS)) == RemoveWorkerResult.REMOVED
        assert await ids_of(backend) == [process.worker_id(1)]

    # heartbeat ages

    @promise("heartbeat_ages", "Return the heartbeat age of each registered worker, in seconds, sorted by id.")
    @promise("heartbeat_ages", "The age of a taskhero worker counts from the end of its process's lease, by the")
    @needs("clock")
    async def test_a_heartbeat_age_counts_from_the_end_of_the_lease(self, backend: Backend, clock: ManualClock) -> None:
        """Not before. A renewal resets it."""
        first, second = await registered(backend, 1), await registered(backend, 2)
        clock.advance(LEASE - 1)
        both = sorted([first.worker_id(1), second.worker_id(1)])
        assert list(await backend.heartbeat_ages()) == [HeartbeatAge(worker_id, 0.0) for worker_id in both]
        await send_heartbeat(backend, second)
        clock.advance(31)
        assert await heartbeat_age_of(backend, first.worker_id(1)) == pytest.approx(30, abs=0.01)
        assert await heartbeat_age_of(backend, second.worker_id(1)) == 0
        await send_heartbeat(backend, first)
        assert await heartbeat_age_of(backend, first.worker_id(1)) == 0

    @promise("heartbeat_ages", "A taskhero worker whose process has no lease is omitted.")
    @needs("lost_lease")
    async def test_a_worker_without_a_lease_has_no_heartbeat_age(self, backend: Backend) -> None:
        """A rescue gives it one."""
        process = await registered(backend)
        await self.forget_lease(backend, process)
        assert list(await backend.heartbeat_ages()) == []
        assert (await entry_of(backend, process.worker_id(1))).alive_for is None

    # removing

    @promise("remove_worker", "Remove a worker with all data under its name, and return a `RemoveWorkerResult`.")
    @promise("remove_worker", "If the worker held a job, that step lists and counts its failure.")
    @promise("remove_worker", "A job that the worker did not hold is not listed.")
    @promise("remove_worker", "The removal is one atomic step.")
    @promise("RemoveWorkerResult", "REMOVED", "UNKNOWN")
    async def test_a_busy_worker_is_removed(self, backend: Backend) -> None:
        """Its job is listed as failed, its counters are gone, and its process cannot settle the job. Others stay."""
        process = await registered(backend, slots=(1, 2))
        await push(backend, job(1), job(2))
        await settle(backend, process, await claim_one(backend, process))
        claimed = await claim_one(backend, process)
        seen = (await entry_of(backend, process.worker_id(1))).working
        removal = WorkerRemoval(id=process.worker_id(1), seen=seen, failure="stuck")
        assert await backend.remove_worker(removal) == RemoveWorkerResult.REMOVED
        assert await backend.failed() == ["stuck"]
        assert await backend.stats() == {"processed": 1, "failed": 1}
        assert await ids_of(backend) == [process.worker_id(2)]
        assert list((await settle(backend, process, claimed)).gone) == [claimed]
        assert await backend.remove_worker(removal) == RemoveWorkerResult.UNKNOWN
        assert await backend.failed_count() == 1

    @promise("remove_worker", "If the worker held a job, that step lists and counts its failure.")
    @promise("remove_worker", "A job that the worker did not hold is not listed.")
    async def test_an_idle_worker_is_removed(self, backend: Backend) -> None:
        """No job failed, so none is counted. A heartbeat of its process registers it again."""
        process = await registered(backend)
        removal = WorkerRemoval(id=process.worker_id(1), failure="not to be listed")
        assert await backend.remove_worker(removal) == RemoveWorkerResult.REMOVED
        assert (await ids_of(backend), await backend.failed(), await backend.stats()) == ([], [], {})
        assert (await send_heartbeat(backend, process, full=True)).missing == (process.worker(1),)
        assert await ids_of(backend) == [process.worker_id(1)]

    @promise("remove_worker", "Nothing changes if the worker holds something other than `seen`, or if its heartbeat")
    @promise("RemoveWorkerResult", "CHANGED")
    async def test_a_worker_whose_job_changed_is_not_removed(self, backend: Backend) -> None:
        """To its next job, to its first one, or to none."""
        process = await registered(backend)
        worker_id = process.worker_id(1)
        await push(backend, job(1), job(1))
        first = await claim_one(backend, process)
        seen = (await entry_of(backend, worker_id)).working
        assert await backend.remove_worker(WorkerRemoval(id=worker_id, failure="no")) == RemoveWorkerResult.CHANGED
        await settle(backend, process, first)
        second = await claim_one(backend, process)
        assert (
            await backend.remove_worker(WorkerRemoval(id=worker_id, seen=seen, failure="no"))
            == RemoveWorkerResult.CHANGED
        )
        await settle(backend, process, second)
        assert (
            await backend.remove_worker(WorkerRemoval(id=worker_id, seen=seen, failure="no"))
            == RemoveWorkerResult.CHANGED
        )
        assert (await ids_of(backend), await backend.stats()) == ([worker_id], {"processed": 2, **_of(process, 2)})
        assert await backend.failed() == []

    @promise("remove_worker", "Nothing changes if the worker holds something other than `seen`, or if its heartbeat")
    @promise("RemoveWorkerResult", "ALIVE")
    @needs("clock")
    async def test_a_worker_with_a_recent_heartbeat_is_not_removed(self, backend: Backend, clock: ManualClock) -> None:
        """Nor is a live one, even if an administrator saw it as dead just before."""
        process = await registered(backend)
        removal = WorkerRemoval(id=process.worker_id(1), heartbeat_age=30.0)
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE
        clock.advance(LEASE + 29)
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE
        clock.advance(2)
        await send_heartbeat(backend, process)
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE
        clock.advance(LEASE + 31)
        assert await backend.remove_worker(removal) == RemoveWorkerResult.REMOVED
        assert await ids_of(backend) == []

    @promise("RemoveWorkerResult", "WRONG_TYPE")
    @needs("wrong_types")
    async def test_a_worker_whose_job_cannot_be_listed_stays(self, backend: Backend) -> None:
        """The job is not lost because the failed list cannot take it."""
        process = await registered(backend)
        await push(backend, job(1))
        claimed = await claim_one(backend, process)
        seen = (await entry_of(backend, process.worker_id(1))).working
        await self.break_failures(backend)
        removal = WorkerRemoval(id=process.worker_id(1), seen=seen, failure="stuck")
        assert await backend.remove_worker(removal) == RemoveWorkerResult.WRONG_TYPE
        assert list((await backend.claims(process)).claims) == [claimed]
        assert await ids_of(backend) == [process.worker_id(1)]


def _of(process: Process, processed: int) -> dict[str, int]:
    return {f"processed:{process.worker(1)}": processed}
