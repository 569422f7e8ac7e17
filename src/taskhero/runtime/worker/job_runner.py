"""Run the claimed jobs of a process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.protocol import Failed, Released, Retried, Succeeded
from taskhero.events import WorkerError
from taskhero.runtime.worker.quarantine import quarantine_period
from taskhero.runtime.worker.settlement_buffer import PAUSED, QUARANTINE_OCCUPIED, SLOT_OCCUPIED, STOPPING
from taskhero.wire.jobs import rescue_count

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from taskhero.backends.protocol import Claim, Disposition
    from taskhero.events import Emitter
    from taskhero.runtime.execution.executor import JobResult
    from taskhero.runtime.worker.settlement_buffer import SettlementBuffer
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
    """Runs each claimed job in its own asyncio task, and records how it ended.

    A job that was running when its process died is *quarantined*. It starts when no other job runs, so that another
    crash can be attributed to it. The wait for that and the exclusive run each last for the job's quarantine period at
    most. A long job therefore does not block the other jobs of this process.

    Args:
        slots: The slots.
        settlements: Receives a settlement for each job.
        executor: Performs a job.
        emitter: Receives the errors.
        rescue_limit: Crashes in exclusive runs after which a job fails without being run.
        lease: Seconds of the process's lease; the shortest quarantine period.
        signal: Called after a settlement was added, or when a quarantined job may start.
        request_round: Called when a slot becomes free without a settlement.

    Attributes:
        running: The number of slots with a job, or with a thread of an ended job.
        quarantined: The slot and the claim of the quarantined job, until it or its quarantine ends.
        exclusive: Whether the quarantined job runs.
        quarantine_expired: Whether its quarantine period is over. Other jobs wait until its mark is removed.
        closing: Whether new claims are released at once, since the process stops.
        paused: Whether new claims are released at once, until `resume`.
    """

    def __init__(
        self,
        *,
        slots: WorkerSlots,
        settlements: SettlementBuffer,
        executor: JobExecutor,
        emitter: Emitter,
        rescue_limit: int,
        lease: float,
        signal: Callable[[], None],
        request_round: Callable[[], None],
    ) -> None:
        self.running = 0
        self.quarantined: tuple[WorkerSlot, Claim] | None = None
        self.exclusive = False
        self.quarantine_expired = False
        self.closing = False
        self.paused = False
        self._peak = 0
        self._start_count = 0
        self._slots = slots
        self._settlements = settlements
        loop = asyncio.get_running_loop()
        self._create_task = loop.create_task
        self._grace_skipped: asyncio.Future[None] = loop.create_future()
        self._all_ended: asyncio.Future[None] = loop.create_future()
        self._executor = executor
        self._perform = executor.perform
        self._emitter = emitter
        self._rescue_limit = rescue_limit
        self._lease = lease
        self._wait_expired = False
        self._timer: asyncio.TimerHandle | None = None
        self._signal = signal
        self._request_round = request_round
        self._held_slots: set[asyncio.Task[None]] = set()
        self._failing: set[asyncio.Task[None]] = set()

    @property
    def can_start_quarantined(self) -> bool:
        """Whether no job runs, or the quarantined job has waited for its quarantine period.

        A thread of an ended job does not count, since it may never end.
        """
        return self._wait_expired or not self.jobs

    @property
    def jobs(self) -> int:
        """The number of running jobs, without threads of ended jobs."""
        return self.running - len(self._held_slots)

    @property
    def exclusive_claim(self) -> Claim | None:
        """The claim of the exclusive run, or None."""
        return self.quarantined[1] if self.quarantined is not None and self.exclusive else None

    def take_peak(self) -> int:
        """Return the largest number of slots that worked at once since the last call."""
        peak, self._peak = max(self._peak, self.running), self.running
        return peak

    def start(self, claims: Iterable[Claim]) -> None:
        """Start claimed jobs at once.

        The first quarantined job is held until it may run exclusively. Further ones are released in their order.
        """
        released: list[tuple[Claim, str]] = []
        workers = self._slots.workers
        for claim in claims:
            worker = workers.get(claim.slot)
            if worker is None or not worker.idle or self.closing or self.paused:
                # The slot retired during the claim, or the process was paused or began to stop.
                released.append((claim, STOPPING if self.closing else PAUSED if self.paused else SLOT_OCCUPIED))
            elif not self._needs_quarantine(claim.raw):
                self._launch(worker, claim)
            elif self.quarantined is None:
                self.quarantined = (worker, claim)
                self._set_timer(claim, self._expire_wait)
                worker.claim = claim
                self._slots.free.pop(claim.slot, None)
            else:
                released.append((claim, QUARANTINE_OCCUPIED))
        self._peak = max(self._peak, self.running)
        if released or self.quarantined is not None:
            # Each is pushed to the front of its queue, so the last one must be pushed first.
            for claim, reason in reversed(released):
                self._settlements.release(claim, reason)
            self._signal()

    def start_quarantined(self) -> None:
        """Start the quarantined job."""
        if self.quarantined is not None:
            self.exclusive = True
            self._launch(*self.quarantined)
            self._set_timer(self.quarantined[1], self._expire_quarantine)

    def drop_quarantined(self) -> None:
        """Remove the quarantined job without running it."""
        if self.quarantined is not None:
            worker, _ = self.quarantined
            worker.claim = None
            self.running += 1
            self._free_slot(worker)
            self._request_round()

    def _set_timer(self, quarantined: Claim, function: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(quarantine_period(quarantined.raw, self._lease), function)

    def _expire_wait(self) -> None:
        self._wait_expired = True
        self._signal()

    def _expire_quarantine(self) -> None:
        self.quarantine_expired = True
        self._signal()

    def end_quarantine(self) -> None:
        """Let other jobs run again: the quarantined job ended, or its quarantine period did."""
        self.quarantined = None
        self.exclusive = self.quarantine_expired = self._wait_expired = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._request_round()

    def _needs_quarantine(self, raw: str) -> bool:
        crashes = rescue_count(raw)
        return crashes is not None and crashes < self._rescue_limit

    # a job from its start to its end

    def _launch(self, worker: WorkerSlot, claim: Claim) -> None:
        worker.claim = claim
        self._slots.free.pop(claim.slot, None)
        self.running += 1
        self._start_count = worker.start_number = self._start_count + 1
        worker.task = self._create_task(self._run(worker, claim), name=worker.task_name)

    async def _run(self, worker: WorkerSlot, claim: Claim) -> None:
        result: JobResult | None = None
        try:
            result = await self._perform(claim, worker.name)
        except asyncio.CancelledError:
            self._end(worker, claim, Released(), None)
        except Exception as error:  # noqa: BLE001 - an internal error must not block the slot
            self._emitter.emit(WorkerError(worker.name, error, claim.queue))
            self._end(worker, claim, self._settlements.failure(claim, worker.name, error), None)
        else:
            self._end(worker, claim, result.disposition, result)

    def _end(self, worker: WorkerSlot, claim: Claim, disposition: Disposition, result: JobResult | None) -> None:
        if worker.claim is not claim:
            # It ignored its cancellation and has been released.
            return
        worker.claim = None
        kind = type(disposition)
        if kind is Succeeded:
            worker.succeeded += 1
        elif kind is Failed or kind is Retried:
            worker.failed += 1
        self._settlements.add(claim, disposition, result)
        if result is None or result.busy is None:
            self._free_slot(worker)
        else:
            self._hold_slot(worker, result.busy)
        if self.closing and not self.jobs and not self._all_ended.done():
            self._all_ended.set_result(None)
        self._signal()

    def _hold_slot(self, worker: WorkerSlot, busy: Awaitable[object]) -> None:
        """Keep the slot until nothing of its last job runs."""
        worker.busy = True
        task = asyncio.create_task(self._wait_for_rest(worker, busy), name=f"{worker.task_name} remainder")
        self._held_slots.add(task)
        task.add_done_callback(self._held_slots.discard)

    async def _wait_for_rest(self, worker: WorkerSlot, busy: Awaitable[object]) -> None:
        # `wait` neither cancels it nor raises its error.
        await asyncio.wait({asyncio.ensure_future(busy)})
        worker.busy = False
        self._free_slot(worker)
        self._request_round()

    def _free_slot(self, worker: WorkerSlot) -> None:
        self.running -= 1
        self._slots.release(worker)
        if self.quarantined is not None and self.quarantined[0] is worker:
            self.end_quarantine()

    # commands of an operator

    def pause(self) -> None:
        """Start no job until `resume`. Running jobs continue."""
        self.paused = True
        self._release_quarantined(PAUSED)

    def resume(self) -> None:
        """Start jobs again."""
        self.paused = False

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that have started, each with an error that *error* makes. Return their number.

        What continues of a failed job keeps its slot until it ends.
        """
        failed = 0
        for worker in self._slots.workers.values():
            claim, running = worker.claim, worker.task
            if claim is None or running is None or not self._executor.fail(running, worker.name, error()):
                continue
            failed += 1
            task = self._create_task(self._abandon(worker, claim, running), name=f"{worker.task_name} abandon")
            self._failing.add(task)
            task.add_done_callback(self._failing.discard)
        return failed

    async def _abandon(self, worker: WorkerSlot, claim: Claim, running: asyncio.Task[None]) -> None:
        try:
            result = await self._executor.abandon(running, worker.name, claim)
        except Exception as error:  # noqa: BLE001 - as in _run
            self._emitter.emit(WorkerError(worker.name, error, claim.queue))
            return
        if result is not None:
            self._end(worker, claim, result.disposition, result)

    def _release_quarantined(self, reason: str) -> None:
        """Release the quarantined job if it has not started."""
        if self.quarantined is not None and not self.exclusive:
            _, claim = self.quarantined
            self._settlements.release(claim, reason)
            self.drop_quarantined()

    # the stop

    async def end_all(self, grace: float, limit: float) -> None:
        """Let running jobs end for *grace* seconds, then cancel them for *limit* seconds at most.

        Jobs that still run are released. Threads of ended jobs are not waited for.
        """
        self.closing = True
        self._release_quarantined(STOPPING)
        # The last one first: each is pushed to the front of its queue, so they keep the order of their start.
        workers = sorted(self._slots.workers.values(), key=lambda worker: -worker.start_number)
        if self.jobs and grace > 0:
            if self._all_ended.done():
                self._all_ended = asyncio.get_running_loop().create_future()
            await self._wait_for_end(grace)
        deadline = asyncio.get_running_loop().time() + limit
        while asyncio.get_running_loop().time() < deadline:
            working = ((worker, worker.task) for worker in workers if worker.claim is not None)
            running = [(worker, task) for worker, task in working if task is not None and not task.done()]
            if not running:
                break
            # Repeatedly: a task may ignore one cancellation, as wait_for of Python 3.11 does.
            for worker, task in running:
                self._executor.cancel(task, worker.name)
            await asyncio.wait([task for _, task in running], timeout=limit / 5)
        for worker in workers:
            if worker.claim is not None:
                claim, worker.claim = worker.claim, None
                self._settlements.release(claim, STOPPING)
        self._signal()

    def skip_grace(self) -> None:
        """Skip the grace period of a current or later `end_all`."""
        if not self._grace_skipped.done():
            self._grace_skipped.set_result(None)

    async def _wait_for_end(self, grace: float) -> None:
        ends: set[asyncio.Future[None]] = {self._all_ended, self._grace_skipped}
        await asyncio.wait(ends, timeout=grace, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Stop the timer and the internal asyncio tasks."""
        if self._timer is not None:
            self._timer.cancel()
        await cancel_and_wait([*self._held_slots, *self._failing])
