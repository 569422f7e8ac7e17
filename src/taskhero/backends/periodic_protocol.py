"""The verbs for periodic tasks; the rules of `taskhero.backends.protocol` apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.periodic_tasks import EnsureResult, FireResult, PeriodicTask, PeriodicTasksReply

__all__ = ["PeriodicTaskVerbs"]


class PeriodicTaskVerbs(Protocol):
    """Verbs that store, enqueue, stop and restart periodic tasks."""

    async def declare_periodic(
        self, declared: Sequence[PeriodicTask] = (), lifetime: float = 0.0
    ) -> PeriodicTasksReply:
        """Store that these tasks are declared for *lifetime* seconds from now, and return all known tasks.

        A new declaration of a name replaces the old one. A declaration expires after its lifetime, but whether the task
        is stopped stays stored. The cron cursor of a new cron task is now, so that all earlier fire times count as
        fired.
        """
        ...

    async def ensure_periodic(
        self, tasks: Sequence[PeriodicTask], *, full_scan: bool = False
    ) -> Sequence[EnsureResult]:
        """Ensure that each of these tasks with a frequency runs again, and return an `EnsureResult` for each.

        Each task is one atomic step: of several concurrent calls, one enqueues it. That call takes the locks that its
        guards name, and wakes processes as `push` does. A task also counts as queued if its payload, rescued or not, is
        among the first 100 of its queue. If all its copies are delayed for longer than its frequency, one that is
        delayed by its frequency replaces them. If a lease expired less than 60 seconds ago, by the backend's clock,
        nothing is enqueued. With *full_scan*, a queue lock counts as free if the queue holds no payload of the task.
        That applies to locks that are not shared and were taken more than 60 seconds ago.
        """
        ...

    async def restart_periodic(self, task: PeriodicTask) -> int | None:
        """Restart a task, stopped or not, and return the due time of its next run in whole Unix seconds.

        Its queued copies (rescued ones among the first 100) and its delayed copies are removed. The locks that its
        guards name are released. One copy is delayed by its frequency, as for `NextRun`. A cron task continues with its
        next fire time, and the result is None.
        """
        ...

    async def stop_periodic(self, task: PeriodicTask) -> int:
        """Stop a task until `restart_periodic` or `resume_periodic`.

        Return the number of its queued and delayed copies. They are removed, and the locks that its guards name are
        released, as by `restart_periodic`. A current run continues and is the last one.
        """
        ...

    async def resume_periodic(self, names: Sequence[str], *, failed: bool = False) -> int:
        """End the stop of these tasks, and return how many were stopped.

        With *failed*, only tasks that a failure stopped are resumed.
        """
        ...

    async def fire_cron(
        self, task: PeriodicTask, expected_cursor: int | None, new_cursor: int, count: int
    ) -> FireResult:
        """Store *count* jobs of a cron task, move its cursor to *new_cursor*, and return a `FireResult`.

        That happens only if the cursor is *expected_cursor*: of two calls for the same fire times, one succeeds. Guards
        apply and waiting processes wake up as with `push`.
        """
        ...
