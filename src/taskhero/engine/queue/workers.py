"""Inspect the whole store and its workers, and remove stale workers."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Final

from taskhero.backends.records.inspection import RemoveWorkerResult, WorkerEntry, WorkerRemoval
from taskhero.engine.queue.lock_states import scheduler_lock
from taskhero.engine.queue.part import QueuePart
from taskhero.engine.queue.worker_timestamps import newest_timestamp, seen_at
from taskhero.engine.time.instants import duration_of, to_datetime
from taskhero.errors import BackendRefused, InvalidMoment, UnknownWorker
from taskhero.models import CleanedWorker, Details, Job, WorkerState, Working
from taskhero.wire.dates import format_ruby_utc, parse_date
from taskhero.wire.failures import STUCK_MARK, Description, decode_failure, encode_failure
from taskhero.wire.workers import decode_working, parse_worker_id, process_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from taskhero.models import FailedJob

__all__ = ["WorkerAdmin"]

#: node-resque's exception for a stuck worker's job.
_STUCK: Final = "Worker Timeout (killed manually)"
#: Maximum number of attempts to remove a worker whose job changes between read and removal.
_MAX_ATTEMPTS: Final = 20
#: Minimum age in seconds of a timestamp that counts as stale. Ruby's heartbeat comes every 60 seconds.
MIN_TIMESTAMP_AGE: Final = 180.0
_NUMBERS: Final = re.compile(r"(\d{1,18})", re.ASCII)


class WorkerAdmin(QueuePart):
    """The part of `Queue` that inspects the store and administers workers."""

    async def leader(self) -> str | None:
        """Return the name of taskhero's leading scheduler, or None. Schedulers of other programs use other locks."""
        return await self.backend.leader()

    async def details(self) -> Details:
        """Return an overview of the store, with a number of round trips that does not depend on its size."""
        backend = self.backend
        overview, workers, due_times = await backend.overview(), await backend.workers(), await backend.due_times()
        return Details(
            now=to_datetime(overview.now),
            queues=dict(overview.lengths),
            workers=tuple(sorted((_state(entry) for entry in workers), key=_in_order)),
            stats={"processed": overview.processed, "failed": overview.failed},
            leader=overview.leader,
            delayed=sum(count for _, count in due_times),
            failed=sum(count or 0 for count in overview.failures.values()),
            paused=overview.paused,
            scheduler_lock=scheduler_lock(overview.foreign),
        )

    # workers

    async def workers(self) -> dict[str, str]:
        """Return the registered workers: each name with its queues, separated by commas.

        Two workers can have one name if a program was restarted with other queues. Then this shows one of them, and
        `details` shows both.
        """
        return dict(parse_worker_id(entry.id) for entry in await self.backend.workers())

    async def working_on(self, name: str, queues: str | Sequence[str]) -> Working | None:
        """Return a worker's current job, or None if it is idle or unknown.

        Args:
            name: The worker's name.
            queues: Its queues as `workers` returns them, or a list of them.
        """
        joined = queues if isinstance(queues, str) else ",".join(queues)
        # The id of a worker without queues ends after the name, or after a colon.
        ids = [f"{name}:{joined}"] if joined else [name, f"{name}:"]
        found = (_working(entry) for entry in await self.backend.workers(ids))
        return next((working for working in found if working is not None), None)

    async def all_working_on(self) -> dict[str, Working | None]:
        """Return the current job of each registered worker by name; None for idle workers."""
        found: dict[str, Working | None] = {}
        for entry in await self.backend.workers():
            name, working = parse_worker_id(entry.id)[0], _working(entry)
            if working is not None or name not in found:
                found[name] = working
        return found

    # stale workers

    async def clean_old_workers(self, age: timedelta | float) -> dict[str, FailedJob]:
        """Remove workers without a heartbeat for *age*, busy or idle, and list their jobs as failed.

        A worker of taskhero counts as alive until the lease of its process expires, by the store's clock. After an
        outage, or a jump of that clock, wait for one heartbeat before you call this.

        Any change of another program's worker counts as a heartbeat. Its heartbeat age counts from the first
        observation of its state, by an earlier call or by a leading scheduler. A worker that was never seen to change
        is also removed if its newest timestamp is older than *age*, and older than 180 seconds, by the store's clock.
        Its timestamps are its heartbeat, its ping, its start and the start of its job.

        Args:
            age: Seconds, or a timedelta; more than 0.

        Returns:
            The jobs of the busy workers, by the worker's name. `sweep_workers` also returns the idle workers.
        """
        removed = await self.sweep_workers(age)
        return {worker.name: worker.failed for worker in removed if worker.failed is not None}

    async def sweep_workers(
        self, age: timedelta | float, *, ours: bool = True, watched_only: bool = False
    ) -> list[CleanedWorker]:
        """Remove workers as `clean_old_workers` does, and return every removed worker.

        Args:
            age: Seconds, or a timedelta; more than 0.
            ours: Whether to remove taskhero's workers too. A running process would rescue their jobs instead.
            watched_only: Whether to ignore the timestamps that other programs wrote, since their clocks may be wrong.
        """
        seconds = duration_of(age, "age")
        if not seconds:
            raise InvalidMoment("age=0 would remove live workers: pass the heartbeat age of a stale worker, in seconds")
        ages = [age for age in await self.backend.heartbeat_ages() if ours or process_of(age.id) is None]
        stale = {age.id: age.seconds for age in ages if age.seconds >= seconds}
        unchanged = [age.id for age in ages if not (age.id in stale or age.changed or process_of(age.id))]
        removed = await self._remove_watched(stale, seconds) if stale else []
        if unchanged and not watched_only:
            removed += await self._remove_unwatched(unchanged, max(seconds, MIN_TIMESTAMP_AGE))
        return removed

    async def _remove_watched(self, ages: Mapping[str, float], min_age: float) -> list[CleanedWorker]:
        """Remove workers by their heartbeat ages."""
        removed: list[CleanedWorker] = []
        for entry in await self.backend.workers(list(ages)):
            result, worker = await self._remove_worker(entry, min_age=min_age, age=ages[entry.id])
            if result == RemoveWorkerResult.REMOVED:
                removed.append(worker)
        return removed

    async def _remove_unwatched(self, ids: Sequence[str], min_age: float) -> list[CleanedWorker]:
        """Remove workers of other programs by their newest timestamps, unless their data changes."""
        removed: list[CleanedWorker] = []
        # The time is read before the data, so a delay between the two never makes a worker look older.
        now = (await self.backend.overview()).now
        for entry in await self.backend.workers(ids):
            newest = newest_timestamp(entry)
            if newest is None or now - newest < min_age:
                continue
            result, worker = await self._remove_worker(entry, min_age=0.0, age=now - newest, unchanged=True)
            if result == RemoveWorkerResult.REMOVED:
                removed.append(worker)
        return removed

    async def force_clean_worker(self, name: str) -> FailedJob | None:
        """Remove a worker, alive or dead, and list its job as failed, in one atomic step.

        Args:
            name: The worker's name, or its id (name and queues) if several workers have this name.

        Returns:
            The failed job, or None if the worker was idle.

        Raises:
            UnknownWorker: No registered worker has this name.
        """
        backend = self.backend
        ids = [e.id for e in await backend.workers() if name in {e.id, parse_worker_id(e.id)[0]}]
        if not ids:
            raise UnknownWorker(f"no worker {name!r} is registered: pass a name that workers() shows")
        failed: FailedJob | None = None
        for worker_id in ids:
            failed = await self._force_remove(worker_id) or failed
        return failed

    async def _force_remove(self, worker_id: str) -> FailedJob | None:
        for _ in range(_MAX_ATTEMPTS):
            (entry,) = await self.backend.workers([worker_id])
            result, removed = await self._remove_worker(entry)
            if result == RemoveWorkerResult.WRONG_TYPE:
                raise BackendRefused(
                    f"the job of worker {worker_id!r} cannot be listed as failed, because a key has the wrong type; "
                    "nothing was changed; rename or delete the key of the failed list"
                )
            if result != RemoveWorkerResult.CHANGED:
                return removed.failed if result == RemoveWorkerResult.REMOVED else None
        raise BackendRefused(
            f"worker {worker_id!r} could not be removed, because its job changed in each of {_MAX_ATTEMPTS} attempts; "
            "stop the worker first"
        )

    async def _remove_worker(
        self, entry: WorkerEntry, *, min_age: float | None = None, age: float = 0.0, unchanged: bool = False
    ) -> tuple[RemoveWorkerResult, CleanedWorker]:
        name, queues = parse_worker_id(entry.id)
        failure = self._failure_of(entry, name)
        removal = WorkerRemoval(
            id=entry.id, seen=entry.working, failure=failure, heartbeat_age=min_age, unchanged=unchanged
        )
        result = await self.backend.remove_worker(removal)
        failed = None if failure is None else decode_failure(failure)
        return result, CleanedWorker(name=name, queues=queues, silent_for=age, failed=failed)

    def _failure_of(self, entry: WorkerEntry, name: str) -> str | None:
        """Return the failed entry for a worker's current job, or None if the worker has no job."""
        working = _working(entry)
        if entry.working is None or working is None or _is_idle(entry.working):
            return None
        now = self.context.clock.now()
        host = socket.gethostname()
        description = Description(
            _STUCK, _STUCK, [f"killed by {host} at {format_ruby_utc(now)}", STUCK_MARK, "taskhero"]
        )
        return encode_failure(description, raw=working.job.raw, queue=working.queue, worker=name, failed_at=now)


