"""Looking at everything at once, at locks and at workers, and taking dead workers from view."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Final

from taskhero.backends.records.inspection import RemoveWorkerResult, WorkerEntry, WorkerRemoval
from taskhero.engine.queue.failed import FailedFilter, FailedJobs
from taskhero.engine.queue.lock_states import lock_state, scheduler_lock, state_of_scheduler_lock
from taskhero.engine.time.instants import duration_of, to_datetime
from taskhero.errors import BackendRefused, InvalidLockName, InvalidMoment, UnknownWorker
from taskhero.models import CleanedWorker, Details, Job, WorkerState, Working
from taskhero.wire.dates import format_ruby_utc, parse_date
from taskhero.wire.failures import decode_failure, encode_failure
from taskhero.wire.workers import decode_working, parse_worker_id, process_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime, timedelta

    from taskhero.models import FailedJob, LockState

__all__ = ["WorkerAdmin"]

#: How node-resque calls the failure of a stuck worker's job; by the mark both sides find such failures.
_STUCK: Final = "Worker Timeout (killed manually)"
_MARK: Final = "queue#forceCleanWorker"
#: So often a worker is looked at anew that does something else whenever it is to be cleaned.
_TRIES: Final = 20
_NUMBERS: Final = re.compile(r"(\d{1,18})", re.ASCII)
_LOCKS: Final = ("lock:", "workerslock:")


class WorkerAdmin(FailedJobs):
    """The part of `Queue` that looks after the whole: leader, locks, workers."""

    async def leader(self) -> str | None:
        """The name of the scheduler that leads, or None; those of other programs have locks of their own."""
        return await self.backend.leader()

    async def details(self) -> Details:
        """Everything at a glance; few round trips, however many queues and workers there are."""
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

    # locks

    async def locks(self) -> dict[str, str]:
        """The locks of queued jobs (``lock:...``) and of running ones (``workerslock:...``), with what stands there.

        Of node-resque's and taskhero's that is the unix second at which the lock lapses; behind a colon, the owner.
        A lock whose ``key`` does not begin so is not listed. There is no index of locks, so all keys are scanned.
        """
        return await self.backend.locks()

    async def lock_states(self) -> list[LockState]:
        """The locks that `locks` lists, sorted by name, each with what ends it.

        The lock of another program's scheduler comes last, if there is one. Like `locks`, it scans all keys.
        """
        backend = self.backend
        values = await backend.locks()
        lives, overview = await backend.lifetimes(list(values)), await backend.overview()
        # One that went meanwhile has no lifetime to tell.
        states = [lock_state(name, values[name], lives[name], overview.now) for name in sorted(values) if name in lives]
        return (
            states if overview.foreign is None else [*states, state_of_scheduler_lock(overview.foreign, overview.now)]
        )

    async def delete_lock(self, name: str) -> int:
        """Delete a lock, whoever holds it, by its name as `locks` shows it.

        Returns:
            1, or 0 if there is none.

        Raises:
            InvalidLockName: No lock can have this name.
        """
        if not str(name).startswith(_LOCKS):
            raise InvalidLockName(
                f"{name!r} is no lock's name: pass one that locks() shows, such as 'lock:add:math:[1,2]'"
            )
        return int(await self.backend.delete_lock(name))

    # workers

    async def workers(self) -> dict[str, str]:
        """The workers in view: each one's name with its queues, which have commas between them.

        Of two with one name, as a program leaves them that was started anew with other queues, one is shown here;
        `details` shows both.
        """
        return dict(parse_worker_id(entry.id) for entry in await self.backend.workers())

    async def working_on(self, name: str, queues: str | Sequence[str]) -> Working | None:
        """What a worker is busy with, or None if it is idle or unknown.

        Args:
            name: The worker's name.
            queues: Its queues as `workers` gives them, or a list of them.
        """
        joined = queues if isinstance(queues, str) else ",".join(queues)
        # A worker may have no queues in its id, or an empty text there.
        ids = [f"{name}:{joined}"] if joined else [name, f"{name}:"]
        found = (_working(entry) for entry in await self.backend.workers(ids))
        return next((working for working in found if working is not None), None)

    async def all_working_on(self) -> dict[str, Working | None]:
        """What each worker in view is busy with, by its name; None for the idle."""
        found: dict[str, Working | None] = {}
        for entry in await self.backend.workers():
            name, working = parse_worker_id(entry.id)[0], _working(entry)
            if working is not None or name not in found:
                found[name] = working
        return found

    # stuck workers

    async def clean_old_workers(self, age: timedelta | float) -> dict[str, FailedJob]:
        """Take workers from view that gave no sign of life for *age*, busy or idle, and list their jobs as failed.

        A worker of taskhero's gives signs until its process's lease ends, by the store's clock: after an outage, or if
        that clock jumped, wait for a heartbeat before you call this. Another program's does whenever
        anything that stands of it changes; for how long nothing did is known from earlier calls, of this one or of a
        scheduler that leads, by the store's clock. So nothing is found where nobody has watched for that long: call it
        again.

        Args:
            age: Seconds, or a timedelta; more than 0.

        Returns:
            The jobs of those that were busy, by the worker's name; `sweep_workers` tells of the idle ones too.
        """
        cleaned = await self.sweep_workers(age)
        return {worker.name: worker.failed for worker in cleaned if worker.failed is not None}

    async def sweep_workers(self, age: timedelta | float, *, ours: bool = True) -> list[CleanedWorker]:
        """Do what `clean_old_workers` does, and tell of every worker that is gone.

        Args:
            age: Seconds, or a timedelta; more than 0.
            ours: Clean taskhero's own too. A living process would rescue their jobs, rather than fail them.
        """
        seconds = duration_of(age, "age")
        if not seconds:
            raise InvalidMoment("age=0 would clean the living: pass how long a worker may be silent, in seconds")
        backend = self.backend
        silent = {
            silence.id: silence.seconds
            for silence in await backend.heartbeat_ages()
            if silence.seconds >= seconds and (ours or process_of(silence.id) is None)
        }
        cleaned: list[CleanedWorker] = []
        for entry in await backend.workers(list(silent)) if silent else ():
            answer, worker = await self._clean(entry, silent_for=seconds, silent=silent[entry.id])
            if answer == RemoveWorkerResult.REMOVED:
                cleaned.append(worker)
        return cleaned

    async def force_clean_worker(self, name: str) -> FailedJob | None:
        """Take a worker from view whether it lives or not, and list its job as failed, in one atomic step.

        Args:
            name: The worker's name, or its name and its queues where several have one name.

        Returns:
            The failure, or None if the worker was idle.

        Raises:
            UnknownWorker: There is none of this name.
        """
        backend = self.backend
        ids = [e.id for e in await backend.workers() if name in {e.id, parse_worker_id(e.id)[0]}]
        if not ids:
            raise UnknownWorker(f"no worker {name!r} is in view: pass a name that workers() shows")
        failed: FailedJob | None = None
        for worker_id in ids:
            failed = await self._force(worker_id) or failed
        return failed

    async def _force(self, worker_id: str) -> FailedJob | None:
        for _ in range(_TRIES):
            (entry,) = await self.backend.workers([worker_id])
            answer, cleaned = await self._clean(entry)
            if answer == RemoveWorkerResult.WRONG_TYPE:
                raise BackendRefused(f"the job of worker {worker_id!r} cannot be listed as failed; it is as it was")
            if answer != RemoveWorkerResult.CHANGED:
                return cleaned.failed if answer == RemoveWorkerResult.REMOVED else None
        raise BackendRefused(
            f"worker {worker_id!r} could not be cleaned, since it did something else at each of {_TRIES} looks"
        )

    async def retry_stuck_jobs(self, limit: int | None = None) -> int:
        """Retry jobs that failed since their worker was stuck, cleaned by taskhero or by node-resque.

        Args:
            limit: How many at most; None for all.

        Returns:
            How many were stored again.
        """
        retried = 0
        async for batch in self._stuck():
            some = batch if limit is None else batch[: max(limit - retried, 0)]
            retried += sum(mended.done for mended in (await self._retry(some) if some else ()))
            if limit is not None and retried >= limit:
                break
        return retried

    async def _stuck(self) -> AsyncIterator[list[FailedJob]]:
        async for _, page in self._pages(FailedFilter()):
            yield [failed for failed in page.values() if failed.backtrace[1:2] == [_MARK]]

    async def _clean(
        self, entry: WorkerEntry, *, silent_for: float | None = None, silent: float = 0.0
    ) -> tuple[str, CleanedWorker]:
        name, queues = parse_worker_id(entry.id)
        failure = self._failure_of(entry, name)
        removal = WorkerRemoval(id=entry.id, seen=entry.working, failure=failure, heartbeat_age=silent_for)
        answer = await self.backend.remove_worker(removal)
        failed = None if failure is None else decode_failure(failure)
        return answer, CleanedWorker(name=name, queues=queues, silent_for=silent, failed=failed)

    def _failure_of(self, entry: WorkerEntry, name: str) -> str | None:
        """The failure of what a worker is busy with, or None if that is no job at all."""
        working = _working(entry)
        if entry.working is None or working is None or _holds_nothing(entry.working):
            return None
        now = self.context.clock.now()
        host = socket.gethostname()
        return encode_failure(
            raw=working.job.raw,
            queue=working.queue,
            worker=name,
            exception=_STUCK,
            error=_STUCK,
            backtrace=[f"killed by {host} at {format_ruby_utc(now)}", _MARK, "taskhero"],
            failed_at=now,
        )


def _holds_nothing(text: str) -> bool:
    """Whether a text under a worker's name says that it does nothing: an object without a job."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return not text.strip()
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
    seen = None if ours else _seen_at(entry, problems)
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
    """Sorts names so that ``+2`` comes before ``+10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(state.name)]


def _seen_at(entry: WorkerEntry, problems: list[str]) -> datetime | None:
    """The later of Ruby's and node-resque's sign of life; what cannot be read is a problem."""
    found: list[datetime] = []
    if entry.heartbeat is not None:
        _note(found, problems, "heartbeat", entry.heartbeat, parse_date(entry.heartbeat))
    if entry.ping is not None:
        try:
            ping = json.loads(entry.ping)
        except (ValueError, RecursionError):
            ping = None
        time = ping.get("time") if isinstance(ping, dict) else None
        _note(found, problems, "ping", entry.ping, parse_date(time))
    return max(found, default=None)


def _note(found: list[datetime], problems: list[str], what: str, text: str, date: datetime | None) -> None:
    if date is None:
        problems.append(f"{what}: {text[:80]!r} is no date")
    else:
        found.append(date)
