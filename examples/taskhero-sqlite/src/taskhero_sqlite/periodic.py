"""Periodic tasks, and tasks by cron."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from taskhero.backends.definitions import decode_periodic, encode_periodic
from taskhero.backends.protocol import (
    Fired,
    FreeLock,
    Kept,
    KnownPeriodic,
    Periodics,
)
from taskhero.wire.jobs import unmark
from taskhero_sqlite import locks, queues
from taskhero_sqlite.schedule import delay
from taskhero_sqlite.steps import blob, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskhero.backends.protocol import Next, Periodic
    from taskhero_sqlite.steps import Step

__all__ = ["ensure", "fire", "go_on", "periodic", "restart", "resume", "stop"]

#: Seconds for which a lock of queued jobs is believed without a look into the queue, and so is a dead process's word.
_PATIENCE = 60
#: So many of a queue's first texts are looked through.
_FIRST = 100


def next_moment(now: float, frequency: float) -> int:
    """The second of a run that comes *frequency* seconds after one that ended now."""
    milliseconds = int(now * 1000)
    return max((milliseconds + int(frequency * 1000) + 500) // 1000, milliseconds // 1000 + 1)


def periodic(step: Step, declared: Sequence[Periodic], lifetime: float) -> Periodics:
    """See `Backend.periodic`."""
    for each in declared:
        name = blob(each.name)
        step.do("INSERT OR REPLACE INTO periodic VALUES (?, ?, ?)", name, encode_periodic(each), step.now + lifetime)
        if each.cron is not None:
            step.do("INSERT OR IGNORE INTO seen VALUES (?, ?)", name, math.floor(step.now))
    if declared:
        step.do("DELETE FROM periodic WHERE until <= ?", step.now)
    stopped = {text(name): why for name, why in step.rows("SELECT name, why FROM stopped")}
    seen = {text(name): until for name, until in step.rows("SELECT name, until FROM seen")}
    definitions = step.rows("SELECT definition FROM periodic WHERE until > ?", step.now)
    tasks = [task for (definition,) in definitions if (task := decode_periodic(definition)) is not None]
    known = [
        KnownPeriodic(
            task=task, stopped=stopped.get(task.name), seen=None if task.cron is None else seen.get(task.name)
        )
        for task in sorted(tasks, key=lambda task: task.name)
    ]
    return Periodics(now=step.now, tasks=known, stopped=stopped)


def is_stopped(step: Step, name: str) -> bool:
    """Whether a task is stopped."""
    return step.value("SELECT 1 FROM stopped WHERE name = ?", blob(name)) is not None


def go_on(step: Step, following: Next, *, failed: bool) -> int | None:
    """Delay the next run, or stop the task; return the moment, or None if there is none."""
    if is_stopped(step, following.name):
        return None
    if failed and following.stop_if_failed:
        step.do("INSERT INTO stopped VALUES (?, 'failed')", blob(following.name))
        return None
    return _delay(step, following.raw, following.forms, next_moment(step.now, following.frequency))


def _delay(step: Step, raw: str, forms: Iterable[str], at: int) -> int:
    """Let one copy be delayed, to this moment, and no other."""
    _remove_delayed(step, forms)
    delay(step, at, raw)
    return at


def _remove_delayed(step: Step, forms: Iterable[str]) -> int:
    return sum(step.do("DELETE FROM delayed WHERE raw = ?", blob(form)) for form in forms)


def _locks_of(task: Periodic) -> list[FreeLock]:
    return [guard for guard in task.guards if isinstance(guard, FreeLock)]


# one chain


def ensure(step: Step, tasks: Sequence[Periodic], *, thoroughly: bool) -> list[str]:
    """See `Backend.ensure`."""
    return [_ensure(step, task, thoroughly=thoroughly) for task in tasks]


def _ensure(step: Step, task: Periodic, *, thoroughly: bool) -> str:
    found = _find(step, task, thoroughly=thoroughly)
    if found is not None:
        return found
    locks.take(step, _locks_of(task))
    queues.put(step, task.queue, task.raw)
    step.ring(task.queue)
    return Kept.ENQUEUED


def _find(step: Step, task: Periodic, *, thoroughly: bool) -> str | None:
    if is_stopped(step, task.name):
        return Kept.STOPPED
    if any(locks.is_taken(step, key, None) for key in task.holds):
        return Kept.RUNNING
    if _is_locked(step, task, thoroughly=thoroughly):
        return Kept.QUEUED
    moments = [at for form in task.forms for (at,) in step.rows("SELECT at FROM delayed WHERE raw = ?", blob(form))]
    if moments and min(moments) > (latest := next_moment(step.now, task.frequency or 0)):
        _delay(step, task.raw, task.forms, latest)
    if moments:
        return Kept.DELAYED
    if any(unmark(raw) in task.forms for raw in queues.queued(step, task.queue, 0, _FIRST - 1)):
        return Kept.QUEUED
    fresh = "SELECT 1 FROM process WHERE lease_ends <= ? AND lease_ends > ?"
    return Kept.UNSURE if step.value(fresh, step.now, step.now - _PATIENCE) is not None else None


def _is_locked(step: Step, task: Periodic, *, thoroughly: bool) -> bool:
    """Whether a lock of the queued job is held that is to be believed."""
    held = [lock for lock in _locks_of(task) if locks.is_taken(step, lock.key, None)]
    if not held:
        return False
    since = [step.value("SELECT until FROM lock WHERE key = ?", blob(lock.key)) - lock.timeout for lock in held]
    believed = not thoroughly or any(lock.shared for lock in held) or max(since) > step.now - _PATIENCE
    if believed or queues.holds(step, task.queue, task.forms):
        return True
    locks.free(step, (lock.key for lock in held))
    return False


# stopping, and beginning anew


def _remove_all(step: Step, task: Periodic) -> int:
    name = blob(task.queue)
    removed = sum(step.do("DELETE FROM job WHERE queue = ? AND raw = ?", name, blob(form)) for form in task.forms)
    locks.free(step, (lock.key for lock in _locks_of(task)))
    if removed and not queues.length_of(step, task.queue):
        step.hush(task.queue)
    return removed + _remove_delayed(step, task.forms)


def restart(step: Step, task: Periodic) -> int | None:
    """See `Backend.restart`."""
    step.do("DELETE FROM stopped WHERE name = ?", blob(task.name))
    _remove_all(step, task)
    if task.frequency is None:
        step.do("INSERT OR REPLACE INTO seen VALUES (?, ?)", blob(task.name), math.floor(step.now))
        return None
    return _delay(step, task.raw, task.forms, next_moment(step.now, task.frequency))


def stop(step: Step, task: Periodic) -> int:
    """See `Backend.stop_periodic`."""
    step.do("INSERT OR REPLACE INTO stopped VALUES (?, 'asked')", blob(task.name))
    return _remove_all(step, task)


def resume(step: Step, names: Sequence[str], *, failed: bool) -> int:
    """See `Backend.resume`."""
    sql = "DELETE FROM stopped WHERE name = ?" + (" AND why = 'failed'" if failed else "")
    return sum(step.do(sql, blob(name)) for name in names)


# cron


def fire(step: Step, task: Periodic, since: int | None, until: int, times: int) -> str:
    """See `Backend.fire`."""
    name = blob(task.name)
    if step.value("SELECT until FROM seen WHERE name = ?", name) != since:
        return Fired.MISSED
    step.do("INSERT OR REPLACE INTO seen VALUES (?, ?)", name, until)
    if is_stopped(step, task.name):
        return Fired.STOPPED
    for _ in range(times):
        if locks.take(step, task.guards) is None:
            queues.put(step, task.queue, task.raw)
            step.ring(task.queue)
    return Fired.STORED
