"""Periodic tasks: what is known of them, and how they are kept going."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.backends.protocol import (
    EnsureResult,
    Entry,
    FireResult,
    KnownPeriodicTask,
    NotDelayed,
    PeriodicTask,
    PeriodicTasksReply,
    QueueLockGuard,
    StopReason,
)
from taskhero.backends.records.periodic_tasks import decode_stop_reason
from taskhero_sqlite import locks, next_runs, queues, schedule
from taskhero_sqlite.steps import blob, text
from taskhero_sqlite.work import may_hold_jobs_of_the_dead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Guard
    from taskhero_sqlite.steps import Step

__all__ = ["declare", "ensure_periodic", "fire_cron", "known", "restart_periodic", "resume_periodic", "stop_periodic"]

#: Seconds for which a lock of queued jobs is believed without a look into the queue.
_PATIENCE = 60.0
#: So many of a queue's first texts are looked through.
_FIRST = 100


# --- what is known


def declare(step: Step, declared: Sequence[PeriodicTask], lifetime: float) -> PeriodicTasksReply:
    """See `Backend.declare_periodic`."""
    for task in declared:
        name, definition = blob(task.name), blob(json.dumps(attrs.asdict(task), ensure_ascii=False))
        step.do("INSERT OR REPLACE INTO periodic VALUES (?, ?, ?)", name, definition, step.now + lifetime)
        if task.cron is not None:
            step.do("INSERT OR IGNORE INTO seen VALUES (?, ?)", name, int(step.now))
    step.do("DELETE FROM periodic WHERE until <= ?", step.now)
    return known(step)


def known(step: Step) -> PeriodicTasksReply:
    """What is declared by anybody, and what is stopped."""
    rows = step.rows(
        "SELECT definition, why, seen.until FROM periodic LEFT JOIN stopped USING (name) LEFT JOIN seen USING (name) "
        "WHERE periodic.until > ? ORDER BY name",
        step.now,
    )
    tasks = [
        (_task_of(text(definition)), None if why is None else decode_stop_reason(why), seen)
        for definition, why, seen in rows
    ]
    return PeriodicTasksReply(
        now=step.now,
        tasks=[
            KnownPeriodicTask(task=task, stopped=why, cron_cursor=None if task.cron is None else seen)
            for task, why, seen in tasks
            if task is not None
        ],
        stopped={text(name): decode_stop_reason(why) for name, why in step.rows("SELECT name, why FROM stopped")},
    )


def _task_of(definition: str) -> PeriodicTask | None:
    try:
        fields: dict[str, Any] = json.loads(definition)
        given = {name: value for name, value in fields.items() if name in attrs.fields_dict(PeriodicTask)}
        given |= {name: tuple(given[name]) for name in ("equivalent_payloads", "holds")}
        return PeriodicTask(**{**given, "guards": tuple(map(_guard_of, given["guards"]))})
    except (KeyError, TypeError, ValueError, AttributeError):
        # Written by another version of taskhero.
        return None


def _guard_of(fields: dict[str, Any]) -> Guard:
    return (
        QueueLockGuard(**fields)
        if "key" in fields
        else NotDelayed(tuple(fields["equivalent_payloads"]), fields.get("meaning"))
    )


# --- one chain


def ensure_periodic(step: Step, tasks: Sequence[PeriodicTask], *, thoroughly: bool) -> list[EnsureResult]:
    """See `Backend.ensure_periodic`."""
    return [_ensure(step, task, thoroughly=thoroughly) for task in tasks]


def _ensure(step: Step, task: PeriodicTask, *, thoroughly: bool) -> EnsureResult:
    if next_runs.is_stopped(step, task.name):
        return EnsureResult.STOPPED
    if any(locks.is_taken(step, key, None) for key in task.holds):
        return EnsureResult.RUNNING
    if _is_queued(step, task, thoroughly=thoroughly):
        return EnsureResult.QUEUED
    due_times = schedule.copies(step, task.equivalent_payloads).values()
    if due_times:
        latest = next_runs.next_due_time(step.now, task.frequency or 0.0)
        if min(due_times) > latest:
            next_runs.delay_only(step, latest, task.raw, task.equivalent_payloads)
        return EnsureResult.DELAYED
    if may_hold_jobs_of_the_dead(step):
        return EnsureResult.UNSURE
    # Who holds a lock now has left it behind.
    locks.take_over(step, task.guards)
    queues.put(step, task.queue, task.raw)
    step.ring(task.queue)
    return EnsureResult.ENQUEUED


def _is_queued(step: Step, task: PeriodicTask, *, thoroughly: bool) -> bool:
    if queues.stands_first(step, task.queue, task.equivalent_payloads, _FIRST):
        return True
    held = [
        (guard, until)
        for guard in task.guards
        if isinstance(guard, QueueLockGuard) and (until := locks.held_until(step, guard.key)) is not None
    ]
    if not held or not thoroughly or any(guard.shared for guard, _ in held):
        return bool(held)
    if max(until - guard.timeout for guard, until in held) > step.now - _PATIENCE:
        return True
    return bool(queues.copies(step, task.queue, task.equivalent_payloads))


# --- stopping, and beginning anew


def restart_periodic(step: Step, task: PeriodicTask) -> int | None:
    """See `Backend.restart_periodic`."""
    resume_periodic(step, (task.name,), failed=False)
    _remove_all(step, task)
    if task.frequency is None:
        _see(step, task.name, int(step.now))
        return None
    return next_runs.delay_only(
        step, next_runs.next_due_time(step.now, task.frequency), task.raw, task.equivalent_payloads
    )


def stop_periodic(step: Step, task: PeriodicTask) -> int:
    """See `Backend.stop_periodic`."""
    next_runs.stop(step, task.name, StopReason.ASKED)
    return _remove_all(step, task)


def _remove_all(step: Step, task: PeriodicTask) -> int:
    """Remove all copies, queued and delayed, and the locks of queued ones; return how many there were."""
    locks.free(step, [guard.key for guard in task.guards if isinstance(guard, QueueLockGuard)])
    return queues.remove_copies(step, task.queue, task.equivalent_payloads) + schedule.remove_copies(
        step, task.equivalent_payloads
    )


def resume_periodic(step: Step, names: Sequence[str], *, failed: bool) -> int:
    """See `Backend.resume_periodic`."""
    if failed:
        sql = "DELETE FROM stopped WHERE name = ? AND why = ?"
        return sum(step.do(sql, blob(name), StopReason.FAILED.value) for name in names)
    return sum(step.do("DELETE FROM stopped WHERE name = ?", blob(name)) for name in names)


# --- tasks by cron


def fire_cron(step: Step, task: PeriodicTask, since: int | None, until: int, times: int) -> FireResult:
    """See `Backend.fire_cron`."""
    if step.value("SELECT until FROM seen WHERE name = ?", blob(task.name)) != since:
        return FireResult.MISSED
    _see(step, task.name, until)
    if next_runs.is_stopped(step, task.name):
        return FireResult.STOPPED
    queues.push(step, [Entry(task.queue, task.raw, guards=task.guards)] * times)
    return FireResult.STORED


def _see(step: Step, name: str, until: int) -> None:
    step.do("INSERT OR REPLACE INTO seen VALUES (?, ?)", blob(name), until)
