"""A worker process: runs an app until a signal arrives, or until its queues are empty."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from taskhero.errors import (
    AlreadyRunning,
    BackendDenied,
    BackendError,
    BackendRefused,
    BackendUnavailable,
    ReplyLost,
    StoppedBySignal,
)
from taskhero.events import WorkerJob, WorkerPause
from taskhero.runtime.backoff import Backoff, Outage
from taskhero.runtime.process.event_loop import leave_without_threads, run_in_loop
from taskhero.runtime.process.parent_pipe import obey_parent, parent_pipe
from taskhero.runtime.process.shutdown import ShutdownSignal
from taskhero.runtime.process.signals import Order, Orders
from taskhero.runtime.worker.pool import STOP_LIMIT
from taskhero.runtime.worker.queue_order import STAR

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.runtime.worker.control import WorkerControl
    from taskhero.settings import Settings

__all__ = ["BurstMonitor", "Service", "run_service", "worker_settings"]

_logger = logging.getLogger("taskhero.worker")

#: What a worker process runs where its settings say nothing.
PROCESSORS: Final = (1, 10)


class Service(Protocol):
    """What an app is to a worker process."""

    @property
    def settings(self) -> Settings: ...  # noqa: D102

    @property
    def backend(self) -> Backend: ...  # noqa: D102

    @property
    def queue(self) -> Any: ...  # noqa: D102

    @property
    def multi_worker(self) -> Any: ...  # noqa: D102

    def on(self, event: Any, handler: Any) -> Any: ...  # noqa: D102

    async def start(self) -> None: ...  # noqa: D102

    async def stop(self) -> None: ...  # noqa: D102


def worker_settings(settings: Settings, *, burst: bool = False, **changes: Any) -> Settings:
    """The settings of a worker process: 1 to 10 task processors and a scheduler where *settings* say nothing.

    Args:
        settings: The app's.
        burst: Whether it only empties the queues; then there is no scheduler where nothing is said.
        changes: Settings that beat them.

    Raises:
        InvalidSettings: A change is none, or does not fit.
    """
    said = settings.given | changes.keys()
    if not settings.max_task_processors and not settings.scheduler:
        # Such an app only enqueues in other processes.
        said = said - (settings.given - changes.keys())
    least, most = PROCESSORS
    wanted = dict(changes)
    if not said & {"min_task_processors", "max_task_processors"}:
        wanted.update(min_task_processors=least, max_task_processors=most)
    elif "min_task_processors" in changes and "max_task_processors" not in changes:
        wanted["max_task_processors"] = max(changes["min_task_processors"], settings.max_task_processors or most)
    elif "max_task_processors" in changes and "min_task_processors" not in changes:
        wanted["min_task_processors"] = min(changes["max_task_processors"], settings.min_task_processors)
    if "scheduler" not in said:
        wanted["scheduler"] = not burst
    return attrs.evolve(settings, **wanted)


def run_service(app: Service, control: WorkerControl, *, burst: bool = False) -> None:
    """Run *app* in this process until a signal or its parent's end; with *burst* until its queues are empty.

    The signals that do not stop it act on its task processors through *control*.

    Running jobs then get `Settings.grace` seconds; what does not end is given back. If a thread of a task never ends,
    so that this would not return, it ends the process itself, with exit code 0.

    Raises:
        AlreadyRunning: An event loop runs here already.
        RuntimeError: This is not the main thread, which alone can be told of signals.
        BackendError: The backend cannot be used, for another reason than being away.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("app.run() handles signals, so it must be called in the main thread; else use app.running()")
    if _loop_runs():
        raise AlreadyRunning("app.run() has an event loop of its own; inside of one use `async with app.running():`")
    before = set(threading.enumerate())
    pipe = parent_pipe()
    with ShutdownSignal(lambda: app.settings.grace + STOP_LIMIT) as stop, Orders() as orders:
        if pipe is not None:
            obey_parent(pipe, stop, orders)
        run_in_loop(_serve(app, stop, orders, control, burst=burst))
        leave_without_threads(before)


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _serve(app: Service, stop: ShutdownSignal, orders: Orders, control: WorkerControl, *, burst: bool) -> None:
    # Before the start: a process that is to pause must not claim a job before.
    orders.follow(lambda order, by: _obey(order, by, control, stop), asyncio.get_running_loop())
    stopped = asyncio.create_task(stop.wait())
    emptied: asyncio.Task[None] | None = None
    grace = app.settings.grace
    try:
        watch = BurstMonitor(app) if burst else None
        if await _start(app, stop, stopped):
            _logger.info("%s", _ready(app))
            emptied = None if watch is None else asyncio.create_task(watch.emptied())
            await asyncio.wait([stopped, *([emptied] if emptied else [])], return_when=asyncio.FIRST_COMPLETED)
        if stop.requested:
            _logger.info("process %d stops, asked by %s; its jobs get %g s", os.getpid(), stop.reason, grace)
        else:
            _logger.info("process %d stops, since its queues are empty", os.getpid())
            if emptied is not None:
                emptied.result()
    finally:
        for task in (stopped, emptied):
            if task is not None:
                task.cancel()
        await app.stop()
    _logger.info("process %d has stopped", os.getpid())


