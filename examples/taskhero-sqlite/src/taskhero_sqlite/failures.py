"""Jobs that failed: one list, since no other program writes to the file."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from taskhero.backends.records.inspection import FAILED, RetryResult
from taskhero_sqlite import queues
from taskhero_sqlite.steps import blob, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.inspection import FailedEntry, FailedRetry
    from taskhero_sqlite.steps import Step

__all__ = ["count_failure", "fail", "failed", "failed_count", "remove_failed", "retry_failed"]


def fail(step: Step, entry: str, worker: str | None = None) -> None:
    """Append to the failures, and count it, for a worker too if it is given."""
    stored = blob(entry)
    step.do("INSERT INTO failure (digest, entry) VALUES (?, ?)", zlib.crc32(stored), stored)
    count_failure(step, worker)


def count_failure(step: Step, worker: str | None) -> None:
    """Count that a job failed, whether it is listed or tried again."""
    step.count("failed")
    if worker is not None:
        step.count(f"failed:{worker}")


def failed_count(step: Step, source: str = FAILED) -> int:
    """See `Backend.failed_count`."""
    return int(step.value("SELECT count(*) FROM failure")) if source == FAILED else 0


def failed(step: Step, start: int, stop: int, source: str) -> list[str]:
    """See `Backend.failed`."""
    offset, number = queues.bounds(failed_count(step, source), start, stop)
    rows = step.rows("SELECT entry FROM failure ORDER BY id LIMIT ? OFFSET ?", number, offset)
    return [text(entry) for (entry,) in rows]


def remove_failed(step: Step, entries: Sequence[FailedEntry]) -> list[bool]:
    """See `Backend.remove_failed`."""
    return [_remove(step, _youngest(step, entry)) for entry in entries]


def retry_failed(step: Step, retries: Sequence[FailedRetry]) -> list[RetryResult]:
    """See `Backend.retry_failed`."""
    return [_retry(step, retry) for retry in retries]


def _retry(step: Step, retry: FailedRetry) -> RetryResult:
    number = _youngest(step, retry.failed)
    if number is None:
        return RetryResult.MISSING
    if not queues.push(step, (retry.entry,))[0]:
        return RetryResult.NOT_STORED
    _remove(step, number)
    return RetryResult.STORED


def _youngest(step: Step, failure: FailedEntry) -> int | None:
    """The youngest entry of a failure's text, or None."""
    if failure.source != FAILED:
        return None
    stored = blob(failure.raw)
    found: int | None = step.value(
        "SELECT max(id) FROM failure WHERE digest = ? AND entry = ?", zlib.crc32(stored), stored
    )
    return found


def _remove(step: Step, number: int | None) -> bool:
    return number is not None and step.do("DELETE FROM failure WHERE id = ?", number) == 1