def _is_idle(stored: str) -> bool:
    """Return whether the value of a worker's key means that it is idle: an object without a job."""
    try:
        value = json.loads(stored)
    except (ValueError, RecursionError):
        return not stored.strip()
    return value is None or (isinstance(value, dict) and value.get("payload") is None)


def _working(entry: WorkerEntry) -> Working | None:
    name = parse_worker_id(entry.id)[0]
    if entry.working is not None:
        return decode_working(entry.working, name)
    problem = entry.problems.get("working")
    return None if problem is None else Working(worker=name, queue="", job=Job("", [], "", problem=problem))


def _state(entry: WorkerEntry) -> WorkerState:
    name, queues = parse_worker_id(entry.id)
    ours = process_of(entry.id) is not None
    program = "taskhero" if ours else "resque" if entry.heartbeat else "node-resque" if entry.ping else ""
    problems = [f"{what}: {problem}" for what, problem in entry.problems.items()]
    seen = None if ours else seen_at(entry, problems)
    return WorkerState(
        name=name,
        queues=queues,
        program=program,
        working=_working(entry),
        started_at=parse_date(entry.started),
        seen_at=seen,
        alive_for=entry.alive_for,
        processed=entry.processed or 0,
        failed=entry.failed or 0,
        problem="; ".join(problems) or None,
    )


def _in_order(state: WorkerState) -> list[tuple[int, str]]:
    """Return a sort key that orders ``+2`` before ``+10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(state.name)]
