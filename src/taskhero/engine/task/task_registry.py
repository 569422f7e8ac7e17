"""The tasks of an app, by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from taskhero._internal.suggestions import suggestion
from taskhero.engine.task.task import Task
from taskhero.engine.time.recurrence import IMPLIED_PLUGINS
from taskhero.errors import InvalidTask, UnknownTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from taskhero.engine.task.task import TaskOwner
    from taskhero.hooks.manager import PluginManager
    from taskhero.hooks.scope import HookScope

__all__ = ["TaskRegistry"]

_Task = TypeVar("_Task", bound=Task[Any, Any])


class TaskRegistry:
    """The tasks of an app. Iterate over them, or get one by its name.

    Args:
        owner: The app.
        plugins: The app's plugins.
        check_processable: Raises for a task whose function a child process cannot find.

    Attributes:
        scopes: The hooks around the jobs of each task, by its name.
        by_name: A view of the tasks by their names.
    """

    def __init__(
        self,
        owner: TaskOwner,
        plugins: PluginManager,
        check_processable: Callable[[Task[Any, Any]], None] | None = None,
    ) -> None:
        self._owner = owner
        self._plugins = plugins
        self._check_processable = check_processable
        self._tasks: dict[str, Task[Any, Any]] = {}
        self.scopes: dict[str, HookScope] = {}
        self.by_name: Mapping[str, Task[Any, Any]] = MappingProxyType(self._tasks)
        self._files: dict[Path, str] = {}

    def __iter__(self) -> Iterator[Task[Any, Any]]:
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __getitem__(self, name: str) -> Task[Any, Any]:
        """Return the task of this name.

        Raises:
            UnknownTask: The app does not declare such a task.
        """
        task = self._tasks.get(name)
        if task is None:
            raise UnknownTask(f"this app does not declare a task {name!r}{self.suggestion(name)}")
        return task

    def get(self, name: str) -> Task[Any, Any] | None:
        """Return the task of this name, or None."""
        return self._tasks.get(name)

    def scope_of(self, name: str) -> HookScope:
        """Return the hooks around jobs of this name: the task's, or only the app-wide hooks for an unknown name."""
        return self.scopes.get(name, self._plugins.scope)

    @property
    def may_hold_locks(self) -> bool:
        """Return whether any plugin states locks that its jobs hold while they are queued or run."""
        return self._plugins.scope.prepares or any(scope.prepares for scope in self.scopes.values())

    def suggestion(self, name: str) -> str:
        """Return the tasks with names similar to *name*, or all names, as the end of a sentence."""
        return suggestion(name, self._tasks, number=3, otherwise="declared")

    def add(self, task: _Task) -> _Task:
        """Add a task that was declared for this app.

        Raises:
            InvalidTask: Another task has its name, or a child process cannot import its function.
            PluginError: A plugin or its options are invalid.
        """
        self._check(task)
        scope = self._scope(task)
        task.bind_to_app(self._owner, scope)
        self._tasks[task.name], self.scopes[task.name] = task, scope
        return task

    def adopt(self, task: Task[Any, Any]) -> Task[Any, Any]:
        """Add a task that was declared without an app. A second adoption changes nothing.

        Returns:
            The task of this app. Enqueues of the given task use this app from now on.

        Raises:
            InvalidTask: Another task has its name, or it was declared with another app.
            PluginError: A plugin or its options are invalid.
        """
        known = self._tasks.get(task.name)
        if known is not None and known.function is task.function:
            return known
        if not task.is_free:
            raise InvalidTask(
                f"task {task.name!r} ({task.where}) was declared with @app.task of another app: declare it with @task"
            )
        self._check(task)
        scope = self._scope(task)
        adopted = task.copy_for(self._owner, scope)
        self._tasks[task.name], self.scopes[task.name] = adopted, scope
        return adopted

    def check_files(self, files: Iterable[Path], place: str) -> None:
        """Check that none of the files is already loaded into this app.

        Args:
            files: The files.
            place: The caller that loads them now, for messages.

        Raises:
            InvalidTask: A file is already loaded.
        """
        for file in files:
            if file in self._files:
                raise InvalidTask(
                    f"{file} is loaded into this app twice: by {self._files[file]} and by {place}; remove one of them"
                )

    def note_files(self, files: Iterable[Path], place: str) -> None:
        """Record that *place* loaded the tasks of these files."""
        self._files.update(dict.fromkeys(files, place))

    def _check(self, task: Task[Any, Any]) -> None:
        if task.run_in == "process" and self._check_processable is not None:
            self._check_processable(task)
        other = self._tasks.get(task.name)
        if other is not None and other.where == task.where and other.function.__module__ != task.function.__module__:
            raise InvalidTask(
                f"task {task.name!r} ({task.where}) is declared twice, because its file was imported twice: as "
                f"{other.function.__module__} and as {task.function.__module__}; import it under one name"
            )
        if other is not None:
            raise InvalidTask(
                f"two tasks have the name {task.name!r}: at {other.where} and at {task.where}; rename one of them"
            )

    def _scope(self, task: Task[Any, Any]) -> HookScope:
        plugins = self._plugins.build(task.plugins, task.plugin_options)
        recurrence = task.recurrence
        if recurrence is not None and recurrence.frequency is not None:
            kinds = set(map(type, plugins))
            for name, options in IMPLIED_PLUGINS.items():
                implied = self._plugins.build((name,), {name: options})
                plugins += tuple(plugin for plugin in implied if type(plugin) not in kinds)
        return self._plugins.task_scope(task.name, plugins, alike=recurrence)
