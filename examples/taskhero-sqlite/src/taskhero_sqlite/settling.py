"""Recording how jobs ended."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from taskhero.backends.protocol import Failed, PostponedByPlugin, Released, Retried, Succeeded
from taskhero.wire.jobs import unmark
from taskhero_sqlite import locks, queues
from taskhero_sqlite.failures import count_failure, fail
from taskhero_sqlite.next_runs import go_on
from taskhero_sqlite.schedule import delay, later
from taskhero_sqlite.steps import blob, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import Claim, Disposition, Process, Settlement
    from taskhero_sqlite.steps import Step

__all__ = ["Settled", "held_by", "settle"]

#: A counter of attempts outlives the wait for the next attempt by a day.
_COUNTER_LIFE = 86400


class Settled:
    """What became of settlements; see `SettleAndClaimReply`."""

    def __init__(self) -> None:
        self.gone: list[Claim] = []
        self.unsettled: list[tuple[Claim, str]] = []
        self.attempts: list[tuple[Claim, int]] = []
        self.nexts: list[tuple[Claim, int]] = []


def held_by(step: Step, process: Process, claim: Claim) -> str | None:
    """The text of the job that stands under this claim, or None if the claim is gone."""
    row = step.row("SELECT token, raw FROM claim WHERE process = ? AND slot = ?", process.name, claim.slot)
    return text(row[1]) if row is not None and str(row[0]) == claim.token else None


def settle(step: Step, process: Process, settled: Sequence[Settlement]) -> Settled:
    """Record how jobs ended; one that cannot be recorded is undone alone."""
    answer = Settled()
    for settlement in settled:
        claim, worker = settlement.claim, process.worker(settlement.claim.slot)
        raw = held_by(step, process, claim)
        if raw is None:
            answer.gone.append(claim)
            locks.release(step, settlement.release, locks.owner_of(worker, claim.token))
            continue
        try:
            with step.part():
                attempt = _end(step, worker, claim, raw, settlement.disposition)
                locks.release(step, settlement.release, locks.owner_of(worker, claim.token))
                _forget(step, settlement.forget)
                at = None if attempt is not None else _go_on(step, settlement)
                step.do("DELETE FROM claim WHERE token = ?", int(claim.token))
        except sqlite3.Error as error:
            answer.unsettled.append((claim, str(error)))
        else:
            if attempt is not None:
                answer.attempts.append((claim, attempt))
            if at is not None:
                answer.nexts.append((claim, at))
    return answer


def _go_on(step: Step, settlement: Settlement) -> int | None:
    """See to the next run of a job that is not tried again; return its moment."""
    disposition = settlement.disposition
    if settlement.next_run is None or isinstance(disposition, (Released, PostponedByPlugin)):
        return None
    return go_on(step, settlement.next_run, failed=isinstance(disposition, (Failed, Retried)))


def _end(step: Step, worker: str, claim: Claim, raw: str, disposition: Disposition) -> int | None:
    if isinstance(disposition, Succeeded):
        step.count("processed")
        step.count(f"processed:{worker}")
    elif isinstance(disposition, Failed):
        fail(step, disposition.entry, worker)
    elif isinstance(disposition, PostponedByPlugin):
        delay(
            step,
            later(step.now, disposition.delay),
            raw if disposition.raw is None else disposition.raw,
            disposition.meaning,
        )
    elif isinstance(disposition, Released):
        queues.release(step, claim.queue, raw if disposition.raw is None else disposition.raw)
    elif isinstance(disposition, Retried):
        return _retry(step, worker, raw, disposition)
    return None


def _retry(step: Step, worker: str, raw: str, disposition: Retried) -> int | None:
    counter = blob(disposition.counter)
    before = step.value("SELECT count FROM attempts WHERE name = ? AND until > ?", counter, step.now)
    count = 0 if before is None else before + 1
    attempt = count + 1
    last_error = () if disposition.last_error is None else (disposition.last_error[0],)
    if attempt >= disposition.limit:
        fail(step, disposition.entry, worker)
        _forget(step, (disposition.counter, *last_error))
        return None
    seconds = disposition.delays[min(attempt, len(disposition.delays)) - 1] if disposition.delays else 0.0
    until = step.now + seconds + _COUNTER_LIFE
    delay(
        step, later(step.now, seconds), unmark(raw) if disposition.raw is None else disposition.raw, disposition.meaning
    )
    step.do("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?)", counter, count, until)
    if disposition.last_error is not None:
        step.do("INSERT OR REPLACE INTO trace VALUES (?, ?, ?)", *map(blob, disposition.last_error), until)
    count_failure(step, worker)
    return attempt


def _forget(step: Step, names: Iterable[str]) -> None:
    """Forget counters of attempts, and what is kept beside them."""
    for name in names:
        step.do("DELETE FROM attempts WHERE name = ?", blob(name))
        step.do("DELETE FROM trace WHERE name = ?", blob(name))
