"""The methods of an app that declare tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from taskhero.engine.task.discovery import called_from, find_tasks, task_files
from taskhero.engine.task.options import options_of
from taskhero.engine.task.task import Task
from taskhero.errors import InvalidTask, PluginError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from datetime import timedelta, tzinfo

    from taskhero.engine.task.options import RunIn
    from taskhero.engine.task.signature import Wire
    from taskhero.engine.task.task_registry import TaskRegistry
    from taskhero.engine.time.misfires import Misfire

__all__ = ["TaskDecorators"]

P = ParamSpec("P")
R = TypeVar("R")


class TaskDecorators:
    """What `TaskHero` can declare tasks with."""

    @property
    @abstractmethod
    def tasks(self) -> TaskRegistry:
        """The declared tasks."""

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        description: str | None = None,
        plugins: Iterable[object] = (),
        plugin_options: Mapping[str, Mapping[str, Any]] | None = None,
        timeout: timedelta | float | None = None,
        run_in: RunIn | None = None,
        wire: Wire | None = None,
        frequency: timedelta | float | None = None,
        reenqueue_on_error: bool = True,
        cron: str | None = None,
        timezone: str | tzinfo | None = None,
        misfire: Misfire | None = None,
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Declare a function as a task, bare (``@app.task``) or with options (``@app.task(queue="mail")``).

        ``async def`` functions run on the event loop, ``def`` functions in threads. Keyword-only parameters make the
        job's args one object, positional ones a list.

        Args:
            function: The function, if used without options.
            name: Its name on the wire; the function's own if none is given.
            queue: The queue of its jobs, if an enqueue names no other.
            description: What it does; the first paragraph of the docstring if none is given.
            plugins: Its plugins in their order, behind those of the app.
            plugin_options: Options of those plugins that are given by name.
            timeout: Seconds, or a timedelta, after which a run fails.
            run_in: ``"process"`` to run it in a process that can be killed.
            wire: ``"object"`` or ``"list"``, if the signature shall not decide what the job's args are.
            frequency: Seconds (1 or more), or a timedelta, from the end of a run to the next one: the task runs again
                and again, one run at a time in the whole cluster.
            reenqueue_on_error: Whether a task with a frequency runs again after a failure.
            cron: A cron expression: the task runs at its slots, each of which is fired once in the whole cluster.
            timezone: The IANA name of the time zone whose clocks count for *cron*; UTC if none is given.
            misfire: What becomes of slots that no leader could fire in time: ``"skip"``, ``"once"`` (one run for all of
                them, if nothing is given) or ``"all"``.
            **options: The options above.

        Returns:
            The task. Calling it calls the function.

        Raises:
            InvalidTask: It cannot be a task as written, or another task has its name.
            InvalidSchedule: The cron expression, its time zone or *misfire* cannot be.
            InvalidQueueName: A queue cannot have this name.
            PluginError: A plugin cannot be used as given.
        """
        if function is not None:
            return self.tasks.add(Task(function, options_of(options)))
        given = options_of(options)
        return lambda function: self.tasks.add(Task(function, given))

    def load_tasks(self, where: str | os.PathLike[str]) -> list[Task[Any, Any]]:
        """Import the files of a folder and its subfolders, and adopt the tasks that were declared there with `task`.

        Args:
            where: The folder, or a single file.

        Returns:
            The tasks of the files, now tasks of this app.

        Raises:
            InvalidTask: There is no such folder, a file cannot be imported or was loaded into this app before, or two
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