def _obey(order: Order, by: str, control: WorkerControl, stop: ShutdownSignal) -> None:
    """Do what an operator wants. An order that changes nothing is not logged, but for one to fail jobs."""
    pid = os.getpid()
    if order is Order.FAIL:
        text = f"the worker process {pid} failed the jobs that it ran, asked by {by}"
        number = control.fail_running(lambda: StoppedBySignal(text))
        _logger.info("process %d fails the jobs that it runs, asked by %s: %d", pid, by, number)
    elif stop.requested:
        # Service managers send SIGCONT after the signal that stops, so that a process which is suspended sees it.
        return
    elif order is Order.PAUSE:
        if control.pause():
            _logger.info("process %d pauses, asked by %s: it claims no jobs until SIGCONT; running jobs go on", pid, by)
    elif control.resume():
        _logger.info("process %d resumes, asked by %s: it claims jobs again", pid, by)


async def _start(app: Service, stop: ShutdownSignal, stopped: asyncio.Task[None]) -> bool:
    """Start the app, waiting for its backend if that is away; return False if it was asked to stop before."""
    outage = Outage(
        lambda _, error: _logger.error("%s; waits for it", error),
        lambda seconds: _logger.info("%s is there, after %.1f s", app.backend.location, seconds),
    )
    backoff = Backoff()
    while not stop.requested:
        starting = asyncio.create_task(app.start())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting}, timeout=STOP_LIMIT)
            return False
        try:
            starting.result()
        except BackendDenied:
            # Nobody but the one who started it can tell the right password.
            raise
        except (BackendUnavailable, ReplyLost) as error:
            outage.failed("starting", error)
        else:
            outage.worked("starting")
            return True
        await asyncio.wait({stopped}, timeout=backoff.next())
    return False


def _ready(app: Service) -> str:
    settings = app.settings
    parts = []
    if app.multi_worker is not None:
        queues = "queues of a callable" if callable(settings.queues) else f"queues {', '.join(settings.queues)}"
        least, most = settings.min_task_processors, settings.max_task_processors
        parts.append(f"{least} to {most} task processors" if least < most else f"{most} task processors")
        parts.append(queues)
    if settings.scheduler:
        parts.append("a scheduler")
    return f"process {os.getpid()} works: {', '.join(parts)}, on {app.backend.location}"


#: Seconds between two looks, should a multi-worker of somebody else's not say that it has nothing to do.
BURST_CHECK_INTERVAL = 1.0


class BurstMonitor:
    """Tells when an app's process has emptied its queues. It is made before the app starts.

    Args:
        app: The app.
    """

    def __init__(self, app: Service) -> None:
        self._app = app
        self._begun = 0
        self._paused = asyncio.Event()
        app.on(WorkerJob, self._on_job)
        app.on(WorkerPause, self._on_pause)

    def _on_job(self, _event: WorkerJob) -> None:
        self._begun += 1

    def _on_pause(self, _event: WorkerPause) -> None:
        self._paused.set()

    async def emptied(self) -> None:
        """Wait until all queues that are worked here are empty and no job of this process runs.

        Delayed jobs are not waited for, nor are those that run in other processes. A process that is paused waits until
        it is resumed.
        """
        multi_worker = self._app.multi_worker
        while multi_worker is not None and not await self._is_empty(multi_worker):
            self._paused.clear()
            try:
                async with asyncio.timeout(BURST_CHECK_INTERVAL):
                    await self._paused.wait()
            except TimeoutError:
                continue

    async def _is_empty(self, multi_worker: Any) -> bool:
        begun = self._begun
        if self._works(multi_worker) or multi_worker.paused:
            return False
        try:
            if await self._waiting(multi_worker.process.queues):
                return False
            # What was claimed meanwhile stands under this process's name, even if it does not know yet.
            held = (await self._app.backend.claims(multi_worker.process)).claims
        except BackendError:
            return False
        return not held and begun == self._begun and not self._works(multi_worker)

    def _works(self, multi_worker: Any) -> bool:
        return any(worker.claim is not None for worker in multi_worker.workers)

    async def _waiting(self, queues: tuple[str, ...]) -> bool:
        backend = self._app.backend
        for name in await backend.queues() if STAR in queues else queues:
            try:
                if await backend.length(name):
                    return True
            except BackendRefused:
                # It is no queue at all, so nothing of it will ever be worked.
                continue
        return False
