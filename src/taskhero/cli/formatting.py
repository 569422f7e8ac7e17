"""Jobs, failures and workers, as tables and as JSON; what cannot be read is shown as such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.cli.output import compact, iso

if TYPE_CHECKING:
    from datetime import datetime

    from taskhero.models import FailedJob, Job, WorkerState, Working

__all__ = [
    "ago",
    "doing",
    "error_line",
    "failed_json",
    "heartbeat_text",
    "job_json",
    "job_line",
    "job_name",
    "local",
    "pluralize",
    "worker_json",
]

_UNREADABLE = "(unreadable)"
#: So much of the arguments is shown in a line.
_LONG = 200


def pluralize(number: int, what: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def local(moment: datetime | None) -> str:
    """A moment by the clock of this machine, to the second."""
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def ago(seconds: float) -> str:
    """A duration in one number."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


# --- jobs


def job_name(job: Job) -> str:
    """The task's name."""
    return job.name or _UNREADABLE


def job_line(job: Job) -> str:
    """The task's name and its arguments, not more than a line of them."""
    args = compact(job.args)
    return f"{job_name(job)} {args if len(args) <= _LONG else args[:_LONG] + '...'}"


def job_json(job: Job) -> dict[str, Any]:
    """A job as ``--json`` prints it."""
    return {"name": job.name, "args": job.args, "queue": job.queue}


# --- failures


def error_line(entry: FailedJob) -> str:
    """What a failure says, in a line."""
    lines = entry.error.splitlines()
    told = ": ".join(part for part in (entry.exception, lines[0] if lines else "") if part)
    return told or entry.problem or ""


def failed_json(at: int, entry: FailedJob) -> dict[str, Any]:
    """A failure as ``--json`` prints it."""
    return {
        "position": at,
        "job": job_json(entry.job),
        "queue": entry.queue,
        "worker": entry.worker,
        "exception": entry.exception,
        "error": entry.error,
        "backtrace": entry.backtrace,
        "failed_at": iso(entry.failed_at),
        "retried_at": iso(entry.retried_at),
        "problem": entry.problem,
        "raw": entry.raw,
        "list": entry.source,
    }


# --- workers


def worker_json(worker: WorkerState) -> dict[str, Any]:
    """A worker as ``--json`` prints it."""
    return {
        "name": worker.name,
        "queues": worker.queues.split(",") if worker.queues else [],
        "program": worker.program,
        "working": None if worker.working is None else _working_json(worker.working),
        "started_at": iso(worker.started_at),
        "seen_at": iso(worker.seen_at),
        "alive_for": worker.alive_for,
        "processed": worker.processed,
        "failed": worker.failed,
        "problem": worker.problem,
    }


def _working_json(working: Working) -> dict[str, Any]:
    return {
        "job": job_json(working.job),
        "queue": working.queue,
        "run_at": iso(working.run_at),
        "problem": working.job.problem,
    }


def doing(worker: WorkerState, now: datetime) -> tuple[str, str]:
    """What a worker does, and for how long."""
    if worker.working is None:
        return "idle", ""
    since = worker.working.run_at
    return job_line(worker.working.job), "" if since is None else ago((now - since).total_seconds())


def heartbeat_text(worker: WorkerState, now: datetime) -> str:
    """How a worker is known to live, or not."""
    if worker.alive_for is not None:
        return "alive" if worker.alive_for >= 0 else f"overdue for {ago(-worker.alive_for)}"
    if worker.seen_at is not None:
        return f"seen {ago((now - worker.seen_at).total_seconds())} ago"
    return "no lease" if worker.program == "taskhero" else ""
