"""What runs in the processes of tasks with ``run_in="process"``."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import multiprocessing
import os
import pickle
import signal
import threading
from typing import TYPE_CHECKING, Any

import attrs

from taskhero.runtime.execution.context import Running, enter, leave
from taskhero.runtime.execution.failure_report import Description, describe, strip
from taskhero.runtime.process.signals import handled, present

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from taskhero.models import Job
    from taskhero.runtime.execution.processes.function_reference import FunctionReference

__all__ = ["SIGNALS", "Answer", "Request", "Started", "main"]

#: A terminal, a service manager or an operator may send these to all processes of a group. The parent decides what they
#: mean for a task.
SIGNALS = present("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2")

#: Seconds between two looks at whether the parent is there, should its end of the pipe be open elsewhere.
PARENT_CHECK_INTERVAL = 5.0


@attrs.frozen
class Request:
    """A call that the parent wants."""

    address: FunctionReference
    args: list[Any]
    kwargs: dict[str, Any]
    job: Job
    worker: str
    attempt: int


@attrs.frozen
class Started:
    """The child is ready, or has found the function and calls it now."""


@attrs.frozen
class Answer:
    """How a call ended.

    Attributes:
        value: What the function returned, pickled; None if it raised.
        error: What it raised, pickled; None if it returned or that cannot be pickled.
        description: The same in words; None if it returned.
    """

    value: bytes | None
    error: bytes | None = None
    description: Description | None = None


def main(connection: Connection) -> None:
    """Work off the parent's requests until it closes the connection."""
    # Not SIG_IGN: programs that a task starts would ignore them, too.
    with handled(dict.fromkeys(SIGNALS, lambda *_: None)):
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        threading.Thread(target=_die_with_the_parent, name="taskhero-parent", daemon=True).start()
        with contextlib.suppress(EOFError, OSError):
            connection.send(Started())
            while True:
                connection.send(_answer(connection, pickle.loads(connection.recv_bytes())))  # noqa: S301 -- our parent's


def _die_with_the_parent() -> None:
    parent, pid = multiprocessing.parent_process(), os.getppid()
    while parent is not None and parent.is_alive() and os.getppid() == pid:
        parent.join(PARENT_CHECK_INTERVAL)
    os._exit(1)


def _answer(connection: Connection, request: Request) -> Answer:
    token = enter(Running(request.job, request.worker, None, request.attempt))
    try:
        function = request.address.find()
        connection.send(Started())
        value = function(*request.args, **request.kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
    except BaseException as error:  # noqa: BLE001 -- SystemExit too is a failure, and this process goes on
        strip(error)
        return Answer(None, _pickled(error), describe(error))
    finally:
        leave(token)
    try:
        return Answer(pickle.dumps(value))
    except BaseException as error:  # noqa: BLE001 -- __reduce__ may raise anything
        unfit = TypeError(
            f"task {request.job.name!r} is done, but its process cannot send back the {type(value).__name__} that it "
            f"returned ({describe(error).error}): return plain data, or None"
        )
        return Answer(None, _pickled(unfit), describe(unfit))


def _pickled(error: BaseException) -> bytes | None:
    """The exception for the parent, or None: many cannot be made again from what pickle keeps of them."""
    try:
        text = pickle.dumps(error)
        return text if type(pickle.loads(text)) is type(error) else None  # noqa: S301 -- our own
    except BaseException:  # noqa: BLE001 -- whatever its class does
        return None
