"""Templates of ``taskhero generate``, and a function that writes either all files or none."""

from __future__ import annotations

import contextlib
import errno
import keyword
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from taskhero.engine.task.discovery import is_task_file
from taskhero.engine.task.options import check_name
from taskhero.errors import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NewTask", "module_of", "write_new"]

#: Characters of a module name, at most: file names have a limit of 255 bytes on most systems.
_MAX_MODULE_NAME = 100

_TASK = '''\
"""The task {title}."""

from __future__ import annotations
{imports}
from taskhero import current, task


@task({options})
async def {module}() -> None:
    """{description}"""
    current().logger.info("{name} runs")
'''

_TEST = '''\
"""Tests of the task {title}."""

from __future__ import annotations

import asyncio
from pathlib import Path

from taskhero import Settings, TaskHero

FILE = {path}


def test_{module}_is_enqueued() -> None:
    """Enqueue the task, and find its job in the queue."""

    async def main() -> None:
        app = TaskHero("memory://")
        app.load_tasks(FILE)
        async with app:
            assert await app.tasks["{name}"].enqueue()
            names = [job.name for job in await app.queue.queued("{queue}")]
        assert names == ["{name}"]

    asyncio.run(main())


def test_{module}_succeeds() -> None:
    """Run the task with a worker, without an error."""

    async def main() -> None:
        app = TaskHero("memory://", settings=Settings(max_task_processors=1))
        app.load_tasks(FILE)
        ended: asyncio.Queue[BaseException | None] = asyncio.Queue()

        @app.on("success")
        def succeeded() -> None:
            ended.put_nowait(None)

        @app.on("failure")
        def failed(error: BaseException) -> None:
            ended.put_nowait(error)

        async with app.running():
            assert await app.tasks["{name}"].enqueue()
            error = await asyncio.wait_for(ended.get(), 10)
        if error is not None:
            raise error

    asyncio.run(main())
'''


def module_of(name: str) -> str:
    """Return the name of a task's module and function: `send-mail` is the function ``send_mail`` of send_mail.py.

    Raises:
        InvalidTask: The name is not valid, or its file would not be loaded.
    """
    check_name(name)
    module = re.sub(r"\W+", "_", name)
    if not re.search(r"[^\W_]", module):
        raise InvalidTask(f"a task's file cannot be named after {name!r}: the name needs a letter or a digit")
    if not name.startswith("_"):
        module = module.lstrip("_")
    module = module if name.endswith("_") else module.rstrip("_")
    if module[0].isdecimal() or not module.isidentifier():
        module = f"task_{module}"
    if keyword.iskeyword(module):
        module += "_"
    if not is_task_file(Path(f"{module}.py")):
        raise InvalidTask(
            f"a task's file cannot be named after {name!r}: {module}.py looks like a test or a private file "
            "and would not be loaded: pass another name, and set this one with @task(name=...)"
        )
    if len(module) > _MAX_MODULE_NAME:
        raise InvalidTask(
            f"a task's file cannot be named after {name!r}: its module name has more than {_MAX_MODULE_NAME} characters"
        )
    return module


@attrs.frozen(kw_only=True)
class NewTask:
    """A task to write.

    Attributes:
        name: The task's name in jobs.
        queue: The queue of its jobs.
        description: What it does, in one line.
        frequency: Seconds between its runs, or None.
        tasks: The folder of tasks.
        tests: The folder of tests.
    """

    name: str
    queue: str
    description: str
    frequency: float | None
    tasks: Path
    tests: Path

    @property
    def module(self) -> str:
        """The name of the task's module and function."""
        return module_of(self.name)

    @property
    def task_file(self) -> Path:
        """The path of the task's file."""
        return self.tasks / f"{self.module}.py"

    @property
    def test_file(self) -> Path:
        """The path of the test's file."""
        return self.tests / f"test_{self.module}.py"

    def files(self) -> dict[Path, str]:
        """Return the content of each file, by path."""
        parts = {
            "name": _escape_quoted(self.name),
            "module": self.module,
            "queue": _escape_quoted(self.queue),
            "title": _escape_docstring(self.name),
            "description": _escape_docstring(self.description),
            "imports": "\nfrom datetime import timedelta\n" if self._is_long else "",
            "options": ", ".join(self._options()),
            "path": _path_expression(self.test_file.parent, self.task_file),
        }
        return {self.task_file: _TASK.format(**parts), self.test_file: _TEST.format(**parts)}

    @property
    def _is_long(self) -> bool:
        """Whether the frequency is over a week, which `@task` accepts only as a timedelta."""
        return self.frequency is not None and self.frequency > 7 * 24 * 3600

    def _options(self) -> list[str]:
        options = [] if self.name == self.module else [f'name="{_escape_quoted(self.name)}"']
        options.append(f'queue="{_escape_quoted(self.queue)}"')
        if self.frequency is not None:
            seconds = int(self.frequency) if self.frequency == int(self.frequency) else self.frequency
            options.append(f"frequency=timedelta(seconds={seconds})" if self._is_long else f"frequency={seconds}")
        return options


def write_new(contents: Mapping[Path, str]) -> None:
    """Write new files and their folders: either all of them or none.

    Args:
        contents: The content of each file, by path.

    Raises:
        FileExistsError: A file exists. `filename` of the error is its path.
        OSError: A file cannot be written.
    """
    for file in contents:
        if os.path.lexists(file):
            raise FileExistsError(errno.EEXIST, "the file exists already", str(file))
    with contextlib.ExitStack() as undo:
        for file, text in contents.items():
            for folder in reversed([file.parent, *file.parent.parents]):
                if os.path.lexists(folder) and not folder.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", str(folder))
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    undo.callback(_remove, folder)
            with file.open("x", encoding="utf-8", newline="\n") as opened:
                undo.callback(_remove, file)
                opened.write(text)
        undo.pop_all()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()


def _escape_quoted(text: str) -> str:
    """Escape text for a literal with double quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _escape_docstring(text: str) -> str:
    """Escape text for a docstring, as little as possible."""
    return _escape_quoted(text) if '"""' in text or text.endswith('"') else text.replace("\\", "\\\\")


def _path_expression(folder: Path, file: Path) -> str:
    """Return the expression by which a test in *folder* finds *file*."""
    steps = Path(os.path.relpath(file.resolve(), folder.resolve())).parts
    up = steps.count("..")
    return " / ".join(
        [f"Path(__file__).resolve().parents[{up}]", *(f'"{_escape_quoted(step)}"' for step in steps[up:])]
    )
