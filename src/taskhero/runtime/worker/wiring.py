"""Make the parts of a worker process that claim, run and settle jobs, and connect them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from taskhero.runtime.backoff import Backoff
from taskhero.runtime.worker.dispatcher import Dispatcher
from taskhero.runtime.worker.jobs.claim_recovery import ClaimRecovery
from taskhero.runtime.worker.jobs.job_runner import JobExecutor, JobRunner
from taskhero.runtime.worker.jobs.quarantine import Quarantine
from taskhero.runtime.worker.jobs.settlement_buffer import SettlementBuffer
from taskhero.runtime.worker.problems import ProblemReporter
from taskhero.runtime.worker.queue_order import QueueOrder
from taskhero.runtime.worker.registration import WorkerRegistration
from taskhero.runtime.worker.rounds import Rounds
from taskhero.runtime.worker.slots import WorkerSlots

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, Process
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.control import WorkerControl
    from taskhero.runtime.worker.listener import WakeupListener

__all__ = ["WorkerParts", "wire_parts"]


@attrs.frozen(kw_only=True)
class WorkerParts:
    """The parts that the owner of a process's slots uses."""

    slots: WorkerSlots
    rounds: Rounds
    quarantine: Quarantine
    runner: JobRunner
    recovery: ClaimRecovery
    registration: WorkerRegistration
    dispatcher: Dispatcher


def wire_parts(
    *,
    backend: Backend,
    process: Process,
    executor: JobExecutor,
    preparation: RunPreparation,
    emitter: Emitter,
    listener: WakeupListener,
    outage: Outage,
    control: WorkerControl,
    timeout: float,
    lease: float,
    rescue_limit: int,
    new_backoff: Callable[[], Backoff] = Backoff,
) -> WorkerParts:
    """Make the parts of a process. Call it in the event loop.

    Args:
        backend: The store of jobs.
        process: The owner of the slots.
        executor: Performs a job.
        preparation: Returns the locks and counters to release with a settlement.
        emitter: Receives the events.
        listener: Reports wake-ups.
        outage: Records errors and successes of the backend.
        control: Lets an operator pause the slots and fail their jobs.
        timeout: Seconds between two polls of the queues if there is no wake-up.
        lease: Seconds of the process's lease; also the shortest quarantine.
        rescue_limit: Crashes in exclusive runs after which a job fails without being run.
        new_backoff: Makes the delays after errors.
    """
    slots = WorkerSlots(process)
    problems = ProblemReporter(process, emitter)
    rounds = Rounds(outage=outage, timeout=timeout, new_backoff=new_backoff)
    quarantine = Quarantine(
        backend=backend, slots=slots, problems=problems, rounds=rounds, lease=lease, rescue_limit=rescue_limit
    )
    settlements = SettlementBuffer(
        slots=slots,
        emitter=emitter,
        preparation=preparation,
        problems=problems,
        rounds=rounds,
        backoff=new_backoff(),
    )
    runner = JobRunner(
        slots=slots,
        settlements=settlements,
        quarantine=quarantine,
        executor=executor,
        emitter=emitter,
        rounds=rounds,
    )
    recovery = ClaimRecovery(
        backend, slots=slots, settlements=settlements, quarantine=quarantine, runner=runner, problems=problems
    )
    registration = WorkerRegistration(
        backend=backend, slots=slots, emitter=emitter, problems=problems, rounds=rounds, lease=lease
    )
    dispatcher = Dispatcher(
        backend=backend,
        slots=slots,
        queues=QueueOrder(process.queues, backend=backend, problems=problems),
        rounds=rounds,
        settlements=settlements,
        runner=runner,
        quarantine=quarantine,
        recovery=recovery,
        registration=registration,
        listener=listener,
        emitter=emitter,
    )
    control.attach(dispatcher, runner)
    return WorkerParts(
        slots=slots,
        rounds=rounds,
        quarantine=quarantine,
        runner=runner,
        recovery=recovery,
        registration=registration,
        dispatcher=dispatcher,
    )
