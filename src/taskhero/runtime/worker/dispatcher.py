"""The loop of a process that settles finished jobs and claims the next ones.

Each round sends one `settle_and_claim`: the settlements since the last round and a claim for free slots. So a batch of
jobs costs one step of the backend under load. Rounds never overlap. Of many slots only half claim in one round, so that
the jobs of one half run while the backend serves the other half.
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

    from taskhero.backends.protocol import Backend, Process, SettleAndClaimReply, Wakeup
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.control import WorkerControl
    from taskhero.runtime.worker.listener import WakeupListener
    from taskhero.runtime.worker.queue_order import QueueOrder

__all__ = ["Dispatcher"]

_NAME = "dispatcher"

#: Slots that claim first after a wake-up of an idle process. Usually one job came, and naming all slots would delay it.
#: If more jobs are queued, the other slots claim at once.
IDLE_CLAIM_SIZE = 4

#: Up to this number of slots claim at once, even if it is more than half: another round would cost more time than
#: working in two halves saves.
MIN_BATCH_BEFORE_SPLIT = 20


class Dispatcher:
    """Keeps the slots of a process busy. Create it in the event loop.

    Args:
        backend: The store of jobs.
        process: The owner of the slots, already registered.
        queue_order: The queues to claim from.
        executor: Performs a job.
        preparation: Returns the locks and counters to release with a settlement.
        emitter: Receives the events.
        listener: Reports wake-ups.
        outage: Records errors and successes of the backend.
        timeout: Seconds between two polls of the queues if there is no wake-up.
        lease: Seconds of the process's lease, for a repeated registration; also the shortest quarantine.
        rescue_limit: Crashes in exclusive runs after which a job fails without being run.
        control: Lets an operator pause the slots and fail their jobs.
        new_backoff: Makes the delays after errors.

    Attributes:
        slots: The slots.
        backlog: Whether the queues held more jobs than the last claim could take.
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
        new_backoff: Callable[[], Backoff] = Backoff,
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
            backoff=new_backoff(),
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
        # Whether to claim although no job has ended: after a wake-up, a poll, or a slot that became free.
        self._claim_requested = True
        self._woken = False
        # Whether to read the names of the queues again.
        self._names_stale = queue_order.star
        self._unregistered = False
        self._deregister_pending = False
        self._drained: asyncio.Future[None] | None = None
        self._ready = True
        self._signalled: asyncio.Future[None] | None = None
        self._pause = InterruptibleSleep()
        self._backoff = new_backoff()
        self._poll_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # called by other parts

    def start(self) -> None:
        """Start to claim jobs for the slots."""
        self._listener.on_jobs = self.wake
        loop = asyncio.get_running_loop()
        self._poll_timer = loop.call_later(self._timeout, self._poll)
        self._task = loop.create_task(self._run(), name=f"taskhero {self._process.name} dispatcher")

    def wake(self, wakeup: Wakeup | None = None) -> None:
        """Claim jobs as soon as possible, after a wake-up. Read new queue names, unless *wakeup* excludes any."""
        self._woken = self._claim_requested = True
        if wakeup is None or not wakeup.only_named:
            self._names_stale = self._names.star
        self._signal()

    def request_round(self) -> None:
        """Claim jobs, read new queue names, and deregister retired slots as soon as possible."""
        self._claim_requested = True
        self._names_stale = self._names.star
        self._signal()

    def deregister_again(self, slots: Iterable[int]) -> None:
        """Deregister slots that this process no longer has, but that may be registered again."""
        self.slots.deregistering.update(slots)
        self._deregister_pending = True
        self.request_round()

    def take_peak(self) -> int:
        """Return the largest number of slots that worked at once since the last call."""
        return self._jobs.take_peak()

    def skip_grace(self) -> None:
        """Skip the grace period of a current or later `drain`."""
        self._jobs.skip_grace()

    def pause(self) -> None:
        """Claim nothing until `resume`. Jobs of a claim in flight are released; running jobs continue."""
        self._jobs.pause()
        self._listener.stop_jobs()

    def resume(self) -> None:
        """Claim again, at once."""
        self._jobs.resume()
        self.request_round()

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all running jobs, each with an error that *error* makes. Return their number."""
        return self._jobs.fail_running(error)

    def stop_claiming(self) -> None:
        """Claim nothing from now on. Jobs of a claim in flight are released."""
        self._jobs.closing = True
        self._listener.stop_jobs()

    async def drain(self, grace: float, limit: float) -> bool:
        """Stop claiming, end or release all jobs, record all settlements, and end the loop.

        A second call changes nothing.

        Args:
            grace: Seconds that running jobs get to end.
            limit: Seconds to cancel the jobs after that, and again to record all settlements.

        Returns:
            Whether all settlements were recorded.
        """
        if self._task is None:
            return True
        self.stop_claiming()
        self._pause.wake()
        self._settlements.skip_grace()
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
            except Exception as error:  # noqa: BLE001 - an error of a driver must not fail a job
                await self._recover(error)
            if self._drained is not None and self._settlements.empty and not self._drained.done():
                self._drained.set_result(None)

    async def _round(self) -> None:
        if self._lost_reply_recovery.pending:
            await self._lost_reply_recovery.recover(self._jobs.exclusive_claim)
        if not self._names.complete and self._free():
            await self._read_names()
        free = self._free()
        if self._settlements.pending or (free and self._claim_requested):
            if free and self._woken and not self._jobs.running:
                # Always the same slots, so that a driver may cache the request.
                free = sorted(self.slots.free)[:IDLE_CLAIM_SIZE]
            reply = await self._settle_and_claim(free)
            if free:
                await self._after_claim(reply, requested=len(free))
        if self._settlements.pending:
            # More settlements than one round takes.
            self._signal()
        if self._woken and not self._free():
            # No slot is free for the job of this wake-up.
            self._woken = False
            self._listener.suspend()
            self._listener.forward(self._names.current)
        if self.slots.retiring_count or self._deregister_pending:
            await self._deregister_retired()
        if self._jobs.quarantined is not None:
            await (self._end_quarantine() if self._jobs.quarantine_expired else self._run_exclusively())

    def _free(self) -> Sequence[int]:
        """Return the slots to claim for in this round."""
        if self._jobs.quarantined is not None or self._jobs.closing or self._jobs.paused:
            return ()
        half = (len(self.slots.workers) + 1) // 2
        return tuple(islice(self.slots.free, min(BATCH, max(half, MIN_BATCH_BEFORE_SPLIT))))

    async def _settle_and_claim(self, free: Sequence[int]) -> SettleAndClaimReply:
        settlements = self._settlements.take_batch()
        woken = self._woken
        if free:
            self._claim_requested = self._woken = False
        if free and self._emitter.wants(WorkerPoll):
            self._emitter.emit(WorkerPoll(self._process.name, self._names.current))
        reply = await self._backend.settle_and_claim(self._process, settlements, free, self._names.current)
        if self._outage.active:
            self._outage.worked(_NAME)
        self._backoff.reset()
        self._settlements.acknowledge(reply)
        if reply.claims:
            self._jobs.start(reply.claims)
        elif woken:
            # The wake-up may be for a queue whose name is not read yet.
            self._names_stale = self._names.star
        if not reply.registered:
            await self._register()
        else:
            self._unregistered = False
        return reply

    async def _after_claim(self, reply: SettleAndClaimReply, requested: int) -> None:
        """After a claim: read new queue names, and listen if slots are still free."""
        self.backlog = reply.jobs_left
        # After the claim, since most wake-ups are for known queues, and a job must not wait for this read.
        changed = self._names_stale and await self._read_names()
        if not self._free():
            self._listener.suspend()
        elif changed or (reply.jobs_left and len(reply.claims) == requested):
            self._claim_requested = True
            self._signal()
        else:
            if not reply.claims and self._emitter.wants(WorkerPause):
                self._emitter.emit(WorkerPause(self._process.name))
            self._listener.resume(self._names.current, all_queues=self._names.star, found=bool(reply.claims))

    # rare steps

    async def _run_exclusively(self) -> None:
        """Start the quarantined job when no other job runs and all settlements are recorded."""
        jobs = self._jobs
        if jobs.quarantined is None or jobs.exclusive or self._settlements.pending or not jobs.can_start_quarantined:
            return
        worker, claim = jobs.quarantined
        is_current = await self._backend.mark_exclusive(self._process, claim)
        if worker.claim is not claim:
            # The stop has released it.
            return
        if is_current:
            jobs.start_quarantined()
        else:
            self._settlements.report_lost_claim(claim)
            jobs.drop_quarantined()

    async def _end_quarantine(self) -> None:
        """Remove the mark of an exclusive run that takes too long, before other jobs start beside it."""
        quarantined = self._jobs.quarantined
        if quarantined is None:
            return
        await self._backend.mark_exclusive(self._process, quarantined[1], exclusive=False)
        if self._jobs.quarantined is quarantined:
            self._jobs.end_quarantine()

    async def _read_names(self) -> bool:
        """Read the names of all queues. Return whether the queues to claim from changed."""
        self._names_stale = False
        try:
            return self._names.read(await self._backend.queues())
        except BackendRefused as error:
            # The known queues can be used without it.
            self._settlements.report_once("*", f"cannot read the names of the queues: {error}")
            return False

    async def _deregister_retired(self) -> None:
        for worker in self.slots.pop_retired(self._settlements.pending_slots()):
            self._emitter.emit(WorkerEnd(worker.name))
        slots = sorted(self.slots.deregistering)
        if not slots:
            return
        self._deregister_pending = True
        try:
            reply = await self._backend.deregister_slots(self._process, slots)
        except BackendRefused as error:
            # Retried with the next poll, and when another slot retires.
            self._settlements.report_once("retire", f"cannot deregister slots {slots}: {error}")
        else:
            blocked = {claim.slot for claim, _ in reply.blocked}
            self.slots.deregistering.difference_update(set(slots) - blocked)
            for claim, reason in reply.blocked:
                text = f"cannot deregister slot {claim.slot}: queue {claim.queue!r} does not accept its job: {reason}"
                self._settlements.report_once(f"retire {claim.slot}", text, queue=claim.queue, claim=claim)
        self._deregister_pending = False

    async def _register(self) -> None:
        """Register again, after the process was taken for dead."""
        if self._unregistered:
            # The last registration had no effect.
            await self._pause.sleep(self._backoff.next())
        self._unregistered = True
        self.restorer.exclude()
        await self._backend.register(self._process, sorted(self.slots.workers), self._lease)
        self.request_round()

    async def _recover(self, error: Exception) -> None:
        """Keep the settlements that were not sent, wait, and then read what the failed step did."""
        self._outage.failed(_NAME, error)
        lost = not isinstance(error, (BackendUnavailable, BackendRefused))
        self._settlements.keep_for_retry(lost=lost)
        if lost:
            self._lost_reply_recovery.reply_lost()
        delay = self._backoff.next()
        await self._pause.sleep(min(delay, 0.2) if self._jobs.closing else delay)
        self.request_round()
