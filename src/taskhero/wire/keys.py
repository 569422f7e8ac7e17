"""The names of all Redis keys."""

from __future__ import annotations

__all__ = ["Keys"]


class Keys:
    """The full names of all keys of one namespace.

    Names with ``taskhero:`` belong to taskhero. All others are those of Resque, resque-scheduler and node-resque.

    Args:
        namespace: The prefix of every name, without its colon; ``""`` for none.
        resque_scheduler_prefix: The prefix that Ruby's schedulers put before the name of their lock
            (``RESQUE_SCHEDULER_MASTER_LOCK_PREFIX``).

    Attributes:
        queues: Set of the names of the known queues.
        workers: Set of the workers' ids.
        heartbeats: Hash of worker id to Ruby's heartbeat.
        failed: The failed list.
        failed_queues: Set of the names of Ruby's other failed lists, as ``<queue>_failed``.
        schedule: Sorted set of the due times of delayed jobs.
        processed: Counter of successes.
        failures: Counter of failures.
        pause: While its value is ``true``, no worker claims jobs.
        ruby_master_lock: Lock of the scheduler of resque-scheduler. Its name contains the namespace twice.
        processes: Sorted set of the processes of taskhero and when their leases end, in ms.
        renewals: Sorted set of the processes of taskhero and the number of the last renewal of each.
        leases: Hash of process to the length of its lease in ms; under the empty name, the last renewal number.
        leader: Lease of taskhero's leader.
        periodic: Hash of name to periodic task that processes declare.
        stopped: Hash of periodic task to why it is stopped.
        cron_cursors: Hash of cron task to the Unix second up to which its fire times have fired or were skipped.
        wake_new: Wake list for new queues.
        wake_schedule: Wake list of schedulers, for an earlier due time.
        foreign_heartbeats: Hash of the id of another program's worker to the last change of its heartbeat.
        tracking_lease: Lease of the process whose tracking listener learns about pushes of other programs.
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
        # resque-scheduler writes the namespace into the name, and its connection prefixes it once more.
        lock_prefix = f"{resque_scheduler_prefix}:" if resque_scheduler_prefix else ""
        self.ruby_master_lock = f"{prefix}{namespace}:{lock_prefix}resque_scheduler_master_lock"
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
        """Return the key of the list of the jobs in *queue*."""
        return self._queue + queue

    def delayed(self, at: int) -> str:
        """Return the key of the list of the jobs delayed to the Unix second *at*."""
        return f"{self._delayed}{at}"

    def timestamps(self, raw: str) -> str:
        """Return the key of the set of the due times of exactly this payload, as ``delayed:<second>``."""
        return self._timestamps + raw

    def spelled(self, meaning: str) -> str:
        """Return the key of the set of payloads that settlements delayed with one meaning: ``<second> <payload>``."""
        return f"{self._prefix}taskhero:spelled:{meaning}"

    def worker(self, worker_id: str) -> str:
        """Return the key of the claim of the worker with this id."""
        return self._worker + worker_id

    def started(self, worker_id: str) -> str:
        """Return the key of the start time of the worker with this id."""
        return f"{self._worker}{worker_id}:started"

    def ping(self, worker: str) -> str:
        """Return the key of the heartbeat that node-resque reads, by the worker's name."""
        return self._ping + worker

    def processed_by(self, worker: str) -> str:
        """Return the key of the counter of one worker's successes."""
        return self._processed_by + worker

    def failed_by(self, worker: str) -> str:
        """Return the key of the counter of one worker's failures."""
        return self._failed_by + worker

    def named(self, rest: str) -> str:
        """Return the key with any other name, such as that of a lock."""
        return self._prefix + rest

    def wake(self, queue: str) -> str:
        """Return the key of the wake list of *queue*."""
        return self._wake + queue
