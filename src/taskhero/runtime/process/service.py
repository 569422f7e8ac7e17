"""Run an app in a worker process until a signal arrives, or until its queues are empty."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from taskhero._internal.logs import get_logger
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
from taskhero.runtime.process.control_signals import ControlCommand, ControlSignals
from taskhero.runtime.process.event_loop import end_child_processes, leave_without_threads, run_in_loop
from taskhero.runtime.process.parent_pipe import parent_pipe, read_parent_commands
from taskhero.runtime.process.shutdown import ShutdownSignal
from taskhero.runtime.worker.pool import STOP_LIMIT
from taskhero.runtime.worker.queue_order import STAR

if TYPE_CHECKING:
    from taskhero.backends.protocol import Backend
    from taskhero.runtime.worker.control import WorkerControl
    from taskhero.settings import Settings

__all__ = ["BurstMonitor", "Service", "run_service", "worker_settings"]

_logger = get_logger("taskhero.worker")

#: Minimum and maximum number of task processors of a worker process whose settings do not define them.
DEFAULT_PROCESSORS: Final = (1, 10)


class Service(Protocol):
    """The part of an app that a worker process uses."""

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
    """Return the settings of a worker process: by default 1 to 10 task processors and a scheduler.

    Args:
        settings: The app's settings.
        burst: Whether the process only empties the queues. Then it has no scheduler by default.
        changes: Settings that override the app's.

    Raises:
        InvalidSettings: A change is not a setting, or has an invalid value.
    """
    given = settings.given | changes.keys()
    if not settings.max_task_processors and not settings.scheduler:
        # The settings of an app that only enqueues elsewhere do not apply to a worker process.
        given = given - (settings.given - changes.keys())
    minimum, maximum = DEFAULT_PROCESSORS
    result = dict(changes)
    if not given & {"min_task_processors", "max_task_processors"}:
        result.update(min_task_processors=minimum, max_task_processors=maximum)
    elif "min_task_processors" in changes and "max_task_processors" not in changes:
        result["max_task_processors"] = max(changes["min_task_processors"], settings.max_task_processors or maximum)
    elif "max_task_processors" in changes and "min_task_processors" not in changes:
        result["min_task_processors"] = min(changes["max_task_processors"], settings.min_task_processors)
    if "scheduler" not in given:
        result["scheduler"] = not burst
    return attrs.evolve(settings, **result)


def run_service(app: Service, control: WorkerControl, *, burst: bool = False) -> None:
    """Run *app* in this process until a signal or its parent's end; with *burst* until its queues are empty.

    The signals that do not stop the process act on its task processors through *control*.

    After a signal, running jobs get `Settings.grace` seconds to end. Jobs that do not end are released. If a task's
    thread does not end either, the process ends with exit code 0 and this function does not return.

    Raises:
        AlreadyRunning: An event loop already runs in this thread.
        RuntimeError: This is not the main thread. Only the main thread can handle signals.
        BackendError: The backend cannot be used. An unavailable backend is waited for instead.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "app.run() handles signals, so it must be called in the main thread; in other threads use app.running()"
        )
    if _loop_runs():
        raise AlreadyRunning(
            "app.run() starts its own event loop, and one already runs in this thread; "
            "use `async with app.running():` instead"
        )
    before, processes_before = set(threading.enumerate()), set(multiprocessing.active_children())
    pipe = parent_pipe()
    with ShutdownSignal(lambda: app.settings.grace + STOP_LIMIT) as stop, ControlSignals() as control_signals:
        if pipe is not None:
            read_parent_commands(pipe, stop, control_signals)
        run_in_loop(_serve(app, stop, control_signals, control, burst=burst))
        end_child_processes(processes_before)
        leave_without_threads(before)


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _serve(
    app: Service, stop: ShutdownSignal, control_signals: ControlSignals, control: WorkerControl, *, burst: bool
) -> None:
    # Before the start, because a process that starts paused must not claim a job.
    control_signals.deliver_to(
        lambda command, sender: _execute(command, sender, control, stop), asyncio.get_running_loop()
    )
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
            _logger.info("process %d stops because of %s; its jobs get %g s to end", os.getpid(), stop.reason, grace)
        else:
            _logger.info("process %d stops because its queues are empty", os.getpid())
            if emptied is not None:
                emptied.result()
    finally:
        for task in (stopped, emptied):
            if task is not None:
                task.cancel()
        await app.stop()
    _logger.info("process %d has stopped", os.getpid())


