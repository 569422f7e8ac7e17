"""The slots of a process: which exist, which are free, which run a job, which are retiring."""

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
    """A task processor: one place in which one job at a time runs.

    Others see it as a worker of its own.

    Attributes:
        slot: Its number in its process, from 1.
        name: Its name as others see it.
        queues: The queues it works as declared, in priority order; ``*`` for all others.
        succeeded: How many jobs succeeded here.
        failed: How many jobs failed here.
        retiring: Whether it takes no more jobs, since it is to go.
        claim: What it claimed and works on, or None.
        turn: The number of the job that it began last, among all that the process began.
        busy: Whether a thread still runs here of a job that is over.
        unsettled: Whether the end of its last job could not be recorded yet.
    """

    slot: int
    name: str
    queues: tuple[str, ...]
    succeeded: int = 0
    failed: int = 0
    retiring: bool = False
    claim: Claim | None = attrs.field(default=None, repr=False)
    turn: int = attrs.field(default=0, repr=False)
    busy: bool = attrs.field(default=False, repr=False)
    unsettled: bool = attrs.field(default=False, repr=False)
    task: asyncio.Task[None] | None = attrs.field(default=None, repr=False)
    task_name: str = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.task_name = f"taskhero {self.name} works a job"

    @classmethod
    def of(cls, process: Process, slot: int) -> WorkerSlot:
        """The task processor in *slot* of *process*."""
        return cls(slot, process.worker(slot), process.queues)

    @property
    def job(self) -> Job | None:
        """The job it works just now, or None."""
        claim = self.claim
        return None if claim is None else decode_job(claim.raw, claim.queue)

    @property
    def idle(self) -> bool:
        """Whether it could be given a job."""
        return self.claim is None and not self.busy and not self.unsettled

    @property
    def working(self) -> bool:
        """Whether a job runs here, or a thread of a job that is over already."""
        return self.claim is not None or self.busy


class WorkerSlots:
    """Keeps account of the task processors.

    Args:
        process: Whose task processors they are.

    Attributes:
        workers: All that others can see, by slot.
        slots: Their slots, as a tuple that is replaced and never changed, so that other threads may read it.
        free: Those that may be given a job, by slot.
        retiring_count: How many are to go once their job is over.
        deregistering: Slots that are no longer here, but yet to be taken from view.
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
        """How many there are that are not to go."""
        return len(self.workers) - self.retiring_count

    def free_numbers(self, number: int) -> tuple[int, ...]:
        """The lowest *number* slots that nobody has."""
        return tuple(
            islice((slot for slot in count(1) if slot not in self.workers and slot not in self.deregistering), number)
        )

    def add(self, slots: Sequence[int]) -> list[WorkerSlot]:
        """Put new task processors into these slots, ready for jobs."""
        new = [WorkerSlot.of(self._process, slot) for slot in slots]
        for worker in new:
            self.workers[worker.slot] = self.free[worker.slot] = worker
        self.slots = tuple(self.workers)
        return new

    def keep_retiring(self, number: int) -> int:
        """Let up to *number* that were to go stay; return how many."""
        kept = [worker for worker in self.workers.values() if worker.retiring][:number]
        self.retiring_count -= len(kept)
        for worker in kept:
            worker.retiring = False
            if worker.idle:
                self.free[worker.slot] = worker
        return len(kept)

    def retire(self, number: int) -> int:
        """Let *number* go, idle ones first and of these the highest slots; busy ones end their job before.

        Returns:
            How many were told to go.
        """
        staying = [worker for worker in self.workers.values() if not worker.retiring]
        staying.sort(key=lambda worker: (not worker.idle, -worker.slot))
        dismissed = staying[:number]
        self.retiring_count += len(dismissed)
        for worker in dismissed:
            worker.retiring = True
            self.free.pop(worker.slot, None)
        return len(dismissed)

    def pop_retired(self, unsettled: Collection[int]) -> list[WorkerSlot]:
        """Take from here those who are to go and have nothing left to do, but for *unsettled* slots."""
        gone = [
            worker
            for worker in self.workers.values()
            if worker.retiring and worker.idle and worker.slot not in unsettled
        ]
        for worker in gone:
            del self.workers[worker.slot]
            self.deregistering.add(worker.slot)
        self.retiring_count -= len(gone)
        self.slots = tuple(self.workers)
        return gone

    def release(self, worker: WorkerSlot) -> None:
        """The job of *worker* is over, recorded or about to be, and no thread of it runs any more."""
        if worker.idle and not worker.retiring and worker.slot in self.workers:
            self.free[worker.slot] = worker
