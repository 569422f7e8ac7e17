"""Functions for tests of tasks that run in processes of their own; a process finds them here."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextvars import ContextVar
from typing import Any

from taskhero.engine.task.task import Task, TaskOptions
from taskhero.runtime.execution.context import current


def add(a: int, b: int = 0) -> int:
    return a + b


async def add_async(a: int, *, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


def declared(a: int) -> int:
    return a * 2


declared = Task(declared, TaskOptions(run_in="process"))  # type: ignore[assignment]


class Group:
    @staticmethod
    def method() -> str:
        return "static"


def pid() -> int:
    return os.getpid()


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def who() -> tuple[Any, str, Any]:
    found = current()
    logging.getLogger("nobody").debug("no matter")
    return found.job, found.worker, found.app


def fail(text: str) -> None:
    raise LookupError(text)


class TwoArguments(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


class HoldsALock(Exception):
    def __init__(self) -> None:
        super().__init__("locked")
        self.lock = threading.Lock()


def fail_unpicklable() -> None:
    raise HoldsALock


def fail_with_two_arguments() -> None:
    raise TwoArguments(1, 2)


def leave() -> None:
    sys.exit(7)


async def leave_async() -> None:
    sys.exit(7)


def interrupt() -> None:
    raise KeyboardInterrupt


def return_generator() -> Any:
    return (row for row in range(3))


async def return_coroutine() -> Any:
    return asyncio.sleep(0)


async def return_task() -> Any:
    return asyncio.ensure_future(asyncio.sleep(100))


async def return_ended_task() -> Any:
    task = asyncio.ensure_future(add_async(1, b=2))
    await asyncio.wait({task})
    return task


async def leave_in_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leave_async())


tenant: ContextVar[str] = ContextVar("tenant")
tenant.set("the module's")


def exchange_tenant(name: str) -> str:
    before = tenant.get()
    tenant.set(name)
    return before


async def exchange_tenant_async(name: str) -> str:
    return exchange_tenant(name)


def return_lock() -> Any:
    return threading.Lock()


def exit_at_once(code: int) -> None:
    os._exit(code)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fork_and_exit() -> None:
    """Its fork holds the pipe to the parent open for a while."""
    if os.fork() == 0:
        time.sleep(3)
    os._exit(5)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def touch_and_sleep(path: str, seconds: float) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(str(os.getpid()))
    time.sleep(seconds)


def child_of_its_own() -> int:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(os.getppid)


def terminate_a_program() -> int:
    import subprocess

    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    program.terminate()
    return program.wait(10)
