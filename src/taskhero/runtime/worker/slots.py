"""The slots of a process: which exist, which are free, which run a job, which retire."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

import attrs

from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Sequence

    from taskhero.backends.protocol import Claim, Process
    from taskhero.models import Job

__all__ = ["WorkerSlot", "WorkerSlots"]


@attrs.define(eq=False)
class WorkerSlot:
    """A task processor: one unit of concurrency, which runs one job at a time.

    Other programs see each slot as a worker.

    Attributes:
        slot: Its number in its process, from 1.
        name: Its name as other programs see it.
        queues: The declared queues in priority order; ``*`` for all others.
        succeeded: Number of jobs that succeeded here.
        failed: Number of jobs that failed here.
        retiring: Whether it takes no more jobs, since it is to be removed.
        claim: The claim of its job, or None.
        start_number: Position of its last job among all jobs that the process started.
        busy: Whether a thread of an ended job still runs here.
        unsettled: Whether the end of its last job could not be recorded yet.
        task: The asyncio task of its job, or None.
        task_name: The name of that asyncio task.
    """

    slot: int
    name: str
    queues: tuple[str, ...]
    succeeded: int = 0
    failed: int = 0
    retiring: bool = False
    claim: Claim | None = attrs.field(default=None, repr=False)
    start_number: int = attrs.field(default=0, repr=False)
    busy: bool = attrs.field(default=False, repr=False)
    unsettled: bool = attrs.field(default=False, repr=False)
    task: asyncio.Task[None] | None = attrs.field(default=None, repr=False)
    task_name: str = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.task_name = f"taskhero {self.name} job"

    @classmethod
    def of(cls, process: Process, slot: int) -> WorkerSlot:
        """Return a new task processor for *slot* of *process*."""
        return cls(slot, process.worker(slot), process.queues)

    @property
    def job(self) -> Job | None:
        """The job that it runs now, or None."""
        claim = self.claim
        return None if claim is None else decode_job(claim.raw, claim.queue)

    @property
    def idle(self) -> bool:
        """Whether it can take a job."""
        return self.claim is None and not self.busy and not self.unsettled

    @property
    def working(self) -> bool:
        """Whether a job runs here, or a thread of an ended job."""
        return self.claim is not None or self.busy


class WorkerSlots:
    """Owns the slots of a process and their states.

    Args:
        process: The owner of the slots.

    Attributes:
        workers: All slots that other programs can see, by number.
        slots: Their numbers. The tuple is replaced and never changed, so other threads may read it.
        free: The slots that can take a job, by number.
        retiring_count: Number of slots that are removed when their job ends.
        deregistering: Numbers of removed slots that are still to be deregistered.
    """

    __slots__ = ("_process", "deregistering", "free", "retiring_count", "slots", "workers")

    def __init__(self, process: Process) -> None:
        self._process = process
        self.workers: dict[int, WorkerSlot] = {}
        self.slots: tuple[int, ...] = ()
        self.free: dict[int, WorkerSlot] = {}
        self.retiring_count = 0
        self.deregistering: set[int] = set()

    @property
    def active_count(self) -> int:
        """The number of slots that are not retiring."""
        return len(self.workers) - self.retiring_count

    def free_numbers(self, number: int) -> tuple[int, ...]:
        """Return the lowest *number* numbers that are not in use."""
        return tuple(
            islice((slot for slot in count(1) if slot not in self.workers and slot not in self.deregistering), number)
        )

    def add(self, slots: Sequence[int]) -> list[WorkerSlot]:
        """Add slots with these numbers, ready for jobs."""
        new = [WorkerSlot.of(self._process, slot) for slot in slots]
        for worker in new:
            self.workers[worker.slot] = self.free[worker.slot] = worker
        self.slots = tuple(self.workers)
        return new

    def keep_retiring(self, number: int) -> int:
        """Keep up to *number* of the retiring slots. Return how many."""
        kept = [worker for worker in self.workers.values() if worker.retiring][:number]
        self.retiring_count -= len(kept)
        for worker in kept:
            worker.retiring = False
            if worker.idle:
                self.free[worker.slot] = worker
        return len(kept)

    def retire(self, number: int) -> int:
        """Retire *number* slots: idle ones first, and of these the highest numbers. Busy ones end their job.

        Returns:
            The number of slots that retire.
        """
        active = [worker for worker in self.workers.values() if not worker.retiring]
        active.sort(key=lambda worker: (not worker.idle, -worker.slot))
        retiring = active[:number]
        self.retiring_count += len(retiring)
        for worker in retiring:
            worker.retiring = True
            self.free.pop(worker.slot, None)
        return len(retiring)

    def pop_retired(self, unsettled: Collection[int]) -> list[WorkerSlot]:
        """Remove and return the retiring slots that are idle and not in *unsettled*."""
        retired = [
            worker
            for worker in self.workers.values()
            if worker.retiring and worker.idle and worker.slot not in unsettled
        ]
        for worker in retired:
            del self.workers[worker.slot]
            self.deregistering.add(worker.slot)
        self.retiring_count -= len(retired)
        self.slots = tuple(self.workers)
        return retired

    def release(self, worker: WorkerSlot) -> None:
        """Make a slot free after its job and all its threads have ended."""
        if worker.idle and not worker.retiring and worker.slot in self.workers:
            self.free[worker.slot] = worker
