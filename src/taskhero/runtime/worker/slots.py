"""The slots of a process: their states, and the transitions between these."""

from __future__ import annotations

from enum import Enum
from itertools import count, islice
from typing import TYPE_CHECKING

import attrs

from taskhero.backends.protocol import Failed, Retried, Succeeded
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from taskhero.backends.protocol import Claim, Disposition, Process
    from taskhero.models import Job

__all__ = ["SlotState", "WorkerSlot", "WorkerSlots"]


class SlotState(Enum):
    """What a slot does. `taskhero.runtime.worker` has a diagram of the transitions."""

    IDLE = "idle"  #: takes the next job
    CLAIMED = "claimed"  #: holds a quarantined job that has not started
    RUNNING = "running"  #: its job runs
    DRAINING = "draining"  #: its job ended, but a thread of it, or a task that ignores its cancellation, still runs
    UNSETTLED = "unsettled"  #: the backend could not record yet how its job ended
    RETIRED = "retired"  #: takes no jobs, and is removed when the settlement of its last job has been sent


_IDLE, _CLAIMED, _RUNNING, _DRAINING, _UNSETTLED, _RETIRED = SlotState


@attrs.define(eq=False)
class WorkerSlot:
    """A task processor: one unit of concurrency, which runs one job at a time.

    Other programs see each slot as a worker. Only `WorkerSlots` changes it.

    Attributes:
        slot: Its number in its process, from 1.
        name: Its name as other programs see it.
        queues: The declared queues in priority order; ``*`` for all others.
        state: What it does now.
        succeeded: Number of jobs that succeeded here.
        failed: Number of jobs that failed here.
        retiring: Whether it is to be removed. It enters RETIRED when it is no longer occupied.
        unsettled: Whether the end of its last job could not be recorded yet. It enters UNSETTLED when nothing of that
            job runs.
        claim: The claim of its job, or None.
        start_number: Position of its last job among all jobs that the process started.
        task_name: The name of the asyncio task of its job.
    """

    slot: int
    name: str
    queues: tuple[str, ...]
    state: SlotState = SlotState.IDLE
    succeeded: int = 0
    failed: int = 0
    retiring: bool = False
    unsettled: bool = attrs.field(default=False, repr=False)
    claim: Claim | None = attrs.field(default=None, repr=False)
    start_number: int = attrs.field(default=0, repr=False)
    task_name: str = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.task_name = f"taskhero {self.name} job"

    @property
    def job(self) -> Job | None:
        """The job that it holds now, or None."""
        claim = self.claim
        return None if claim is None else decode_job(claim.raw, claim.queue)


