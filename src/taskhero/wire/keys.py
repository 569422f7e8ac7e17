"""Names of everything that lies in Redis."""

from __future__ import annotations

__all__ = ["Keys"]


class Keys:
    """The full names of all keys under one namespace.

    Names with ``taskhero:`` are taskhero's own; all others are those of Resque, resque-scheduler and node-resque.

    Args:
        namespace: What stands before every name, with a colon between; ``""`` for nothing.
        resque_scheduler_prefix: What Ruby's schedulers were told to put before the name of their lock.

    Attributes:
        queues: Set of the known queues' names.
        workers: Set of the workers' ids.
        heartbeats: Hash of worker id to Ruby's sign of life.
        failed: List of the failures.
        failed_queues: Set of the names of Ruby's other lists of failures, as ``<queue>_failed``.
        schedule: Sorted set of the moments for which something is delayed.
        processed: Counter of successes.
        failures: Counter of failures.
        pause: While its value is ``true``, no worker claims jobs.
        ruby_master_lock: Held by the scheduler of resque-scheduler; the namespace stands in it twice.
        processes: Our processes and when the times of their leases end.
        renewals: Our processes and the number of each one's last renewal.
        leases: Hash of our process to the milliseconds of its lease; under the empty name, the last renewal.
        leader: Lease of our leader.
        periodic: Periodic tasks that processes declare, by name.
        stopped: Why periodic tasks are stopped, by name.
        cron_cursors: Until when the slots of tasks by cron were fired or left out, by name.
        wake_new: Where a process waits for queues that are new.
        wake_schedule: Where a scheduler waits for an earlier moment.
        foreign_heartbeats: Hash of another program's worker's id to the last change of its signs of life.
        tracking_lease: Lease of the process that watches for what other programs push.
    """

    __slots__ = (
        "_delayed",
        "_failed_by",
        "_ping",
        "_prefix",
        "_processed_by",
        "_queue",
        "_timestamps",
        "_wake",
        "_worker",
        "cron_cursors",
        "failed",
        "failed_queues",
        "failures",
        "foreign_heartbeats",
        "heartbeats",
        "leader",
        "leases",
        "namespace",
        "pause",
        "periodic",
        "processed",
        "processes",
        "queues",
        "renewals",
        "ruby_master_lock",
        "schedule",
        "stopped",
        "taskhero_workers",
        "tracking_lease",
        "wake_new",
        "wake_schedule",
        "workers",
    )

    def __init__(self, namespace: str = "resque", *, resque_scheduler_prefix: str = "") -> None:
        prefix = f"{namespace}:" if namespace else ""
        self.namespace = namespace
        self._prefix = prefix
        self._queue = f"{prefix}queue:"
        self._delayed = f"{prefix}delayed:"
        self._timestamps = f"{prefix}timestamps:"
        self._worker = f"{prefix}worker:"
        self._ping = f"{prefix}worker:ping:"
        self._processed_by = f"{prefix}stat:processed:"
        self._failed_by = f"{prefix}stat:failed:"
        self._wake = f"{prefix}taskhero:wake:"
        self.queues = f"{prefix}queues"
        self.workers = f"{prefix}workers"
        self.heartbeats = f"{prefix}workers:heartbeat"
        self.failed = f"{prefix}failed"
        self.failed_queues = f"{prefix}failed_queues"
        self.schedule = f"{prefix}delayed_queue_schedule"
        self.processed = f"{prefix}stat:processed"
        self.failures = f"{prefix}stat:failed"
        self.pause = f"{prefix}pause-all-workers"
        # resque-scheduler writes the namespace into the name, and its connection puts it before the name once more.
        chosen = f"{resque_scheduler_prefix}:" if resque_scheduler_prefix else ""
        self.ruby_master_lock = f"{prefix}{namespace}:{chosen}resque_scheduler_master_lock"
        self.processes = f"{prefix}taskhero:processes"
        self.renewals = f"{prefix}taskhero:renewals"
        self.leases = f"{prefix}taskhero:leases"
        self.taskhero_workers = f"{prefix}taskhero:workers"
        self.leader = f"{prefix}taskhero:leader"
        self.periodic = f"{prefix}taskhero:periodic"
        self.stopped = f"{prefix}taskhero:stopped"
        self.cron_cursors = f"{prefix}taskhero:seen"
        self.wake_new = f"{prefix}taskhero:wake-new"
        self.wake_schedule = f"{prefix}taskhero:wake-schedule"
        self.foreign_heartbeats = f"{prefix}taskhero:signs"
        self.tracking_lease = f"{prefix}taskhero:sentry"

    def __repr__(self) -> str:
        return f"Keys({self.namespace!r})"

    def queue(self, queue: str) -> str:
        """List of the jobs in *queue*."""
        return self._queue + queue

    def delayed(self, at: int) -> str:
        """List of the jobs delayed to the unix second *at*."""
        return f"{self._delayed}{at}"

    def timestamps(self, raw: str) -> str:
        """Set of the moments to which exactly this text is delayed, as ``delayed:<second>``."""
        return self._timestamps + raw

    def spelled(self, meaning: str) -> str:
        """Set of what endings delayed of one meaning, each as ``<second> <text>``."""
        return f"{self._prefix}taskhero:spelled:{meaning}"

    def worker(self, worker_id: str) -> str:
        """What the worker with this id is busy with."""
        return self._worker + worker_id

    def started(self, worker_id: str) -> str:
        """When the worker with this id was started."""
        return f"{self._worker}{worker_id}:started"

    def ping(self, worker: str) -> str:
        """The sign of life that node-resque looks for, by the worker's name."""
        return self._ping + worker

    def processed_by(self, worker: str) -> str:
        """Counter of one worker's successes."""
        return self._processed_by + worker

    def failed_by(self, worker: str) -> str:
        """Counter of one worker's failures."""
        return self._failed_by + worker

    def named(self, rest: str) -> str:
        """The key with any other name, such as that of a lock."""
        return self._prefix + rest

    def wake(self, queue: str) -> str:
        """Where a process waits for jobs in *queue*."""
        return self._wake + queue
