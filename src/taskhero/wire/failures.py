"""Encode and decode the entries of the failed list, and the last error that a retry counter keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskhero._internal.display import short_repr
from taskhero.errors import Undecodable
from taskhero.models import FailedJob, Job
from taskhero.wire.dates import format_ruby_utc, parse_date
from taskhero.wire.jobs import MARK_KEYS, decode_job, encode_job, job_of, unmark
from taskhero.wire.json import decode, encode, encode_any
from taskhero.wire.splicing import VISIBLE, keep_queue, value_text, visible, without

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["decode_failure", "encode_failure", "encode_last_error", "format_ruby_utc", "retry_text"]

#: What `encode_job` checks, and the marks of rescues.
_CHECKED = MARK_KEYS | {"class", "queue", "args"}


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

    The entry holds the job's text as its producer wrote it: numbers, escapes, key order and blanks stay. node-resque
    finds an entry by the bytes that it would write itself, so it cannot remove or retry one that has others.

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
    before = _fields({"worker": worker, "queue": queue})
    what = {"exception": exception, "error": error, "backtrace": list(backtrace)}
    after = _fields({**what, "failed_at": format_ruby_utc(failed_at)})
    return f'{{{before},"payload":{_payload(unmark(raw), queue)},{after}}}'


def _fields(values: dict[str, Any]) -> str:
    """Write members of an object without the braces around them."""
    return encode_any(values, surrogate=VISIBLE)[1:-1]


def _payload(raw: str, queue: str) -> str:
    job = decode_job(raw, queue)
    if job.problem is None:
        return visible(without(raw, MARK_KEYS).strip())
    return f"{{{_fields({'class': '', 'queue': queue, 'args': job.args})}}}"


def retry_text(failed: FailedJob) -> str:
    """Return the text of a failed job as it goes back to its queue: its payload's own text, for the entry's queue.

    Raises:
        Undecodable: The entry holds no job.
        InvalidArguments, InvalidQueueName: Other programs could not read it, or there is no such queue.
    """
    problem = failed.problem or failed.job.problem
    if problem is not None:
        raise Undecodable(problem)
    payload = decode(failed.raw)["payload"]
    # What could not be written could not be read everywhere either; the texts that this makes are not needed.
    encode_job(failed.job.name, failed.job.args, failed.queue)
    encode({key: value for key, value in payload.items() if key not in _CHECKED}, path="payload")
    return keep_queue(without(value_text(failed.raw, "payload") or "", MARK_KEYS), failed.queue)


def decode_failure(raw: str, source: str = "failed") -> FailedJob:
    """Read an entry of a list of failures, whoever wrote it; never raises.

    Args:
        raw: The entry.
        source: The list in which it stands.

    Returns:
        The failure. Fields that the writer left out are empty; its job's text is the payload as the entry holds it. If
        the entry is not a JSON object or has no job, `problem` says so, and its job's too.
    """
    try:
        entry = decode(raw)
    except Undecodable as error:
        return _unreadable(raw, source, str(error))
    if not isinstance(entry, dict):
        return _unreadable(raw, source, f"it is not a JSON object but {short_repr(entry)}")
    payload = entry.get("payload")
    queue = _queue(entry.get("queue"), payload)
    job = job_of(payload, queue, "" if payload is None else value_text(raw, "payload") or "")
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
        problem=None if isinstance(payload, dict) else f"its payload is not a job but {short_repr(payload)}",
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


def encode_last_error(
    *, raw: str, queue: str, exception: str, error: str, backtrace: Sequence[str], failed_at: float
) -> str:
    """Write what node-resque's Retry writes: ``payload`` is the job's args, ``worker`` the name of its task.

    Args that are a list stand there as the job's text spells them.

    Args:
        raw: The job's text as it was claimed.
        queue: The queue it came from.
        exception: The exception's class.
        error: The exception's text.
        backtrace: The lines of the traceback.
        failed_at: When it failed, in unix seconds; unlike node-resque's, the date that is written names its zone.

    Returns:
        The text. Bytes that are no text stand in it as visible escapes.
    """
    job = decode_job(unmark(raw), queue)
    written = None if job.problem is not None else value_text(raw, "args")
    args = visible(written) if written and written.startswith("[") else encode_any(job.args, surrogate=VISIBLE)
    text = f"{exception}: {error}" if error else exception
    rest = {
        "exception": text,
        "error": text,
        "backtrace": [text, *backtrace],
        "worker": job.name,
        "queue": queue,
    }
    moment = encode_any(format_ruby_utc(failed_at))
    return f'{{"failed_at":{moment},"payload":{args},{encode_any(rest, surrogate=VISIBLE)[1:]}'
