"""Looking at workers, and taking them from view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from taskhero.backends.records.inspection import HeartbeatAge, RemoveWorkerResult, WorkerEntry
from taskhero.wire.workers import ruby_time, working_head
from taskhero_sqlite.failures import fail
from taskhero_sqlite.steps import text
from taskhero_sqlite.work import dismiss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.inspection import WorkerRemoval
    from taskhero_sqlite.steps import Step

__all__ = ["heartbeat_ages", "remove_worker", "workers"]

# A slot may hold a job though somebody took it from view.
_SLOTS = """
SELECT process.name, slot, queues, lease_ends, worker.since, token, queue, raw, claim.since, alone
FROM (SELECT process, slot FROM worker UNION SELECT process, slot FROM claim) AS place
JOIN process ON process.name = place.process
LEFT JOIN worker USING (process, slot)
LEFT JOIN claim USING (process, slot)
"""


@attrs.frozen(kw_only=True)
class _Place:
    """A slot, and what stands there."""

    process: str
    slot: int
    lease_ends: float
    in_view: bool
    entry: WorkerEntry


def workers(step: Step, ids: Sequence[str] | None) -> list[WorkerEntry]:
    """See `Backend.workers`."""
    places = _places(step)
    if ids is None:
        return [place.entry for _, place in sorted(places.items()) if place.in_view]
    return [
        places[worker_id].entry if worker_id in places else WorkerEntry(id=worker_id) for worker_id in sorted(set(ids))
    ]


def heartbeat_ages(step: Step) -> list[HeartbeatAge]:
    """See `Backend.heartbeat_ages`."""
    return [
        HeartbeatAge(worker_id, max(0.0, step.now - place.lease_ends))
        for worker_id, place in sorted(_places(step).items())
        if place.in_view
    ]


def remove_worker(step: Step, cleaning: WorkerRemoval) -> RemoveWorkerResult:
    """See `Backend.remove_worker`."""
    place = _places(step).get(cleaning.id)
    if place is None:
        return RemoveWorkerResult.UNKNOWN
    if place.entry.working != cleaning.seen:
        return RemoveWorkerResult.CHANGED
    if cleaning.heartbeat_age is not None and step.now - place.lease_ends < cleaning.heartbeat_age:
        return RemoveWorkerResult.ALIVE
    if cleaning.seen is not None and cleaning.failure is not None:
        fail(step, cleaning.failure)
    step.do("DELETE FROM claim WHERE process = ? AND slot = ?", place.process, place.slot)
    dismiss(step, place.process, (place.slot,))
    return RemoveWorkerResult.REMOVED


def _places(step: Step) -> dict[str, _Place]:
    """All slots of all processes, by their worker's id."""
    counters = dict(step.rows("SELECT name, value FROM counter"))
    found = {}
    for process, slot, queues, lease_ends, since, *held in step.rows(_SLOTS):
        name = f"{process}+{slot}"
        entry = WorkerEntry(
            id=f"{name}:{text(queues)}",
            working=_working(name, held),
            started=None if since is None else ruby_time(since),
            alive_for=lease_ends - step.now,
            processed=counters.get(f"processed:{name}"),
            failed=counters.get(f"failed:{name}"),
        )
        found[entry.id] = _Place(
            process=process, slot=slot, lease_ends=lease_ends, in_view=since is not None, entry=entry
        )
    return found


def _working(worker: str, held: Sequence[Any]) -> str | None:
    """What would stand under a worker's name on the wire, or None if it is idle."""
    token, queue, raw, since, alone = held
    if token is None:
        return None
    head = working_head(
        token=str(token), queue=text(queue), worker=worker, run_at=since, running=alone == 1, late=alone == 2
    )
    return f"{head}{text(raw)}}}"
