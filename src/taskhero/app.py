"""The app: what a program makes, declares its tasks with, connects and runs."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from taskhero.backends.registry import open_backend
from taskhero.clock import SystemClock
from taskhero.engine.connection import Connection
from taskhero.engine.queue.queue import Queue, QueueContext
from taskhero.engine.task.decorators import TaskDecorators
from taskhero.engine.task.task_registry import TaskRegistry
from taskhero.errors import AlreadyRunning, NothingToRun, PluginError
from taskhero.events import Emitter
from taskhero.hooks.manager import PluginManager
from taskhero.plugins import shipped_plugins as shipped_names
from taskhero.runtime.execution.processes.function_reference import check_processable
from taskhero.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from contextlib import AbstractAsyncContextManager, AsyncExitStack
    from types import TracebackType
    from typing import Self

    from taskhero.backends.protocol import Backend
    from taskhero.clock import Clock
    from taskhero.events import Event
    from taskhero.runtime.app_runner import AppRunner
    from taskhero.runtime.scheduler.scheduler import Scheduler, SchedulerContext
    from taskhero.runtime.worker.control import WorkerControl
    from taskhero.runtime.worker.pool import MultiWorker, MultiWorkerContext

    Lifespan: TypeAlias = Callable[["TaskHero"], AbstractAsyncContextManager[object]]

__all__ = ["TaskHero"]

_Handler = TypeVar("_Handler", bound="Callable[..., Any]")


class TaskHero(TaskDecorators):
    """Background jobs: declare tasks, enqueue them, and work them here or elsewhere.

    An app belongs to one event loop at a time. Tasks may be declared at any time, also while it runs.

    Args:
        backend: The store of jobs: a URL, or a backend of your own.
        settings: What it shall run, and how.
        plugins: App-wide plugins, in their order.
        queue: A class derived from `Queue`, or a function that makes one of a `QueueContext`; it becomes `queue`.
        scheduler: A class derived from `Scheduler`, or a function that makes one of a `SchedulerContext`.
        multi_worker: A class derived from `MultiWorker`, or a function that makes one of a `MultiWorkerContext`.
        lifespan: Makes of the app an async context manager around its running; the place for what tasks share, such as
            a database pool.
        clock: What tells the time that `enqueue_in` counts from.

    Raises:
        UnknownBackend: No installed driver knows the URL.
        PluginError: A plugin cannot be used as given.
    """

    def __init__(
        self,
        backend: str | Backend = "memory://",
        *,
        settings: Settings | None = None,
        plugins: Iterable[object] = (),
        queue: Callable[[QueueContext], Queue] | None = None,
        scheduler: Callable[[SchedulerContext], Scheduler] | None = None,
        multi_worker: Callable[[MultiWorkerContext], MultiWorker] | None = None,
        lifespan: Lifespan | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = _checked_settings(settings)
        self._plugins = PluginManager(plugins, shipped=(shipped_names,))
        self._backend = open_backend(backend, settings=self._settings, registry=self._plugins.backends)
        self._tasks = TaskRegistry(self, self._plugins, check_processable)
        self._emitter = Emitter()
        self._clock = SystemClock() if clock is None else clock
        self._make_queue = _checked_maker("queue", queue)
        self._make_scheduler = _checked_maker("scheduler", scheduler)
        self._make_multi_worker = _checked_maker("multi_worker", multi_worker)
        self._lifespan = _checked_lifespan(lifespan)
        self._queue: Queue | None = None
        self._runner: AppRunner | None = None
        # What `run` controls the task processors with.
        self._control: WorkerControl | None = None
        # How the running app is ended; set from the first step of starting to the last of stopping.
        self._ending: AsyncExitStack | None = None
        self._connection = Connection(self._backend, prepare=self._prepare, forget=self._ended)

    def __repr__(self) -> str:
        return f"<TaskHero {self._backend.location} with {len(self._tasks)} tasks>"

    # --- its parts

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self._settings

    @property
    def tasks(self) -> TaskRegistry:
        """The declared tasks."""
        return self._tasks

    @property
    def backend(self) -> Backend:
        """The store of jobs."""
        return self._backend

    @property
    def plugins(self) -> PluginManager:
        """The app-wide plugins."""
        return self._plugins

    @property
    def queue(self) -> Queue:
        """Where jobs are put, looked at and mended.

        Raises:
            AmbiguousOverride: Two plugins want to replace it.
        """
        if self._queue is None:
            self._queue = self._new_queue()
        return self._queue

    @property
    def scheduler(self) -> Scheduler | None:
        """The scheduler, or None while none runs here."""
        return None if self._runner is None else self._runner.scheduler

    @property
    def multi_worker(self) -> MultiWorker | None:
        """The multi-worker with its task processors, or None while none runs here."""
        return None if self._runner is None else self._runner.multi_worker

    def reconfigure(self, *, backend: str | Backend | None = None, settings: Settings | None = None) -> None:
        """Take another backend or other settings, before it is connected; what is not given stays.

        The namespace in Redis is the backend's: it changes only together with it.

        Raises:
            AlreadyRunning: The app is connected.
            UnknownBackend: No installed driver knows the URL.
        """
        if self._connection.held:
            raise AlreadyRunning("this app is connected: reconfigure it before")
        if settings is not None:
            self._settings = _checked_settings(settings)
        if backend is not None:
            self._backend = open_backend(backend, settings=self._settings, registry=self._plugins.backends)
            self._connection = Connection(self._backend, prepare=self._prepare, forget=self._ended)
        self._queue = None

    # --- listening

    @overload
    def on(self, event: str | type[Event], handler: None = None) -> Callable[[_Handler], _Handler]: ...

    @overload
    def on(self, event: str | type[Event], handler: _Handler) -> _Handler: ...

    def on(
        self, event: str | type[Event], handler: _Handler | None = None
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Subscribe to an event of the workers or the scheduler, as a decorator (``@app.on("failure")``) or directly.

        Args:
            event: Its name, such as ``"failure"`` or ``"scheduler.error"``, or its class.
            handler: What is called, sync or async.

        Raises:
            UnknownEvent: No event is called so.
            InvalidHandler: The handler's parameters do not fit.
        """
        return self._emitter.on(event) if handler is None else self._emitter.on(event, handler)

    # --- connecting

    async def __aenter__(self) -> Self:
        """Connect; an app can be entered more than once, and is closed with the last exit.

        Raises:
            BackendUnavailable: The backend cannot be reached.
            NotConnected: It is connected in another event loop.
        """
        await self._connection.hold()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, if this was the last exit."""
        await self._connection.release()

    def _prepare(self) -> None:
        self._plugins.load()
        # Two plugins that both want to replace it are told of here, not in the midst of the work.
        self._queue = self.queue

    # --- running

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run task processors and the scheduler in this event loop, as the settings say, while the block lasts.

        It connects by itself where `async with app` has not done so. At the end the scheduler stops first, then the
        workers, which get `Settings.grace` seconds to end their jobs.

        Raises:
            NothingToRun: The settings ask for neither.
            AlreadyRunning: It runs already.
            BackendUnavailable: The backend cannot be reached.
        """
        if not self._has_work:
            raise NothingToRun(
                "the settings ask for neither task processors nor a scheduler: make the app with "
                "settings=Settings(max_task_processors=10), Settings(scheduler=True), or both in one"
            )
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """Connect, and run what the settings ask for, until `stop`; that may be nothing.

        Raises:
            AlreadyRunning: It runs already.
            BackendUnavailable: The backend cannot be reached.
        """
        self._connection.enter_loop()
        if self._ending is not None:
            raise AlreadyRunning("this app runs already: stop it first, or leave app.running()")
        async with contextlib.AsyncExitStack() as disposition:
            self._ending = disposition
            disposition.callback(self._ended)
            # A stop that comes meanwhile waits for its turn.
            async with self._connection.turn:
                await self._start(disposition)
                self._ending = disposition.pop_all()

    async def _start(self, disposition: AsyncExitStack) -> None:
        await disposition.enter_async_context(self)
        if self._lifespan is not None:
            await disposition.enter_async_context(_entered(self._lifespan, self))
        if self._has_work:
            runner = self._new_runner()
            disposition.push_async_callback(runner.stop)
            await runner.start()
            self._runner = runner

    def run(self, *, burst: bool = False) -> None:
        """Be a worker process: run until SIGTERM, SIGINT, SIGQUIT or SIGHUP, then stop in order.

        Where the settings say nothing, it runs 1 to 10 task processors and a scheduler. While the backend is away it
        waits for it. A second SIGTERM or SIGINT ends the process at once, and its jobs are rescued by others. If a
        thread of a task never ends, this does not return but ends the process, with exit code 0.

        SIGUSR1 fails the jobs that run, with `StoppedBySignal`. SIGUSR2 pauses the process, so that it claims no jobs
        until SIGCONT.

        Args:
            burst: Stop when the queues are empty and no job runs here; delayed jobs are not waited for, and there is no
                scheduler unless the settings ask for one.

        Raises:
            AlreadyRunning: It runs already, or an event loop does.
            RuntimeError: This is not the main thread.
        """
        from taskhero.runtime.process.service import run_service, worker_settings
        from taskhero.runtime.worker.control import WorkerControl

        said = self._settings
        self.reconfigure(settings=worker_settings(said, burst=burst))
        self._control = WorkerControl()
        try:
            run_service(self, self._control, burst=burst)
        finally:
            self._settings, self._queue, self._control = said, None, None

    async def stop(self) -> None:
        """Stop the scheduler, then the workers, leave the lifespan and close; nothing if it does not run."""
        self._connection.enter_loop()
        async with self._connection.turn:
            if self._ending is not None:
                await self._ending.aclose()

    def _ended(self) -> None:
        self._runner, self._ending = None, None

    @property
    def _has_work(self) -> bool:
        return self._settings.max_task_processors > 0 or self._settings.scheduler

    # --- making its parts

    def _new_queue(self) -> Queue:
        context = QueueContext(
            backend=self._backend,
            tasks=self._tasks,
            scope=self._plugins.scope,
            settings=self._settings,
            clock=self._clock,
            check=self._connection.check,
        )
        if self._make_queue is not None:
            made = self._make_queue(context)
        else:
            made = self._plugins.override("taskhero_make_queue", context)
        if made is None and self._make_queue is None:
            return Queue(context)
        if not isinstance(made, Queue):
            raise PluginError(f"the app's queue is to be {made!r}: make it of a class derived from taskhero.Queue")
        return made

    def _new_runner(self) -> AppRunner:
        from taskhero.runtime.app_runner import AppRunner

        return AppRunner(
            app=self,
            backend=self._backend,
            settings=self._settings,
            tasks=self._tasks,
            queue=self.queue,
            emitter=self._emitter,
            multi_worker=self._make_multi_worker or self._overriding("taskhero_make_multi_worker"),
            scheduler=self._make_scheduler or self._overriding("taskhero_make_scheduler"),
            control=self._control,
        )

    def _overriding(self, hook: str) -> Callable[..., Any] | None:
        """What asks the plugins to make a part, or None if no plugin ever does."""
        if not self._plugins.scope.of(hook):
            return None
        return lambda context: self._plugins.override(hook, context)


def _checked_settings(settings: object) -> Settings:
    if settings is None:
        return Settings()
    if not isinstance(settings, Settings):
        raise TypeError(f"settings={settings!r} are no settings: pass taskhero.Settings(...)")
    return settings


def _checked_maker(what: str, maker: Any) -> Any:
    if maker is not None and not callable(maker):
        raise PluginError(f"{what}={maker!r} is not callable: pass the class, or a function that makes the {what}")
    return maker


def _checked_lifespan(lifespan: Any) -> Any:
    if lifespan is not None and not callable(lifespan):
        raise TypeError(
            f"lifespan={lifespan!r} is not callable: pass a function that takes the app, with "
            "@contextlib.asynccontextmanager above it"
        )
    return lifespan


def _entered(lifespan: Lifespan, app: TaskHero) -> AbstractAsyncContextManager[object]:
    entered = lifespan(app)
    if not hasattr(entered, "__aenter__"):
        if inspect.iscoroutine(entered):
            entered.close()
        raise TypeError(
            f"lifespan={lifespan!r} makes no async context manager: put @contextlib.asynccontextmanager above it"
        )
    return entered
