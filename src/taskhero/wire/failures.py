"""Encode and decode entries of the failed list, and the last error that is stored with a retry counter."""

from __future__ import annotations

from typing import Any, Final

import attrs

from taskhero._internal.display import short_repr
from taskhero.errors import Undecodable
from taskhero.models import FailedJob, Job
from taskhero.wire.dates import format_ruby_utc, parse_date
from taskhero.wire.jobs import MARK_KEYS, decode_job, encode_job, job_of, unmark
from taskhero.wire.json import decode, encode, encode_any
from taskhero.wire.splicing import VISIBLE, keep_queue, value_text, visible, without

__all__ = [
    "STUCK_MARK",
    "Description",
    "decode_failure",
    "encode_failure",
    "encode_last_error",
    "format_ruby_utc",
    "retry_text",
]

#: The second line of the backtrace of a stuck worker's job. taskhero and node-resque find such failures by it.
STUCK_MARK: Final = "queue#forceCleanWorker"

#: The keys that `encode_job` checks, and those of rescue marks.
_CHECKED = MARK_KEYS | {"class", "queue", "args"}


@attrs.frozen
class Description:
    """A description of an exception.

    Attributes:
        exception: The name of its class.
        error: Its message.
        backtrace: The lines of its traceback, without the frames of taskhero above the task.
    """

    exception: str
    error: str
    backtrace: list[str]


def encode_failure(description: Description, *, raw: str, queue: str, worker: str, failed_at: float) -> str:
    """Write an entry of the failed list that Ruby and node-resque can show, retry and remove.

    The entry contains the payload as its producer wrote it, with its numbers, escapes, key order and blanks.
    node-resque finds an entry by the bytes that it would write. It cannot remove or retry an entry with other bytes.

    Args:
        description: The description of the exception.
        raw: The payload as it was claimed. One that cannot be read becomes the only argument of a job without a name.
        queue: The queue of the job.
        worker: The name of the worker that ran it.
        failed_at: The time of the failure, in Unix seconds.

    Returns:
        The entry. Bytes that are not UTF-8 are visible escapes in it, since they would stop Ruby's programs.
    """
    before = _fields({"worker": worker, "queue": queue})
    after = _fields(
        {
            "exception": description.exception,
            "error": description.error,
            "backtrace": description.backtrace,
            "failed_at": format_ruby_utc(failed_at),
        }
    )
    return f'{{{before},"payload":{_payload(unmark(raw), queue)},{after}}}'


def _fields(values: dict[str, Any]) -> str:
    """Write the members of an object without braces."""
    return encode_any(values, surrogate=VISIBLE)[1:-1]


def _payload(raw: str, queue: str) -> str:
    job = decode_job(raw, queue)
    if job.problem is None:
        return visible(without(raw, MARK_KEYS).strip())
    return f"{{{_fields({'class': '', 'queue': queue, 'args': job.args})}}}"


def retry_text(failed: FailedJob) -> str:
    """Return the payload to store when a failed job is retried: the entry's payload, for the entry's queue.

    Raises:
        Undecodable: The entry does not contain a job.
        InvalidArguments: Other programs could not read the job.
        InvalidQueueName: A queue cannot have the entry's queue name.
    """
    problem = failed.problem or failed.job.problem
    if problem is not None:
        raise Undecodable(problem)
    payload = decode(failed.raw)["payload"]
    # Called only for their checks: other programs cannot read everything that Python can.
    encode_job(failed.job.name, failed.job.args, failed.queue)
    encode({key: value for key, value in payload.items() if key not in _CHECKED}, path="payload")
    return keep_queue(without(value_text(failed.raw, "payload") or "", MARK_KEYS), failed.queue)


def decode_failure(raw: str, source: str = "failed") -> FailedJob:
    """Read an entry of a failed list, of any program. Never raise.

    Args:
        raw: The entry.
        source: The name of its list.

    Returns:
        The failed job. Fields that the writer left out are empty. The job's `raw` is the payload as the entry contains
        it. If the entry is not a JSON object or has no job, its `problem` and its job's say so.
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
    """Return the entry's queue, or else that of its payload."""
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


def encode_last_error(description: Description, *, raw: str, queue: str, failed_at: float) -> str:
    """Write the last error as node-resque's Retry does: ``payload`` is the job's args, ``worker`` the task's name.

    Args that are a list keep their bytes.

    Args:
        description: The description of the exception.
        raw: The payload as it was claimed.
        queue: The queue of the job.
        failed_at: The time of the failure, in Unix seconds. Unlike node-resque's, the stored date names its zone.

    Returns:
        The JSON text. Bytes that are not UTF-8 are visible escapes in it.
    """
    job = decode_job(unmark(raw), queue)
    written = None if job.problem is not None else value_text(raw, "args")
    args = visible(written) if written and written.startswith("[") else encode_any(job.args, surrogate=VISIBLE)
    text = f"{description.exception}: {description.error}" if description.error else description.exception
    rest = {
        "exception": text,
        "error": text,
        "backtrace": [text, *description.backtrace],
        "worker": job.name,
        "queue": queue,
    }
    date = encode_any(format_ruby_utc(failed_at))
    return f'{{"failed_at":{date},"payload":{args},{encode_any(rest, surrogate=VISIBLE)[1:]}'
