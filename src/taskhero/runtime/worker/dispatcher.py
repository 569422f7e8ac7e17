"""The one loop of a process that settles the jobs which ended and claims the next ones.

All that ended since the last exchange goes with the next one, and so does the claim for free processors: under load a
batch of jobs costs one step of the backend. There are never two exchanges under way. Of many processors only half asks
at a time, so that the jobs of one half run while the backend sees to the other half.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from taskhero._internal.async_helpers import InterruptibleSleep, cancel_and_wait
from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.events import WorkerEnd, WorkerPause, WorkerPoll
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.worker.claim_restorer import ClaimRestorer
from taskhero.runtime.worker.job_runner import JobExecutor, JobRunner
from taskhero.runtime.worker.lost_reply_recovery import LostReplyRecovery
from taskhero.runtime.worker.settlement_buffer import BATCH, SettlementBuffer
from taskhero.runtime.worker.slots import WorkerSlots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskhero.backends.protocol import Backend, Process, SettleAndClaimReply
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.control import WorkerControl
    from taskhero.runtime.worker.listener import WakeupListener
    from taskhero.runtime.worker.queue_order import QueueOrder

__all__ = ["Dispatcher"]

_NAME = "exchanging"

#: So many processors ask first when a wake-up finds all of them idle. Most often it is one job that came, and to name
#: all of them would make it wait longer; if there are more jobs, all others ask at once.
IDLE_CLAIM_SIZE = 4

#: Up to so many processors ask at once even if it is more than half of them: an exchange more would cost more time than
#: is won by working two halves in turns.
MIN_BATCH_BEFORE_SPLIT = 20


class Dispatcher:
    """Keeps the task processors of a process in work. It is made inside the event loop.

    Args:
        backend: Where the jobs are.
        process: Whose processors they are; it is registered already.
        queue_order: The queues to work.
        executor: What performs a job.
        preparation: Tells what goes with the end of a job.
        emitter: Is told what happens.
        listener: Wakes it.
        outage: Is told how the backend fares.
        timeout: Seconds between two looks at the queues if nothing wakes it.
        lease: Seconds for which the process is registered, if that must be done again; a job that may have killed its
            process is kept apart from others so long at first.
        rescue_limit: A job that was rescued so often while it ran alone fails without being run.
        control: Through it an operator pauses the processors and fails their jobs.
        rest: What bounds the delays after errors.

    Attributes:
        slots: The task processors.
        backlog: Whether the queues held more jobs than could be claimed, when last asked.
        restorer: Restores claims that another program deleted.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        process: Process,
        queue_order: QueueOrder,
        executor: JobExecutor,
        preparation: RunPreparation,
        emitter: Emitter,
        listener: WakeupListener,
        outage: Outage,
        timeout: float,
        lease: float,
        rescue_limit: int,
        control: WorkerControl | None = None,
        rest: Callable[[], Backoff] = Backoff,
    ) -> None:
        self.slots = WorkerSlots(process)
        self.backlog = False
        self._backend = backend
        self._process = process
        self._names = queue_order
        self._emitter = emitter
        self._listener = listener
        self._outage = outage
        self._timeout = timeout
        self._lease = lease
        self._settlements = SettlementBuffer(
            process=process,
            slots=self.slots,
            emitter=emitter,
            preparation=preparation,
            signal=self._signal,
            backoff=rest(),
        )
        self._jobs = JobRunner(
            slots=self.slots,
            settlements=self._settlements,
            executor=executor,
            emitter=emitter,
            rescue_limit=rescue_limit,
            lease=lease,
            signal=self._signal,
            request_round=self.request_round,
        )
        self._jobs.paused = control is not None and control.paused
        if control is not None:
            control.attach(self)
        self.restorer = ClaimRestorer(backend, process, self.slots, self._settlements.report_once)
        self._lost_reply_recovery = LostReplyRecovery(
            backend, process, settlements=self._settlements, start=self._jobs.start, restorer=self.restorer
        )
        # Why there is to be an exchange even if nothing ended: somebody is newly free, a wake-up, the slow poll.
        self._claim_requested = True
        self._woken = False
        # Whether the names of queues must be read again before.
        self._names_stale = queue_order.star
        self._unregistered = False
        self._deregister_pending = False
        self._drained: asyncio.Future[None] | None = None
        self._ready = True
        self._signalled: asyncio.Future[None] | None = None
        self._pause = InterruptibleSleep()
        self._backoff = rest()
        self._poll_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # what the others call

    def start(self) -> None:
        """Begin to claim jobs for the processors that enter the roster."""
        self._listener.on_jobs = self.wake
        loop = asyncio.get_running_loop()
        self._poll_timer = loop.call_later(self._timeout, self._poll)
        self._task = loop.create_task(self._run(), name=f"taskhero {self._process.name} exchanges")

    def wake(self) -> None:
        """There may be new jobs."""
        self._woken = True
        self.request_round()

    def request_round(self) -> None:
        """Ask for jobs, and for new queues, as soon as possible; see to processors that are to go."""
        self._claim_requested = True
        self._names_stale = self._names.star
        self._signal()

    def deregister_again(self, slots: Iterable[int]) -> None:
        """These slots have no processor any more, but may be in view: take them from it."""
        self.slots.deregistering.update(slots)
        self._deregister_pending = True
        self.request_round()

    def take_peak(self) -> int:
        """How many processors worked at once, at most, since this was last asked."""
        return self._jobs.take_peak()

    def hurry(self) -> None:
        """Let a `drain` end the jobs without grace."""
        self._jobs.hurry()

    def pause(self) -> None:
        """Claim nothing until `resume`; what is being claimed just now goes back, and running jobs go on."""
        self._jobs.pause()
        self._listener.stop_jobs()

    def resume(self) -> None:
        """Claim again, at once."""
        self._jobs.resume()
        self.request_round()

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that run, each with an error of its own; return how many."""
        return self._jobs.fail_running(error)

    def stop_claiming(self) -> None:
        """Claim nothing from now on; what is being claimed just now goes back."""
        self._jobs.closing = True
        self._listener.stop_jobs()

    async def drain(self, grace: float, limit: float) -> bool:
        """Claim no more; let jobs run *grace* seconds, then give back those that do not end; record all endings.

        It ends the loop; a second call changes nothing.

        Args:
            grace: Seconds that jobs get to end by themselves.
            limit: Seconds after these for cancelling them, and again for recording all endings.

        Returns:
            Whether all endings were recorded.
        """
        if self._task is None:
            return True
        self.stop_claiming()
        self._pause.wake()
        self._settlements.hurry()
        try:
            await self._jobs.end_all(grace, limit)
            self._drained = asyncio.get_running_loop().create_future()
            self._pause.wake()
            self._signal()
            await asyncio.wait({self._drained}, timeout=limit)
            return self._drained.done()
        finally:
            await self._close()

    async def _close(self) -> None:
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        self._settlements.close()
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait([task])
        await self._jobs.close()

    # the loop

    def _signal(self) -> None:
        self._ready = True
        signalled = self._signalled
        if signalled is not None and not signalled.done():
            signalled.set_result(None)

    def _poll(self) -> None:
        self._poll_timer = asyncio.get_running_loop().call_later(self._timeout, self._poll)
        self._lost_reply_recovery.poll()
        self._deregister_pending = bool(self.slots.deregistering)
        self.request_round()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._ready:
                self._signalled = loop.create_future()
                await self._signalled
                self._signalled = None
            self._ready = False
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - whatever a driver raises is no job's fault
                await self._recover(error)
            if self._drained is not None and self._settlements.closed and not self._drained.done():
                self._drained.set_result(None)

    async def _round(self) -> None:
        if self._lost_reply_recovery.open:
            await self._lost_reply_recovery.settle(self._jobs.marked_alone)
        if not self._names.complete and self._free():
            await self._read_names()
        free = self._free()
        if self._settlements.pending or (free and self._claim_requested):
            if free and self._woken and not self._jobs.running:
                # Always the same ones, so that a driver may keep how it asks for them.
                free = sorted(self.slots.free)[:IDLE_CLAIM_SIZE]
            answer = await self._settle_and_claim(free)
            if free:
                await self._after_claim(answer, asked=len(free))
        if self._settlements.pending:
            # More of it than one exchange takes.
            self._signal()
        if self._woken and not self._free():
            # Nobody is free here for what woke us.
            self._woken = False
            self._listener.suspend()
            self._listener.forward(self._names.current)
        if self.slots.retiring_count or self._deregister_pending:
            await self._deregister_retired()
        if self._jobs.quarantined is not None:
            await (self._end_quarantine() if self._jobs.quarantine_expired else self._run_exclusively())

    def _free(self) -> Sequence[int]:
        """The slots to claim jobs for in one exchange."""
        if self._jobs.quarantined is not None or self._jobs.closing or self._jobs.paused:
            return ()
        half = (len(self.slots.workers) + 1) // 2
        return tuple(islice(self.slots.free, min(BATCH, max(half, MIN_BATCH_BEFORE_SPLIT))))

    async def _settle_and_claim(self, free: Sequence[int]) -> SettleAndClaimReply:
        settled = self._settlements.send()
        if free:
            self._claim_requested = self._woken = False
        if free and self._emitter.wants(WorkerPoll):
            self._emitter.emit(WorkerPoll(self._process.name, self._names.current))
        answer = await self._backend.settle_and_claim(self._process, settled, free, self._names.current)
        if self._outage.lasting:
            self._outage.worked(_NAME)
        self._backoff.reset()
        self._settlements.acknowledge(answer)
        if answer.claims:
            self._jobs.start(answer.claims)
        if not answer.registered:
            await self._register()
        else:
            self._unregistered = False
        return answer

    async def _after_claim(self, answer: SettleAndClaimReply, asked: int) -> None:
        """After a claim: see to new queues, and listen if there are processors left without a job."""
        self.backlog = answer.jobs_left
        # Only now, since most news is of queues that are known, and a job need not wait for this question.
        changed = self._names_stale and await self._read_names()
        if not self._free():
            self._listener.suspend()
        elif changed or (answer.jobs_left and len(answer.claims) == asked):
            self._claim_requested = True
            self._signal()
        else:
            if not answer.claims and self._emitter.wants(WorkerPause):
                self._emitter.emit(WorkerPause(self._process.name))
            self._listener.resume(self._names.current, all_queues=self._names.star, found=bool(answer.claims))

    # what is rare

    async def _run_exclusively(self) -> None:
        """Run the job that may have killed its process, as soon as no other runs here and all endings are recorded."""
        jobs = self._jobs
        if jobs.quarantined is None or jobs.exclusive or self._settlements.pending or not jobs.can_start_quarantined:
            return
        worker, claim = jobs.quarantined
        mine = await self._backend.mark_exclusive(self._process, claim)
        if worker.claim is not claim:
            # The stop gave it back meanwhile.
            return
        if mine:
            jobs.start_quarantined()
        else:
            self._settlements.report_lost_claim(claim)
            jobs.drop_quarantined()

    async def _end_quarantine(self) -> None:
        """Before others run beside a long suspect, take its mark back: one of them may kill the process."""
        quarantined = self._jobs.quarantined
        if quarantined is None:
            return
        await self._backend.mark_exclusive(self._process, quarantined[1], exclusive=False)
        if self._jobs.quarantined is quarantined:
            self._jobs.end_quarantine()

    async def _read_names(self) -> bool:
        """Read the names of all queues; return whether there are other ones to work now."""
        self._names_stale = False
        try:
            return self._names.read(await self._backend.queues())
        except BackendRefused as error:
            # The queues that are known can be worked all the same.
            self._settlements.report_once("*", f"the names of the queues cannot be read: {error}")
            return False

    async def _deregister_retired(self) -> None:
        for worker in self.slots.pop_retired(self._settlements.slots()):
            self._emitter.emit(WorkerEnd(worker.name))
        slots = sorted(self.slots.deregistering)
        if not slots:
            return
        self._deregister_pending = True
        try:
            answer = await self._backend.deregister_slots(self._process, slots)
        except BackendRefused as error:
            # Tried again with the next poll, and with the next one that goes.
            self._settlements.report_once("retire", f"workers {slots} cannot be taken from view: {error}")
        else:
            blocked = {claim.slot for claim, _ in answer.blocked}
            self.slots.deregistering.difference_update(set(slots) - blocked)
            for claim, reason in answer.blocked:
                text = f"a worker cannot leave, since queue {claim.queue!r} cannot take its job back: {reason}"
                self._settlements.report_once(f"retire {claim.slot}", text, queue=claim.queue, claim=claim)
        self._deregister_pending = False

    async def _register(self) -> None:
        """Become visible again, after the process was taken for dead."""
        if self._unregistered:
            # Once was not enough.
            await self._pause.sleep(self._backoff.next())
        self._unregistered = True
        self.restorer.disown()
        await self._backend.register(self._process, sorted(self.slots.workers), self._lease)
        self.request_round()

    async def _recover(self, error: Exception) -> None:
        """Keep what could not be told, wait, and then see what became of it."""
        self._outage.failed(_NAME, error)
        lost = not isinstance(error, (BackendUnavailable, BackendRefused))
        self._settlements.restore(lost=lost)
        if lost:
            self._lost_reply_recovery.lost()
        delay = self._backoff.next()
        await self._pause.sleep(min(delay, 0.2) if self._jobs.closing else delay)
        self.request_round()
