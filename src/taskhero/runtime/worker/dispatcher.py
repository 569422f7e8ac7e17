"""The loop of a process that settles finished jobs and claims the next ones.

Each round sends one `settle_and_claim`: the settlements since the last round and a claim for idle slots. So a batch of
jobs costs one step of the backend under load. Rounds never overlap. Of many slots only half claim in one round, so that
the jobs of one half run while the backend serves the other half.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from taskhero.errors import BackendRefused, BackendUnavailable
from taskhero.events import WorkerPause, WorkerPoll
from taskhero.runtime.worker.jobs.finished_job import ReleaseReason
from taskhero.runtime.worker.jobs.settlement_buffer import BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskhero.backends.protocol import Backend, SettleAndClaimReply
    from taskhero.events import Emitter
    from taskhero.runtime.worker.jobs.claim_recovery import ClaimRecovery
    from taskhero.runtime.worker.jobs.job_runner import JobRunner
    from taskhero.runtime.worker.jobs.quarantine import Quarantine
    from taskhero.runtime.worker.jobs.settlement_buffer import SettlementBuffer
    from taskhero.runtime.worker.listener import WakeupListener
    from taskhero.runtime.worker.queue_order import QueueOrder
    from taskhero.runtime.worker.registration import WorkerRegistration
    from taskhero.runtime.worker.rounds import Rounds
    from taskhero.runtime.worker.slots import WorkerSlots

__all__ = ["Dispatcher"]

#: Slots that claim first after a wake-up of an idle process. Usually one job came, and naming all slots would delay it.
#: If more jobs are queued, the other slots claim at once.
IDLE_CLAIM_SIZE = 4

#: Up to this number of slots claim at once, even if it is more than half: another round would cost more time than
#: working in two halves saves.
MIN_BATCH_BEFORE_SPLIT = 20

#: Longest delay after an error while the process stops, in seconds.
MAX_DELAY_AT_STOP = 0.2


class Dispatcher:
    """Keeps the slots of a process busy.

    Args:
        backend: The store of jobs.
        slots: The slots of the process.
        queues: The queues to claim from.
        rounds: Says when a round runs.
        settlements: The settlements to send.
        runner: Starts the claimed jobs.
        quarantine: Holds a job that may have crashed its process.
        recovery: Finds the claims of a step whose reply was lost.
        registration: Registers the process again, and deregisters retired slots.
        listener: Reports wake-ups.
        emitter: Receives the events.

    Attributes:
        backlog: Whether the queues held more jobs than the last claim could take.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        slots: WorkerSlots,
        queues: QueueOrder,
        rounds: Rounds,
        settlements: SettlementBuffer,
        runner: JobRunner,
        quarantine: Quarantine,
        recovery: ClaimRecovery,
        registration: WorkerRegistration,
        listener: WakeupListener,
        emitter: Emitter,
    ) -> None:
        self.backlog = False
        self._backend = backend
        self._slots = slots
        self._queues = queues
        self._rounds = rounds
        self._settlements = settlements
        self._runner = runner
        self._quarantine = quarantine
        self._recovery = recovery
        self._registration = registration
        self._listener = listener
        self._emitter = emitter

    # called by other parts

    def start(self) -> None:
        """Start to claim jobs for the slots."""
        self._listener.on_jobs = self._rounds.wake
        self._rounds.start(self._run(), f"taskhero {self._slots.process.name} dispatcher")

    def pause(self) -> None:
        """Claim nothing until `resume`. Jobs of a claim in flight are released; running jobs continue."""
        self._runner.pause()
        self._listener.stop_jobs()

    def resume(self) -> None:
        """Claim again, at once."""
        self._runner.resume()
        self._rounds.request_claim()

    def stop_claiming(self) -> None:
        """Claim nothing from now on. Jobs of a claim in flight are released."""
        self._runner.refuse_claims()
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
        if not self._rounds.running:
            return True
        self.stop_claiming()
        self._rounds.skip_delay()
        self._settlements.skip_grace()
        try:
            await self._runner.end_all(grace, limit)
            return await self._rounds.finish(limit)
        finally:
            self._settlements.close()
            await self._rounds.stop()
            await self._runner.close()

    # the loop

    async def _run(self) -> None:
        while not (self._rounds.finishing and self._settlements.empty):
            await self._rounds.next()
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - an error of a driver must not fail a job
                await self._recover(error)

    async def _round(self) -> None:
        rounds, settlements = self._rounds, self._settlements
        if rounds.polled or self._recovery.pending or not self._queues.complete:
            await self._catch_up()
        slots = self._claiming_slots()
        if settlements.pending or (slots and rounds.claim_requested):
            if slots and rounds.woken and not self._slots.occupied:
                # Always the same slots, so that a driver may cache the request.
                slots = self._slots.lowest_idle(IDLE_CLAIM_SIZE)
            reply = await self._settle_and_claim(slots)
            if slots:
                await self._after_claim(reply, requested=len(slots))
        if settlements.pending:
            # More settlements than one round takes.
            rounds.request()
        if rounds.woken and not self._claiming_slots():
            # No slot is idle for the job of this wake-up.
            rounds.woken = False
            self._listener.suspend()
            self._listener.forward(self._queues.current)
        if self._slots.retiring or self._registration.retrying:
            await self._registration.deregister_retired(settlements.pending_slots())
        if self._quarantine.claim is not None:
            start = await self._quarantine.advance(all_sent=not settlements.pending)
            if start is not None:
                self._runner.launch(*start)

    async def _catch_up(self) -> None:
        """Do what must precede a claim: find lost claims, restore deleted ones, and read the first queue names."""
        if self._rounds.polled:
            self._rounds.polled = False
            self._recovery.poll()
            self._registration.poll()
        if self._recovery.pending:
            await self._recovery.recover()
        if not self._queues.complete and self._claiming_slots():
            self._rounds.names_requested = False
            await self._queues.read()

    def _claiming_slots(self) -> Sequence[int]:
        """Return the slots to claim for in this round."""
        if self._runner.refusal is not None or self._quarantine.claim is not None:
            return ()
        half = (len(self._slots.numbers) + 1) // 2
        return self._slots.idle(min(BATCH, max(half, MIN_BATCH_BEFORE_SPLIT)))

    async def _settle_and_claim(self, slots: Sequence[int]) -> SettleAndClaimReply:
        process = self._slots.process
        settlements = self._settlements.take_batch()
        woken = self._rounds.woken
        if slots:
            self._rounds.claim_requested = self._rounds.woken = False
            if self._emitter.wants(WorkerPoll):
                self._emitter.emit(WorkerPoll(process.name, self._queues.current))
        reply = await self._backend.settle_and_claim(process, settlements, slots, self._queues.current)
        if self._rounds.delayed:
            self._rounds.recovered()
        self._settlements.acknowledge(reply)
        if reply.claims:
            self._runner.start(reply.claims)
        elif woken:
            # The wake-up may be for a queue whose name is not read yet.
            self._rounds.names_requested = True
        if not reply.registered:
            self._recovery.exclude()
            await self._registration.register_again()
        elif self._registration.unconfirmed:
            self._registration.confirm()
        return reply

    async def _after_claim(self, reply: SettleAndClaimReply, requested: int) -> None:
        """After a claim: read new queue names, and listen if slots are still idle."""
        self.backlog = reply.jobs_left
        changed = False
        if self._rounds.names_requested and self._queues.star:
            # After the claim, since most wake-ups are for known queues, and a job must not wait for this read.
            self._rounds.names_requested = False
            changed = await self._queues.read()
        if not self._claiming_slots():
            self._listener.suspend()
        elif changed or (reply.jobs_left and len(reply.claims) == requested):
            self._rounds.claim_requested = True
            self._rounds.request()
        else:
            if not reply.claims and self._emitter.wants(WorkerPause):
                self._emitter.emit(WorkerPause(self._slots.process.name))
            self._listener.resume(self._queues.current, all_queues=self._queues.star, found=bool(reply.claims))

    async def _recover(self, error: Exception) -> None:
        """Keep the settlements that were not sent, wait, and then read what the failed step did."""
        lost = not isinstance(error, (BackendUnavailable, BackendRefused))
        self._settlements.keep_for_retry(lost=lost)
        if lost:
            self._recovery.reply_lost()
        stopping = self._runner.refusal is ReleaseReason.STOPPING
        await self._rounds.failed(error, limit=MAX_DELAY_AT_STOP if stopping else math.inf)
        self._rounds.request_claim()
