"""The tasks of an app, by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

from taskhero.engine.task.task import Task
from taskhero.engine.time.recurrence import IMPLIED_PLUGINS
from taskhero.errors import InvalidTask, UnknownTask
from taskhero.hooks.scope import HookScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from taskhero.engine.task.task import TaskOwner
    from taskhero.hooks.manager import PluginManager

__all__ = ["TaskRegistry"]

_Task = TypeVar("_Task", bound=Task[Any, Any])


class TaskRegistry:
    """The tasks of an app: iterate over them, or get one by its name.

    Args:
        home: The app.
        plugins: The app's plugins.
        check_processable: Refuses a function that another process could not find.
    """

    def __init__(
        self,
        home: TaskOwner,
        plugins: PluginManager,
        check_processable: Callable[[Callable[..., Any]], None] | None = None,
    ) -> None:
        self._owner = home
        self._plugins = plugins
        self._check_processable = check_processable
        self._tasks: dict[str, Task[Any, Any]] = {}
        self._files: dict[Path, str] = {}

    def __iter__(self) -> Iterator[Task[Any, Any]]:
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __getitem__(self, name: str) -> Task[Any, Any]:
        """The task of this name.

        Raises:
            UnknownTask: There is none.
        """
        task = self._tasks.get(name)
        if task is None:
            raise UnknownTask(f"this app declares no task {name!r}{self.suggestion(name)}")
        return task

    def get(self, name: str) -> Task[Any, Any] | None:
        """The task of this name, or None."""
        return self._tasks.get(name)

    def scope_of(self, name: str) -> HookScope:
        """The hooks around jobs of this name: those of the task, or of the app alone if it declares no such task."""
        task = self._tasks.get(name)
        return self._plugins.scope if task is None else task.scope

    @property
    def may_hold_locks(self) -> bool:
        """Whether any plugin says what its jobs hold while they are queued or run."""
        return self._plugins.scope.prepares or any(task.scope.prepares for task in self._tasks.values())

    def suggestion(self, name: str) -> str:
        """Which tasks one may have meant by *name*, as the end of a sentence."""
        close = difflib.get_close_matches(str(name), self._tasks, n=3)
        if close:
            return f"; did you mean {' or '.join(map(repr, close))}?"
        return f" (declared: {', '.join(sorted(self._tasks)) or 'none'})"

    def add(self, task: _Task) -> _Task:
        """Take in a task that was made for this app.

        Raises:
            InvalidTask: Another task has its name, or another process cannot find a function that is to run there.
            PluginError: Its plugins cannot be used as given.
        """
        self._check(task)
        task.bind_to_app(self._owner, self._scope(task))
        self._tasks[task.name] = task
        return task

    def adopt(self, task: Task[Any, Any]) -> Task[Any, Any]:
        """Take in a task that was declared without an app; adopting it again changes nothing.

        Returns:
            The task of this app. The given one speaks for it from now on.

        Raises:
            InvalidTask: Another task has its name, or it belongs to another app.
            PluginError: Its plugins cannot be used as given.
        """
        known = self._tasks.get(task.name)
        if known is not None and known.function is task.function:
            return known
        if not task.is_free:
            raise InvalidTask(
                f"task {task.name!r} ({task.where}) was declared with @app.task of another app: declare it with @task"
            )
        self._check(task)
        adopted = task.copy_for(self._owner, self._scope(task))
        self._tasks[task.name] = adopted
        return adopted

    def check_files(self, files: Iterable[Path], place: str) -> None:
        """Refuse files whose tasks were loaded before; *place* says who loads them now.

        Raises:
            InvalidTask: One was.
        """
        for file in files:
            if file in self._files:
                raise InvalidTask(
                    f"{file} is loaded into this app twice: by {self._files[file]} and by {place}; once is enough"
                )

    def note_files(self, files: Iterable[Path], place: str) -> None:
        """Remember that *place* has loaded the tasks of these files."""
        self._files.update(dict.fromkeys(files, place))

    def _check(self, task: Task[Any, Any]) -> None:
        if task.run_in == "process" and self._check_processable is not None:
            self._check_processable(task.function)
        other = self._tasks.get(task.name)
        if other is not None and other.where == task.where and other.function.__module__ != task.function.__module__:
            raise InvalidTask(
                f"task {task.name!r} ({task.where}) is there twice, since its file was imported twice: as "
                f"{other.function.__module__} and as {task.function.__module__}; import it under one name"
            )
        if other is not None:
            raise InvalidTask(
                f"two tasks are called {task.name!r}: at {other.where} and at {task.where}; give one another name"
            )

    def _scope(self, task: Task[Any, Any]) -> HookScope:
        plugins = self._plugins.build(task.plugins, task.plugin_options)
        recurrence = task.recurrence
        if recurrence is not None and recurrence.frequency is not None:
            kinds = set(map(type, plugins))
            for name, options in IMPLIED_PLUGINS.items():
                implied = self._plugins.build((name,), {name: options})
                plugins += tuple(plugin for plugin in implied if type(plugin) not in kinds)
        return HookScope(plugins, self._plugins.scope, task=f"task {task.name!r}", alike=recurrence)
