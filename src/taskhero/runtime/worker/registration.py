"""Register the slots of a process in the backend, and deregister them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from taskhero.errors import BackendError, BackendRefused
from taskhero.events import WorkerEnd, WorkerError, WorkerStart
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from taskhero.backends.protocol import Backend
    from taskhero.events import Emitter
    from taskhero.runtime.worker.problems import ProblemReporter
    from taskhero.runtime.worker.rounds import Rounds
    from taskhero.runtime.worker.slots import WorkerSlots

__all__ = ["WorkerRegistration"]


class WorkerRegistration:
    """Makes the workers of a process visible to other programs, and removes them.

    Args:
        backend: The store of the workers.
        slots: The slots of the process.
        emitter: Receives an event for each worker.
        problems: Receives what the backend refuses.
        rounds: Delays a registration that had no effect, and starts the round that deregisters slots.
        lease: Seconds of the process's lease.

    Attributes:
        unconfirmed: Whether no claim has confirmed the last repeated registration.
        retrying: Whether slots that no longer exist are to be deregistered in the next round.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        slots: WorkerSlots,
        emitter: Emitter,
        problems: ProblemReporter,
        rounds: Rounds,
        lease: float,
    ) -> None:
        self.unconfirmed = False
        self.retrying = False
        self._backend = backend
        self._process = slots.process
        self._slots = slots
        self._emitter = emitter
        self._problems = problems
        self._rounds = rounds
        self._lease = lease
        # Numbers that no slot has, and that may still be registered.
        self._leftover: set[int] = set()

    # slots come

    async def register_process(self, slots: int) -> tuple[int, ...]:
        """Register the process with new slots. Return their numbers for `WorkerSlots.add`.

        Raises:
            BackendError: The process could not be registered.
        """
        numbers = self._slots.unused_numbers(slots)
        await self._backend.register(self._process, numbers, self._lease)
        return numbers

    def add(self, numbers: tuple[int, ...]) -> None:
        """Add registered slots, which take jobs from now on."""
        for slot in self._slots.add(numbers):
            self._emitter.emit(WorkerStart(slot.name))

    async def grow(self, slots: int) -> None:
        """Have more slots: keep some that retire, and register new ones.

        Raises:
            BackendError: New slots could not be registered.
        """
        numbers = self._slots.unused_numbers(slots - self._slots.keep_retiring(slots), self._leftover)
        if numbers:
            await self._backend.register(self._process, numbers, self._lease)
            self.add(numbers)
        self._rounds.request_claim()

    async def register_again(self) -> None:
        """Register all slots again, after the process was taken for dead.

        Raises:
            BackendError: The process could not be registered.
        """
        if self.unconfirmed:
            # The last registration had no effect.
            await self._rounds.delay()
        self.unconfirmed = True
        await self._backend.register(self._process, sorted(self._slots.numbers), self._lease)
        self._rounds.request_claim()

    def confirm(self) -> None:
        """Record that the backend knows the process."""
        self.unconfirmed = False

    # slots go

    def deregister_again(self, numbers: Iterable[int]) -> None:
        """Deregister slots that this process no longer has, but that may be registered again."""
        self._leftover.update(numbers)
        self.retrying = True
        self._rounds.request_claim()

    def poll(self) -> None:
        """Deregister slots again if the backend refused that before."""
        self.retrying = bool(self._leftover)

    async def deregister_retired(self, unsent: Collection[int]) -> None:
        """Remove the retired slots, except those whose settlement is *unsent*, and deregister them.

        Raises:
            BackendError: They could not be deregistered. They remain to be.
        """
        for slot in self._slots.remove_retired(unsent):
            self._leftover.add(slot.slot)
            self._emitter.emit(WorkerEnd(slot.name))
        numbers = sorted(self._leftover)
        if not numbers:
            return
        self.retrying = True
        try:
            reply = await self._backend.deregister_slots(self._process, numbers)
        except BackendRefused as error:
            # Retried with the next poll, and when another slot retires.
            self._problems.report("retire", f"cannot deregister slots {numbers}: {error}")
        else:
            blocked = {claim.slot for claim, _ in reply.blocked}
            self._leftover.difference_update(set(numbers) - blocked)
            for claim, reason in reply.blocked:
                text = f"cannot deregister slot {claim.slot}: queue {claim.queue!r} does not accept its job: {reason}"
                self._problems.report(f"retire {claim.slot}", text, queue=claim.queue, claim=claim)
        self.retrying = False

    async def deregister_process(self, limit: float, *, recorded: bool) -> None:
        """Deregister the process with all its slots, in *limit* seconds at most. An error becomes an event.

        Args:
            limit: Seconds.
            recorded: Whether the end of all its jobs is recorded, for the event.
        """
        name = self._process.name
        try:
            async with asyncio.timeout(limit):
                reply = await self._backend.deregister(self._process)
        except (Exception, TimeoutError) as error:  # noqa: BLE001 - the process ends in any case
            after = f"other processes rescue its jobs {self._lease:g} s after its last heartbeat"
            reason = str(error) or f"no reply in {limit:.1f} s"
            unrecorded = "" if recorded else ", and the end of some of its jobs could not be recorded"
            text = f"process {name} could not be deregistered{unrecorded}: {reason}; {after}"
            self._emitter.emit(WorkerError(name, BackendError(text)))
        else:
            for claim, reason in reply.blocked:
                queue, job = claim.queue, decode_job(claim.raw, claim.queue)
                text = f"queue {queue!r} does not accept a released job: {reason}; it is rescued when the queue does"
                self._emitter.emit(WorkerError(self._process.worker(claim.slot), BackendError(text), queue, job))
        for slot in self._slots.all():
            self._emitter.emit(WorkerEnd(slot.name))
