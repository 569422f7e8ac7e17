"""The task processors of a process, as many as there is work for and the event loop can bear."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import attrs

from taskhero._internal.async_helpers import cancel_and_wait
from taskhero.errors import BackendError
from taskhero.events import (
    MultiWorkerAction,
    MultiWorkerEnd,
    MultiWorkerStart,
    WorkerEnd,
    WorkerError,
    WorkerPing,
    WorkerStart,
)
from taskhero.runtime.worker.autoscale import Load, LoopDelay, decide
from taskhero.runtime.worker.control import WorkerControl
from taskhero.runtime.worker.dispatcher import Dispatcher
from taskhero.runtime.worker.heartbeat import Heartbeat
from taskhero.runtime.worker.queue_order import QueueOrder
from taskhero.wire.jobs import decode_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, HeartbeatReply, Process
    from taskhero.events import Emitter
    from taskhero.runtime.backoff import Outage
    from taskhero.runtime.execution.preparation import RunPreparation
    from taskhero.runtime.worker.job_runner import JobExecutor
    from taskhero.runtime.worker.lease_watch import Look
    from taskhero.runtime.worker.listener import WakeupListener
    from taskhero.runtime.worker.slots import WorkerSlot
    from taskhero.settings import Settings

__all__ = ["MultiWorker", "MultiWorkerContext"]

_logger = logging.getLogger("taskhero.worker")

#: Seconds that a stop takes at most after the grace period.
STOP_LIMIT = 5.0


@attrs.frozen(kw_only=True)
class MultiWorkerContext:
    """What a `MultiWorker` works with.

    Attributes:
        backend: The store of jobs.
        process: What the processors belong to.
        settings: How many, which queues, how often.
        emitter: Is told what happens.
        executor: What performs a job.
        preparation: What gives jobs what they need before they run, and keeps account of their locks.
        listener: Tells when there may be jobs.
        outage: Is told how the backend fares.
        on_look: Called with the leases of other processes that each heartbeat shows.
        on_lease_lost: Called when this process's lease was gone; those of processes that died may be gone, too.
        control: Through it an operator pauses the processors and fails their jobs.
    """

    backend: Backend
    process: Process
    settings: Settings
    emitter: Emitter
    executor: JobExecutor
    preparation: RunPreparation
    listener: WakeupListener
    outage: Outage
    on_look: Callable[[Look], None]
    on_lease_lost: Callable[[], None]
    control: WorkerControl = attrs.field(factory=WorkerControl)


class MultiWorker:
    """Has between ``min_task_processors`` and ``max_task_processors`` task processors, and keeps them in work.

    To change it, derive from it and give the class to the app, ``TaskHero(multi_worker=MyMultiWorker)``.

    Args:
        context: What it works with.
        loop_delay: What measures the event loop's lag, if not the usual one.
    """

    def __init__(self, context: MultiWorkerContext, *, loop_delay: LoopDelay | None = None) -> None:
        self.context = context
        self.process = context.process
        self.settings = settings = context.settings
        self._backend = context.backend
        self._emitter = context.emitter
        self._outage = context.outage
        self._loop_delay = loop_delay or LoopDelay(settings.check_interval)
        self._dispatcher = Dispatcher(
            backend=context.backend,
            process=context.process,
            queue_order=QueueOrder(context.process.queues),
            executor=context.executor,
            preparation=context.preparation,
            emitter=context.emitter,
            listener=context.listener,
            outage=context.outage,
            timeout=settings.timeout,
            lease=settings.rescue_after,
            rescue_limit=settings.rescue_limit,
            control=context.control,
        )
        self._slots = self._dispatcher.slots
        self._heartbeat = Heartbeat(
            backend=context.backend,
            process=context.process,
            interval=settings.heartbeat_interval,
            lease=settings.rescue_after,
            slots=lambda: self._slots.slots,
            locks=lambda: context.preparation.held,
            on_reply=self._on_heartbeat,
            on_look=context.on_look,
            on_error=lambda error: context.outage.failed("beating", error),
        )
        self._scaling: asyncio.Task[None] | None = None
        self._running = False
        self._removed: set[int] = set()

    @property
    def workers(self) -> list[WorkerSlot]:
        """The task processors, by slot."""
        return [worker for _, worker in sorted(self._slots.workers.items())]

    @property
    def running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._running

    async def start(self) -> None:
        """Start with the smallest number of processors.

        Raises:
            BackendError: The process could not be registered.
        """
        slots = self._slots.free_numbers(self.settings.min_task_processors)
        await self._backend.register(self.process, slots, self.settings.rescue_after)
        self._running = True
        self._emitter.emit(MultiWorkerStart(self.process.name))
        self._enter(slots)
        self._dispatcher.start()
        self._heartbeat.start()
        self._loop_delay.start()
        self._scaling = asyncio.create_task(self._scale(), name=f"taskhero {self.process.name} scales")

    async def stop(self, grace: float | None = None, *, limit: float = STOP_LIMIT) -> None:
        """Claim no more, let running jobs end, give back those that do not, and take all processors from view.

        Args:
            grace: Seconds that running jobs get to end by themselves; as the settings say if not given.
            limit: Seconds that all the rest takes at most, even if the backend is away or a thread never ends.
        """
        if not self._running:
            return
        self._running = False
        grace = self.settings.grace if grace is None else grace
        deadline = time.monotonic() + grace + limit
        try:
            await self._end_scaling()
            self._emitter.emit(MultiWorkerAction(self.process.name, "--", self._loop_delay.take(), 0))
            recorded = await self._dispatcher.drain(grace, limit / 2)
            # Before the lease is given up: a late beat would take it again.
            await self._heartbeat.stop(max(0.1, deadline - time.monotonic()))
            await self._deregister(max(0.1, deadline - time.monotonic()), recorded=recorded)
        finally:
            self._loop_delay.stop()
            self._heartbeat.end()
        for worker in self.workers:
            self._emitter.emit(WorkerEnd(worker.name))
        self._emitter.emit(MultiWorkerEnd(self.process.name))

    @property
    def paused(self) -> bool:
        """Whether it claims no jobs, since `pause` was called."""
        return self.context.control.paused

    def pause(self) -> bool:
        """Claim no jobs in this process until `resume`; running jobs go on. Return False if it was paused already.

        The process stays alive to others. A scheduler that runs here goes on.
        """
        return self.context.control.pause()

    def resume(self) -> bool:
        """Claim jobs again, at once. Return False if it was not paused."""
        return self.context.control.resume()

    def fail_running(self, error: Callable[[], Exception]) -> int:
        """Fail all jobs that run here, each with an error that *error* makes; return how many.

        Plugins such as `Retry` treat it as any failure. An async task is cancelled, the process of a task is killed. A
        thread goes on: its task sees ``current().cancelled``, and its task processor takes no other job before it ends.
        """
        return self.context.control.fail_running(error)

    def hurry(self) -> None:
        """Let a stop, now or later, give back running jobs at once, without grace."""
        self._dispatcher.hurry()

    def stop_claiming(self) -> None:
        """Claim no jobs from now on; those that run go on. It cannot be undone, and `stop` does it, too."""
        self._dispatcher.stop_claiming()

    async def check(self) -> int:
        """Reconsider the number of processors, and take one step; return how many were added or told to go.

        Raises:
            BackendError: Processors that are to be added could not be registered.
        """
        delay = self._loop_delay.take()
        staying = self._slots.active_count
        load = Load(
            workers=staying,
            working=min(self._dispatcher.take_peak(), staying),
            minimum=self.settings.min_task_processors,
            maximum=self.settings.max_task_processors,
            blocked=delay > self.settings.max_event_loop_delay,
            backlog=self._dispatcher.backlog,
        )
        change = self.decide(load)
        try:
            if change > 0:
                await self._grow(change)
            elif change < 0:
                self._slots.retire(-change)
                self._dispatcher.request_round()
        finally:
            verb = "+" if change > 0 else "-" if change < 0 else "x"
            self._emitter.emit(MultiWorkerAction(self.process.name, verb, delay, self._slots.active_count))
        return change

    def decide(self, load: Load) -> int:
        """How many task processors to add, or to take away if negative; subclasses may decide otherwise."""
        return decide(load)

    async def _scale(self) -> None:
        while True:
            await asyncio.sleep(self.settings.check_interval)
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - the next check may succeed
                self._outage.failed("scaling", error)
            else:
                self._outage.worked("scaling")

    async def _grow(self, number: int) -> None:
        slots = self._slots.free_numbers(number - self._slots.keep_retiring(number))
        if slots:
            await self._backend.register(self.process, slots, self.settings.rescue_after)
            self._enter(slots)
        self._dispatcher.request_round()

    def _enter(self, slots: tuple[int, ...]) -> None:
        for worker in self._slots.add(slots):
            self._emitter.emit(WorkerStart(worker.name))

    async def _end_scaling(self) -> None:
        if self._scaling is not None:
            await cancel_and_wait([self._scaling])

    async def _deregister(self, limit: float, *, recorded: bool) -> None:
        try:
            async with asyncio.timeout(limit):
                answer = await self._backend.deregister(self.process)
        except (Exception, TimeoutError) as error:  # noqa: BLE001 - the process ends all the same
            after = f"others rescue its jobs {self.settings.rescue_after:g} s after its last heartbeat"
            reason = str(error) or f"no answer in {limit:.1f} s"
            left = "" if recorded else ", nor could all endings of its jobs be recorded"
            text = f"process {self.process.name} could not be taken from view{left}: {reason}; {after}"
            self._emitter.emit(WorkerError(self.process.name, BackendError(text)))
            return
        for claim, reason in answer.blocked:
            text = f"queue {claim.queue!r} cannot take a job back: {reason}; others rescue it when the queue can"
            job = decode_job(claim.raw, claim.queue)
            self._emitter.emit(WorkerError(self.process.worker(claim.slot), BackendError(text), claim.queue, job))

    # what the heart tells

    def _on_heartbeat(self, beat: HeartbeatReply, slots: tuple[int, ...]) -> None:
        self._outage.worked("beating")
        if not self._running:
            return
        self._emitter.emit(WorkerPing(self.process.name, time.time()))
        if not beat.alive:
            text = (
                f"process {self.process.name} had been taken for dead and is registered again; "
                "jobs that it ran may have been given to others"
            )
            self._emitter.emit(WorkerError(self.process.name, BackendError(text)))
            self._dispatcher.request_round()
        if beat.missing:
            _logger.info("registered again, since somebody had removed them: %s", ", ".join(beat.missing))
        self._see_to_removed(beat)
        for held in beat.lost:
            text = (
                f"lock {held.lock.key!r} is no longer that of the job which runs under it, so an equal job may run "
                "beside it: it lapsed while the backend could not be reached, or somebody deleted it"
            )
            worker = self.process.worker(held.claim.slot)
            self._emitter.emit(WorkerError(worker, BackendError(text), held.claim.queue))
        departed = set(slots).difference(self._slots.slots)
        if departed:
            # The beat was under way while they went, and may have registered them again.
            self._dispatcher.deregister_again(departed)
        if not beat.alive:
            self.context.on_lease_lost()

    def _see_to_removed(self, beat: HeartbeatReply) -> None:
        """Restore what workers hold that another program removed; what taskhero itself took from them stays theirs."""
        restorer, slots = self._dispatcher.restorer, {worker.name: worker.slot for worker in self.workers}
        if not beat.alive:
            restorer.disown()
        taken = set(beat.missing).difference(beat.removed)
        restorer.disown(slots[name] for name in taken if name in slots)
        # Ruby deletes the claim a moment after the worker: look again with the next beat.
        again, self._removed = self._removed, {slots[name] for name in beat.removed if name in slots}
        restorer.ask(again | self._removed)
        if restorer.wanted:
            self._dispatcher.request_round()