def _execute(command: ControlCommand, sender: str, control: WorkerControl, stop: ShutdownSignal) -> None:
    """Execute an operator's command. A command to fail jobs is always logged, the others if they change something."""
    pid = os.getpid()
    if command is ControlCommand.FAIL:
        text = f"the worker process {pid} failed its running jobs, ordered by {sender}"
        number = control.fail_running(lambda: StoppedBySignal(text))
        _logger.info("process %d fails its %d running jobs, ordered by %s", pid, number, sender)
    elif stop.requested:
        # Service managers send SIGCONT after the stop signal, so that a suspended process receives that signal.
        return
    elif command is ControlCommand.PAUSE:
        if control.pause():
            _logger.info(
                "process %d pauses, ordered by %s: it claims no jobs until SIGCONT; running jobs continue", pid, sender
            )
    elif control.resume():
        _logger.info("process %d resumes, ordered by %s: it claims jobs again", pid, sender)


async def _start(app: Service, stop: ShutdownSignal, stopped: asyncio.Task[None]) -> bool:
    """Start the app and wait for an unavailable backend; return False if a stop was requested before."""
    outage = Outage(
        lambda _, error: _logger.error("%s; the process retries until the backend is available", error),
        lambda seconds: _logger.info("%s is available after %.1f s", app.backend.location, seconds),
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
            # Retrying cannot help: an operator must correct the credentials.
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
        minimum, maximum = settings.min_task_processors, settings.max_task_processors
        parts.append(f"{minimum} to {maximum} task processors" if minimum < maximum else f"{maximum} task processors")
        parts.append(queues)
    if settings.scheduler:
        parts.append("a scheduler")
    return f"process {os.getpid()} works: {', '.join(parts)}, on {app.backend.location}"


#: Seconds between two checks, for a third party's multi-worker that does not emit `WorkerPause`.
BURST_CHECK_INTERVAL = 1.0


class BurstMonitor:
    """Reports when an app's process has emptied its queues. It must be created before the app starts.

    Args:
        app: The app.
    """

    def __init__(self, app: Service) -> None:
        self._app = app
        self._started = 0
        self._paused = asyncio.Event()
        app.on(WorkerJob, self._on_job)
        app.on(WorkerPause, self._on_pause)

    def _on_job(self, _event: WorkerJob) -> None:
        self._started += 1

    def _on_pause(self, _event: WorkerPause) -> None:
        self._paused.set()

    async def emptied(self) -> None:
        """Wait until all queues of this process are empty and none of its jobs runs.

        It does not wait for delayed jobs, or for jobs of other processes. A paused process waits until it is resumed.
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
        started = self._started
        if self._is_busy(multi_worker) or multi_worker.paused:
            return False
        try:
            if await self._waiting(multi_worker.process.queues):
                return False
            # The backend also lists claims whose reply has not arrived yet.
            held = (await self._app.backend.claims(multi_worker.process)).claims
        except BackendError:
            return False
        return not held and started == self._started and not self._is_busy(multi_worker)

    def _is_busy(self, multi_worker: Any) -> bool:
        return any(worker.claim is not None for worker in multi_worker.workers)

    async def _waiting(self, queues: tuple[str, ...]) -> bool:
        backend = self._app.backend
        for name in await backend.queues() if STAR in queues else queues:
            try:
                if await backend.length(name):
                    return True
            except BackendRefused:
                # The key is not a list, so no process can claim from it.
                continue
        return False
