"""Run as many task processors as the queues need and the event loop can bear."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from taskhero._internal.logs import get_logger
from taskhero.errors import BackendError
from taskhero.events import (
    MultiWorkerAction,
    MultiWorkerEnd,
    MultiWorkerStart,
    WorkerError,
    WorkerPing,
)
from taskhero.runtime.background_loop import BackgroundLoop
from taskhero.runtime.backoff import Backoff
from taskhero.runtime.worker.autoscale import Load, LoopDelay, decide
from taskhero.runtime.worker.control import WorkerControl
from taskhero.runtime.worker.heartbeat import Heartbeat
from taskhero.runtime.worker.wiring import wire_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, HeartbeatReply, Process
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.jobs.job_runner import JobExecutor
    from taskhero.runtime.worker.lease_watch import LeaseSnapshot
    from taskhero.runtime.worker.listener import WakeupListener
    from taskhero.runtime.worker.slots import WorkerSlot
    from taskhero.settings import Settings

__all__ = ["MultiWorker", "MultiWorkerContext"]

_logger = get_logger("taskhero.worker")

#: Longest time of a stop after the grace period, in seconds.
STOP_LIMIT = 5.0


@attrs.frozen(kw_only=True)
class MultiWorkerContext:
    """The parts that a `MultiWorker` uses.

    Attributes:
        backend: The store of jobs.
        process: The owner of the processors.
        settings: The number of processors, the queues, the intervals.
        emitter: Receives the events.
        executor: Performs a job.
        preparation: Acquires what jobs need before they run, and records their locks.
        listener: Reports wake-ups.
        outage: Records errors and successes of the backend.
        on_leases: Called with the leases of other processes in each heartbeat's reply.
        on_lease_lost: Called when this process's lease was lost. The leases of dead processes may be lost, too.
        control: Lets an operator pause the processors and fail their jobs.
    """

    backend: Backend
    process: Process
    settings: Settings
    emitter: Emitter
    executor: JobExecutor
    preparation: RunPreparation
    listener: WakeupListener
    outage: Outage
    on_leases: Callable[[LeaseSnapshot], None]
    on_lease_lost: Callable[[], None]
    control: WorkerControl = attrs.field(factory=WorkerControl)


class MultiWorker:
    """Runs between ``min_task_processors`` and ``max_task_processors`` task processors.

    To change it, derive from it and give the class to the app: ``TaskHero(multi_worker=MyMultiWorker)``.

    Args:
        context: The parts that it uses.
        loop_delay: Measures the delay of the event loop; a new `LoopDelay` if none is given.
    """

    def __init__(self, context: MultiWorkerContext, *, loop_delay: LoopDelay | None = None) -> None:
        self.context = context
        self.process = context.process
        self.settings = settings = context.settings
        self._backend = context.backend
        self._emitter = context.emitter
        self._outage = context.outage
        self._loop_delay = loop_delay or LoopDelay(settings.check_interval)
        self._parts = parts = wire_parts(
            backend=context.backend,
            process=context.process,
            executor=context.executor,
            preparation=context.preparation,
            emitter=context.emitter,
            listener=context.listener,
            outage=context.outage,
            control=context.control,
            timeout=settings.timeout,
            lease=settings.rescue_after,
            rescue_limit=settings.rescue_limit,
        )
        self._slots = parts.slots
        self._heartbeat = Heartbeat(
            backend=context.backend,
            process=context.process,
            interval=settings.heartbeat_interval,
            lease=settings.rescue_after,
            slots=lambda: parts.slots.numbers,
            locks=lambda: context.preparation.held,
            on_reply=self._on_heartbeat,
            on_leases=context.on_leases,
            on_error=lambda error: context.outage.failed("heartbeat", error),
        )
        self._scaling = BackgroundLoop(
            self._scale,
            name="autoscale",
            owner=context.process.name,
            outage=context.outage,
            backoff=Backoff(),
            first_delay=settings.check_interval,
            max_retry_delay=settings.check_interval,
        )
        self._running = False
        self._removed: set[int] = set()

    @property
    def workers(self) -> list[WorkerSlot]:
        """The task processors, by number."""
        return self._slots.all()

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._running

    async def start(self) -> None:
        """Start the smallest number of processors.

        Raises:
            BackendError: The process could not be registered.
        """
        registration = self._parts.registration
        numbers = await registration.register_process(self.settings.min_task_processors)
        self._running = True
        self._emitter.emit(MultiWorkerStart(self.process.name))
        registration.add(numbers)
        self._parts.dispatcher.start()
        self._heartbeat.start()
        self._loop_delay.start()
        self._scaling.start()

    async def stop(self, grace: float | None = None, *, limit: float = STOP_LIMIT) -> None:
        """Stop claiming, let running jobs end, release the others, and deregister all processors.

        Args:
            grace: Seconds that running jobs get to end; the setting ``grace`` if none is given.
            limit: Longest time of the rest in seconds, even if the backend is unreachable or a thread never ends.
        """
        if not self._running:
            return
        self._running = False
        grace = self.settings.grace if grace is None else grace
        deadline = time.monotonic() + grace + limit
        try:
            await self._scaling.stop()
            self._emitter.emit(MultiWorkerAction(self.process.name, "--", self._loop_delay.take(), 0))
            recorded = await self._parts.dispatcher.drain(grace, limit / 2)
            # Before the lease is released: a late heartbeat would renew it.
            await self._heartbeat.stop(max(0.1, deadline - time.monotonic()))
            limit = max(0.1, deadline - time.monotonic())
            await self._parts.registration.deregister_process(limit, recorded=recorded)
        finally:
            self._loop_delay.stop()
            self._heartbeat.end()
        self._emitter.emit(MultiWorkerEnd(self.process.name))

    @property
    def paused(self) -> bool:
        """Whether it claims no jobs since a call of `pause`."""
        return self.context.control.paused

    def pause(self) -> bool:
        """Claim no jobs in this process until `resume`. Running jobs continue.

        The process keeps its lease. A scheduler of this process continues.

        Returns:
            False if it was paused already.
        """
        return self.context.control.pause()

    def resume(self) -> bool:
        """Claim jobs again, at once. Return False if it was not paused."""
        return self.context.control.resume()

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all running jobs, each with an error that *error* makes. Return their number.

        Plugins such as `Retry` treat it as any failure. An async task is cancelled, and the child process of a task is
        killed. A thread continues: its task sees ``current().cancelled``, and its task processor takes no job until it
        ends.
        """
        return self.context.control.fail_running(error)

    def skip_grace(self) -> None:
        """Skip the grace period of a current or later stop."""
        self._parts.runner.skip_grace()

    def stop_claiming(self) -> None:
        """Claim no jobs from now on. Running jobs continue. It cannot be undone; `stop` does it, too."""
        self._parts.dispatcher.stop_claiming()

    async def check(self) -> int:
        """Change the number of processors by one step if needed. Return how many were added, or retire if negative.

        Raises:
            BackendError: New processors could not be registered.
        """
        delay = self._loop_delay.take()
        active = self._slots.active
        load = Load(
            workers=active,
            working=min(self._slots.take_peak(), active),
            minimum=self.settings.min_task_processors,
            maximum=self.settings.max_task_processors,
            blocked=delay > self.settings.max_event_loop_delay,
            backlog=self._parts.dispatcher.backlog,
        )
        change = self.decide(load)
        try:
            if change > 0:
                await self._parts.registration.grow(change)
            elif change < 0:
                self._slots.retire(-change)
                self._parts.rounds.request_claim()
        finally:
            verb = "+" if change > 0 else "-" if change < 0 else "x"
            self._emitter.emit(MultiWorkerAction(self.process.name, verb, delay, self._slots.active))
        return change

    def decide(self, load: Load) -> int:
        """Return how many task processors to add, or to remove if negative. Subclasses may override it."""
        return decide(load)

    async def _scale(self) -> float:
        await self.check()
        return self.settings.check_interval

    # replies of the heartbeat

    def _on_heartbeat(self, reply: HeartbeatReply, slots: tuple[int, ...]) -> None:
        self._outage.worked("heartbeat")
        if not self._running:
            return
        self._emitter.emit(WorkerPing(self.process.name, time.time()))
        if not reply.alive:
            text = (
                f"process {self.process.name} was taken for dead and is registered again; "
                "other processes may run its jobs, too"
            )
            self._emitter.emit(WorkerError(self.process.name, BackendError(text)))
            self._parts.rounds.request_claim()
        if reply.missing:
            _logger.info("registered workers again that had been removed: %s", ", ".join(reply.missing))
        self._restore_removed(reply)
        for held in reply.lost:
            text = (
                f"lock {held.lock.key!r} is no longer held by its running job, so an equal job may run beside it: "
                "the lock expired while the backend could not be reached, or another program deleted it"
            )
            worker = self.process.worker(held.claim.slot)
            self._emitter.emit(WorkerError(worker, BackendError(text), held.claim.queue))
        removed = set(slots).difference(self._slots.numbers)
        if removed:
            # The heartbeat was in flight when they were removed, so it may have registered them again.
            self._parts.registration.deregister_again(removed)
        if not reply.alive:
            self.context.on_lease_lost()

    def _restore_removed(self, reply: HeartbeatReply) -> None:
        """Restore claims of workers that another program removed, but not claims that taskhero took itself."""
        recovery, slots = self._parts.recovery, {worker.name: worker.slot for worker in self.workers}
        if not reply.alive:
            recovery.exclude()
        missing = set(reply.missing).difference(reply.removed)
        recovery.exclude(slots[name] for name in missing if name in slots)
        # Ruby deletes the claim shortly after the worker, so repeat this with the next heartbeat.
        previous, self._removed = self._removed, {slots[name] for name in reply.removed if name in slots}
        recovery.request(previous | self._removed)
        if recovery.pending:
            self._parts.rounds.request_claim()
