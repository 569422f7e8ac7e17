"""The methods of an app that declare tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from taskhero.engine.task.discovery import called_from, find_tasks, task_files
from taskhero.engine.task.options import check_known
from taskhero.engine.task.task import Task
from taskhero.errors import InvalidTask, PluginError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Unpack

    from taskhero.engine.task.options import TaskOptions
    from taskhero.engine.task.task_registry import TaskRegistry

__all__ = ["TaskDecorators"]

P = ParamSpec("P")
R = TypeVar("R")


class TaskDecorators:
    """The methods of `TaskHero` that declare and load tasks."""

    @property
    @abstractmethod
    def tasks(self) -> TaskRegistry:
        """Return the declared tasks."""

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def task(self, /, **options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(self, function: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]) -> Any:
        """Declare a function as a task, bare (``@app.task``) or with options (``@app.task(queue="mail")``).

        ``async def`` functions run on the event loop, ``def`` functions in threads. Keyword-only parameters make the
        job's args one object, positional ones a list, both kinds a list with one object last.

        Args:
            function: The function, if used without options.
            name: Its name on the wire. Default: the function's name.
            queue: The queue of its jobs, unless an enqueue names another.
            description: The description. Default: the first paragraph of the docstring.
            plugins: Its plugins in order, after those of the app.
            plugin_options: The options of plugins that are given by name.
            timeout: Seconds, or a timedelta, after which a run fails.
            run_in: ``"process"`` to run it in a child process that can be killed.
            wire: ``"object"`` or ``"list"``, to override the wire form that the signature implies.
            frequency: Seconds (1 or more), or a timedelta, from the end of a run to the next one. The task runs
                periodically, one run at a time in the whole cluster.
            reenqueue_on_error: Whether a task with a frequency runs again after a failure.
            cron: A cron expression. Each fire time is fired once in the whole cluster.
            timezone: The IANA name of the time zone for *cron*. Default: UTC.
            misfire: The policy for fire times that no leader fired in time: ``"skip"``, ``"once"`` (the default: one
                run for all of them) or ``"all"``.
            **options: The options above.

        Returns:
            The task. Calling it calls the function.

        Raises:
            InvalidTask: The declaration is invalid, or another task has this name.
            InvalidSchedule: The cron expression, its time zone or *misfire* is invalid.
            InvalidQueueName: The queue name is invalid.
            PluginError: A plugin or its options are invalid.
        """
        check_known(options)
        if function is not None:
            return self.tasks.add(Task(function, options))
        return lambda function: self.tasks.add(Task(function, options))

    def load_tasks(self, where: str | os.PathLike[str]) -> list[Task[Any, Any]]:
        """Import the files of a folder and its subfolders, and adopt the tasks that they declare with `task`.

        Args:
            where: The folder, or a single file.

        Returns:
            The tasks of the files, now tasks of this app.

        Raises:
            InvalidTask: The folder does not exist, a file cannot be imported or is already loaded into this app, or two
                tasks have the same name.
        """
        files, place = task_files(where), called_from(where)
        self.tasks.check_files(files, place)
        adopted = []
        for file, found in find_tasks(where, files):
            try:
                adopted.append(self.tasks.adopt(found))
            except (InvalidTask, PluginError) as error:
                error.add_note(f"while loading {file}")
                raise
        self.tasks.note_files(files, place)
        return adopted
