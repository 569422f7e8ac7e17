"""Declared functions that can be enqueued."""

from __future__ import annotations

import functools
from operator import attrgetter
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from taskhero._internal.interpreter import mark_async
from taskhero._internal.logs import get_logger
from taskhero._internal.unawaited import reports_unawaited
from taskhero.engine.task.declarations import declaring_module, record
from taskhero.engine.task.functions import TaskFunction, is_async, where_of
from taskhero.engine.task.options import (
    RunIn,
    TaskOptions,
    check_known,
    description_of,
    name_of,
    plugin_options_of,
    plugins_of,
    recurrence_of,
    run_in_of,
    timeout_of,
)
from taskhero.engine.task.signature import TaskSignature
from taskhero.errors import InvalidTask
from taskhero.hooks.plugin_reader import read_plugin
from taskhero.hooks.scope import HookScope
from taskhero.models import Job
from taskhero.wire.jobs import check_queue_name

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime, timedelta
    from typing import Unpack

    from taskhero.engine.time.recurrence import Recurrence

__all__ = ["ConfiguredTask", "Enqueuer", "Task", "TaskOwner", "task"]

P = ParamSpec("P")
R = TypeVar("R")

_reported = reports_unawaited(get_logger("taskhero.queue"), attrgetter("_task.name"))


class Enqueuer(Protocol):
    """The part of `Queue` that a task uses."""

    def push(self, job: Job, *, front: bool = False) -> Coroutine[Any, Any, bool]:
        """Store a job now."""
        ...

    def push_at(
        self, when: datetime | float, job: Job, *, suppress_duplicate: bool = False
    ) -> Coroutine[Any, Any, bool]:
        """Store a job until its due time."""
        ...

    def push_in(
        self, delay: timedelta | float, job: Job, *, suppress_duplicate: bool = False
    ) -> Coroutine[Any, Any, bool]:
        """Store a job for a delay."""
        ...


class TaskOwner(Protocol):
    """The part of an app that a task uses."""

    @property
    def queue(self) -> Enqueuer:
        """Return the app's queue."""
        ...


class _NoOwner:
    """The owner of a task that no app has adopted: each use raises an error that says what to do."""

    def __init__(self, task: str, where: str) -> None:
        self._task = task
        self._where = where

    @property
    def queue(self) -> Enqueuer:
        """Raise `InvalidTask`."""
        raise InvalidTask(
            f"task {self._task!r} ({self._where}) does not belong to an app: declare it with @app.task, or adopt it "
            "with app.load_tasks(folder) or app.tasks.adopt(task)"
        )


