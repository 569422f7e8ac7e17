"""The frequency or cron schedule of a periodic task, and the jobs that are copies of its own job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from taskhero.models import Job
from taskhero.wire.jobs import equivalent_payloads, forms_without_args, is_nothing

if TYPE_CHECKING:
    from taskhero.engine.time.cron import CronSchedule
    from taskhero.engine.time.misfires import Misfire

__all__ = ["IMPLIED_PLUGINS", "Recurrence"]

#: Plugins with their options that a task with a frequency has by default, unless it names them itself.
#: As in ActionHero, a second copy of the job is neither stored nor run.
IMPLIED_PLUGINS: dict[str, dict[str, Any]] = {"job-lock": {"requeue": False}, "queue-lock": {}, "delay-queue-lock": {}}


@attrs.frozen(kw_only=True)
class Recurrence:
    """When a task runs periodically.

    The task runs as a job without arguments, its own job. Programs write this as ``[{}]``, ``[null]`` or ``[]``. All
    such jobs are copies of one job: they share locks, and are stopped together. A job with arguments is not periodic.

    Attributes:
        name: The task's name.
        args: The arguments of its own job: ``[{}]`` as ActionHero writes it, or ``[]`` for a task whose parameters are
            positional and have defaults.
        frequency: Seconds from the end of a run to the next one, or None.
        reenqueue_on_error: Whether it runs again after a failure.
        schedule: The cron schedule, or None.
        misfire: The policy for fire times that were missed.
    """

    name: str
    args: list[Any]
    frequency: float | None = None
    reenqueue_on_error: bool = True
    schedule: CronSchedule | None = None
    misfire: Misfire = "once"

    def is_its_own(self, args: list[Any]) -> bool:
        """Return whether a job with these arguments is a copy of the task's own job."""
        return is_nothing(args) if self.args else not args

    def job(self, queue: str) -> Job:
        """Return the task's own job."""
        return Job(self.name, self.args, queue)

    def one_of(self, job: Job) -> Job:
        """Return the representative of all copies of *job*. Plugins derive locks and guards from it."""
        return self.job(job.queue) if self.is_its_own(job.args) else job

    def equivalent_payloads(self, job: Job) -> tuple[str, ...]:
        """Return all payloads of copies of *job*; none if *job* is not a copy of the task's own job."""
        if not self.is_its_own(job.args):
            return ()
        payloads: list[list[Any]] = [[{}], [None], []] if self.args else [[]]
        usual = [form for args in payloads for form in equivalent_payloads(self.name, args, job.queue)]
        return (*usual, *forms_without_args(self.name, job.queue))
