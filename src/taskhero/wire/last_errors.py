"""What is kept of a job's last error beside the counter of its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.wire.dates import format_ruby_utc
from taskhero.wire.jobs import decode_job, unmark
from taskhero.wire.jsjson import encode_any
from taskhero.wire.splicing import VISIBLE, value_text, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["encode_last_error"]


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