class ConfiguredTask(Generic[P, R]):
    """A task with options for its enqueues, typed as the task's function.

    A call is bound to the function's signature first, so that a wrong call raises `TypeError` in the caller.

    Args:
        task: The task.
        queue: The queue of these calls.
        suppress_duplicate: Whether `enqueue_at` and `enqueue_in` return False, rather than raise, if an equal job is
            already delayed to the same second.
    """

    __slots__ = ("_queue_name", "_suppress_duplicate", "_task")

    def __init__(self, task: Task[P, R], queue: str, *, suppress_duplicate: bool = False) -> None:
        self._task = task
        self._queue_name = queue
        self._suppress_duplicate = suppress_duplicate

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function directly, without a job."""
        return self._task.function(*args, **kwargs)

    def job(self, /, *args: P.args, **kwargs: P.kwargs) -> Job:
        """Return the job of a call, for `Queue.enqueue_many` and `Queue.push`. It stores nothing.

        Raises:
            TypeError: The call does not fit the function.
        """
        task = self._task
        return Job(task.name, task.signature.args_of(args, kwargs), self._queue_name)

    @_reported
    async def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Store a job of this call in its queue. A worker starts it as soon as a slot is free.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            TypeError: The call does not fit the function.
            InvalidArguments: An argument cannot be written as JSON.
            NotConnected: The app is not connected.
            BackendError: The job was not stored, or (`ReplyLost`) may or may not have been.
        """
        return await self._task.owner.queue.push(self.job(*args, **kwargs))

    @_reported
    async def enqueue_at(self, when: datetime | float, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Store a job of this call until *when*, an aware datetime or Unix seconds. It never starts earlier.

        A due time that is not in the future enqueues the job now.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            InvalidMoment: *when* is invalid, such as a naive datetime.
            AlreadyScheduled: An equal job is already delayed to the same second.
            TypeError, InvalidArguments, NotConnected, BackendError: As for `enqueue`.
        """
        queue = self._task.owner.queue
        return await queue.push_at(when, self.job(*args, **kwargs), suppress_duplicate=self._suppress_duplicate)

    @_reported
    async def enqueue_in(self, delay: timedelta | float, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Store a job of this call for *delay*, a timedelta or seconds. It never starts earlier.

        Returns:
            True if it was stored, False if a plugin refused it.

        Raises:
            InvalidMoment: *delay* is invalid, such as a bare number over a week.
            AlreadyScheduled: An equal job is already delayed to the same second.
            TypeError, InvalidArguments, NotConnected, BackendError: As for `enqueue`.
        """
        queue = self._task.owner.queue
        return await queue.push_in(delay, self.job(*args, **kwargs), suppress_duplicate=self._suppress_duplicate)

    def options(self, *, queue: str | None = None, suppress_duplicate: bool | None = None) -> ConfiguredTask[P, R]:
        """Return the task with other options for one call: ``await add.options(queue="slow").enqueue(1, 2)``.

        Args:
            queue: The queue of the job.
            suppress_duplicate: Whether `enqueue_at` and `enqueue_in` return False, rather than raise
                `AlreadyScheduled`.

        Raises:
            InvalidQueueName: The queue name is invalid.
        """
        return ConfiguredTask(
            self._task,
            self._queue_name if queue is None else check_queue_name(queue),
            suppress_duplicate=self._suppress_duplicate if suppress_duplicate is None else suppress_duplicate,
        )


class Task(ConfiguredTask[P, R]):
    """A declared function. Calling it calls the function. Its other methods store jobs.

    A `Task` is a `ConfiguredTask` with the default options. It has the ``__name__``, ``__doc__`` and signature of its
    function.

    Attributes:
        name: Its name on the wire.
        queue: The queue of its jobs.
        description: The description.
        function: The function that a job calls. For a class method, it passes the class.
        signature: The signature to which calls and jobs are bound.
        is_async: Whether it is an ``async def``.
        run_in: Where it runs: ``"loop"``, ``"thread"`` or ``"process"``.
        declared_in: With ``run_in="process"``, the module that declares it during its import. Otherwise None.
        timeout: Seconds after which a run fails, or None.
        recurrence: When it runs periodically, or None.
        plugins: Its own plugins, in order. A str is the name of a plugin that its app knows.
        plugin_options: The options of plugins that are given by name.
        scope: The hooks around its jobs.
        owner: The app that declared or adopted the task; if several apps adopted it, the most recent one.
        is_free: Whether the task was declared without an app.
        where: File and line of the function.
    """

    __slots__ = (
        "__dict__",  # for __name__, __doc__ and others, of which the class has its own
        "__weakref__",
        "_callables",
        "declared_in",
        "description",
        "function",
        "is_async",
        "is_free",
        "name",
        "owner",
        "plugin_options",
        "plugins",
        "queue",
        "recurrence",
        "run_in",
        "scope",
        "signature",
        "timeout",
        "where",
    )

    def __init__(self, function: Callable[P, R], options: TaskOptions) -> None:
        _check_undeclared(function)
        self.name = name_of(function, options.get("name"))
        self._callables = TaskFunction.of(function, self.name)
        self.function: Callable[P, R] = self._callables.run
        self.where = where_of(self.function)
        self.is_async = is_async(self.function, self.name)
        self.queue = check_queue_name(options.get("queue", "default"))
        self.description = description_of(self.function, options.get("description"), self.name)
        self.signature = TaskSignature(self.function, self.name, options.get("wire"))
        self.run_in: RunIn = run_in_of(options.get("run_in"), self.name, is_async=self.is_async)
        self.declared_in = declaring_module() if self.run_in == "process" else None
        self.timeout = timeout_of(options.get("timeout"), self.name)
        self.recurrence: Recurrence | None = recurrence_of(options, self.name, self.signature)
        self.plugins = plugins_of(options.get("plugins", ()), self.name)
        self.plugin_options = plugin_options_of(options.get("plugin_options"), self.name)
        for plugin in self.plugins:
            if not isinstance(plugin, str):
                read_plugin(plugin, task=self.name)
        # The app that adopts the task replaces it.
        self.scope = HookScope()
        self.owner: TaskOwner = _NoOwner(self.name, self.where)
        self.is_free = True
        super().__init__(self, self.queue)
        self._look_like_function()
        record(self)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function directly, without a job."""
        result: R = self._callables.direct(*args, **kwargs)
        return result

    def __get__(self, instance: object, owner: type | None = None, /) -> Task[P, R]:
        """Return the task, as an attribute of a class. Below ``@classmethod``, bind it to the class."""
        if isinstance(instance, type) and self._callables.direct is not self.function:
            # Before Python 3.13, classmethod leaves the binding to what it decorates.
            return MethodType(self, instance)  # type: ignore[return-value]
        return self

    def __set_name__(self, owner: type, name: str, /) -> None:
        """Bind a class method to the class in whose body it is declared."""
        enclosing = self._callables.enclosing
        if enclosing is not None:
            enclosing.set(owner)
            self._callables = TaskFunction(self.function, self.function, enclosing)
            self._look_like_function()

    def _look_like_function(self) -> None:
        functools.update_wrapper(self, self._callables.direct, updated=())
        if self.is_async:
            mark_async(self)

    def __repr__(self) -> str:
        return f"<Task {self.signature} queue={self.queue!r}>"

    @property
    def frequency(self) -> float | None:
        """Return the seconds from the end of a run to the next one, or None."""
        return None if self.recurrence is None else self.recurrence.frequency

    @property
    def cron(self) -> str | None:
        """Return the cron expression, or None."""
        schedule = None if self.recurrence is None else self.recurrence.schedule
        return None if schedule is None else schedule.expression

    def bind_to_app(self, owner: TaskOwner, scope: HookScope) -> None:
        """Make the task a task of the app *owner*."""
        self.owner = owner
        self.is_free = False
        self.scope = scope

    def copy_for(self, owner: TaskOwner, scope: HookScope) -> Task[P, R]:
        """Return a copy for the app *owner*. Enqueues of this task use the copy's app from now on."""
        copy: Task[P, R] = object.__new__(type(self))
        for cls in (Task, ConfiguredTask):
            for slot in cls.__slots__:
                if slot not in {"__weakref__", "__dict__"}:
                    setattr(copy, slot, getattr(self, slot))
        copy._look_like_function()
        copy._task = copy
        copy.bind_to_app(owner, scope)
        self.owner = owner
        return copy


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(**options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(function: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Declare a task without an app. `TaskHero.load_tasks` or ``app.tasks.adopt`` adds it to an app.

    Args:
        function: The function, if used without options.
        options: As for `TaskHero.task`.

    Raises:
        InvalidTask: The declaration is invalid.
    """
    check_known(options)
    if function is not None:
        return Task(function, options)
    return lambda function: Task(function, options)


def _check_undeclared(function: object) -> None:
    inner = function
    while isinstance(inner, (staticmethod, classmethod, MethodType)):
        inner = inner.__func__
    if isinstance(inner, Task):
        raise InvalidTask(
            f"task {inner.name!r} is already declared at {inner.where}: adopt it with app.tasks.adopt(task)"
        )
