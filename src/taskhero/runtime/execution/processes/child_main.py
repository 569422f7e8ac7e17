"""The main function of child processes, and the messages that they exchange with their parent."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import multiprocessing
import os
import pickle
import signal
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import attrs

from taskhero._internal.signal_handlers import handled, present
from taskhero.runtime.execution.context import Running, running_job
from taskhero.runtime.execution.failure_report import describe, strip
from taskhero.runtime.execution.forks import fork_count, leave_if_forked
from taskhero.runtime.execution.returned_values import result_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

    from taskhero.models import Job
    from taskhero.runtime.execution.processes.function_reference import FunctionReference
    from taskhero.wire.failures import Description

__all__ = ["SIGNALS", "Answer", "Request", "Started", "main"]

#: Signals that a terminal, a service manager or an operator may send to a process group. The parent decides what they
#: mean for a task.
SIGNALS = present("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2")

#: Seconds between two checks for the parent, in case another process keeps its end of the pipe open.
PARENT_CHECK_INTERVAL = 5.0


@attrs.frozen
class Request:
    """A call that the parent requests."""

    function: FunctionReference
    args: list[Any]
    kwargs: dict[str, Any]
    job: Job
    worker: str
    attempt: int


@attrs.frozen
class Started:
    """The child process is ready, or has found the function and starts the call."""


@attrs.frozen
class Answer:
    """How a call ended.

    Attributes:
        value: The pickled returned value; None if the call raised.
        error: The pickled error; None if the call returned, or the error cannot be pickled.
        description: The description of the error; None if the call returned.
    """

    value: bytes | None
    error: bytes | None = None
    description: Description | None = None


def main(connection: Connection) -> None:
    """Serve the parent's requests until it closes the connection."""
    # A handler and not SIG_IGN, which programs that a task starts would inherit.
    with handled(dict.fromkeys(SIGNALS, lambda *_: None)):
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        threading.Thread(target=_exit_with_parent, name="taskhero-parent", daemon=True).start()
        with contextlib.suppress(EOFError, OSError):
            connection.send(Started())
            while True:
                connection.send(_answer(connection, pickle.loads(connection.recv_bytes())))  # noqa: S301 -- our parent's


def _exit_with_parent() -> None:
    parent, pid = multiprocessing.parent_process(), os.getppid()
    while parent is not None and parent.is_alive() and os.getppid() == pid:
        parent.join(PARENT_CHECK_INTERVAL)
    os._exit(1)


def _answer(connection: Connection, request: Request) -> Answer:
    try:
        # The first job imports the module. Context variables that the module sets are for all jobs.
        function = request.function.find()
        connection.send(Started())
    except BaseException as error:  # noqa: BLE001 -- also SystemExit is a failure; the process continues
        return _failed(error)
    return copy_context().run(_call, function, request)


def _call(function: Callable[..., Any], request: Request) -> Answer:
    """Call the function in the current context, which no other job uses."""
    running_job.set(Running(request.job, request.worker, None, request.attempt))
    forks = fork_count()
    try:
        value = function(*request.args, **request.kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(_result_of_async(value, request.job.name))
        value = result_of(value, request.job.name)
    except BaseException as error:  # noqa: BLE001 -- as in _answer
        leave_if_forked(forks, error)
        return _failed(error)
    leave_if_forked(forks)
    try:
        return Answer(pickle.dumps(value))
    except BaseException as error:  # noqa: BLE001 -- __reduce__ may raise anything
        unpicklable = TypeError(
            f"task {request.job.name!r} succeeded, but its child process cannot pickle the {type(value).__name__} that "
            f"it returned ({describe(error).error}): return plain data, or None"
        )
        return Answer(None, _pickled(unpicklable), describe(unpicklable))


async def _result_of_async(awaitable: Awaitable[Any], task: str) -> Any:
    # The end of the event loop cancels a returned future, so it is checked before.
    return result_of(await awaitable, task)


def _failed(error: BaseException) -> Answer:
    strip(error)
    return Answer(None, _pickled(error), describe(error))


def _pickled(error: BaseException) -> bytes | None:
    """Return the pickled exception, or None if it cannot be unpickled."""
    try:
        pickled = pickle.dumps(error)
        return pickled if type(pickle.loads(pickled)) is type(error) else None  # noqa: S301 -- our own
    except BaseException:  # noqa: BLE001 -- methods of its class may raise anything
        return None
