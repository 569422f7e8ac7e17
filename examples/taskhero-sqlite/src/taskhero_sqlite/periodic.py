"""Periodic tasks: what is known of them, and how they are kept going."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.backends.protocol import Entry, Fired, FreeLock, Kept, KnownPeriodic, NotDelayed, Periodic, Periodics
from taskhero_sqlite import locks, next_runs, queues, schedule
from taskhero_sqlite.steps import blob, text
from taskhero_sqlite.work import may_hold_jobs_of_the_dead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Guard
    from taskhero_sqlite.steps import Step

__all__ = ["declare", "ensure", "fire", "known", "restart", "resume", "stop_periodic"]

#: Seconds for which a lock of queued jobs is believed without a look into the queue.
_PATIENCE = 60.0
#: So many of a queue's first texts are looked through.
_FIRST = 100


# --- what is known


def declare(step: Step, declared: Sequence[Periodic], lifetime: float) -> Periodics:
    """See `Backend.periodic`."""
    for task in declared:
        name, definition = blob(task.name), blob(json.dumps(attrs.asdict(task), ensure_ascii=False))
        step.do("INSERT OR REPLACE INTO periodic VALUES (?, ?, ?)", name, definition, step.now + lifetime)
        if task.cron is not None:
            step.do("INSERT OR IGNORE INTO seen VALUES (?, ?)", name, int(step.now))
    step.do("DELETE FROM periodic WHERE until <= ?", step.now)
    return known(step)


def known(step: Step) -> Periodics:
    """What is declared by anybody, and what is stopped."""
    rows = step.rows(
        "SELECT definition, why, seen.until FROM periodic LEFT JOIN stopped USING (name) LEFT JOIN seen USING (name) "
        "WHERE periodic.until > ? ORDER BY name",
        step.now,
    )
    tasks = [(_task_of(text(definition)), why, seen) for definition, why, seen in rows]
    return Periodics(
        now=step.now,
        tasks=[
            KnownPeriodic(task=task, stopped=why, seen=None if task.cron is None else seen)
            for task, why, seen in tasks
            if task is not None
        ],
        stopped={text(name): why for name, why in step.rows("SELECT name, why FROM stopped")},
    )


def _task_of(definition: str) -> Periodic | None:
    try:
        fields: dict[str, Any] = json.loads(definition)
        given = {name: value for name, value in fields.items() if name in attrs.fields_dict(Periodic)}
        given |= {name: tuple(given[name]) for name in ("forms", "holds")}
        return Periodic(**{**given, "guards": tuple(map(_guard_of, given["guards"]))})
    except (KeyError, TypeError, ValueError, AttributeError):
        # Written by another version of taskhero.
        return None


def _guard_of(fields: dict[str, Any]) -> Guard:
    return FreeLock(**fields) if "key" in fields else NotDelayed(tuple(fields["forms"]), fields.get("meaning"))


# --- one chain


def ensure(step: Step, tasks: Sequence[Periodic], *, thoroughly: bool) -> list[str]:
    """See `Backend.ensure`."""
    return [_ensure(step, task, thoroughly=thoroughly) for task in tasks]


def _ensure(step: Step, task: Periodic, *, thoroughly: bool) -> str:
    if next_runs.is_stopped(step, task.name):
        return Kept.STOPPED
    if any(locks.is_taken(step, key, None) for key in task.holds):
        return Kept.RUNNING
    if _is_queued(step, task, thoroughly=thoroughly):
        return Kept.QUEUED
    moments = schedule.copies(step, task.forms).values()
    if moments:
        latest = next_runs.next_moment(step.now, task.frequency or 0.0)
        if min(moments) > latest:
            next_runs.delay_only(step, latest, task.raw, task.forms)
        return Kept.DELAYED
    if may_hold_jobs_of_the_dead(step):
        return Kept.UNSURE
    # Who holds a lock now has left it behind.
    locks.take_over(step, task.guards)
    queues.put(step, task.queue, task.raw)
    step.ring(task.queue)
    return Kept.ENQUEUED


def _is_queued(step: Step, task: Periodic, *, thoroughly: bool) -> bool:
    if queues.stands_first(step, task.queue, task.forms, _FIRST):
        return True
    held = [
        (guard, until)
        for guard in task.guards
        if isinstance(guard, FreeLock) and (until := locks.held_until(step, guard.key)) is not None
    ]
    if not held or not thoroughly or any(guard.shared for guard, _ in held):
        return bool(held)
    if max(until - guard.timeout for guard, until in held) > step.now - _PATIENCE:
        return True
    return bool(queues.copies(step, task.queue, task.forms))


# --- stopping, and beginning anew


def restart(step: Step, task: Periodic) -> int | None:
    """See `Backend.restart`."""
    resume(step, (task.name,), failed=False)
    _remove_all(step, task)
    if task.frequency is None:
        _see(step, task.name, int(step.now))
        return None
    return next_runs.delay_only(step, next_runs.next_moment(step.now, task.frequency), task.raw, task.forms)


def stop_periodic(step: Step, task: Periodic) -> int:
    """See `Backend.stop_periodic`."""
    next_runs.stop(step, task.name, "asked")
    return _remove_all(step, task)


def _remove_all(step: Step, task: Periodic) -> int:
    """Remove all copies, queued and delayed, and the locks of queued ones; return how many there were."""
    locks.free(step, [guard.key for guard in task.guards if isinstance(guard, FreeLock)])
    return queues.remove_copies(step, task.queue, task.forms) + schedule.remove_copies(step, task.forms)


def resume(step: Step, names: Sequence[str], *, failed: bool) -> int:
    """See `Backend.resume`."""
    sql = "DELETE FROM stopped WHERE name = ?" + (" AND why = 'failed'" if failed else "")
    return sum(step.do(sql, blob(name)) for name in names)


# --- tasks by cron


def fire(step: Step, task: Periodic, since: int | None, until: int, times: int) -> str:
    """See `Backend.fire`."""
    if step.value("SELECT until FROM seen WHERE name = ?", blob(task.name)) != since:
        return Fired.MISSED
    _see(step, task.name, until)
    if next_runs.is_stopped(step, task.name):
        return Fired.STOPPED
    queues.push(step, [Entry(task.queue, task.raw, guards=task.guards)] * times)
    return Fired.STORED


def _see(step: Step, name: str, until: int) -> None:
    step.do("INSERT OR REPLACE INTO seen VALUES (?, ?)", blob(name), until)
