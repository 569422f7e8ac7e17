"""The app: it connects the parts of taskhero and owns their lifecycle."""

from __future__ import annotations

import contextlib
import inspect
from functools import cached_property, partial
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
    """An app for background jobs: it declares tasks, enqueues jobs, and runs them here or in other processes.

    An app belongs to one event loop at a time. Tasks may be declared at any time, even while it runs.

    Args:
        backend: The store of jobs: a URL, or a backend of your own.
        settings: The settings, which say what the app runs.
        plugins: App-wide plugins, in their order.
        queue: A class derived from `Queue`, or a function of a `QueueContext` that returns one. It becomes `queue`.
        scheduler: A class derived from `Scheduler`, or a function of a `SchedulerContext` that returns one.
        multi_worker: A class derived from `MultiWorker`, or a function of a `MultiWorkerContext` that returns one.
        lifespan: A function of the app that returns an async context manager. The app runs inside it. Use it for what
            tasks share, such as a database pool.
        clock: The clock that `enqueue_in` counts from.

    Raises:
        UnknownBackend: No installed driver accepts the URL.
        PluginError: A plugin is not valid.
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
        self._runner: AppRunner | None = None
        # `run` controls the task processors with it.
        self._control: WorkerControl | None = None
        # It stops the app. It is set from the first step of the start to the last step of the stop.
        self._exit_stack: AsyncExitStack | None = None
        self._connection = Connection(self._backend, prepare=self._prepare, forget=self._forget_run)

    def __repr__(self) -> str:
        return f"<TaskHero {self._backend.location} with {len(self._tasks)} tasks>"

    # --- parts

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
        """The plugins of the app and of its tasks: a `pluggy.PluginManager`."""
        return self._plugins

    @cached_property
    def queue(self) -> Queue:
        """The queue client: it enqueues, inspects, deletes and retries jobs.

        Raises:
            AmbiguousOverride: Two plugins replace it.
        """
        return self._new_queue()

    @property
    def scheduler(self) -> Scheduler | None:
        """The scheduler, or None while the app runs none."""
        return None if self._runner is None else self._runner.scheduler

    @property
    def multi_worker(self) -> MultiWorker | None:
        """The multi-worker with its task processors, or None while the app runs none."""
        return None if self._runner is None else self._runner.multi_worker

    def reconfigure(self, *, backend: str | Backend | None = None, settings: Settings | None = None) -> None:
        """Replace the backend or the settings of an app that is not connected. None keeps the current one.

        The namespace belongs to the backend, so it changes only with a new backend.

        Raises:
            AlreadyRunning: The app is connected.
            UnknownBackend: No installed driver accepts the URL.
        """
        if self._connection.held:
            raise AlreadyRunning("this app is connected: call reconfigure() before it connects")
        if settings is not None:
            self._settings = _checked_settings(settings)
        if backend is not None:
            self._backend = open_backend(backend, settings=self._settings, registry=self._plugins.backends)
            self._connection = Connection(self._backend, prepare=self._prepare, forget=self._forget_run)
        self._forget_queue()

    # --- events

    @overload
    def on(self, event: str | type[Event], handler: None = None) -> Callable[[_Handler], _Handler]: ...

    @overload
    def on(self, event: str | type[Event], handler: _Handler) -> _Handler: ...

    def on(
        self, event: str | type[Event], handler: _Handler | None = None
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Subscribe to an event of the workers or the scheduler, as a decorator (``@app.on("failure")``) or directly.

        Args:
            event: The event's name, such as ``"failure"`` or ``"scheduler.error"``, or its class.
            handler: The function to call, sync or async.

        Raises:
            UnknownEvent: No event has this name.
            InvalidHandler: The handler's parameters do not fit the event.
        """
        return self._emitter.on(event) if handler is None else self._emitter.on(event, handler)

    # --- connection

    async def __aenter__(self) -> Self:
        """Connect. An app can be entered more than once, and the last exit closes it.

        Raises:
            BackendUnavailable: The backend cannot be reached.
            NotConnected: The app is connected in another event loop.
        """
        await self._connection.hold()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the app at the last exit."""
        await self._connection.release()

    def _prepare(self) -> None:
        self._plugins.load()
        # If two plugins replace the queue, the error comes at the start, not at the first use.
        _ = self.queue

    # --- run

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run task processors and the scheduler of the settings in this event loop while the block runs.

        It connects if `async with app` has not connected yet. At the end the scheduler stops first, then the workers,
        whose jobs have `Settings.grace` seconds to end.

        Raises:
            NothingToRun: The settings enable neither task processors nor a scheduler.
            AlreadyRunning: The app runs already.
            BackendUnavailable: The backend cannot be reached.
        """
        if not self._has_work:
            raise NothingToRun(
                "the settings enable neither task processors nor a scheduler: create the app with "
                "settings=Settings(max_task_processors=10), Settings(scheduler=True), or both in one"
            )
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """Connect, and run what the settings enable, which may be nothing, until `stop`.

        Raises:
            AlreadyRunning: The app runs already.
            BackendUnavailable: The backend cannot be reached.
        """
        self._connection.enter_loop()
        if self._exit_stack is not None:
            raise AlreadyRunning("this app runs already: stop it first, or leave app.running()")
        async with contextlib.AsyncExitStack() as stack:
            self._exit_stack = stack
            stack.callback(self._forget_run)
            # A concurrent `stop` waits until the start is complete.
            async with self._connection.turn:
                await self._start(stack)
                self._exit_stack = stack.pop_all()

    async def _start(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self)
        if self._lifespan is not None:
            await stack.enter_async_context(_enter_lifespan(self._lifespan, self))
        if self._has_work:
            runner = self._new_runner()
            stack.push_async_callback(runner.stop)
            await runner.start()
            self._runner = runner

    def run(self, *, burst: bool = False) -> None:
        """Run as a worker process until SIGTERM, SIGINT, SIGQUIT or SIGHUP, then stop in order.

        By default it runs 1 to 10 task processors and a scheduler. It waits for a backend that is away. A second
        SIGTERM or SIGINT ends the process at once, and other processes rescue its jobs. If a thread of a task does not
        end, the method does not return but ends the process with exit code 0.

        SIGUSR1 fails the running jobs with `StoppedBySignal`. SIGUSR2 pauses the process: it claims no jobs until
        SIGCONT.

        Args:
            burst: Stop when the queues are empty and no job runs here, without waiting for delayed jobs. The scheduler
                then runs only if the settings enable it.

        Raises:
            AlreadyRunning: The app runs already, or an event loop runs in this thread.
            RuntimeError: This is not the main thread.
        """
        from taskhero.runtime.process.service import run_service, worker_settings
        from taskhero.runtime.worker.control import WorkerControl

        settings = self._settings
        self.reconfigure(settings=worker_settings(settings, burst=burst))
        self._control = WorkerControl()
        try:
            run_service(self, self._control, burst=burst)
        finally:
            self._settings, self._control = settings, None
            self._forget_queue()

    async def stop(self) -> None:
        """Stop the scheduler, then the workers, leave the lifespan and close. Do nothing if the app does not run."""
        self._connection.enter_loop()
        async with self._connection.turn:
            if self._exit_stack is not None:
                await self._exit_stack.aclose()

    def _forget_queue(self) -> None:
        """Let the next use of `queue` create it anew."""
        vars(self).pop("queue", None)

    def _forget_run(self) -> None:
        self._runner, self._exit_stack = None, None

    @property
    def _has_work(self) -> bool:
        return self._settings.max_task_processors > 0 or self._settings.scheduler

    # --- creation of parts

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
            queue = self._make_queue(context)
        else:
            queue = self._plugins.override("taskhero_make_queue", context)
        if queue is None and self._make_queue is None:
            return Queue(context)
        if not isinstance(queue, Queue):
            raise PluginError(
                f"the app's queue is {queue!r}: return an instance of a class derived from taskhero.Queue"
            )
        return queue

    def _new_runner(self) -> AppRunner:
        from taskhero.runtime.app_runner import AppRunner

        return AppRunner(
            app=self,
            backend=self._backend,
            settings=self._settings,
            tasks=self._tasks,
            queue=self.queue,
            emitter=self._emitter,
            multi_worker=self._make_multi_worker or partial(self._plugins.override, "taskhero_make_multi_worker"),
            scheduler=self._make_scheduler or partial(self._plugins.override, "taskhero_make_scheduler"),
            control=self._control,
        )


def _checked_settings(settings: object) -> Settings:
    if settings is None:
        return Settings()
    if not isinstance(settings, Settings):
        raise TypeError(f"settings={settings!r} is not a Settings object: pass taskhero.Settings(...)")
    return settings


def _checked_maker(name: str, maker: Any) -> Any:
    if maker is not None and not callable(maker):
        raise PluginError(f"{name}={maker!r} is not callable: pass the class, or a function that returns the {name}")
    return maker


def _checked_lifespan(lifespan: Any) -> Any:
    if lifespan is not None and not callable(lifespan):
        raise TypeError(
            f"lifespan={lifespan!r} is not callable: pass a function that takes the app, with "
            "@contextlib.asynccontextmanager above it"
        )
    return lifespan


def _enter_lifespan(lifespan: Lifespan, app: TaskHero) -> AbstractAsyncContextManager[object]:
    context = lifespan(app)
    if not hasattr(context, "__aenter__"):
        if inspect.iscoroutine(context):
            context.close()
        raise TypeError(
            f"lifespan={lifespan!r} does not return an async context manager: "
            "put @contextlib.asynccontextmanager above it"
        )
    return context
