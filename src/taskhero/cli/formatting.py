"""Jobs, failed jobs and workers as text and as JSON. An undecodable entry is shown as such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero._internal.display import time_text
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
    "pluralize",
    "time_or_blank",
    "worker_json",
]

_UNREADABLE = "(unreadable)"
#: Characters of the arguments in one line, at most.
_MAX_ARGS = 200


def pluralize(number: int, what: str) -> str:
    """Return the number with its noun: ``1 job``, ``2 jobs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def time_or_blank(when: datetime | None) -> str:
    """Return an instant in the displayed zone with its offset, to the second, or an empty str."""
    return "" if when is None else time_text(when)


def ago(seconds: float) -> str:
    """Return a duration in seconds as one number with a unit."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


# --- jobs


def job_name(job: Job) -> str:
    """Return the task's name, or a placeholder for an undecodable job."""
    return job.name or _UNREADABLE


def job_line(job: Job) -> str:
    """Return the task's name and its arguments, cut to one line."""
    args = compact(job.args)
    return f"{job_name(job)} {args if len(args) <= _MAX_ARGS else args[:_MAX_ARGS] + '...'}"


def job_json(job: Job) -> dict[str, Any]:
    """Return a job as ``--json`` prints it."""
    return {"name": job.name, "args": job.args, "queue": job.queue}


# --- failed jobs


def error_line(entry: FailedJob) -> str:
    """Return the exception and the first line of the error."""
    lines = entry.error.splitlines()
    text = ": ".join(part for part in (entry.exception, lines[0] if lines else "") if part)
    return text or entry.problem or ""


def failed_json(position: int, entry: FailedJob) -> dict[str, Any]:
    """Return a failed job as ``--json`` prints it."""
    return {
        "position": position,
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
    """Return a worker as ``--json`` prints it."""
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
    """Return what a worker runs, and for how long."""
    if worker.working is None:
        return "idle", ""
    since = worker.working.run_at
    return job_line(worker.working.job), "" if since is None else ago((now - since).total_seconds())


def heartbeat_text(worker: WorkerState, now: datetime) -> str:
    """Return what is known of a worker's lease or its last heartbeat."""
    if worker.alive_for is not None:
        return "alive" if worker.alive_for >= 0 else f"overdue for {ago(-worker.alive_for)}"
    if worker.seen_at is not None:
        return f"seen {ago((now - worker.seen_at).total_seconds())} ago"
    return "no lease" if worker.program == "taskhero" else ""
