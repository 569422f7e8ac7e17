"""Run the claimed jobs of a process."""

from __future__ import annotations

import asyncio
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Protocol

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.protocol import Failed, Released
from taskhero.events import WorkerError
from taskhero.runtime.execution.failure_report import failure_entry
from taskhero.runtime.worker.jobs.finished_job import ReleaseReason
from taskhero.runtime.worker.slots import SlotState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from taskhero.backends.protocol import Claim, Disposition
    from taskhero.events import Emitter
    from taskhero.runtime.execution.executor import JobResult
    from taskhero.runtime.worker.jobs.quarantine import Quarantine
    from taskhero.runtime.worker.jobs.settlement_buffer import SettlementBuffer
    from taskhero.runtime.worker.rounds import Rounds
    from taskhero.runtime.worker.slots import WorkerSlot, WorkerSlots

__all__ = ["JobExecutor", "JobRunner"]


class JobExecutor(Protocol):
    """Performs one job."""

    async def perform(self, claim: Claim, worker: str) -> JobResult:
        """Perform the job. Raise only `asyncio.CancelledError`, if the job is to be released."""
        ...

    def cancel(self, running: asyncio.Task[None], worker: str) -> None:
        """Stop the job that *worker* performs in this asyncio task. May be called again."""
        ...

    def fail(self, running: asyncio.Task[None], worker: str, error: Exception) -> bool:
        """Stop the job so that it fails with *error*. Return whether it will."""
        ...

    async def abandon(self, running: asyncio.Task[None], worker: str, claim: Claim) -> JobResult | None:
        """After `fail`, return how the job ended if its function ignores that; None if `perform` returns it."""
        ...


