"""The next run of a periodic task: one copy that is delayed, unless the task is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskhero.backends.protocol import StopReason
from taskhero_sqlite import schedule
from taskhero_sqlite.steps import blob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import NextRun
    from taskhero_sqlite.steps import Step

__all__ = ["delay_only", "go_on", "is_stopped", "next_due_time", "stop"]


def next_due_time(now: float, frequency: float) -> int:
    """The moment of a run so many seconds after one that ended now: the nearest second, but not the one that runs."""
    milliseconds = int(now * 1000)
    return max((milliseconds + int(frequency * 1000) + 500) // 1000, milliseconds // 1000 + 1)


def delay_only(step: Step, at: int, raw: str, forms: Sequence[str]) -> int:
    """Let one copy be delayed, to this moment, and no other; return the moment."""
    schedule.remove_copies(step, forms)
    schedule.delay(step, at, raw)
    return at


def go_on(step: Step, following: NextRun, *, failed: bool) -> int | None:
    """Delay the next run, or stop the task; return the moment, or None if there is none; see `NextRun`."""
    if is_stopped(step, following.name):
        return None
    if failed and following.stop_if_failed:
        stop(step, following.name, StopReason.FAILED)
        return None
    return delay_only(step, next_due_time(step.now, following.frequency), following.raw, following.equivalent_payloads)


def is_stopped(step: Step, name: str) -> bool:
    """Whether a task is stopped."""
    return step.value("SELECT 1 FROM stopped WHERE name = ?", blob(name)) is not None


def stop(step: Step, name: str, why: StopReason) -> None:
    """Stop a task."""
    step.do("INSERT OR REPLACE INTO stopped VALUES (?, ?)", blob(name), why.value)
