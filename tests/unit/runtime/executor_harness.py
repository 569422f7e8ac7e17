"""An executor with a few tasks, for tests of how jobs are performed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs

from taskhero.backends.protocol import Claim, Failed, Retried
from taskhero.engine.task.task import Task, TaskOptions
from taskhero.events import Emitter
from taskhero.hooks.manager import PluginManager
from taskhero.hooks.scope import HookScope
from taskhero.models import FailedJob, Failure
from taskhero.runtime.execution.executor import Executor, JobResult
from taskhero.runtime.execution.threads import ThreadPool
from taskhero.wire.failures import decode_failure
from taskhero.wire.jobs import encode_job

WORKER = "host.token:1+1"
APP = object()
WAIT = 10.0


class Tasks(dict[str, Task[Any, Any]]):
    @property
    def by_name(self) -> dict[str, Task[Any, Any]]:
        return self

    def scope_of(self, name: str) -> HookScope:
        return self[name].scope if name in self else HookScope()

    def suggestion(self, name: str) -> str:
        return f" (declared: {', '.join(self)})"


class Processes:
    """Stands for processes; what a test gives it is the result."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.value: Any = None
        self.killed = False
        self.started: list[tuple[Any, ...]] = []
        self.future: asyncio.Future[None]

    def start(self, *call: Any) -> Processes:
        self.started.append(call)
        self.future = asyncio.get_running_loop().create_future()
        return self

    def kill(self) -> None:
        self.killed = True


@attrs.define
class ExecutorHarness:
    tasks: Tasks
    emitter: Emitter
    threads: ThreadPool
    processes: Processes
    executor: Executor

    def declare(self, function: Callable[..., Any], **options: Any) -> str:
        task = Task(function, TaskOptions(**options))
        task.scope = PluginManager().task_scope(task.name, task.plugins)
        self.tasks[task.name] = task
        return task.name

    async def perform(self, name: str, *args: Any, raw: str | None = None) -> JobResult:
        """Perform a job as the worker does: in a task of its own."""
        return await self.begin(name, *args, raw=raw)

    def begin(self, name: str, *args: Any, raw: str | None = None, worker: str = WORKER) -> asyncio.Task[JobResult]:
        claim = Claim(1, "token", "math", encode_job(name, args, "math") if raw is None else raw)
        return asyncio.create_task(self.executor.perform(claim, worker))

    async def run(self, function: Callable[..., Any], *args: Any, **options: Any) -> JobResult:
        return await self.perform(self.declare(function, **options), *args)


def entry(performed: JobResult) -> FailedJob:
    assert isinstance(performed.disposition, (Failed, Retried)), performed
    failed = decode_failure(performed.disposition.entry)
    assert failed.problem is None or failed.job.name == ""
    return failed


def failure(performed: JobResult) -> BaseException:
    assert isinstance(performed.outcome, Failure), performed
    return performed.outcome.error


def raiser(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail
