"""What is kept of a job's last error beside the counter of its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.wire.dates import format_ruby_utc
from taskhero.wire.jobs import decode_job, unmark
from taskhero.wire.jsjson import encode_any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["encode_last_error"]


def encode_last_error(
    *, raw: str, queue: str, exception: str, error: str, backtrace: Sequence[str], failed_at: float
) -> str:
    """Write what node-resque's Retry writes: ``payload`` is the job's args, ``worker`` the name of its task.

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
    text = f"{exception}: {error}" if error else exception
    entry = {
        "failed_at": format_ruby_utc(failed_at),
        "payload": job.args,
        "exception": text,
        "error": text,
        "backtrace": [text, *backtrace],
        "worker": job.name,
        "queue": queue,
    }
    return encode_any(entry, surrogate="\\\\u")
