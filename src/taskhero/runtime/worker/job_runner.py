"""The jobs of a process from their claim to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.backends.protocol import Failed, Released, Retried, Succeeded
from taskhero.events import WorkerError
from taskhero.runtime.worker.quarantine import quarantine_period
from taskhero.runtime.worker.settlement_buffer import CROWDED, PAUSED, STOPS, TAKEN
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
    """What performs one job."""

    async def perform(self, claim: Claim, worker: str) -> JobResult:
        """Perform the job; raises nothing but `asyncio.CancelledError`: it is to be given back."""
        ...

    def cancel(self, running: asyncio.Task[None], worker: str) -> None:
        """Stop the job that *worker* performs in this asyncio task; may be called again."""
        ...

    def fail(self, running: asyncio.Task[None], worker: str, error: Exception) -> bool:
        """Stop it so that it fails with *error*; return whether it will."""
        ...

    async def give_up(self, running: asyncio.Task[None], worker: str, claim: Claim) -> JobResult | None:
        """After `fail`: how the job ended if it goes on nevertheless; None if `perform` returns it."""
        ...


class JobRunner:
    """Runs claimed jobs, each as a task of its own, and puts down how they end.

    A job that was rescued from a dead process is a *quarantined*: it begins when no other job runs, so that it alone is
    to blame if its process dies again. Neither the wait for that nor its time alone is longer than its `probation`: a
    job that takes an hour shall not keep all others from this process.

    Args:
        slots: The task processors.
        settlements: Where endings are put down.
        executor: What performs a job.
        emitter: Is told of what goes wrong.
        rescue_limit: A job that was rescued so often while it ran alone fails without being run.
        lease: Seconds after which a process is taken for dead; the shortest `probation`.
        signal: Called when an ending was put down, or a suspect may run.
        request_round: Called when a processor is free without any ending.

    Attributes:
        running: How many processors have a job, or a thread of one.
        quarantined: The processor and the claim of the job that is to run alone, until it ends or its probation does.
        exclusive: Whether the suspect runs already.
        quarantine_expired: Whether it has run alone for long enough; others wait until its mark is taken back.
        closing: Whether what is claimed from now on goes back at once.
        paused: The same, until `resume`.
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
        self._turn = 0
        self._slots = slots
        self._settlements = settlements
        loop = asyncio.get_running_loop()
        self._create_task = loop.create_task
        self._hurried: asyncio.Future[None] = loop.create_future()
        self._all_over: asyncio.Future[None] = loop.create_future()
        self._executor = executor
        self._perform = executor.perform
        self._emitter = emitter
        self._rescue_limit = rescue_limit
        self._lease = lease
        self._waited = False
        self._timer: asyncio.TimerHandle | None = None
        self._signal = signal
        self._request_round = request_round
        self._held_slots: set[asyncio.Task[None]] = set()
        self._failing: set[asyncio.Task[None]] = set()

    @property
    def can_start_quarantined(self) -> bool:
        """Whether no job runs, or it has waited for that long enough.

        A thread that outlasts its job does not count, since it may never end.
        """
        return self._waited or not self.jobs

    @property
    def jobs(self) -> int:
        """How many jobs run, without threads of jobs that are over."""
        return self.running - len(self._held_slots)

    @property
    def marked_alone(self) -> Claim | None:
        """The claim of the suspect that runs alone, if one does."""
        return self.quarantined[1] if self.quarantined is not None and self.exclusive else None

    def take_peak(self) -> int:
        """How many processors worked at once, at most, since this was last asked."""
        peak, self._peak = max(self._peak, self.running), self.running
        return peak

    def start(self, claims: Iterable[Claim]) -> None:
        """Start claimed jobs at once, but for suspects: the first is held, others go back in their order."""
        others: list[tuple[Claim, str]] = []
        workers = self._slots.workers
        for claim in claims:
            worker = workers.get(claim.slot)
            if worker is None or not worker.idle or self.closing or self.paused:
                # Claimed while the processor went, or the process was paused or began to stop.
                others.append((claim, STOPS if self.closing else PAUSED if self.paused else TAKEN))
            elif not self._needs_quarantine(claim.raw):
                self._launch(worker, claim)
            elif self.quarantined is None:
                self.quarantined = (worker, claim)
                self._set_timer(claim, self._end_wait)
                worker.claim = claim
                self._slots.free.pop(claim.slot, None)
            else:
                others.append((claim, CROWDED))
        self._peak = max(self._peak, self.running)
        if others or self.quarantined is not None:
            # Each goes to the very front, so the last one must go first.
            for claim, reason in reversed(others):
                self._settlements.give_back(claim, reason)
            self._signal()

    def start_quarantined(self) -> None:
        """Run the suspect now."""
        if self.quarantined is not None:
            self.exclusive = True
            self._launch(*self.quarantined)
            self._set_timer(self.quarantined[1], self._expire_quarantine)

    def drop_quarantined(self) -> None:
        """The suspect is not to run here."""
        if self.quarantined is not None:
            worker, _ = self.quarantined
            worker.claim = None
            self.running += 1
            self._release(worker)
            self._request_round()

    def _set_timer(self, quarantined: Claim, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(quarantine_period(quarantined.raw, self._lease), call)

    def _end_wait(self) -> None:
        self._waited = True
        self._signal()

    def _expire_quarantine(self) -> None:
        self.quarantine_expired = True
        self._signal()

    def end_quarantine(self) -> None:
        """Others may run beside the suspect from now on, or it is over."""
        self.quarantined = None
        self.exclusive = self.quarantine_expired = self._waited = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._request_round()

    def _needs_quarantine(self, raw: str) -> bool:
        marked = rescue_count(raw)
        return marked is not None and marked < self._rescue_limit

    # a job from its start to its end

    def _launch(self, worker: WorkerSlot, claim: Claim) -> None:
        worker.claim = claim
        self._slots.free.pop(claim.slot, None)
        self.running += 1
        self._turn = worker.turn = self._turn + 1
        worker.task = self._create_task(self._work(worker, claim), name=worker.task_name)

    async def _work(self, worker: WorkerSlot, claim: Claim) -> None:
        result: JobResult | None = None
        try:
            result = await self._perform(claim, worker.name)
        except asyncio.CancelledError:
            self._end(worker, claim, Released(), None)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not keep the job for ever
            self._emitter.emit(WorkerError(worker.name, error, claim.queue))
            self._end(worker, claim, self._settlements.failure(claim, worker.name, error), None)
        else:
            self._end(worker, claim, result.disposition, result)

    def _end(self, worker: WorkerSlot, claim: Claim, disposition: Disposition, result: JobResult | None) -> None:
        if worker.claim is not claim:
            # It went on in spite of being cancelled, and was given back meanwhile.
            return
        worker.claim = None
        kind = type(disposition)
        if kind is Succeeded:
            worker.succeeded += 1
        elif kind is Failed or kind is Retried:
            worker.failed += 1
        self._settlements.add(claim, disposition, result)
        if result is None or result.busy is None:
            self._release(worker)
        else:
            self._hold_slot(worker, result.busy)
        if self.closing and not self.jobs and not self._all_over.done():
            self._all_over.set_result(None)
        self._signal()

    def _hold_slot(self, worker: WorkerSlot, busy: Awaitable[object]) -> None:
        """Keep the processor until nothing of its last job runs any more."""
        worker.busy = True
        task = asyncio.create_task(self._watch(worker, busy), name=f"{worker.task_name} to its end")
        self._held_slots.add(task)
        task.add_done_callback(self._held_slots.discard)

    async def _watch(self, worker: WorkerSlot, busy: Awaitable[object]) -> None:
        # `wait` neither cancels it nor cares how it ends.
        await asyncio.wait({asyncio.ensure_future(busy)})
        worker.busy = False
        self._release(worker)
        self._request_round()

    def _release(self, worker: WorkerSlot) -> None:
        self.running -= 1
        self._slots.release(worker)
        if self.quarantined is not None and self.quarantined[0] is worker:
            self.end_quarantine()

    # what an operator wants

    def pause(self) -> None:
        """Begin no job until `resume`; those that run go on."""
        self.paused = True
        self._return_suspect(PAUSED)

    def resume(self) -> None:
        """Begin jobs again."""
        self.paused = False

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that have begun, each with an error of its own; return how many.

        What goes on of a job that fails keeps its processor until it ends.
        """
        stopped = 0
        for worker in self._slots.workers.values():
            claim, running = worker.claim, worker.task
            if claim is None or running is None or not self._executor.fail(running, worker.name, error()):
                continue
            stopped += 1
            task = self._create_task(self._give_up(worker, claim, running), name=f"{worker.task_name} no more")
            self._failing.add(task)
            task.add_done_callback(self._failing.discard)
        return stopped

    async def _give_up(self, worker: WorkerSlot, claim: Claim, running: asyncio.Task[None]) -> None:
        try:
            result = await self._executor.give_up(running, worker.name, claim)
        except Exception as error:  # noqa: BLE001 - as for the job itself
            self._emitter.emit(WorkerError(worker.name, error, claim.queue))
            return
        if result is not None:
            self._end(worker, claim, result.disposition, result)

    def _return_suspect(self, reason: str) -> None:
        """Give the suspect back if it has not begun."""
        if self.quarantined is not None and not self.exclusive:
            _, claim = self.quarantined
            self._settlements.give_back(claim, reason)
            self.drop_quarantined()

    # the stop

    async def end_all(self, grace: float, limit: float) -> None:
        """Let running jobs end by themselves for *grace* seconds, then cancel them for *limit* seconds at most.

        What then still runs is given back all the same. Threads of jobs that are over are not waited for.
        """
        self.closing = True
        self._return_suspect(STOPS)
        # The last one first: each goes to the very front, so they end up in the order in which they began.
        workers = sorted(self._slots.workers.values(), key=lambda worker: -worker.turn)
        if self.jobs and grace > 0:
            if self._all_over.done():
                self._all_over = asyncio.get_running_loop().create_future()
            await self._wait_for_end(grace)
        deadline = asyncio.get_running_loop().time() + limit
        while asyncio.get_running_loop().time() < deadline:
            working = ((worker, worker.task) for worker in workers if worker.claim is not None)
            running = [(worker, task) for worker, task in working if task is not None and not task.done()]
            if not running:
                break
            # More than once: a task may swallow one cancellation, as wait_for of Python 3.11 does.
            for worker, task in running:
                self._executor.cancel(task, worker.name)
            await asyncio.wait([task for _, task in running], timeout=limit / 5)
        for worker in workers:
            if worker.claim is not None:
                claim, worker.claim = worker.claim, None
                self._settlements.give_back(claim, STOPS)
        self._signal()

    def hurry(self) -> None:
        """Wait no longer for running jobs to end by themselves, now or in an `end_all` to come."""
        if not self._hurried.done():
            self._hurried.set_result(None)

    async def _wait_for_end(self, grace: float) -> None:
        either: set[asyncio.Future[None]] = {self._all_over, self._hurried}
        await asyncio.wait(either, timeout=grace, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Watch no thread any more, and no suspect."""
        if self._timer is not None:
            self._timer.cancel()
        await cancel_and_wait([*self._held_slots, *self._failing])