class WorkerSlots:
    """Owns the slots of a process and their states.

    Each transition is a method. A method that a slot's state does not allow raises `RuntimeError` and changes nothing.

    Args:
        process: The owner of the slots.

    Attributes:
        process: The owner of the slots.
        numbers: The numbers of all slots. The tuple is replaced and never changed, so other threads may read it.
        occupied: Number of slots in which a job runs, or a remainder of one.
        retiring: Number of slots that are to be removed.
    """

    __slots__ = ("_draining", "_idle", "_peak", "_slots", "_starts", "numbers", "occupied", "process", "retiring")

    def __init__(self, process: Process) -> None:
        self.process = process
        self.numbers: tuple[int, ...] = ()
        self.occupied = 0
        self.retiring = 0
        self._draining = 0
        self._slots: dict[int, WorkerSlot] = {}
        # Exactly the slots in the state IDLE. Those that became idle first come first.
        self._idle: dict[int, WorkerSlot] = {}
        self._starts = 0
        self._peak = 0

    # what exists

    @property
    def active(self) -> int:
        """Number of slots that are not to be removed."""
        return len(self._slots) - self.retiring

    @property
    def running(self) -> int:
        """Number of slots whose job runs."""
        return self.occupied - self._draining

    def all(self) -> list[WorkerSlot]:
        """Return all slots that other programs can see, by number."""
        return [slot for _, slot in sorted(self._slots.items())]

    def vacant(self, number: int) -> WorkerSlot | None:
        """Return the slot with this number if a claim for it can start, or None.

        The claim of a retired slot can start, too: it was in flight when the slot retired.
        """
        slot = self._slots.get(number)
        return slot if slot is not None and (slot.state is _IDLE or slot.state is _RETIRED) else None

    def claims(self, numbers: Iterable[int] | None = None) -> list[Claim]:
        """Return the claims that the slots with these numbers hold (None: all slots), by number."""
        numbers = self._slots if numbers is None else numbers
        claims = (self._slots[number].claim for number in sorted(numbers) if number in self._slots)
        return [claim for claim in claims if claim is not None]

    def idle(self, limit: int) -> Sequence[int]:
        """Return the numbers of up to *limit* idle slots: those that became idle first."""
        return tuple(islice(self._idle, limit))

    def lowest_idle(self, limit: int) -> Sequence[int]:
        """Return the lowest numbers of idle slots, up to *limit*."""
        return sorted(self._idle)[:limit]

    def unused_numbers(self, number: int, reserved: Collection[int] = ()) -> tuple[int, ...]:
        """Return the lowest *number* numbers that no slot has and that are not *reserved*."""
        return tuple(islice((slot for slot in count(1) if slot not in self._slots and slot not in reserved), number))

    def take_peak(self) -> int:
        """Return the largest number of slots that were occupied at once since the last call."""
        peak, self._peak = self._peak, self.occupied
        return peak

    # transitions

    def add(self, numbers: Sequence[int]) -> list[WorkerSlot]:
        """Add idle slots with these numbers."""
        process = self.process
        new = [WorkerSlot(number, process.worker(number), process.queues) for number in numbers]
        for slot in new:
            self._slots[slot.slot] = self._idle[slot.slot] = slot
        self.numbers = tuple(self._slots)
        return new

    def hold(self, slot: WorkerSlot, claim: Claim) -> None:
        """Hold the claim of a quarantined job that must not start yet: IDLE or RETIRED to CLAIMED."""
        if slot.state is not _IDLE and slot.state is not _RETIRED:
            raise _impossible(slot, "hold a claim")
        slot.claim, slot.state = claim, _CLAIMED
        self._idle.pop(slot.slot, None)

    def drop(self, slot: WorkerSlot) -> None:
        """Drop a claim whose job did not start: CLAIMED to IDLE or RETIRED."""
        if slot.state is not _CLAIMED:
            raise _impossible(slot, "drop a claim that it holds")
        slot.claim = None
        self._rest(slot)

    def start(self, slot: WorkerSlot, claim: Claim) -> None:
        """Start the job of a claim: IDLE, RETIRED, or CLAIMED by the same claim, to RUNNING."""
        state = slot.state
        if state is not _IDLE and state is not _RETIRED and not (state is _CLAIMED and slot.claim is claim):
            raise _impossible(slot, "start a job")
        slot.claim, slot.state = claim, _RUNNING
        self._idle.pop(slot.slot, None)
        self._starts = slot.start_number = self._starts + 1
        self.occupied = occupied = self.occupied + 1
        self._peak = max(self._peak, occupied)

    def end(self, slot: WorkerSlot, disposition: Disposition, *, drains: bool = False) -> None:
        """End the job: RUNNING to DRAINING if something of the job *drains*, else to the state that is due."""
        if slot.state is not _RUNNING:
            raise _impossible(slot, "end a job")
        kind = type(disposition)
        if kind is Succeeded:
            slot.succeeded += 1
        elif kind is Failed or kind is Retried:
            slot.failed += 1
        slot.claim = None
        if drains:
            self._draining += 1
            slot.state = _DRAINING
        else:
            self.occupied -= 1
            self._rest(slot)

    def drained(self, slot: WorkerSlot) -> None:
        """End what remained of the job: DRAINING to the state that is due."""
        if slot.state is not _DRAINING:
            raise _impossible(slot, "end the remainder of a job")
        self.occupied -= 1
        self._draining -= 1
        self._rest(slot)

    def unsettle(self, number: int) -> None:
        """Take no job before `settle`, since the end of the last one could not be recorded.

        An idle or retired slot enters UNSETTLED now, an occupied one after its job. A removed slot is ignored.
        """
        slot = self._slots.get(number)
        if slot is not None:
            slot.unsettled = True
            if slot.state is _IDLE or slot.state is _RETIRED:
                self._rest(slot)

    def settle(self, number: int) -> None:
        """Take jobs again: the settlement of the last job is sent again. UNSETTLED to IDLE or RETIRED."""
        slot = self._slots.get(number)
        if slot is not None:
            slot.unsettled = False
            if slot.state is _UNSETTLED:
                self._rest(slot)

    def retire(self, number: int) -> int:
        """Retire *number* slots: idle ones first, and of these the highest numbers. Occupied ones end their job.

        Returns:
            The number of slots that retire.
        """
        active = [slot for slot in self._slots.values() if not slot.retiring]
        active.sort(key=lambda slot: (slot.state is not _IDLE, -slot.slot))
        retiring = active[:number]
        self.retiring += len(retiring)
        for slot in retiring:
            slot.retiring = True
            if slot.state is _IDLE:
                self._rest(slot)
        return len(retiring)

    def keep_retiring(self, number: int) -> int:
        """Keep up to *number* of the slots that are to be removed. Return how many."""
        kept = [slot for slot in self._slots.values() if slot.retiring][:number]
        self.retiring -= len(kept)
        for slot in kept:
            slot.retiring = False
            if slot.state is _RETIRED:
                self._rest(slot)
        return len(kept)

    def remove_retired(self, unsent: Collection[int]) -> list[WorkerSlot]:
        """Remove and return the retired slots, except those whose settlement is *unsent*."""
        retired = [slot for slot in self._slots.values() if slot.state is _RETIRED and slot.slot not in unsent]
        for slot in retired:
            del self._slots[slot.slot]
        self.retiring -= len(retired)
        self.numbers = tuple(self._slots)
        return retired

    def _rest(self, slot: WorkerSlot) -> None:
        """Enter the state that is due for a slot in which nothing runs."""
        if slot.unsettled or slot.retiring:
            slot.state = _UNSETTLED if slot.unsettled else _RETIRED
            self._idle.pop(slot.slot, None)
        else:
            slot.state = _IDLE
            self._idle[slot.slot] = slot


def _impossible(slot: WorkerSlot, action: str) -> RuntimeError:
    return RuntimeError(f"task processor {slot.name} cannot {action}: it is {slot.state.value}")
