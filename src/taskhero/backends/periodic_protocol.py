"""The part of the contract about periodic tasks; the rules are those of `taskhero.backends.protocol`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.records.periodic_tasks import Periodic, Periodics

__all__ = ["Repeating"]


class Repeating(Protocol):
    """A store that keeps periodic tasks going."""

    async def periodic(self, declared: Sequence[Periodic] = (), lifetime: float = 0.0) -> Periodics:
        """Note that these tasks are declared, for *lifetime* seconds from now; return all that are known.

        Who declares a name again replaces what is known of it. What nobody declares any more is forgotten when its
        lifetime is over, but not whether it is stopped. Of a task by cron that is new, all slots until now are seen.
        """
        ...

    async def ensure(self, tasks: Sequence[Periodic], *, thoroughly: bool = False) -> Sequence[str]:
        """See to it that each of these tasks with a frequency runs again; the answer is a `Kept` for each.

        Each task is one atomic step: of many who ask at once, one enqueues it, with the locks that its guards name, and
        wakes as `push` does. It counts as queued, too, if its text, rescued or not, is among the first hundred of its
        queue. If all its copies are delayed for longer than its frequency, one takes their place that is not. While the
        time of a lease, by the backend's clock, is over for less than a minute, nothing is enqueued. With *thoroughly*,
        a lock of queued jobs that is not shared and has been held for more than a minute counts as free if its queue
        holds no text of the task.
        """
        ...

    async def restart(self, task: Periodic) -> int | None:
        """Let a task begin anew, stopped or not; return the moment of its next run, in whole unix seconds.

        Its copies go, queued (rescued ones among the first hundred) and delayed, and so do the locks that its guards
        name; one is delayed by its frequency, as for `Next`. A task by cron goes on with its next slot, and the answer
        is None.
        """
        ...

    async def stop_periodic(self, task: Periodic) -> int:
        """Stop a task until `restart` or `resume`; return how many copies of it were queued or delayed.

        They go as with `restart`, and so do the locks that its guards name. A run that is under way goes on, and is the
        last one.
        """
        ...

    async def resume(self, names: Sequence[str], *, failed: bool = False) -> int:
        """Stop these tasks no longer; return how many were stopped. With *failed*, only what a failure stopped."""
        ...

    async def fire(self, task: Periodic, since: int | None, until: int, times: int) -> str:
        """Store *times* jobs of a task by cron, and note that its slots until *until* are seen; a `Fired` tells.

        That is done only if they were seen until *since*: of two who fire the same slots, one does. Guards hold as for
        `push`, and waiting processes are woken as by it.
        """
        ...
