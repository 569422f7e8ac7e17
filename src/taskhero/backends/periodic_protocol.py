"""The part of the contract about periodic tasks; the rules are those of `taskhero.backends.protocol`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.periodic_tasks import PeriodicTask, PeriodicTasksReply

__all__ = ["PeriodicTaskVerbs"]


class PeriodicTaskVerbs(Protocol):
    """A store that keeps periodic tasks going."""

    async def declare_periodic(
        self, declared: Sequence[PeriodicTask] = (), lifetime: float = 0.0
    ) -> PeriodicTasksReply:
        """Note that these tasks are declared, for *lifetime* seconds from now; return all that are known.

        Who declares a name again replaces what is known of it. What nobody declares any more is forgotten when its
        lifetime is over, but not whether it is stopped. Of a task by cron that is new, all slots until now are seen.
        """
        ...

    async def ensure_periodic(self, tasks: Sequence[PeriodicTask], *, full_scan: bool = False) -> Sequence[str]:
        """See to it that each of these tasks with a frequency runs again; the answer is a `EnsureResult` for each.

        Each task is one atomic step: of many who ask at once, one enqueues it, with the locks that its guards name, and
        wakes as `push` does. It counts as queued, too, if its text, rescued or not, is among the first hundred of its
        queue. If all its copies are delayed for longer than its frequency, one takes their place that is not. While the
        time of a lease, by the backend's clock, is over for less than a minute, nothing is enqueued. With *full_scan*,
        a lock of queued jobs that is not shared and has been held for more than a minute counts as free if its queue
        holds no text of the task.
        """
        ...

    async def restart_periodic(self, task: PeriodicTask) -> int | None:
        """Let a task begin anew, stopped or not; return the moment of its next run, in whole unix seconds.

        Its copies go, queued (rescued ones among the first hundred) and delayed, and so do the locks that its guards
        name; one is delayed by its frequency, as for `NextRun`. A task by cron goes on with its next slot, and the
        answer is None.
        """
        ...

    async def stop_periodic(self, task: PeriodicTask) -> int:
        """Stop a task until `restart_periodic` or `resume_periodic`; return how many copies were queued or delayed.

        They go as with `restart_periodic`, and so do the locks that its guards name. A run that is under way goes on,
        and is the last one.
        """
        ...

    async def resume_periodic(self, names: Sequence[str], *, failed: bool = False) -> int:
        """Stop these tasks no longer; return how many were stopped. With *failed*, only what a failure stopped."""
        ...

    async def fire_cron(self, task: PeriodicTask, expected_cursor: int | None, new_cursor: int, count: int) -> str:
        """Store *count* jobs of a cron task and move its cursor to *new_cursor*; the answer is a `FireResult`.

        That is done only if they were seen until *expected_cursor*: of two who fire the same slots, one does. Guards
        hold as for `push`, and waiting processes are woken as by it.
        """
        ...
