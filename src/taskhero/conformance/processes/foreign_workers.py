"""Showing the workers of other programs, and removing dead ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from taskhero.backends.records.inspection import HeartbeatAge, RemoveWorkerResult, WorkerRemoval
from taskhero.conformance.processes.worker_administration import THEIR_JOB, THEIRS, entry_of, heartbeat_age_of, ids_of
from taskhero.conformance.promises import needs, promise
from taskhero.conformance.steps import registered
from taskhero.conformance.suite import Suite

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.clock import ManualClock
    from taskhero.conformance.suite import Views

__all__ = ["ForeignWorkers"]


async def _changes(backend: Backend) -> dict[str, bool]:
    """Return for each worker whether its data was seen to change."""
    return {age.id: age.changed for age in await backend.heartbeat_ages()}


class ForeignWorkers(Suite):
    """`Backend.workers`, `heartbeat_ages` and `remove_worker` for the workers of other programs."""

    @promise("workers", "Return the stored data of all registered workers, sorted by id.")
    @needs("foreign_workers")
    async def test_other_programs_workers_are_shown(self, backend: Backend) -> None:
        """With their texts unchanged."""
        await self.add_worker(backend, THEIRS, working=THEIR_JOB, ping="ping", heartbeat="now")
        (entry,) = await backend.workers()
        assert (entry.id, entry.working, entry.ping, entry.heartbeat) == (THEIRS, THEIR_JOB, "ping", "now")
        assert entry.alive_for is None

    @promise("heartbeat_ages", "The age of another program's worker counts from the first call that saw its present")
    @promise("heartbeat_ages", "That call may come from any process, and only the backend's clock counts.")
    @pytest.mark.parametrize("change", ["working", "ping", "heartbeat"])
    @needs("clock", "foreign_workers")
    async def test_a_foreign_heartbeat_age_grows_while_nothing_changes(
        self, backend: Backend, views: Views, clock: ManualClock, change: str
    ) -> None:
        """Whatever times they write. Each process continues from what others saw."""
        other = await views()
        ancient = '{"time":1,"name":"host:1"}'
        await self.add_worker(backend, THEIRS, working=THEIR_JOB, ping=ancient, heartbeat="2001-01-01T00:00:00Z")
        assert list(await backend.heartbeat_ages()) == [HeartbeatAge(THEIRS, 0.0)]
        clock.advance(100)
        assert await heartbeat_age_of(other, THEIRS) == pytest.approx(100, abs=0.01)
        await self.add_worker(backend, THEIRS, **{change: "another"})
        assert await heartbeat_age_of(other, THEIRS) == 0
        clock.advance(7)
        assert await heartbeat_age_of(backend, THEIRS) == pytest.approx(7, abs=0.01)

    @promise("heartbeat_ages", "`changed` is true from the first call that saw other data of another program's worker")
    @pytest.mark.parametrize("change", ["working", "ping", "heartbeat"])
    @needs("foreign_workers")
    async def test_a_change_of_another_programs_worker_is_remembered(
        self, backend: Backend, views: Views, change: str
    ) -> None:
        """For this worker only, by all processes, and also while its data stays the same later."""
        other = await views()
        ours = await registered(backend)
        await self.add_worker(backend, THEIRS, working=THEIR_JOB, ping="one", heartbeat="one")
        await self.add_worker(backend, "host:2:q", working=THEIR_JOB)
        unchanged = {THEIRS: False, "host:2:q": False, ours.worker_id(1): False}
        assert await _changes(backend) == unchanged
        assert await _changes(other) == unchanged
        await self.add_worker(backend, THEIRS, **{change: "another"})
        for view in (other, backend, other):
            assert await _changes(view) == {**unchanged, THEIRS: True}

    @promise("remove_worker", "Nothing changes if the worker holds something other than `seen`, or if its heartbeat")
    @needs("clock", "foreign_workers")
    async def test_another_programs_worker_is_removed(self, backend: Backend, clock: ManualClock) -> None:
        """Only if it did not change for that time, up to the step itself."""
        await self.add_worker(backend, THEIRS, working=THEIR_JOB, ping="one", heartbeat="now")
        removal = WorkerRemoval(id=THEIRS, seen=THEIR_JOB, failure="stuck", heartbeat_age=60.0)
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE, "no call has read it yet"
        await backend.heartbeat_ages()
        clock.advance(61)
        await self.add_worker(backend, THEIRS, ping="two")
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE
        await backend.heartbeat_ages()
        clock.advance(61)
        assert await backend.remove_worker(removal) == RemoveWorkerResult.REMOVED
        assert (await backend.failed(), await backend.stats()) == (["stuck"], {"failed": 1})
        assert await ids_of(backend) == []
        left = await entry_of(backend, THEIRS)
        assert (left.working, left.started, left.ping, left.heartbeat) == (None, None, None, None)
        assert list(await backend.heartbeat_ages()) == []

    @promise("remove_worker", "With `unchanged`, nothing changes either if another program's worker has other data")
    @needs("foreign_workers")
    async def test_another_programs_worker_that_changed_is_kept(self, backend: Backend, views: Views) -> None:
        """Whether a call has seen the change, or not yet. A worker that did not change is removed."""
        removal = WorkerRemoval(id=THEIRS, seen=THEIR_JOB, failure="stuck", heartbeat_age=0.0, unchanged=True)
        await self.add_worker(backend, THEIRS, working=THEIR_JOB, ping="one")
        await self.add_worker(backend, "host:2:q", working=THEIR_JOB)
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE, "no call has read it yet"
        await backend.heartbeat_ages()
        await self.add_worker(backend, THEIRS, ping="two")
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE
        await (await views()).heartbeat_ages()
        assert await backend.remove_worker(removal) == RemoveWorkerResult.ALIVE
        assert await ids_of(backend) == [THEIRS, "host:2:q"]
        still = attrs.evolve(removal, id="host:2:q")
        assert await backend.remove_worker(still) == RemoveWorkerResult.REMOVED
        assert (await ids_of(backend), await backend.failed()) == ([THEIRS], ["stuck"])
