"""Keep processes that tasks fork from acting as a second worker.

A forked process is a copy of the worker: it holds the worker's sockets, pipes and event loop. These rules apply to it:

- It ends when the function of its task ends, with the exit code that the function asks for.
- It ends when it returns to the event loop of the worker, before any other callback runs.
- SIGTERM and SIGINT end it, whatever handlers the worker has.
- It ends when the process that forked it ends.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from typing import Final

from taskhero._internal.interpreter import ready_callbacks_of
from taskhero._internal.signal_handlers import present
from taskhero.runtime.execution.context import running_job

__all__ = ["fork_count", "leave_if_forked"]

#: Seconds between two checks that the parent process lives.
PARENT_CHECK_INTERVAL: Final = 0.5
#: Seconds from SIGTERM to the end of a process whose parent has ended.
TERMINATION_LIMIT: Final = 5.0


class _Forking(threading.local):
    """What the thread that forks knows before the fork."""

    loop: asyncio.AbstractEventLoop | None = None
    pid = 0


_forking = _Forking()
_count = 0


def fork_count() -> int:
    """Return the number of forks between the first process and this one. Pass it to `leave_if_forked` later."""
    return _count


def leave_if_forked(since: int, error: BaseException | None = None) -> None:
    """End this process if it was forked since `fork_count` returned *since*, as Python ends a program with *error*."""
    if _count == since:
        return
    code = 0
    if isinstance(error, SystemExit):
        code = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        if code == 1 and error.code != 1:
            _write(f"{error.code}\n")
    elif error is not None:
        code = 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        with contextlib.suppress(BaseException):  # methods of its class may raise anything
            _write("".join(traceback.format_exception(error)))
    _leave(code)


def _leave(code: int) -> None:
    """End the process without the exit handlers of the worker, as multiprocessing does."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code & 0xFF)


def _write(text: str) -> None:
    with contextlib.suppress(Exception):
        sys.stderr.write(text)


def _before() -> None:
    _forking.pid = os.getpid()
    try:
        _forking.loop = asyncio.get_running_loop()
    except RuntimeError:
        _forking.loop = None


def _after_in_child() -> None:
    global _count  # noqa: PLW0603 - one number for each process
    _count += 1
    if running_job.get(None) is None:
        return  # no task forked it
    signal.set_wakeup_fd(-1)  # it writes into the event loop of the worker
    for number in present("SIGTERM", "SIGINT"):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if _forking.loop is not None:
        _seal(_forking.loop)
    # `threading.Thread.start` would wait for the thread, which a program between fork and exec must not do.
    _thread.start_new_thread(_end_with_parent, (_forking.pid,))


def _seal(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop end this process before it calls anything else."""
    for ready in (ready_callbacks_of(loop), *gc.get_referents(loop)):  # uvloop hides the attribute
        if isinstance(ready, deque):
            ready.clear()
    loop.call_soon(_leave_loop)


def _leave_loop() -> None:
    _write(
        f"taskhero: process {os.getpid()} was forked by a task and returned to the event loop of its worker, so it "
        "ends: end such a process with os._exit(), or start it with multiprocessing\n"
    )
    _leave(1)


def _end_with_parent(pid: int) -> None:
    while os.getppid() == pid:
        time.sleep(PARENT_CHECK_INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(TERMINATION_LIMIT)
    os._exit(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_after_in_child)