class JobRunner:
    """Runs each claimed job in its own asyncio task, and passes how it ended to the settlement buffer.

    Args:
        slots: The slots.
        settlements: Receives a settlement for each job.
        quarantine: Holds a job that may have crashed its process.
        executor: Performs a job.
        emitter: Receives the errors.
        rounds: Starts the round that sends a settlement.

    Attributes:
        refusal: Why new claims are released at once: the process stops, or it is paused. None if they start.
    """

    def __init__(
        self,
        *,
        slots: WorkerSlots,
        settlements: SettlementBuffer,
        quarantine: Quarantine,
        executor: JobExecutor,
        emitter: Emitter,
        rounds: Rounds,
    ) -> None:
        self.refusal: ReleaseReason | None = None
        self._slots = slots
        self._settlements = settlements
        self._quarantine = quarantine
        loop = asyncio.get_running_loop()
        self._create_task = loop.create_task
        self._context = copy_context()
        self._grace_skipped: asyncio.Future[None] = loop.create_future()
        self._all_ended: asyncio.Future[None] = loop.create_future()
        self._executor = executor
        self._perform = executor.perform
        self._emitter = emitter
        self._rounds = rounds
        # The asyncio task of the last job of each slot, by number.
        self._tasks: dict[int, asyncio.Task[None]] = {}
        # Tasks that wait for the remainder of a job, or for a job that ignores its cancellation.
        self._waits: set[asyncio.Task[None]] = set()

    # a job from its start to its end

    def start(self, claims: Iterable[Claim]) -> None:
        """Start claimed jobs at once.

        The first quarantined job is held until it may run exclusively. Further ones are released in their order.
        """
        released: list[tuple[Claim, ReleaseReason]] = []
        quarantine = self._quarantine
        for claim in claims:
            slot = self._slots.vacant(claim.slot)
            if self.refusal is not None or slot is None:
                # The process was paused or began to stop during the claim, or the slot was removed.
                released.append((claim, self.refusal or ReleaseReason.SLOT_OCCUPIED))
            elif not quarantine.concerns(claim.raw):
                self.launch(slot, claim)
            elif not quarantine.admit(slot, claim):
                released.append((claim, ReleaseReason.QUARANTINE_OCCUPIED))
        # Each is pushed to the front of its queue, so the last one must be pushed first.
        for claim, reason in reversed(released):
            self._settlements.release(claim, reason)
        if released or quarantine.claim is not None:
            self._rounds.request()

    def launch(self, slot: WorkerSlot, claim: Claim) -> None:
        """Start the job of *claim* in *slot*."""
        self._slots.start(slot, claim)
        # Each job gets a copy of the first context, without variables that event handlers or plugins set here.
        task = self._create_task(self._run(slot, claim), name=slot.task_name, context=self._context.copy())
        self._tasks[slot.slot] = task

    async def _run(self, slot: WorkerSlot, claim: Claim) -> None:
        try:
            result = await self._perform(claim, slot.name)
        except asyncio.CancelledError:
            self._end(slot, claim, Released(), None)
        except Exception as error:  # noqa: BLE001 - an internal error must not block the slot
            self._emitter.emit(WorkerError(slot.name, error, claim.queue))
            entry = failure_entry(error, raw=claim.raw, queue=claim.queue, worker=slot.name, failed_at=time.time())
            self._end(slot, claim, Failed(entry), None)
        else:
            self._end(slot, claim, result.disposition, result)

    def _end(self, slot: WorkerSlot, claim: Claim, disposition: Disposition, result: JobResult | None) -> None:
        if slot.claim is not claim:
            # It ignored its cancellation and has been released.
            return
        self._settlements.add(claim, disposition, result)
        busy = None if result is None else result.busy
        self._slots.end(slot, disposition, drains=busy is not None)
        if busy is not None:
            self._wait_for(self._drain(slot, busy), f"{slot.task_name} remainder")
        if self._quarantine.claim is not None:
            self._quarantine.check_end(slot)
        if self.refusal is ReleaseReason.STOPPING and not self._slots.running and not self._all_ended.done():
            self._all_ended.set_result(None)
        self._rounds.request()

    async def _drain(self, slot: WorkerSlot, busy: asyncio.Future[object]) -> None:
        """Keep the slot until nothing of its last job runs."""
        # `wait` neither cancels it nor raises its error.
        await asyncio.wait({busy})
        self._slots.drained(slot)
        self._quarantine.check_end(slot)
        self._rounds.request_claim()

    def _wait_for(self, wait: Coroutine[None, None, None], name: str) -> None:
        task = self._create_task(wait, name=name)
        self._waits.add(task)
        task.add_done_callback(self._waits.discard)

    # commands of an operator

    def pause(self) -> None:
        """Start no job until `resume`. Running jobs continue."""
        if self.refusal is None:
            self.refusal = ReleaseReason.PAUSED
        self._release_quarantined(ReleaseReason.PAUSED)

    def resume(self) -> None:
        """Start jobs again, unless the process stops."""
        if self.refusal is ReleaseReason.PAUSED:
            self.refusal = None

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that have started, each with an error that *error* makes. Return their number.

        What continues of a failed job keeps its slot until it ends.
        """
        failed = 0
        for slot in self._slots.all():
            claim, running = slot.claim, self._tasks.get(slot.slot)
            if claim is None or running is None or slot.state is not SlotState.RUNNING:
                continue
            if not self._executor.fail(running, slot.name, error()):
                continue
            failed += 1
            self._wait_for(self._abandon(slot, claim, running), f"{slot.task_name} abandon")
        return failed

    async def _abandon(self, slot: WorkerSlot, claim: Claim, running: asyncio.Task[None]) -> None:
        try:
            result = await self._executor.abandon(running, slot.name, claim)
        except Exception as error:  # noqa: BLE001 - as in _run
            self._emitter.emit(WorkerError(slot.name, error, claim.queue))
            return
        if result is not None:
            self._end(slot, claim, result.disposition, result)

    def _release_quarantined(self, reason: ReleaseReason) -> None:
        """Release the quarantined job if it has not started."""
        claim = self._quarantine.withdraw()
        if claim is not None:
            self._settlements.release(claim, reason)

    # the stop

    def refuse_claims(self) -> None:
        """Release new claims from now on, since the process stops. Running jobs continue."""
        self.refusal = ReleaseReason.STOPPING

    async def end_all(self, grace: float, limit: float) -> None:
        """Let running jobs end for *grace* seconds, then cancel them for *limit* seconds at most.

        Jobs that still run are released. Threads of ended jobs are not waited for.
        """
        self.refuse_claims()
        self._release_quarantined(ReleaseReason.STOPPING)
        # The last one first: each is pushed to the front of its queue, so they keep the order of their start.
        slots = sorted(self._slots.all(), key=lambda slot: -slot.start_number)
        if self._slots.running and grace > 0:
            if self._all_ended.done():
                self._all_ended = asyncio.get_running_loop().create_future()
            await self._wait_for_end(grace)
        deadline = asyncio.get_running_loop().time() + limit
        while asyncio.get_running_loop().time() < deadline:
            tasks = ((slot, self._tasks[slot.slot]) for slot in slots if slot.claim is not None)
            running = [(slot, task) for slot, task in tasks if not task.done()]
            if not running:
                break
            # Repeatedly: a task may ignore one cancellation, as wait_for of Python 3.11 does.
            for slot, task in running:
                self._executor.cancel(task, slot.name)
            await asyncio.wait([task for _, task in running], timeout=limit / 5)
        for slot in slots:
            if slot.claim is not None:
                self._settlements.release(slot.claim, ReleaseReason.STOPPING)
                self._slots.end(slot, Released(), drains=True)
        self._rounds.request()

    def skip_grace(self) -> None:
        """Skip the grace period of a current or later `end_all`."""
        if not self._grace_skipped.done():
            self._grace_skipped.set_result(None)

    async def _wait_for_end(self, grace: float) -> None:
        ends: set[asyncio.Future[None]] = {self._all_ended, self._grace_skipped}
        await asyncio.wait(ends, timeout=grace, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Stop the timer and the internal asyncio tasks."""
        self._quarantine.close()
        await cancel_and_wait(self._waits)
