"""Start and stop what runs in a process for an app: task processors, a scheduler, and what both need."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from taskhero.backends.protocol import Process
from taskhero.errors import BackendUnavailable, NothingToRun, PluginError, ReplyLost
from taskhero.events import (
    SchedulerError,
    SchedulerOutage,
    SchedulerRecovered,
    WorkerError,
    WorkerOutage,
    WorkerRecovered,
)
from taskhero.runtime.backoff import Outage
from taskhero.runtime.execution.executor import Executor
from taskhero.runtime.execution.preparation import RunPreparation
from taskhero.runtime.execution.processes import ProcessPool
from taskhero.runtime.execution.threads import ThreadPool
from taskhero.runtime.logs.event_log import log_events
from taskhero.runtime.scheduler.scheduler import Scheduler, SchedulerContext
from taskhero.runtime.scheduler.stale_workers import StaleWorkers
from taskhero.runtime.worker.control import WorkerControl
from taskhero.runtime.worker.listener import WakeupListener
from taskhero.runtime.worker.pool import MultiWorker, MultiWorkerContext
from taskhero.runtime.worker.queue_order import STAR
from taskhero.runtime.worker.rescuer import Rescuer
from taskhero.wire.jobs import check_queue_name
from taskhero.wire.workers import new_process_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskhero.backends.protocol import Backend, Guard
    from taskhero.engine.queue.queue import Queue
    from taskhero.engine.task.task_registry import TaskRegistry
    from taskhero.events import Emitter
    from taskhero.models import Job
    from taskhero.settings import Settings

__all__ = ["AppRunner"]

_Part = TypeVar("_Part")

#: Seconds that async event handlers get to end after all other parts have stopped.
HANDLER_TIMEOUT = 2.0


class AppRunner:
    """Starts and stops the parts that the settings ask for.

    Args:
        app: The object that tasks get as their app.
        backend: The store of jobs, connected.
        settings: The settings, which say what to run.
        tasks: The app's tasks.
        queue: The app's queue.
        emitter: Receives the events.
        multi_worker: Makes the multi-worker from a `MultiWorkerContext`. None, or an answer of None, selects
            `MultiWorker`.
        scheduler: Makes the scheduler from a `SchedulerContext`. None, or an answer of None, selects `Scheduler`.
        control: Lets an operator control the task processors. A new one is made if none is given.

    Attributes:
        process: This process as other processes see it; None before the start.
        multi_worker: The owner of the task processors, or None if the settings ask for none.
        scheduler: The scheduler, or None if the settings ask for none.
    """

    def __init__(
        self,
        *,
        app: Any,
        backend: Backend,
        settings: Settings,
        tasks: TaskRegistry,
        queue: Queue,
        emitter: Emitter,
        multi_worker: Callable[..., Any] | None = None,
        scheduler: Callable[..., Any] | None = None,
        control: WorkerControl | None = None,
    ) -> None:
        self.process: Process | None = None
        self.multi_worker: MultiWorker | None = None
        self.scheduler: Scheduler | None = None
        self._app = app
        self._backend = backend
        self._settings = settings
        self._tasks = tasks
        self._queue = queue
        self._emitter = emitter
        self._make_multi_worker = multi_worker
        self._make_scheduler = scheduler
        self._control = control or WorkerControl()
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Start all parts. If one cannot be started, stop those that were started.

        Raises:
            NothingToRun: The settings ask for neither task processors nor a scheduler.
            InvalidSettings, InvalidQueueName: A queue in the settings has an invalid name, or there is no queue.
            BackendError: The backend could not be used.
        """
        settings = self._settings
        has_processors = settings.max_task_processors > 0
        if not has_processors and not settings.scheduler:
            raise NothingToRun(
                "the settings ask for neither task processors nor a scheduler: "
                "pass Settings(max_task_processors=10), Settings(scheduler=True), or both"
            )
        queues = await settings.resolve_queues()
        for name in queues:
            if name != STAR:
                check_queue_name(name)
        self.process = process = Process(new_process_name(), queues)
        try:
            await self._start(process, has_processors=has_processors)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the scheduler, then the workers, then the rest. A second call changes nothing.

        If it is cancelled, it continues to its end, but running jobs get no more time.
        """
        if isinstance(self.multi_worker, MultiWorker):
            # Before the scheduler stops, since the release of the leader lease may take time.
            self.multi_worker.stop_claiming()
        stopping = asyncio.create_task(self._running.aclose(), name="taskhero stop")
        cancelled: asyncio.CancelledError | None = None
        while not stopping.done():
            try:
                await asyncio.wait({stopping})
            except asyncio.CancelledError as error:
                cancelled = error
                if self.multi_worker is not None:
                    self.multi_worker.skip_grace()
        if cancelled is not None:
            raise cancelled
        stopping.result()

    async def _start(self, process: Process, *, has_processors: bool) -> None:
        settings, emitter, backend = self._settings, self._emitter, self._backend
        self._running.push_async_callback(self._drain_handlers)
        stop_logging = log_events(emitter, settings, self._argument_names)
        self._running.callback(stop_logging)
        outage = self._worker_outage(process)
        listener = WakeupListener(backend=backend, process=process, timeout=settings.timeout, outage=outage)
        self._running.push_async_callback(listener.stop)
        rescuer = Rescuer(
            backend=backend,
            name=process.name,
            emitter=emitter,
            outage=outage,
            heartbeat=settings.heartbeat_interval,
            rescue_after=settings.rescue_after,
            reads_leases=not has_processors,
        )
        self._running.push_async_callback(rescuer.stop)
        if has_processors:
            await self._start_workers(process, listener, outage, rescuer)
        rescuer.start()
        if self._runs_scheduler:
            await self._start_scheduler(process, listener)
        listener.start()

    @property
    def _runs_scheduler(self) -> bool:
        """Whether to run a scheduler: as the settings say, otherwise beside processors on an embedded backend.

        No other program is expected to run a scheduler for such a backend, so delayed jobs and retries would never run.
        """
        settings = self._settings
        if "scheduler" in settings.given:
            return settings.scheduler
        return settings.max_task_processors > 0 and getattr(self._backend, "embedded", False) is True

    def _argument_names(self, name: str) -> tuple[str, ...]:
        task = self._tasks.get(name)
        return () if task is None else task.signature.names_in_list

    async def _start_workers(
        self, process: Process, listener: WakeupListener, outage: Outage, rescuer: Rescuer
    ) -> None:
        settings = self._settings
        threads = ThreadPool(settings.max_task_processors)
        self._running.callback(threads.close)
        processes = ProcessPool()
        self._running.callback(processes.close)
        preparation = RunPreparation(
            backend=self._backend, process=process, outage=outage, heartbeat=settings.heartbeat_interval
        )
        self._running.push_async_callback(preparation.stop)
        preparation.start()
        context = MultiWorkerContext(
            backend=self._backend,
            process=process,
            settings=settings,
            emitter=self._emitter,
            executor=Executor(
                self._tasks,
                self._emitter,
                self._app,
                threads,
                processes,
                preparation=preparation,
                rescue_limit=settings.rescue_limit,
            ),
            preparation=preparation,
            listener=listener,
            outage=outage,
            on_leases=rescuer.on_leases,
            on_lease_lost=rescuer.request_full_read,
            control=self._control,
        )
        custom = self._make_multi_worker(context) if self._make_multi_worker is not None else None
        self.multi_worker = multi_worker = MultiWorker(context) if custom is None else _check_class(custom, MultiWorker)
        self._running.push_async_callback(multi_worker.stop)
        await multi_worker.start()

    async def _start_scheduler(self, process: Process, listener: WakeupListener) -> None:
        context = SchedulerContext(
            backend=self._backend,
            settings=self._settings,
            emitter=self._emitter,
            name=process.name,
            listener=listener,
            outage=self._scheduler_outage(process),
            guards=self._guards,
            periodic=self._queue,
        )
        custom = self._make_scheduler(context) if self._make_scheduler is not None else None
        self.scheduler = scheduler = Scheduler(context) if custom is None else _check_class(custom, Scheduler)
        self._running.push_async_callback(scheduler.stop)
        await scheduler.start()
        stale_workers = StaleWorkers(
            queue=self._queue,
            scheduler=scheduler,
            settings=self._settings,
            emitter=self._emitter,
            name=process.name,
            outage=context.outage,
        )
        self._running.push_async_callback(stale_workers.stop)
        stale_workers.start()

    def _guards(self, job: Job) -> tuple[Guard, ...]:
        return self._tasks.scope_of(job.name).guards(job)

    async def _drain_handlers(self) -> None:
        # Handlers that take longer continue while the event loop runs.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANDLER_TIMEOUT):
                await self._emitter.drain()

    # outages as events

    def _worker_outage(self, process: Process) -> Outage:
        name, emit = process.name, self._emitter.emit

        def began(_loop: str, error: Exception) -> None:
            emit(WorkerOutage(name, error) if _is_unreachable(error) else WorkerError(name, error))

        return Outage(began, lambda seconds: emit(WorkerRecovered(name, seconds)))

    def _scheduler_outage(self, process: Process) -> Outage:
        name, emit = process.name, self._emitter.emit

        def began(_loop: str, error: Exception) -> None:
            emit(SchedulerOutage(name, error) if _is_unreachable(error) else SchedulerError(name, error))

        return Outage(began, lambda seconds: emit(SchedulerRecovered(name, seconds)))


def _check_class(custom: Any, kind: type[_Part]) -> _Part:
    if not isinstance(custom, kind):
        name = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
        raise PluginError(
            f"the app's{name} cannot be {custom!r}: make it of a class derived from taskhero.{kind.__name__}"
        )
    return custom


def _is_unreachable(error: Exception) -> bool:
    return isinstance(error, (BackendUnavailable, ReplyLost))
