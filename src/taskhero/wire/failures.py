"""Entries of the list of failures to text and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero.errors import Undecodable
from taskhero.models import FailedJob, Job
from taskhero.wire.dates import format_ruby_utc, parse_date
from taskhero.wire.jobs import MARK_KEYS, decode_job, encode_job, job_of, unmark
from taskhero.wire.jsjson import decode, encode, encode_any
from taskhero.wire.refusals import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["decode_failure", "encode_failure", "format_ruby_utc", "retry_text"]

#: What a text that is written anew has from elsewhere, or does without.
_NOT_COPIED = MARK_KEYS | {"class", "queue", "args"}


def encode_failure(
    *,
    raw: str,
    queue: str,
    worker: str,
    exception: str,
    error: str,
    backtrace: Sequence[str],
    failed_at: float,
) -> str:
    """Write an entry of the list of failures that Ruby and node-resque can show, retry and remove.

    Args:
        raw: The job's text as it was claimed. What cannot be read becomes the only argument of a job without a name.
        queue: The queue it came from.
        worker: The worker that ran it.
        exception: The exception's class.
        error: The exception's text.
        backtrace: The lines of the traceback.
        failed_at: When it failed, in unix seconds.

    Returns:
        The entry. Bytes that are no text, which would stop Ruby's programs, stand in it as visible escapes.
    """
    entry = {
        "worker": worker,
        "queue": queue,
        "payload": _payload(unmark(raw), queue),
        "exception": exception,
        "error": error,
        "backtrace": list(backtrace),
        "failed_at": format_ruby_utc(failed_at),
    }
    return encode_any(entry, surrogate="\\\\u")


def _payload(raw: str, queue: str) -> dict[str, Any]:
    job = decode_job(raw, queue)
    if job.problem is not None:
        return {"class": "", "queue": queue, "args": job.args}
    payload: dict[str, Any] = decode(raw)
    return {key: value for key, value in payload.items() if key not in MARK_KEYS}


def retry_text(failed: FailedJob) -> str:
    """The text of a failed job as it goes back to its queue: all that its payload has, for the entry's queue.

    Raises:
        Undecodable: The entry holds no job.
        InvalidArguments, InvalidQueueName: Other programs could not read it, or there is no such queue.
    """
    problem = failed.problem or failed.job.problem
    if problem is not None:
        raise Undecodable(problem)
    payload = decode(failed.raw)["payload"]
    rest = {key: value for key, value in payload.items() if key not in _NOT_COPIED}
    text = encode_job(failed.job.name, failed.job.args, failed.queue)
    return f"{text[:-1]},{encode(rest, path='payload')[1:]}" if rest else text


def decode_failure(raw: str, source: str = "failed") -> FailedJob:
    """Read an entry of a list of failures, whoever wrote it; never raises.

    Args:
        raw: The entry.
        source: The list in which it stands.

    Returns:
        The failure. Fields that the writer left out are empty; its job's text is the payload written anew. If the
        entry is not a JSON object or has no job, `problem` says so, and its job's too.
    """
    try:
        entry = decode(raw)
    except Undecodable as error:
        return _unreadable(raw, source, str(error))
    if not isinstance(entry, dict):
        return _unreadable(raw, source, f"it is not a JSON object but {shown(entry)}")
    payload = entry.get("payload")
    queue = _queue(entry.get("queue"), payload)
    job = job_of(payload, queue, "" if payload is None else encode_any(payload))
    return FailedJob(
        job=job,
        queue=queue,
        worker=_string(entry.get("worker")),
        exception=_string(entry.get("exception")),
        error=_string(entry.get("error")),
        backtrace=_lines(entry.get("backtrace")),
        failed_at=parse_date(entry.get("failed_at")),
        retried_at=parse_date(entry.get("retried_at")),
        source=source,
        raw=raw,
        problem=None if isinstance(payload, dict) else f"its payload is not a job but {shown(payload)}",
    )


def _unreadable(raw: str, source: str, problem: str) -> FailedJob:
    job = Job("", [raw], "", raw=raw, problem=problem)
    return FailedJob(job=job, queue="", source=source, raw=raw, problem=problem)


def _queue(queue: object, payload: object) -> str:
    """The entry's queue, else the job's own."""
    if not (isinstance(queue, str) and queue) and isinstance(payload, dict):
        queue = payload.get("queue")
    return queue if isinstance(queue, str) else ""


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else encode_any(value)


def _lines(value: object) -> list[str]:
    if isinstance(value, list):
        return [_string(line) for line in value]
    return _string(value).splitlines()
